"""Record how libraries name and shape the tensors of their models.

    python record_names.py ../../data/conventions/names.txt
    python record_names.py --list torchvision efficientnet_b0

A line of the file is `CONVENTION MODEL TENSORS SHA256`. The digest covers the lines
`NAME SIZE SIZE ...`, sorted as bytes, without the counters `num_batches_tracked`; every classifier
has 1000 classes. `--list` prints those lines for one model, to compare with `effnet map`.
"""

import hashlib
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "foreign"))


def torchvision_models():
    from torchvision import models

    families = {
        "efficientnet": [f"efficientnet_b{i}" for i in range(8)] + [f"efficientnet_v2_{s}" for s in "sml"],
        "mobilenet": ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"],
        "mnasnet": ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"],
    }
    for names in families.values():
        for name in names:
            yield name, lambda name=name: models.get_model(name)


def efficientnet_pytorch_models():
    from efficientnet_lite_pytorch import EfficientNet as Lite
    from efficientnet_pytorch import EfficientNet

    for name in [f"efficientnet-b{i}" for i in range(9)] + ["efficientnet-l2"]:
        yield name, lambda name=name: EfficientNet.from_name(name)
    for i in range(5):
        yield f"efficientnet-lite{i}", lambda i=i: Lite.from_name(f"efficientnet-lite{i}")


def transformers_models():
    from transformers import (
        EfficientNetConfig,
        EfficientNetForImageClassification,
        MobileNetV1Config,
        MobileNetV1ForImageClassification,
        MobileNetV2Config,
        MobileNetV2ForImageClassification,
    )

    # Width, depth, hidden_dim: the published checkpoints' configurations.
    efficientnets = [
        (1.0, 1.0, 1280), (1.0, 1.1, 1280), (1.1, 1.2, 1408), (1.2, 1.4, 1536),
        (1.4, 1.8, 1792), (1.6, 2.2, 2048), (1.8, 2.6, 2304), (2.0, 3.1, 2560),
    ]
    for i, (width, depth, hidden) in enumerate(efficientnets):
        config = EfficientNetConfig(
            width_coefficient=width, depth_coefficient=depth, hidden_dim=hidden, num_labels=1000
        )
        yield f"google/efficientnet-b{i}", lambda c=config: EfficientNetForImageClassification(c)
    for name, width in [
        ("google/mobilenet_v1_1.0_224", 1.0),
        ("google/mobilenet_v1_0.75_192", 0.75),
        ("mobilenet_v1_0.5_160", 0.5),
        ("mobilenet_v1_0.25_128", 0.25),
    ]:
        config = MobileNetV1Config(depth_multiplier=width, num_labels=1000)
        yield name, lambda c=config: MobileNetV1ForImageClassification(c)
    for name, width in [
        ("google/mobilenet_v2_1.0_224", 1.0),
        ("google/mobilenet_v2_1.4_224", 1.4),
        ("google/mobilenet_v2_0.75_160", 0.75),
        ("mobilenet_v2_0.5_224", 0.5),
        ("google/mobilenet_v2_0.35_96", 0.35),
    ]:
        config = MobileNetV2Config(
            depth_multiplier=width, finegrained_output=width < 1, num_labels=1000
        )
        yield name, lambda c=config: MobileNetV2ForImageClassification(c)


def wzmiaomiao_models():
    import wzmiaomiao

    yield from wzmiaomiao.models()


CONVENTIONS = {
    "torchvision": torchvision_models,
    "efficientnet-pytorch": efficientnet_pytorch_models,
    "transformers": transformers_models,
    "wzmiaomiao": wzmiaomiao_models,
}


def lines(build):
    with torch.device("meta"):
        model = build()
    return sorted(
        " ".join([name, *map(str, tensor.shape)])
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


def main():
    if sys.argv[1] == "--list":
        for name, build in CONVENTIONS[sys.argv[2]]():
            if name == sys.argv[3]:
                print("\n".join(lines(build)))
        return
    with open(sys.argv[1], "w") as file:
        for convention, models in CONVENTIONS.items():
            for name, build in models():
                listed = lines(build)
                text = "".join(line + "\n" for line in listed).encode()
                print(convention, name, len(listed), hashlib.sha256(text).hexdigest(), file=file)


main()
