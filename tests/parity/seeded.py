"""Weights and images from a seed, equal to those of src/weights/seeded.rs.

Every value is `center + spread * u`, computed in float64 and rounded to float32 once, where `u` in
[-1, 1) is a hash of the seed, the tensor's timm name and the element's index. The rules that choose
`center` and `spread` keep what is added, and the sum that it is added to, similar in size at any
depth, so that 1% on any one tensor shows in the logits, and rounding errors do not grow.
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


# The centers and spreads of biases and running means, by layer; (0, 1) in other layers.
CONSTANTS = {
    # The sum of a stage's branches contains one of these for each block.
    "bn3": (0.0, 0.5),
    # Squeezes that react, and gates of which some are open, some shut, and many in between.
    "conv_reduce": (2.0, 3.0),
    "conv_expand": (2.0, 2.0),
    # Most gates of a global context are open or shut; those in between move far.
    "fc2": (1.0, 25.0),
    # A mix of experts, none of them alone.
    "routing_fn": (1.0, 1.0),
}
# The variances of outputs for inputs of variance 1, by layer; 1.5 in other layers.
GAINS = {
    # What a pool passes on is mostly constant; these make the small rest show in the gates.
    "conv_reduce": 12.0,
    "conv_expand": 2.0,
    "fc1": 10.0,
    "fc2": 1000.0,
    "routing_fn": 0.2,
    # These read activations, which pass on about half of the variance, and write sums that later
    # branches add to.
    "conv": 2.5,
    "conv_pwl": 2.5,
    "pw_proj": 2.5,
    "output": 2.5,
    # Attention that is neither uniform nor all on one position.
    "query": 0.05,
    "key": 0.05,
    # Linear layers in a row.
    "conv_exp": 1.0,
    "dw_start": 0.8,
    "pw_exp": 0.8,
    # This reads the end of a sum.
    "conv_head": 0.5,
}
# The same in blocks with residuals around them.
INNER_GAINS = {"dw_start": 0.3, "pw_exp": 0.5, "output": 0.1, "pw_proj": 1.5}


def rule(name, shape):
    """(center, spread) of a tensor."""
    segments = name.split(".")
    leaf = segments[-1]
    # A block's index in its stage, and its layer's name.
    block = int(segments[2]) if segments[0] == "blocks" else 0
    inner = block > 0
    layer = segments[-2]
    if layer.isdigit():
        # One of the convolutions of a mixed convolution.
        layer = segments[-3]
    elif layer in ("conv", "proj") and len(segments) > 5:
        # `pw_proj.conv`, `query.proj`: the layer around it says what it does.
        layer = segments[-3]
    if leaf in ("bias", "running_mean"):
        return CONSTANTS.get(layer, (0.0, 1.0))
    if leaf == "v":
        # Both signs, so that the next layer does not cancel what they have in common.
        return 1.0, 2.0
    if len(shape) == 1:
        return 1.0, 0.5
    gain = GAINS.get(layer, 1.5)
    experts = len(shape) == 2 and layer in ("conv_pw", "conv_dw", "conv_pwl")
    if inner and layer in ("conv_pw", "conv_exp") and (experts or shape[0] > shape[1]):
        # A sum is large, and larger after many branches. A branch takes in only as much of it as
        # its own constants weigh, so the errors of long chains stay small.
        gain = 0.1 if block < 5 else 0.03 if block < 9 else 0.01
    elif inner and layer == "conv_attn":
        gain = 8.0 if block < 5 else 40.0
    elif inner and layer in INNER_GAINS:
        gain = INNER_GAINS[layer]
    elif layer == "conv_pw" and not experts and 5 * shape[0] <= 11 * shape[1]:
        # Separable convolutions are chains without residuals, which would otherwise forget the image.
        gain = 3.0
    elif inner and (layer == "conv_pwl" and shape[0] == shape[1] or layer == "conv" and shape[2] > 1):
        # Branches that read the whole sum.
        gain = 0.1
    fan_in = math.prod(shape[1:])
    if experts:
        # Flattened kernels that will be summed; a kernel's number of inputs is guessed from a sixfold expansion.
        guesses = {"conv_pw": math.sqrt(fan_in / 6.0), "conv_dw": 16.0, "conv_pwl": math.sqrt(fan_in * 6.0)}
        fan_in = guesses[layer] * shape[0] / 2.0
    return 0.0, math.sqrt(3.0 * gain / fan_in)


def tensor(seed, name, shape):
    """The float32 values of a tensor."""
    center, spread = rule(name, shape)
    u = uniform(seed, name, math.prod(shape))
    if len(shape) > 1 and shape[1] > 1 and not name.endswith("conv_expand.weight"):
        # Activations make the mean of a layer's inputs positive. Without that mean, its outputs
        # depend more on the image than on constants. The sum is exact, because u are multiples of
        # 2**-23. Gates are left out: their few inputs would lose too much.
        rows = u.reshape(shape[0], -1)
        u = (rows - rows.sum(axis=1, keepdims=True) / rows.shape[1]).reshape(-1)
    return (center + spread * u).astype(np.float32).reshape(shape)


def images(seed, shape):
    """Normalized images: float32 in [-2, 2)."""
    return (2.0 * uniform(seed, "input", math.prod(shape))).astype(np.float32).reshape(shape)
