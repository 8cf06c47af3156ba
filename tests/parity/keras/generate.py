"""Makes the Keras files in tests/data/keras, sound and hostile.

    KERAS_BACKEND=torch python generate.py

Every sound file has the tensors of `plain.safetensors` or of `nested.safetensors`; the tests compare.
"""

import json
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "data" / "keras"
OUT.mkdir(parents=True, exist_ok=True)


def fill(model):
    """Values that f16 and bf16 hold exactly, different in each tensor."""
    for number, weight in enumerate(model.weights):
        count = int(np.prod(weight.shape))
        values = (np.arange(count) % 128 - 64 + number % 8) / 8
        weight.assign(values.reshape(weight.shape).astype(weight.dtype))
    return model


def network(name):
    """A network with every kind of layer that the family has."""
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block1a_dwconv")(x)
    x = layers.BatchNormalization(name="block1a_bn")(x)
    x = layers.Dropout(0.1, name="block1a_drop")(x)
    x = layers.Conv2D(6, 1, name="top_conv")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dense(5, name="predictions")(x)
    return keras.Model(inputs, x, name=name)


def tensors(model):
    """The weights with the names of Keras 3, without outer models and without statistics."""
    return {"/".join(w.path.split("/")[-2:]): np.array(w.numpy()) for w in model.weights if "normalization" not in w.path}


def hdf5(name, write, **options):
    with h5py.File(OUT / name, "w", **options) as file:
        write(file)


def group(file, layer, weights, **options):
    """A layer in the older format of h5py and Keras 2, with fixed-length texts."""
    file.create_group(layer).attrs["weight_names"] = [name.encode() for name in weights]
    for name, value in weights.items():
        file[layer].create_dataset(name, data=value, **options)


def keras2(file):
    """The names of Keras 2, with `:0` and a different name for depthwise kernels."""
    layers_of = {}
    for name, value in plain.items():
        layer, variable = name.split("/")
        variable = "depthwise_kernel" if layer == "block1a_dwconv" else variable
        layers_of.setdefault(layer, {})[f"{layer}/{variable}:0"] = value
    file.attrs["layer_names"] = [layer.encode() for layer in layers_of]
    file.attrs["backend"] = b"tensorflow"
    for layer, weights in layers_of.items():
        group(file, layer, weights)


def stored(**options):
    """All tensors in layers of the older format, stored with these options."""

    def write(file):
        for name, value in plain.items():
            layer = name.split("/")[0]
            if layer not in file:
                file.create_group(layer).attrs["weight_names"] = []
            chunked = {} if "dtype" in options else {"chunks": tuple(max(1, n // 2) for n in value.shape)}
            file[layer].create_dataset(name, data=value, **chunked, **options)

    return write


def without_names(path):
    """A copy of the file without layer names, like files of older Keras versions."""
    copy = path.with_name(f"unnamed_{path.name}")
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.visititems(lambda _, found: found.attrs.pop("name", None) and None)
    return copy


def few(file):
    """So few groups that no fractal heap is needed, in the newest layout."""
    group(file, "stem_conv", {"stem_conv/kernel": plain["stem_conv/kernel"]})
    group(file, "stem_bn", {"stem_bn/gamma": plain["stem_bn/gamma"]})


def sound():
    model = fill(network("network"))
    model.compile(optimizer="adam", loss="mse")
    model.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 5)), verbose=0)
    fill(model)
    plain.update(tensors(model))
    save_file(plain, OUT / "plain.safetensors")
    (OUT / "plain.safetensors").chmod(0o644)
    model.save(OUT / "plain.keras")
    model.save_weights(OUT / "plain.weights.h5")
    model.save(OUT / "whole.h5")
    hdf5("weights.h5", lambda file: legacy_h5_format.save_weights_to_hdf5_group(file, model))
    hdf5("keras2.h5", keras2)
    hdf5("chunked.h5", stored())
    hdf5("gzip.h5", stored(compression="gzip", shuffle=True, fletcher32=True))
    hdf5("half.h5", stored(dtype="float16"))
    hdf5("latest.h5", few, libver="latest")

    unnamed = without_names(OUT / "plain.weights.h5")
    with zipfile.ZipFile(OUT / "plain.keras") as old, zipfile.ZipFile(OUT / "unnamed.keras", "w") as new:
        for entry in old.namelist():
            (OUT / entry).write_bytes(old.read(entry))
            path = without_names(OUT / entry) if entry.endswith(".h5") else OUT / entry
            new.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), path.read_bytes())
            (OUT / entry).unlink()
            if path != unnamed:
                path.unlink(missing_ok=True)

    # A network inside another, with a user's layers around it.
    outer = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Normalization(name="normalization_7"), network("inner"), layers.Dense(2, name="mine")]
    )
    fill(outer)
    outer.layers[1].weights[0].assign([0.5, 0.25, 0.125])
    outer.layers[1].weights[1].assign([0.25, 0.0625, 1.0])
    save_file(tensors(outer), OUT / "nested.safetensors")
    (OUT / "nested.safetensors").chmod(0o644)
    outer.save(OUT / "nested.keras")
    outer.save_weights(OUT / "nested.weights.h5")
    outer.save(OUT / "nested.h5")


