"""Every form of an image gives the same answer, and what is no image is refused."""

import io
import os
import pathlib

import effnet
import numpy as np
import pytest
from PIL import Image


def pillow(path):
    return Image.open(path)


def array(path):
    return np.asarray(Image.open(path).convert("RGB"))


FORMS = {
    "str": str,
    "path": pathlib.Path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "pillow": pillow,
    "array": array,
    "array in Fortran's order": lambda path: np.asfortranarray(array(path)),
    "array read backwards": lambda path: array(path)[::-1, ::-1].copy()[::-1, ::-1],
    "array that is a view": lambda path: np.pad(array(path), ((2, 3), (4, 5), (0, 1)))[2:-3, 4:-5, :3],
    "array that cannot be written": lambda path: frozen(array(path)),
    "array with alpha": lambda path: np.dstack([array(path), np.full(array(path).shape[:2], 9, np.uint8)]),
}


def frozen(values):
    values.flags.writeable = False
    return values


@pytest.mark.parametrize("form", FORMS)
def test_forms_have_the_same_bits(form, classifier, images):
    for path in images:
        expected = classifier.logits(path)
        assert np.array_equal(classifier.logits(FORMS[form](path)), expected), path


def test_a_batch_may_mix_forms(classifier, images):
    mixed = [form(path) for form, path in zip(FORMS.values(), images * 2)]
    assert np.array_equal(classifier.logits(mixed), classifier.logits((images * 2)[: len(mixed)]))


def test_grey_arrays_are_grey_images(classifier, images):
    grey = np.asarray(Image.open(images[0]).convert("L"))
    expected = classifier.logits(Image.fromarray(grey))
    assert np.array_equal(classifier.logits(grey), expected)
    assert np.array_equal(classifier.logits(grey[:, :, None]), expected)


def test_four_dimensions_are_many_images(classifier, coffee):
    images = np.stack([array(coffee), array(coffee)[:, ::-1]])
    logits = classifier.logits(images)
    assert logits.shape == (2, 1000)
    assert np.array_equal(logits[1], classifier.logits(images[1]))


def test_an_array_is_not_read_after_the_call(small, coffee):
    """What is changed while an image waits for its turn does not change the image."""
    image = array(coffee).copy()
    expected = small.logits(image)
    results = small.logits_each((image for _ in range(6)), batch_size=1)
    _, first = next(results)
    image[:] = 0
    ahead = [first] + [logits for _, logits in results]
    assert np.array_equal(ahead[0], expected) and np.array_equal(ahead[2], expected)
    assert not np.array_equal(ahead[-1], expected)


def test_exif_orientation(tmp_path, coffee):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / "turned.jpg"
    Image.open(coffee).save(turned, quality=95, exif=exif)
    as_stored = effnet.create_model("test_efficientnet", weights="seeded:0")
    upright = effnet.create_model("test_efficientnet", weights="seeded:0", exif_orientation=True)
    for model in (as_stored, upright):
        assert np.array_equal(model.pixels(turned), model.pixels(Image.open(turned)))
    assert not np.array_equal(as_stored.pixels(turned), upright.pixels(turned))


def test_other_modes_of_pillow(small, images):
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I", "F"):
        image = Image.open(images[0]).convert("RGB").convert(mode)
        assert np.array_equal(small.pixels(image), small.pixels(np.asarray(image.convert("RGB")))), mode


@pytest.mark.parametrize(
    "image, error, words",
    [
        (None, TypeError, "an image is a path, .* not NoneType"),
        (7, TypeError, "not int"),
        (np.zeros((4, 4, 3), np.float32), TypeError, "an array of float32 is not an image: its values are uint8"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"the shape \[4, 4, 2\] is not an image"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, r"\[3, 8, 8\]"),
        (np.zeros(4, np.uint8), ValueError, r"\[4\]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "width and height above zero"),
        ("no such.png", effnet.ImageError, "no such.png: No such file or directory"),
        (b"no image", effnet.ImageError, "image: "),
        (os.curdir, effnet.ImageError, "this is a folder"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(image, error, words, small, coffee):
    with pytest.raises(error, match=words):
        small.logits(image)
    if image is not None and not isinstance(image, int):
        kept = small.logits([coffee, image, coffee], errors="return")
        assert isinstance(kept[1], error)
        assert np.array_equal(kept[0], kept[2])
        assert isinstance(small.logits(image, errors="return"), error)


def test_what_pillow_cannot_read_is_pillows_error(small, coffee):
    data = coffee.read_bytes()
    half = Image.open(io.BytesIO(data[: len(data) // 2]))
    with pytest.raises(OSError, match="truncated"):
        small.logits(half)


def test_a_truncated_file_is_read_if_asked(small, coffee):
    half = coffee.read_bytes()[: coffee.stat().st_size // 2]
    with pytest.raises(effnet.ImageError, match="`lenient`"):
        small.logits(half)
    lenient = effnet.create_model("test_efficientnet", weights="seeded:0", lenient=True)
    assert lenient.logits(half).shape == (1000,)


def test_large_images_are_refused(coffee):
    model = effnet.create_model("test_efficientnet", weights="seeded:0", max_pixels=1000)
    with pytest.raises(effnet.ImageError, match="`max_pixels`"):
        model.logits(coffee)
