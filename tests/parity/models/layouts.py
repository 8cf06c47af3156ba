"""Records the names and shapes of timm's tensors: tests/goldens/layouts.tsv.

    python tests/parity/models/layouts.py

One line per architecture: its name, its number of tensors (without `num_batches_tracked`), its
number of parameters, the SHA-256 of sorted lines `name shape`, one per tensor, such as
`conv_stem.weight 32x3x3x3`, and the channels and reduction of each map in timm's `feature_info`.
"""

import hashlib
import pathlib

import timm
import torch

HERE = pathlib.Path(__file__).resolve().parent


def layout(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    shapes = {k: v.shape for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    lines = sorted(f"{k} {'x'.join(map(str, shape))}\n" for k, shape in shapes.items())
    parameters = sum(p.numel() for p in model.parameters())
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    maps = " ".join(f"{info['num_chs']}/{info['reduction']}" for info in model.feature_info)
    return f"{name}\t{len(lines)}\t{parameters}\t{digest}\t{maps}\n"


names = (HERE / "architectures.txt").read_text().split()
path = HERE.parent.parent / "goldens" / "layouts.tsv"
path.write_text("".join(map(layout, names)))
