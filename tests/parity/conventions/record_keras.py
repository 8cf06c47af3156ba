"""Record how Keras names and shapes the tensors of its models, in the format of record_names.py.

    KERAS_BACKEND=torch python record_keras.py >> ../../data/conventions/names.txt
    KERAS_BACKEND=torch python record_keras.py --list EfficientNetB0

Each model appears twice: with its layers' names, and with the groups of a weights file from before
Keras 3.6, which number the layers of each class (`-numbered`).
"""

import hashlib
import sys

import keras
from keras.src.utils.naming import to_snake_case


def models():
    apps = keras.applications
    for name in [f"EfficientNetB{i}" for i in range(8)] + [f"EfficientNetV2{s}" for s in ("B0", "B1", "B2", "B3", "S", "M", "L")]:
        yield name, lambda name=name: getattr(apps, name)(weights=None)
    for name, widths in (("MobileNet", (1.0, 0.75, 0.5, 0.25)), ("MobileNetV2", (1.0, 1.4, 1.3, 0.75, 0.5, 0.35))):
        for width in widths:
            build = lambda name=name, width=width: getattr(apps, name)(weights=None, alpha=width)  # noqa: E731
            yield name if width == 1.0 else f"{name}-{width}", build
    for name in ("MobileNetV3Large", "MobileNetV3Small"):
        build = getattr(apps, name)
        yield name, lambda build=build: build(weights=None)
        yield f"{name}-0.75", lambda build=build: build(weights=None, alpha=0.75)
        yield f"{name}-minimalistic", lambda build=build: build(weights=None, minimalistic=True)


def lines(model, numbered):
    counts, listed = {}, []
    for layer in model.layers:
        group = to_snake_case(type(layer).__name__)
        number = counts.setdefault(group, 0)
        counts[group] += 1
        name = (f"{group}_{number}" if number else group) if numbered else layer.name
        if group != "normalization":
            listed += [" ".join([f"{name}/{w.name}", *map(str, w.shape)]) for w in layer.weights]
    return sorted(listed)


def main():
    with keras.device("meta"):
        for name, build in models():
            if sys.argv[1:2] == ["--list"] and name not in sys.argv:
                continue
            model = build()
            for suffix, numbered in (("", False), ("-numbered", True)):
                listed = lines(model, numbered)
                if sys.argv[1:2] == ["--list"]:
                    print("\n".join(listed))
                    continue
                text = "".join(line + "\n" for line in listed).encode()
                print("keras", name + suffix, len(listed), hashlib.sha256(text).hexdigest(), flush=True)
            keras.backend.clear_session()


main()
