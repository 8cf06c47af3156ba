"""Prints the constants of crates/effnet-cli/src/doctor/self_test.rs: see README.md."""

import sys
from pathlib import Path

import timm
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
import seeded


def main():
    model = timm.create_model("efficientnet_lite0").eval()
    state = {
        name: torch.from_numpy(seeded.tensor(0, name, tuple(tensor.shape))) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        logits = model(torch.from_numpy(seeded.images(0, (1, 3, 64, 64))))[0]
    for index in range(0, 1000, 100):
        print(f"logit {index}: {logits[index].item():.7g}")
    print(f"largest: {logits.abs().max().item():.7g}")


main()
