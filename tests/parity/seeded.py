"""Weights and images from a seed: the twin of src/weights/seeded.rs.

Every value is `center + spread * u`, computed in float64 and rounded to float32 once, where `u` in
[-1, 1) is a hash of the seed, the tensor's timm name and the element's index. The rules that choose
`center` and `spread` keep activations near 1 through any depth, so that each tensor matters to the
logits.
"""

import math

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def _mix(z):
    """SplitMix64's finalizer, on a Python integer or an array of uint64."""
    if isinstance(z, int):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _key(seed, name):
    """FNV-1a of the name, mixed with the seed."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return _mix(h ^ _mix((seed + GOLDEN) & MASK))


def uniform(seed, name, count):
    """`count` float64 in [-1, 1), multiples of 2**-23."""
    index = np.arange(1, count + 1, dtype=np.uint64)
    z = _mix(np.uint64(_key(seed, name)) + index * np.uint64(GOLDEN))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def rule(name, shape):
    """(center, spread) of a tensor."""
    segments = name.split(".")
    leaf = segments[-1]
    # A block's index in its stage, and its layer's name.
    block = int(segments[2]) if segments[0] == "blocks" else 0
    layer = segments[-2]
    if layer.isdigit():
        # One convolution of a mixed one.
        layer = segments[-3]
    elif layer in ("conv", "proj") and len(segments) > 5:
        # `pw_proj.conv`, `query.proj`: the layer around it says what it does.
        layer = segments[-3]
    if leaf == "running_mean":
        return 0.0, 1.0
    if leaf == "running_var":
        # Long chains of residual branches at full strength would amplify rounding errors.
        return (1.75 if block > 4 else 1.0), 0.5
    if leaf == "bias":
        # Gates that are open pass the signal on; wide biases behind them still show.
        return {"conv_expand": (3.0, 1.0), "conv_reduce": (0.0, 4.0)}.get(layer, (0.0, 1.0))
    if len(shape) == 1:
        return 1.0, 0.5
    fan_in = math.prod(shape[1:])
    if len(shape) == 2 and layer in ("conv_pw", "conv_dw", "conv_pwl"):
        # Kernels of experts, flattened and to be summed: the inputs of one are guessed from a sixfold
        # expansion.
        guesses = {"conv_pw": math.sqrt(fan_in / 6.0), "conv_dw": 16.0, "conv_pwl": math.sqrt(fan_in * 6.0)}
        fan_in = guesses[layer] * shape[0]
    if "se" in segments:
        gain = 6.0
    elif segments[0] == "blocks" and layer in ("conv_pwl", "conv", "pw_proj", "output"):
        # The first block of a stage carries the signal; in the others the residual does, and the
        # branch adds a little.
        gain = 2.5 if block == 0 else 0.1
    elif layer == "conv_exp":
        gain = 1.0
    else:
        gain = 1.5
    return 0.0, math.sqrt(3.0 * gain / fan_in)


def tensor(seed, name, shape):
    """The float32 values of a tensor."""
    center, spread = rule(name, shape)
    u = uniform(seed, name, math.prod(shape))
    if len(shape) > 1 and shape[1] > 1:
        # Without the mean of their inputs, which activations make positive, a layer's outputs
        # depend on the image more than on constants. The sum is exact: u are multiples of 2**-23.
        rows = u.reshape(shape[0], -1)
        u = (rows - rows.sum(axis=1, keepdims=True) / rows.shape[1]).reshape(-1)
    return (center + spread * u).astype(np.float32).reshape(shape)


def images(seed, shape):
    """Normalized images: float32 in [-2, 2)."""
    return (2.0 * uniform(seed, "input", math.prod(shape))).astype(np.float32).reshape(shape)
