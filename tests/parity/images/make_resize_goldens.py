"""Writes tests/data/images/resize.json: hashes of images that Pillow resized and timm transformed. See README.md."""

import hashlib
import itertools
import json
import pathlib
import sys

import numpy as np
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "data/images/resize.json")
MODES = ["RGB", "L", "RGBA"]
FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos": 1}


def noise(mode, width, height, seed):
    """The outputs of a seeded SplitMix64, as little-endian bytes."""
    count = width * height * len(mode)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count // 8 + 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    data = z.astype("<u8").tobytes()[:count]
    return Image.frombytes(mode, (width, height), data)


def digest(data):
    return hashlib.sha256(data).hexdigest()


SIZES = [
    (64, 48, 32, 24), (64, 48, 128, 96), (64, 48, 64, 24), (64, 48, 32, 48), (64, 48, 65, 47), (64, 48, 63, 49),
    (64, 48, 64, 48), (33, 77, 20, 20), (77, 33, 20, 20), (50, 40, 60, 39), (100, 90, 70, 30), (100, 90, 70, 29),
    (60, 200, 40, 160), (60, 200, 40, 159), (60, 200, 80, 199), (1, 1, 7, 5), (1, 50, 10, 10), (50, 1, 10, 10),
    (2, 3000, 16, 16), (3000, 2, 16, 16), (3000, 2, 300, 300), (5, 7, 1, 1), (640, 480, 1, 1), (640, 480, 3, 2),
    (1, 300, 1, 17), (300, 1, 17, 1), (9, 9, 200, 3), (9, 9, 3, 200), (7, 500, 224, 20), (500, 7, 20, 224),
    (321, 243, 224, 224), (800, 600, 256, 341), (97, 129, 96, 128), (3, 3, 1000, 2), (257, 255, 255, 257),
    (1200, 900, 300, 225),
]

NORMS = [
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
]

IMAGES = [(320, 240), (240, 320), (224, 224), (225, 223), (37, 29), (1, 1), (3, 200), (200, 3), (500, 333), (257, 400)]

CROPS = [
    # input height and width, crop_pct, crop_mode, interpolation
    (64, 64, 0.875, "center", "bicubic"), (64, 64, 1.0, "center", "bilinear"), (65, 65, 0.9, "center", "lanczos"),
    (64, 64, 0.875, "squash", "bicubic"), (64, 64, 1.0, "squash", "nearest"), (64, 64, 1.0, "border", "bicubic"),
    (64, 64, 0.9, "border", "bilinear"), (48, 80, 0.875, "center", "bicubic"), (80, 48, 0.95, "center", "bilinear"),
    (48, 80, 0.875, "squash", "bicubic"), (80, 48, 1.0, "border", "bicubic"), (64, 64, 1.3, "center", "bicubic"),
    (64, 64, 1.3, "squash", "bilinear"), (63, 63, 1.5, "border", "bicubic"), (97, 129, 0.904, "center", "bicubic"),
    (63, 64, 1.0, "center", "nearest"), (1, 1, 0.9, "center", "bicubic"), (65, 63, 0.777, "squash", "lanczos"),
    (224, 224, 0.875, "center", "bicubic"), (240, 240, 0.882, "center", "bicubic"),
]


def main():
    resizes, transforms = [], []
    for (name, pillow), mode in itertools.product(FILTERS.items(), MODES):
        for seed, (width, height, new_width, new_height) in enumerate(SIZES):
            image = noise(mode, width, height, seed).resize((new_width, new_height), pillow)
            resizes.append([name, mode, seed, width, height, new_width, new_height, digest(image.tobytes())])
    for (i, (height, width, crop_pct, crop_mode, interpolation)), mode in itertools.product(enumerate(CROPS), MODES):
        for seed, size in enumerate(IMAGES):
            # A single channel takes the first value, and so does a fourth.
            mean, std = ((values * 2)[:len(mode)] for values in NORMS[(i + seed) % len(NORMS)])
            transform = transforms_imagenet_eval(
                (height, width), crop_pct=crop_pct, crop_mode=crop_mode, interpolation=interpolation, mean=mean, std=std)
            image = noise(mode, *size, seed)
            case = {"mode": mode, "image": size, "seed": seed, "input_size": [height, width], "crop_pct": crop_pct,
                    "crop_mode": crop_mode, "interpolation": interpolation, "mean": mean, "std": std}
            try:
                data = transform(image)
            except ValueError as error:
                transforms.append({**case, "error": str(error)})
                continue
            assert tuple(data.shape) == (len(mode), height, width)
            pixels = image
            for step in transform.transforms[:-2]:
                pixels = step(pixels)
            transforms.append({**case, "pixels": digest(pixels.tobytes()), "input": digest(data.numpy().astype("<f4").tobytes())})
    lines = lambda rows: ",\n".join("  " + json.dumps(row) for row in rows)
    OUT.write_text('{\n "resize": [\n' + lines(resizes) + '\n ],\n "transform": [\n' + lines(transforms) + "\n ]\n}\n")


main()
