"""Compares the bundled f16 weights with the float32 originals, in timm.

    python compare.py BUNDLED.safetensors

The originals are paired with timm's tensors by position, not by name: both libraries list them in
the network's order, so this does not repeat the mapping under test. BUNDLED is loaded strictly. For
each photograph of scikit-image's wheel, prints the largest difference of probabilities and whether
the order of the five best classes agrees; exits with 1 if one does not.
"""

import sys
from pathlib import Path

import skimage
import timm
import torch
from extract import read_package
from PIL import Image
from safetensors.torch import load_file

MODEL = "tf_efficientnet_lite0.in1k"
PHOTOGRAPHS = """astronaut.png brick.png camera.png chelsea.png coffee.png coins.png grass.png
    gravel.png hubble_deep_field.jpg moon.png motorcycle_left.png motorcycle_right.png page.png
    retina.jpg rocket.jpg""".split()


def original() -> torch.nn.Module:
    model = timm.create_model(MODEL, pretrained=False).eval()
    own, foreign = model.state_dict(), read_package()
    assert len(own) == len(foreign)
    renamed = {}
    for (name, mine), (other, theirs) in zip(own.items(), foreign.items()):
        assert name.rsplit(".")[-1] == other.rsplit(".")[-1] and mine.shape == theirs.shape, (name, other)
        renamed[name] = theirs
    model.load_state_dict(renamed, strict=True)
    return model


def bundled(path: str) -> torch.nn.Module:
    model = timm.create_model(MODEL, pretrained=False).eval()
    counters = {k: v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    model.load_state_dict(state | counters, strict=True)
    return model


@torch.inference_mode()
def main() -> None:
    (path,) = sys.argv[1:]
    reference, rounded = original(), bundled(path)
    config = timm.data.resolve_data_config({}, model=reference, use_test_size=True)
    transform = timm.data.create_transform(**config)
    folder = Path(skimage.__file__).parent / "data"
    same, worst = True, 0.0
    for name in PHOTOGRAPHS:
        pixels = transform(Image.open(folder / name).convert("RGB"))[None]
        want, got = reference(pixels).softmax(-1)[0], rounded(pixels).softmax(-1)[0]
        top = want.topk(6)
        agree = top.indices[:5].equal(got.topk(5).indices)
        # How close two of the five are to a tie, to judge a disagreement.
        gap = (top.values[:-1] - top.values[1:]).min().item()
        difference = (want - got).abs().max().item()
        same, worst = same and agree, max(worst, difference)
        print(f"{name:24} {difference:.2e} top-5 {'agree' if agree else 'DIFFER'}, least gap {gap:.1e}")
    print(f"largest difference {worst:.2e}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
