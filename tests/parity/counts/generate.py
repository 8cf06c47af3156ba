"""Counts the operations of timm's networks with fvcore: tests/goldens/counts.tsv.

    pip install -r requirements.txt
    python tests/parity/counts/generate.py

One line per architecture: its name, multiply-accumulates and activations for one image of 97x129
pixels, as timm's `benchmark.py --bench profile` counts them if fvcore is installed. README.md
beside this script says what is counted.
"""

import logging
import pathlib

import timm
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

HERE = pathlib.Path(__file__).resolve().parent
SIZE = (97, 129)
logging.disable(logging.WARNING)


def count(name):
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    # The values don't matter.
    model = model.to_empty(device="cpu")
    image = torch.zeros(1, 3, *SIZE)
    macs = FlopCountAnalysis(model, image).total()
    activations = ActivationCountAnalysis(model, image).total()
    return f"{name}\t{macs}\t{activations}\n"


names = (HERE.parent / "models" / "architectures.txt").read_text().split()
path = HERE.parent.parent / "goldens" / "counts.tsv"
path.write_text("".join(map(count, names)))
