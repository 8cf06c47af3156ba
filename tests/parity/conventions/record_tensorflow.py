"""Record the variables of slim's MobileNets, as transformers' converter reads them from
checkpoints.

    python record_tensorflow.py >> ../../data/conventions/names.txt

Lines have the format of `record_names.py`. transformers 5 no longer has the converter.
"""

import hashlib

import torch
from transformers import (
    MobileNetV1Config,
    MobileNetV1ForImageClassification,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
)
from transformers.models.mobilenet_v1 import modeling_mobilenet_v1 as v1
from transformers.models.mobilenet_v2 import modeling_mobilenet_v2 as v2


def models():
    for width in (1.0, 0.75, 0.5, 0.25):
        config = MobileNetV1Config(depth_multiplier=width, num_labels=1000)
        yield f"mobilenet_v1_{width}_224", v1, MobileNetV1ForImageClassification(config), config
    for width in (1.0, 1.4, 0.75, 0.5, 0.35):
        config = MobileNetV2Config(
            depth_multiplier=width, finegrained_output=width < 1, num_labels=1000
        )
        yield f"mobilenet_v2_{width}_224", v2, MobileNetV2ForImageClassification(config), config


def shape(name, tensor):
    """The variable's shape, before the converter changes it to the tensor's."""
    sizes = list(tensor.shape)
    if name.endswith("depthwise_weights"):
        channels, one, height, width = sizes
        return [height, width, channels, one]
    if len(sizes) == 4:
        outputs, inputs, height, width = sizes
        return [height, width, inputs, outputs]
    return [1, 1, *reversed(sizes)] if len(sizes) == 2 else sizes


with torch.device("meta"):
    for model, module, network, config in models():
        variables = module._build_tf_to_pytorch_map(network, config, {})
        lines = sorted(" ".join([n, *map(str, shape(n, t))]) for n, t in variables.items())
        text = "".join(line + "\n" for line in lines).encode()
        print("tensorflow", model, len(lines), hashlib.sha256(text).hexdigest())
