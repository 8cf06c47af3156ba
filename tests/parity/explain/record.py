"""Records Grad-CAM maps of timm's models: tests/data/explain/grad_cam.json.

    python tests/parity/explain/record.py

README.md beside this script describes the file.
"""

import json
import pathlib
import sys

import numpy as np
import timm
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import seeded  # noqa: E402

OUT = HERE.parent.parent / "data" / "explain" / "grad_cam.json"
# An even and an odd side: a strided kernel's steps end at one border and not at the other.
HEIGHT, WIDTH = 100, 129
CLASS, VERSUS = 7, (3, 12)
NAMES = [
    "test_efficientnet",
    "test_efficientnet_gn",
    "efficientnet_blur_b0",
    "tf_mixnet_s",
    "mobilenetv3_small_050",
    "mobilenetv4_hybrid_medium_075",
]


def image():
    """(H, W, 3) bytes."""
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    return ((y * 31 + x * 17 + c * 101 + x * y % 97) % 256).astype(np.uint8)


def create(name):
    model = timm.create_model(name).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(seeded.tensor(0, key, tuple(value.shape))))
    return model


def grad_cam(model, xs, stage, score):
    """The positive part of the maps' sum, weighted by the mean gradients (arXiv 1610.02391)."""
    kept = []

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept.append(output)

    handle = stage.register_forward_hook(keep)
    logits = model(xs)[0]
    handle.remove()
    model.zero_grad()
    score(logits).backward()
    maps = kept[0]
    weights = maps.grad.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * maps).sum(dim=1))[0].detach(), logits.detach()


def main():
    records = []
    for name in NAMES:
        model = create(name)
        xs = torch.from_numpy(image()).permute(2, 0, 1)[None].float() / 255.0
        xs = (xs - 0.5) / 0.5
        # What writes the last map; a head that pools first leaves it to the last stage.
        last = model.bn2 if hasattr(model, "bn2") else model.blocks[-1]
        # The middle resolution.
        info = model.feature_info[2]
        stages = {"features": last, "stages.2": model.get_submodule(info["module"])}
        for stage, module in stages.items():
            for versus in (None, *VERSUS):
                score = lambda logits: logits[CLASS] - (0.0 if versus is None else logits[versus])
                cam, logits = grad_cam(model, xs, module, score)
                if (cam > 0).sum() < 3:
                    # A map of zeros would compare nothing.
                    continue
                records.append({
                    "model": name,
                    "stage": stage,
                    "class": CLASS,
                    "versus": versus,
                    "score": score(logits).item(),
                    "height": cam.shape[0],
                    "width": cam.shape[1],
                    "map": [float(f"{value:.7g}") for value in cam.flatten().tolist()],
                })
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(record) for record in records)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(timm.__version__, torch.__version__)


main()
