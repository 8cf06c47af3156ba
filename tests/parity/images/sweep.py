"""Damages image files on purpose and compares what effnet and Pillow make of them, strictly and leniently. See README.md."""

import argparse
import collections
import hashlib
import io
import pathlib
import subprocess
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageFile

ROOT = pathlib.Path(__file__).parents[3]
IMAGES = ROOT / "tests/data/images"
# Formats, and which of the committed files are damaged for each.
SEEDS = {
    "jpeg": ["jpeg_*.jpg", "odd_jpeg_*.jpg", "exif_xmp_8.jpg"],
    "webp": ["*.webp"],
    "png": ["*.png"],
    "gif": ["*.gif"],
    "bmp": ["*.bmp", "*.dib"],
    "ico": ["*.ico", "*.cur"],
    "pnm": ["*.p[bgpnf]m"],
    "tga": ["*.tga"],
    "qoi": ["*.qoi"],
    "tiff": ["tiff/*.tiff"],
}


def photographs():
    """JPEGs larger than the 64 KiB that Pillow reads at once."""
    for name, options in {
        "420": {}, "444": {"subsampling": 0}, "422_restarts": {"subsampling": 1, "restart_marker_rows": 1},
        "restarts": {"restart_marker_blocks": 7}, "progressive": {"progressive": True}, "cmyk": {},
    }.items():
        image = Image.open(ROOT / "examples/images/coffee.png").convert("CMYK" if name == "cmyk" else "RGB")
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92, **options)
        yield f"photo_{name}.jpg", buffer.getvalue()


def flip(rng, data, at):
    data[at] ^= 1 << rng.integers(8)


def replace(rng, data, at):
    data[at] = rng.integers(256)


def remove(rng, data, at):
    del data[at : at + rng.integers(1, 9)]


def insert(rng, data, at):
    data[at:at] = rng.integers(0, 256, rng.integers(1, 9), np.uint8).tobytes()


def zero(rng, data, at):
    length = len(data[at : at + rng.integers(1, 33)])
    data[at : at + length] = bytes(length)


def ones(rng, data, at):
    data[at : at + 2] = b"\xff\xff"


def marker(rng, data, at):
    data[at:at] = bytes([0xFF, rng.choice([0xD0 + rng.integers(8), 0xD9, 0xDA, 0xC4, 0xE0, 0xFE, 0xDD, 0x01, 0x30, rng.integers(1, 256)])])


def restart(rng, data, at):
    """Changes a restart marker of a JPEG: gives it another number, removes it, or doubles it."""
    marks = [i for i in range(len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    if not marks:
        return flip(rng, data, at)
    at = marks[rng.integers(len(marks))]
    match rng.integers(3):
        case 0:
            data[at + 1] = 0xD0 + rng.integers(8)
        case 1:
            del data[at : at + 2]
        case 2:
            data[at:at] = data[at : at + 2]


def cut(rng, data, at):
    del data[at:]


def cut_with_end(rng, data, at):
    data[at:] = b"\xff\xd9"


def cut_with_trailer(rng, data, at):
    data[at:] = b"trailer" * 20


def repeat(rng, data, at):
    data[at:at] = data[max(0, at - rng.integers(1, 60)) : at]


DAMAGES = [flip, flip, replace, remove, insert, zero, ones, marker, restart, cut, cut_with_end, cut_with_trailer, repeat]


def begin_of_data(seed):
    """Roughly where the header ends."""
    return seed.find(b"\xff\xda") + 2 if seed.startswith(b"\xff\xd8") else min(len(seed) // 2, 60)


def damaged(rng, seed, header):
    """One or more kinds of damage, in the header or after its first part."""
    data = bytearray(seed)
    kind = DAMAGES[rng.integers(len(DAMAGES))]
    begin = begin_of_data(seed)
    for _ in range(1 if rng.random() < 0.7 else rng.integers(2, 6)):
        low, high = (0, begin) if header else (begin, len(data))
        low = min(low, len(data) - 1)
        kind(rng, data, int(rng.integers(low, max(low + 1, min(high, len(data))))))
        if not data:
            break
    return kind.__name__, bytes(data) or b"\0"


def pillow(data, lenient):
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    try:
        image = Image.open(io.BytesIO(data))
        form = image.format
        image = image.convert("RGB")
        return form, f"{image.width}x{image.height} {hashlib.sha256(image.tobytes()).hexdigest()}"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def effnet(paths, lenient):
    command = [ROOT / "target/release/examples/decode"] + ["lenient"] * lenient
    text = "".join(f"{path}\n" for path in paths)
    lines = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(paths)
    return [line.split("\t", 1)[1] for line in lines]


def is_image(outcome):
    return len(outcome.split(" ")[-1]) == 64 and outcome.count(" ") == 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("format", choices=SEEDS)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--header", action="store_true", help="damage the header instead of what follows it")
    parser.add_argument("--only", default="", help="only seeds whose name contains this")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the files that differ or are refused")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = 1 << 20
    rng = np.random.Generator(np.random.PCG64(options.seed))
    seeds = sorted({path for pattern in SEEDS[options.format] for path in IMAGES.glob(pattern) if options.only in path.name})
    seeds = [path for path in seeds if path.stat().st_size < 200_000 and not path.name.startswith(("bomb", "empty", "text"))]
    seeds = [(path.name, path.read_bytes()) for path in seeds]
    if options.format == "jpeg":
        seeds += [(name, data) for name, data in photographs() if options.only in name]
    counts, examples = collections.Counter(), collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        paths, kinds = [], []
        for index in range(options.count):
            name, seed = seeds[index % len(seeds)]
            kind, data = damaged(rng, seed, options.header)
            path = pathlib.Path(folder) / f"{index:05}_{kind}_{name}"
            path.write_bytes(data)
            paths.append(path)
            kinds.append(kind)
        for lenient in [False, True]:
            for path, kind, ours in zip(paths, kinds, effnet(paths, lenient)):
                form, theirs = pillow(path.read_bytes(), lenient)
                known = form is None or form in ("JPEG", "MPO", "WEBP", "PNG", "GIF", "BMP", "DIB", "ICO", "CUR", "PPM", "TGA", "QOI", "TIFF")
                if not is_image(theirs):
                    verdict = "only effnet reads" if is_image(ours) else "both refuse"
                elif not is_image(ours):
                    verdict = "refused" if known else "another format to Pillow"
                else:
                    verdict = "equal" if ours == theirs else "DIFFERENT"
                mode = "lenient" if lenient else "strict"
                counts[mode, verdict] += 1
                if verdict in ("only effnet reads", "refused", "DIFFERENT"):
                    examples[mode, verdict].append(f"{path.name}\t{ours[:150]}\t{theirs[:100]}")
                    if options.keep:
                        target = options.keep / mode / verdict.replace(" ", "_")
                        target.mkdir(parents=True, exist_ok=True)
                        (target / path.name).write_bytes(path.read_bytes())
    for (mode, verdict), lines in sorted(examples.items()):
        print(f"-- {mode}, {verdict}:")
        print("\n".join(lines[:60]))
    for (mode, verdict), count in sorted(counts.items()):
        print(f"{options.format} {mode:8} {verdict:25} {count}")


if __name__ == "__main__":
    main()
