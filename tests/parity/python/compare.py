"""Compares the Python package with timm, or records timm's answers for its tests.

    python tests/parity/python/compare.py             # needs the wheel beside timm
    python tests/parity/python/compare.py --record    # writes crates/effnet-py/tests/goldens
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import timm
import torch
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))
import seeded  # noqa: E402

GOLDENS = ROOT / "crates/effnet-py/tests/goldens"
IMAGES = sorted(p for p in (ROOT / "examples/images").iterdir() if p.suffix != ".md")
# One of each family, with the arguments that timm gives it when it loads pretrained weights.
MODELS = {
    "efficientnet_b0": {},
    "tf_efficientnetv2_b0": {},
    "fbnetc_100": {"bn_eps": 1e-3},
    "lcnet_050": {},
    "mobilenetv3_small_100": {},
    "mobilenetv4_conv_small": {},
    "tf_mixnet_s": {},
}
PATTERNS = [None, "tf_*b0*", "*lite*", "efficientnet_b0.*", "efficientnet_b?.ra*", ["lcnet*", "tinynet_a"], "none*"]
# Largest difference over the largest value.
TOLERANCE = 1e-4


def seeded_model(name):
    model = timm.create_model(name, **MODELS[name]).eval()
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(seeded.tensor(0, key, tuple(value.shape))))
    config = timm.data.resolve_data_config({}, model=model, use_test_size=True)
    return model, config, timm.data.create_transform(**config)


def lists(architectures):
    """timm's lists of this family's models."""
    ours = {
        json.dumps([pattern, pretrained]): [
            name
            for name in timm.list_models(pattern or "", pretrained=pretrained)
            if name.split(".")[0] in architectures
        ]
        for pattern in PATTERNS
        for pretrained in (False, True)
    }
    return ours


def architectures():
    text = (ROOT / "tests/parity/models/architectures.txt").read_text()
    return {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}


def record():
    logits, inputs = {}, {}
    for name in MODELS:
        model, _, transform = seeded_model(name)
        batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in IMAGES])
        logits[name] = model(batch).numpy()
        inputs[name] = hashlib.sha256(batch.numpy().tobytes()).hexdigest()
    np.savez_compressed(GOLDENS / "logits.npz", **logits)
    names = [path.name for path in IMAGES]
    facts = {"timm": timm.__version__, "images": names, "inputs": inputs, "lists": lists(architectures())}
    (GOLDENS / "timm.json").write_text(json.dumps(facts, indent=1) + "\n")


def difference(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def compare():
    import effnet

    worst = 0.0
    for name in MODELS:
        model, config, transform = seeded_model(name)
        classifier = effnet.create_model(name, weights="seeded:0")
        pillow = [Image.open(path) for path in IMAGES]
        batch = torch.stack([transform(image.convert("RGB")) for image in pillow])
        for forms in (IMAGES, [p.read_bytes() for p in IMAGES], pillow, [np.asarray(i.convert("RGB")) for i in pillow]):
            assert np.array_equal(classifier.preprocess(forms), batch.numpy()), name
        for key in ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"):
            assert classifier.data_config[key] == config[key], (name, key)
        features = model.forward_features(batch)
        pairs = [
            (classifier.logits(IMAGES), model(batch)),
            (classifier.probabilities(IMAGES), model(batch).softmax(-1)),
            (classifier.embed(IMAGES), model.forward_head(features, pre_logits=True)),
        ]
        extractor = timm.create_model(name, features_only=True, **MODELS[name]).eval()
        extractor.load_state_dict(model.state_dict(), strict=False)
        pairs += zip(classifier.feature_maps(IMAGES), extractor(batch), strict=True)
        differences = [difference(ours, theirs.numpy()) for ours, theirs in pairs]
        print(f"{name}: inputs equal; outputs differ by {max(differences):.1e} at most")
        worst = max(worst, *differences)
    assert worst <= TOLERANCE, worst
    for key, theirs in lists(set(effnet.list_models())).items():
        pattern, pretrained = json.loads(key)
        assert effnet.list_models(pattern, pretrained) == theirs, key
    print("lists of models equal")


if __name__ == "__main__":
    with torch.inference_mode():
        record() if "--record" in sys.argv[1:] else compare()
