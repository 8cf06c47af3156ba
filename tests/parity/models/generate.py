"""Records timm's outputs on seeded weights and images: tests/goldens/*.safetensors.

    python tests/parity/models/generate.py [NAME...]     # all architectures of the table by default

What a file holds is described in README.md beside this script.
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
# Height and width, both odd: TensorFlow's SAME padding is asymmetric there.
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
# With seed 0 some tensor of these moves the logits by less than the tolerance.
SEEDS = {"efficientnet_es": 3}


def fill(model, seed):
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(seeded.tensor(seed, name, tuple(value.shape))))


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
def record(name, size, suffix):
    model = timm.create_model(name).eval()
    seed = SEEDS.get(name, 0)
    fill(model, seed)
    shape = (1, 3, *size)
    x = torch.from_numpy(seeded.images(seed, shape))
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
        "seed": str(seed),
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


if __name__ == "__main__":
    main(sys.argv[1:])
