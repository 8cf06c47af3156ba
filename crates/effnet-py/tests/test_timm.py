"""The answers are timm's, which tests/parity recorded."""

import hashlib
import json
import pathlib

import effnet
import numpy as np
import pytest

GOLDENS = pathlib.Path(__file__).parent / "goldens"
TIMM = json.loads((GOLDENS / "timm.json").read_text())
LOGITS = np.load(GOLDENS / "logits.npz")
# Largest difference over the largest value, as in tests/goldens.rs.
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", LOGITS.files)
def test_logits_of_generated_weights(name, images):
    model = effnet.create_model(name, weights="seeded:0")
    assert [path.name for path in images] == TIMM["images"]
    inputs = model.preprocess(images)
    assert hashlib.sha256(inputs.tobytes()).hexdigest() == TIMM["inputs"][name]
    logits, theirs = model.logits(images), LOGITS[name]
    assert logits.dtype == np.float32 and logits.shape == theirs.shape
    assert np.abs(logits - theirs).max() <= TOLERANCE * np.abs(theirs).max()
    # Another model's weights would be far away.
    assert np.abs(np.roll(logits, 1, axis=0) - theirs).max() > 100 * TOLERANCE * np.abs(theirs).max()


def test_probabilities_of_real_weights(classifier, images):
    goldens = json.loads((pathlib.Path(__file__).parents[3] / "tests/goldens/photographs.json").read_text())
    assert set(goldens["photographs"]) == {path.name for path in images}
    for path in images:
        golden = goldens["photographs"][path.name]
        probabilities = classifier.probabilities(path)
        theirs = np.empty(1000)
        for index, probability in golden["bundled"]:
            theirs[index] = probability
        assert np.abs(probabilities - theirs).max() <= 1e-3, path
        assert [p.index for p in classifier.classify(path)] == [index for index, _ in golden["float32"]]
        assert hashlib.sha256(classifier.preprocess(path).tobytes()).hexdigest() == golden["input_sha256"]


@pytest.mark.parametrize("key", TIMM["lists"])
def test_lists_of_models(key):
    pattern, pretrained = json.loads(key)
    assert effnet.list_models(pattern, pretrained) == TIMM["lists"][key]


def test_a_list_is_not_empty():
    assert len(effnet.list_models()) > 150 and len(effnet.list_models(pretrained=True)) > 150
    assert effnet.list_models("tf_efficientnet_lite?") == [f"tf_efficientnet_lite{n}" for n in range(5)]
