"""Records timm's answers for the sample photographs: tests/goldens/photographs.json.

    python tests/parity/photographs/record.py

Needs the package of ../bundled/requirements.txt, whose float32 weights are the reference. The
photographs come from examples/images; timm reads and transforms them.
"""

import hashlib
import json
import sys
from pathlib import Path

import timm
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "bundled"))
from compare import bundled, original  # noqa: E402

BUNDLED = ROOT / "weights-map/bundled/tf_efficientnet_lite0.in1k.safetensors"


def top(probabilities, k):
    best = probabilities.topk(k)
    return [[i, p] for i, p in zip(best.indices.tolist(), best.values.tolist())]


@torch.inference_mode()
def main():
    reference, shipped = original(), bundled(str(BUNDLED))
    config = timm.data.resolve_data_config({}, model=reference, use_test_size=True)
    transform = timm.data.create_transform(**config)
    answers = {}
    for path in sorted((ROOT / "examples/images").iterdir()):
        if path.suffix == ".md":
            continue
        input = transform(Image.open(path).convert("RGB"))[None]
        answers[path.name] = {
            "input_sha256": hashlib.sha256(input.numpy().tobytes()).hexdigest(),
            "float32": top(reference(input).softmax(-1)[0], 5),
            "bundled": top(shipped(input).softmax(-1)[0], 1000),
        }
    text = json.dumps({"timm": timm.__version__, "photographs": answers}, separators=(",", ":"))
    (ROOT / "tests/goldens/photographs.json").write_text(text.replace('"input', '\n"input') + "\n")


if __name__ == "__main__":
    main()
