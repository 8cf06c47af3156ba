"""Compares effnet with Keras on whole models, from a file of every format to the logits of
photographs.

    cargo build --release
    KERAS_BACKEND=torch python keras_files.py     # 0 if all agree

The models are filled as in generate.py, at native sizes. effnet gets only the file and the
photographs: what the model is and how it prepares images must come from the file.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from generate import fill_keras, keras_logits, keras_models
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[3]
EFFNET = ROOT / "target/release/effnet"
IMAGES = [ROOT / "examples/images" / name for name in ("astronaut.png", "coffee.png", "rocket.jpg")]
CLASSES = 1000
SIZES = {"EfficientNetV2S": 384}
TOLERANCE = 1e-4


def save(model, folder):
    """The model in every format, as Keras's own functions write it."""
    import h5py

    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "whole.h5")
    with h5py.File(folder / "weights.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    # As Keras wrote it before 3.6.
    model.save_weights(folder / "unnamed.weights.h5")
    with h5py.File(folder / "unnamed.weights.h5", "r+") as file:
        file.visititems(lambda _, found: found.attrs.pop("name", None) and None)
    names = ("model.keras", "model.weights.h5", "whole.h5", "weights.h5", "unnamed.weights.h5")
    return [folder / name for name in names]


def effnet(*arguments):
    return subprocess.run([EFFNET, *arguments], check=True, capture_output=True).stdout


def compare(name, build, folder):
    size = SIZES.get(name, 224)
    keras.backend.clear_session()
    model = build(input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None)
    noise = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3))
    fill_keras(model, keras_logits(model, noise)[1])
    same = True
    for path in save(model, folder):
        effnet("preprocess", *IMAGES, "--weights", path, "--output", folder / "pixels.safetensors")
        theirs, _ = keras_logits(model, load_file(folder / "pixels.safetensors")["pixels"])
        answers = json.loads(effnet("classify", *IMAGES, "--weights", path, "-k", str(CLASSES), "--format", "json"))
        ours = np.zeros_like(theirs)
        for row, answer in zip(ours, answers, strict=True):
            for prediction in answer["predictions"]:
                row[prediction["index"]] = prediction["logit"]
        difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
        same &= bool(difference <= TOLERANCE)
        print(f"{name:28} {path.name:18} {answers[0]['model']:34} {difference:.1e}", flush=True)
    return same


if __name__ == "__main__":
    results = []
    for name, build in keras_models():
        with tempfile.TemporaryDirectory() as folder:
            results.append(compare(name.removeprefix("keras."), build, Path(folder)))
    sys.exit(not all(results))
