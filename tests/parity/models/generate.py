"""Records timm's outputs on seeded weights and images: tests/goldens/*.safetensors.

    python tests/parity/models/generate.py [NAME...]     # all architectures of the table by default

README.md beside this script describes what a file holds.
"""

import pathlib
import sys

import numpy as np
import timm
import torch
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import seeded  # noqa: E402

GOLDENS = HERE.parent.parent / "goldens"
SAMPLES = 256
# Height and width, both odd, so that TensorFlow's SAME padding is asymmetric.
ODD = (97, 129)
NATIVE = {
    "efficientnet_b0": (224, 224),
    "tf_efficientnet_b0": (224, 224),
    "efficientnet_b4": (380, 380),
    "tf_efficientnet_b4": (380, 380),
    "tf_efficientnet_lite0": (224, 224),
    "efficientnet_es": (224, 224),
    "efficientnetv2_s": (384, 384),
}
# With seeds 0 and 1, one of its squeezes, which has few units, has almost no inputs.
SEEDS = {"tinynet_c": 2}

# Numbers of channels and classes other than 3 and 1000, for one architecture of each kind.
OTHERS = {".in1": (1, 10), ".in4": (4, 0)}
KINDS = [
    "efficientnet_b0_g16_evos",
    "efficientnet_blur_b0",
    "efficientnet_cc_b0_4e",
    "mobilenetv1_100",
    "mobilenetv3_small_100",
    "mobilenetv4_hybrid_medium_075",
    "test_efficientnet_evos",
    "test_efficientnet_gn",
    "tf_efficientnetv2_b0",
    "tf_mixnet_s",
]
# timm gives FBNet-C this epsilon only when it loads pretrained weights.
ARGUMENTS = {"fbnetc_100": {"bn_eps": 1e-3}}


@torch.no_grad()
def create(name, **arguments):
    """The architecture with seeded weights."""
    model = timm.create_model(name, **ARGUMENTS.get(name, {}), **arguments).eval()
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            values = seeded.tensor(SEEDS.get(name, 0), key, tuple(value.shape))
            value.copy_(torch.from_numpy(values))
    return model


def images(name, shape):
    return torch.from_numpy(seeded.images(SEEDS.get(name, 0), shape))


def digest(tensors, key, value):
    """A feature map as samples of its elements, and its means over positions and over channels."""
    value = value.numpy()
    flat = value.reshape(-1)
    places = ((seeded.uniform(0, key, SAMPLES) + 1.0) / 2.0 * flat.size).astype(np.int64)
    wide = value.astype(np.float64)
    tensors[f"{key}.samples"] = flat[places]
    tensors[f"{key}.channel_means"] = wide.mean(axis=(0, 2, 3)).astype(np.float32)
    tensors[f"{key}.position_means"] = wide.mean(axis=(0, 1)).reshape(-1).astype(np.float32)
    tensors[f"{key}.max_abs"] = np.abs(flat).max(keepdims=True)


@torch.no_grad()
def record(name, size, suffix, chans_and_classes=(3, 1000)):
    in_chans, num_classes = chans_and_classes
    model = create(name, in_chans=in_chans, num_classes=num_classes)
    shape = (1, in_chans, *size)
    x = images(name, shape)
    _, stages = model.forward_intermediates(x, extra_blocks=True)
    features = model.forward_features(x)
    logits = model.forward_head(features)
    assert 0.05 < logits.std() < 50, f"{name}: logits have a standard deviation of {logits.std()}"
    tensors = {
        "logits": logits.numpy(),
        "pre_logits": model.forward_head(features, pre_logits=True).numpy(),
    }
    for i, stage in enumerate(stages):
        digest(tensors, f"stages.{i}", stage)
    digest(tensors, "features", features)
    metadata = {
        "architecture": name,
        "seed": str(SEEDS.get(name, 0)),
        "num_classes": str(num_classes),
        "input": "x".join(map(str, shape)),
        "parameters": str(sum(p.numel() for p in model.parameters())),
        "timm": timm.__version__,
        "torch": torch.__version__.split("+")[0],
    }
    save_file(tensors, GOLDENS / f"{name}{suffix}.safetensors", metadata)
    print(f"{name}{suffix}: logits std {logits.std():.3g}", flush=True)


def main(names):
    GOLDENS.mkdir(exist_ok=True)
    for name in names or (HERE / "architectures.txt").read_text().split():
        record(name, ODD, "")
        if name in NATIVE:
            record(name, NATIVE[name], ".native")
        if name in KINDS:
            for suffix, chans_and_classes in OTHERS.items():
                record(name, ODD, suffix, chans_and_classes)


if __name__ == "__main__":
    main(sys.argv[1:])
