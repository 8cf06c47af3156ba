"""Makes the files in tests/data/keras/alone: whole networks with a user's layers, in files of
weights alone.

    KERAS_BACKEND=torch python alone.py

Keras's own `save_weights` writes them, and they are then compressed; the values repeat, so that the
files are small. `goldens.json` has Keras's logits for the generated images of `../seeded.py`.
"""

import gzip
import json
import math
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import images  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "data" / "keras" / "alone"
OUT.mkdir(parents=True, exist_ok=True)
SHAPE = (2, 3, 64, 96)
CLASSES = 5
FEATURES = 256
PATTERN = np.random.default_rng(0).standard_normal(499).astype("f4")
pixels = images(0, SHAPE).transpose(0, 2, 3, 1)


def values(shape, number):
    count = math.prod(shape)
    return PATTERN[(np.arange(count) + 31 * number) % len(PATTERN)].reshape(shape)


def base():
    return keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(*SHAPE[2:], 3))


def nested(*head):
    return keras.Sequential([keras.Input((*SHAPE[2:], 3)), base(), layers.GlobalAveragePooling2D(), *head])


def flat(*head):
    body = base()
    x = layers.GlobalAveragePooling2D()(body.output)
    for layer in head:
        x = layer(x)
    return keras.Model(body.input, x)


def fill(model):
    """Kernels that keep outputs about 1 wide; norms with roughly the statistics of their inputs."""
    every = model._flatten_layers(include_self=False, recursive=True)
    every = [layer for layer in every if layer.weights and not isinstance(layer, keras.Model)]
    for number, layer in enumerate(every):
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if weight.name == "kernel":
                fan_in = math.prod(shape[:2]) if "depthwise" in layer.name else math.prod(shape[:-1])
                weight.assign(values(shape, number) * math.sqrt(1.5 / fan_in))
            elif weight.name in ("gamma", "moving_variance"):
                weight.assign(np.ones(shape))
            else:
                weight.assign(values(shape, number) * 0.1)
    norms = [layer for layer in every if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(pixels, training=True)
    for number, norm in enumerate(norms):
        norm.gamma.assign(1.0 + 0.3 * values(norm.gamma.shape, number))
        for statistic in (norm.moving_mean, norm.moving_variance):
            # Fewer digits compress better.
            statistic.assign(np.array(statistic.numpy()).astype("f2").astype("f4"))
    return model


def save(name, model, unnamed=False):
    fill(model)
    path = OUT / f"{name}.weights.h5"
    model.save_weights(path)
    if unnamed:
        # As in Keras before 3.6.
        with h5py.File(path, "r+") as file:
            file.visititems(lambda _, found: found.attrs.pop("name", None) and None)
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
    goldens[name] = keras.ops.convert_to_numpy(model(pixels, training=False)).reshape(-1).tolist()
    print(name, packed.stat().st_size, np.std(goldens[name]))


def norm_first(classes=CLASSES):
    return layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(classes)


goldens = {}
save("nested", nested(*norm_first()))
save("flat", flat(*norm_first()))
save("unnamed", flat(*norm_first()), unnamed=True)
save("unnamed_nested", nested(*norm_first()), unnamed=True)
save("square", nested(*norm_first(FEATURES)))
save("layer_norm", nested(layers.LayerNormalization(), layers.Dense(CLASSES)))
(OUT / "goldens.json").write_text(json.dumps({"input": SHAPE, "logits": goldens}) + "\n")
