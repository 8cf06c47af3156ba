"""Write tests/data/validate: a small data set of labelled images, variants of examples/images.

    python make.py

Folders are ImageNet's synsets. Some variants are hard, and some labels are wrong on purpose, so that
there is something to count.
"""

import random
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "tests/data/validate"
# Image, and the folders that its variants go to in turn.
LABELS = {
    "coffee.png": ["n07920052"],  # espresso
    "chelsea.png": ["n02124075", "n02123159", "n02123045"],  # Egyptian cat, tiger cat, tabby
    "rocket.jpg": ["n03773504"],  # missile
    "clock_motion.png": ["n04548280", "n02708093"],  # wall clock, analog clock
    "camera.png": ["n04485082"],  # tripod
    "grass.png": ["n03991062", "n07920052"],  # pot, and a wrong label
}
VARIANTS = 7


def variant(image, rng):
    width, height = image.size
    side = int(min(width, height) * rng.uniform(0.45, 1.0))
    left, top = rng.randint(0, width - side), rng.randint(0, height - side)
    image = image.crop((left, top, left + side, top + side)).resize((180, 180), Image.BICUBIC)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    image = image.rotate(rng.uniform(-25, 25), Image.BILINEAR)
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.4, 1.5))
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.2, 1.4))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))


def main():
    rng = random.Random(0)
    for name, folders in LABELS.items():
        image = Image.open(ROOT / "examples/images" / name).convert("RGB")
        for number in range(VARIANTS):
            folder = OUT / folders[number % len(folders)]
            folder.mkdir(parents=True, exist_ok=True)
            variant(image, rng).save(folder / f"{Path(name).stem}_{number}.jpg", quality=80)


if __name__ == "__main__":
    main()