def patched(name, of, old, new, count=1):
    whole = (OUT / of).read_bytes()
    assert whole.count(old) >= count, name
    (OUT / name).write_bytes(whole.replace(old, new, count))


def hostile():
    def one(value, **options):
        return lambda file: group(file, "layer", {"layer/kernel": value}, **options)

    def empty(**options):
        def write(file):
            file.create_group("layer").attrs["weight_names"] = []
            file["layer"].create_dataset("kernel", **options)

        return write

    def cyclic(file):
        group(file, "layer", {"layer/kernel": np.zeros(2, "f4")})
        file["layer/again"] = file["layer"]

    def deep(file):
        inner = file
        for _ in range(40):
            inner = inner.create_group("g")

    hdf5("cyclic.h5", cyclic)
    hdf5("cyclic_latest.h5", cyclic, libver="latest")
    hdf5("deep.h5", deep)
    hdf5("int8.h5", one(np.zeros(2, "i1")))
    hdf5("double.h5", one(np.zeros(2, "f8")))
    hdf5("big_endian.h5", one(np.zeros(2, ">f4")))
    hdf5("lzf.h5", one(np.zeros(16, "f4"), compression="lzf"))
    hdf5("other.h5", lambda file: file.create_dataset("data", data=np.zeros(2, "f4")))
    hdf5("never.h5", empty(shape=(1 << 40,), dtype="f4"))
    hdf5("huge_chunked.h5", empty(shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip"))
    hdf5("unwritten.h5", empty(shape=(1 << 20,), dtype="f4", chunks=(1 << 10,)))
    hdf5("bomb.h5", one(np.zeros(1 << 22, "f4"), chunks=(1 << 22,), compression="gzip"))
    hdf5("large_chunk.h5", empty(shape=(2,), maxshape=(None,), dtype="f4", chunks=(1 << 26,), compression="gzip"))
    hdf5("bombs.h5", lambda file: [group(file, f"l{i}", {f"l{i}/kernel": np.zeros(1 << 22, "f4")}, chunks=(1 << 22,), compression="gzip") for i in range(5)])
    # The size of a chunk, made larger than its contents; the file is long enough for it.
    hdf5("one_chunk.h5", one(np.array([1, 2, 3, 4], "f4"), chunks=(4,)))
    patched("long_chunk.h5", "one_chunk.h5", struct.pack("<IIQQ", 16, 0, 0, 0), struct.pack("<IIQQ", 5000, 0, 0, 0))
    (OUT / "long_chunk.h5").write_bytes((OUT / "long_chunk.h5").read_bytes() + bytes(5000))
    (OUT / "one_chunk.h5").unlink()
    dense = {f"l{i}": np.zeros(1, "f4") for i in range(40)}
    hdf5("heap.h5", lambda file: [group(file, layer, {f"{layer}/kernel": v}) for layer, v in dense.items()], libver="latest")
    # A size of 3 elements in a dataspace message becomes 2**40; the size in its layout changes too.
    hdf5("three.h5", one(np.array([1, 2, 3], "f4")))
    size = struct.pack("<Q", 3)
    patched("huge.h5", "three.h5", b"\x01\x01\x01" + bytes(5) + size, b"\x01\x01\x01" + bytes(5) + struct.pack("<Q", 1 << 40))
    huge = (OUT / "huge.h5").read_bytes()
    at = huge.index(struct.pack("<Q", 12), huge.index(b"\x03\x01"))
    (OUT / "huge_layout.h5").write_bytes(huge[:at] + struct.pack("<Q", 1 << 42) + huge[at + 8 :])
    plain = (OUT / "plain.weights.h5").read_bytes()
    (OUT / "truncated.h5").write_bytes(plain[: len(plain) // 2])
    archive = (OUT / "plain.keras").read_bytes()
    (OUT / "truncated.keras").write_bytes(archive[: len(archive) // 2])
    with zipfile.ZipFile(OUT / "packed.keras", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(zipfile.ZipInfo("config.json", (1980, 1, 1, 0, 0, 0)), json.dumps({}))
        info = zipfile.ZipInfo("model.weights.h5", (1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(info, plain)


plain = {}
sound()
hostile()
