"""Writes tests/data/keras/resize.json: Keras's `Resizing` layer, and TensorFlow's words for it, on a small image.

    KERAS_BACKEND=torch python resize.py

Bilinear without antialiasing, like `image_dataset_from_directory(image_size=...)`. The pixels are
`(37 * x + 101 * y + 59 * channel) % 256`.
"""

import json
from pathlib import Path

import keras
import numpy as np

OUT = Path(__file__).resolve().parents[2] / "data" / "keras" / "resize.json"
HEIGHT, WIDTH = 19, 31
y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
pixels = ((37 * x + 101 * y + 59 * c) % 256).astype("f4")
sizes = [(5, 7), (19, 31), (1, 1), (40, 33), (3, 31), (19, 9)]
resized = [keras.ops.convert_to_numpy(keras.layers.Resizing(h, w)(pixels)) for h, w in sizes]
found = [{"size": size, "values": [float(f"{v:.9g}") for v in values.ravel()]} for size, values in zip(sizes, resized, strict=True)]
OUT.write_text(json.dumps({"image": [HEIGHT, WIDTH], "resized": found}) + "\n")
