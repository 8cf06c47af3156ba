"""Makes the files in tests/data/keras/heads: layers that users put after a network, and what Keras
computes.

    KERAS_BACKEND=torch python heads.py

`expected.safetensors` has, under the name of each file, the kernel and the bias of the linear map
that the layers after the pooled features compute: Keras's answers for the unit vectors and for
zeros.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "data" / "keras" / "heads"
OUT.mkdir(parents=True, exist_ok=True)
FEATURES = 4


def fill(model):
    """Values that are all different; variances are positive."""
    for number, weight in enumerate(model.weights):
        count = int(np.prod(weight.shape))
        values = (np.arange(count) % 16 - 7 + number % 8) / 8
        values = np.abs(values) + 0.25 if "variance" in weight.path else values
        weight.assign(values.reshape(weight.shape).astype(weight.dtype))
    return model


def network(size=(8, 8, 3)):
    x = inputs = layers.Input(size)
    x = layers.Conv2D(FEATURES, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("silu", name="stem_activation")(x)
    return keras.Model(inputs, x, name="network")


def sequential(*head, before=(), size=(8, 8, 3), inner=(8, 8, 3)):
    return keras.Sequential([layers.Input(size), *before, network(inner), layers.GlobalAveragePooling2D(), *head])


def functional(*head, pooling=None):
    """A functional model in which the head follows the network's own layers."""
    inner = network()
    x = (pooling or layers.GlobalAveragePooling2D())(inner.output)
    for layer in head:
        x = layer(x)
    return keras.Model(inner.input, x)


def nested(*head):
    x = inputs = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(network()(x))
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x)


def linear(*head):
    """What layers with a linear last one compute from features."""

    def run(x):
        for layer in head:
            x = layer(x, training=False) if isinstance(layer, (layers.BatchNormalization, layers.Dropout)) else layer(x)
        return keras.ops.convert_to_numpy(x).astype(np.float64)

    bias = run(np.zeros((1, FEATURES), "f4"))[0]
    return {"kernel": (run(np.eye(FEATURES, dtype="f4")) - bias).astype("f4"), "bias": bias.astype("f4")}


def softmax():
    return layers.Activation("softmax", name="to_probabilities")


expected = {}


def save(name, model, head, *formats):
    fill(model)
    for suffix in formats:
        model.save(OUT / f"{name}{suffix}")
    expected.update({f"{name}/{key}": value for key, value in linear(*head).items()})


augment = [layers.RandomFlip(), layers.RandomRotation(0.1)]
head = [layers.BatchNormalization(name="features_bn"), layers.Dropout(0.2), layers.Dense(5, name="mine")]
save("norm", sequential(*head, softmax(), before=augment), head, ".keras", ".h5")
head = [layers.BatchNormalization(scale=False, center=False, epsilon=0.01, name="features_bn"), layers.Dense(3, use_bias=False, name="mine")]
save("bare_norm", functional(*head), head, ".keras", ".h5")
head = [layers.Dropout(0.2), layers.Dense(1, name="mine")]
save("one", nested(*head, layers.Activation("sigmoid", name="to_probability")), head, ".keras", ".h5")
head = [layers.Flatten(), layers.Dense(2, name="mine")]
resizing = [layers.Resizing(10, 12)]
save("resized", sequential(*head, layers.Softmax(name="to_probabilities"), before=resizing, size=(None, None, 3), inner=(10, 12, 3)), head, ".keras")
save_file(expected, OUT / "expected.safetensors")
(OUT / "expected.safetensors").chmod(0o644)

fill(sequential(layers.Dense(5, activation="softmax", name="mine"))).save(OUT / "softmax.h5")
fill(sequential(layers.Dense(5, activation="sigmoid", name="mine"))).save(OUT / "sigmoid.h5")

fill(sequential(layers.Dense(8, activation="relu", name="hidden"), layers.Dense(5, name="mine"))).save(OUT / "two.h5")
fill(functional(layers.Dense(5, name="mine"), pooling=layers.GlobalMaxPooling2D(name="largest"))).save(OUT / "largest.h5")
fill(sequential(layers.LayerNormalization(name="norm"), layers.Dense(5, name="mine"))).save(OUT / "layer_norm.h5")
fill(sequential(layers.ReLU(name="relu"), layers.Dense(5, name="mine"))).save(OUT / "relu.h5")
fill(sequential(layers.Dense(5, activation="tanh", name="mine"))).save(OUT / "tanh.h5")
