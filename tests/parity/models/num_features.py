"""Prints timm's num_features for every architecture, for tests/goldens/num_features.tsv: python num_features.py."""

from pathlib import Path

import timm
import torch

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "goldens/num_features.tsv"

names = [line.split()[0] for line in (HERE / "architectures.txt").read_text().splitlines() if line.strip() and not line.startswith("#")]
with torch.device("meta"):
    rows = [f"{name}\t{timm.create_model(name).num_features}" for name in names]
OUT.write_text("\n".join(rows) + "\n")
