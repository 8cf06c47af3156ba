"""Writes tests/data/images/goldens.json: what Pillow makes of each file in that folder. See README.md."""

import hashlib
import json
import pathlib
import sys

from PIL import Image, ImageFile, ImageOps

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "data/images")
SAMPLES = 64
# Files that the library decodes to other bytes; Pillow's pixels are stored, so that a test can bound the difference.
INEXACT = []


def summary(image):
    data = image.tobytes()
    return {
        "width": image.width,
        "height": image.height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "sample": bytes(data[i * len(data) // SAMPLES] for i in range(SAMPLES)).hex(),
    }


def converted(image, mode):
    """A hash of the image in another mode; None if Pillow cannot convert to it (CIELab to grey)."""
    try:
        return hashlib.sha256(image.convert(mode).tobytes()).hexdigest()
    except ValueError:
        return None


def outcome(path, transpose=False):
    try:
        image = Image.open(path)
        mode = image.mode
        if transpose:
            image = ImageOps.exif_transpose(image)
        return {"mode": mode, **summary(image.convert("RGB")), **{to: converted(image, to) for to in ("L", "RGBA")}}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).replace(str(path), path.name)}"}


def main():
    goldens = {}
    for path in sorted(FOLDER.iterdir()):
        if path.name in ("goldens.json", "resize.json", "README.md") or path.is_dir():
            continue
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        entry = outcome(path)
        transposed = outcome(path, transpose=True)
        if transposed != entry and "sha256" in transposed:
            entry["transposed"] = transposed
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        lenient = outcome(path)
        if lenient != entry and lenient.get("sha256") != entry.get("sha256"):
            entry["lenient"] = lenient
        goldens[path.name] = entry
    (FOLDER / "expected").mkdir(exist_ok=True)
    for name in INEXACT:
        Image.open(FOLDER / name).convert("RGB").save(FOLDER / "expected" / f"{name}.png", optimize=True)
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in goldens.items())
    (FOLDER / "goldens.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
