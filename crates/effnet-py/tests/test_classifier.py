"""What a classifier returns, and how it is made."""

import logging
import multiprocessing
import pickle
import threading

import effnet
import numpy as np
import pytest

METHODS = ["classify", "probabilities", "logits", "embed", "feature_maps", "pixels", "preprocess"]


def test_predictions(classifier, coffee):
    predictions = classifier.classify(coffee)
    assert len(predictions) == 5
    best = predictions[0]
    assert isinstance(best, effnet.Prediction)
    assert (best.index, best.synset, best.label) == (967, "n07920052", "espresso")
    assert best._asdict().keys() == {"index", "synset", "label", "probability", "logit"}
    assert best.probability == max(classifier.probabilities(coffee))
    assert best.logit == classifier.logits(coffee)[967]
    assert len(classifier.classify(coffee, 3)) == 3 and len(classifier.classify(coffee, k=2000)) == 1000
    assert [p.index for p in predictions] == list(np.argsort(-classifier.logits(coffee))[:5])


def test_shapes(classifier, coffee):
    one = {name: getattr(classifier, name)(coffee) for name in METHODS}
    many = {name: getattr(classifier, name)([coffee, coffee]) for name in METHODS}
    none = {name: getattr(classifier, name)([]) for name in METHODS}
    shapes = {
        "probabilities": (1000,),
        "logits": (1000,),
        "embed": (1280,),
        "pixels": (224, 224, 3),
        "preprocess": (3, 224, 224),
    }
    for name, shape in shapes.items():
        dtype = np.uint8 if name == "pixels" else np.float32
        assert (one[name].shape, one[name].dtype) == (shape, dtype)
        assert (many[name].shape, none[name].shape) == ((2, *shape), (0, *shape))
        assert one[name].flags.c_contiguous and one[name].flags.writeable
    stages = [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    assert [m.shape for m in one["feature_maps"]] == stages
    assert [m.shape for m in many["feature_maps"]] == [(2, *shape) for shape in stages]
    assert [m.shape for m in none["feature_maps"]] == [(0, *shape) for shape in stages]
    assert none["classify"] == [] and many["classify"] == [one["classify"]] * 2


@pytest.mark.parametrize("method", METHODS)
def test_any_batch_gives_the_same_bits(method, small, images):
    alone = [getattr(small, method)(path) for path in images]
    for size in (1, 2, 3, 8, 100):
        kept = getattr(small, method)(images, batch_size=size, errors="return")
        pairs = list(getattr(small, f"{method}_each")(iter(images), batch_size=size))
        assert [path for path, _ in pairs] == images
        for expected, *others in zip(alone, kept, (result for _, result in pairs)):
            for other in others:
                if method == "feature_maps":
                    assert all(map(np.array_equal, other, expected))
                else:
                    assert np.array_equal(other, expected) if method != "classify" else other == expected


def test_one_image_is_not_copied(classifier, coffee):
    """The array owns what the engine wrote; nothing of it is Python's."""
    logits = classifier.logits(coffee)
    assert not logits.flags.owndata and type(logits.base).__name__ == "PySliceContainer"


def test_facts(classifier):
    assert classifier.name == "tf_efficientnet_lite0.in1k"
    assert classifier.num_classes == len(classifier.labels) == 1000
    assert classifier.labels[967] == "espresso"
    assert (classifier.engine, classifier.device, classifier.dtype) == ("cpu", "cpu", "f32")
    assert classifier.data_config == {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "crop_pct": 0.875,
        "crop_mode": "center",
    }
    assert "tf_efficientnet_lite0.in1k" in repr(classifier)


def test_settings(coffee, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    for labels in (["cat", "dog"], names, str(names)):
        model = effnet.create_model("test_efficientnet", weights="seeded:1", num_classes=2, labels=labels)
        assert {p.label for p in model.classify(coffee)} == {"cat", "dog"}
    model = effnet.create_model(
        "test_efficientnet",
        weights="seeded:1",
        engine="candle",
        device="cpu",
        threads=1,
        activation="none",
        img_size=(96, 128),
        crop_pct=1.0,
        crop_mode="squash",
        interpolation="bilinear",
        mean=0.25,
        std=[0.5, 0.25, 0.125],
    )
    assert model.classify(coffee)[0].probability is None
    assert model.data_config == {
        "input_size": (3, 96, 128),
        "interpolation": "bilinear",
        "mean": (0.25,) * 3,
        "std": (0.5, 0.25, 0.125),
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
    assert model.engine == "candle" and model.pixels(coffee).shape == (96, 128, 3)
    with pytest.raises(effnet.ModelError, match="`activation`"):
        model.probabilities(coffee)


def test_a_model_without_classifier(coffee):
    features = effnet.create_model("test_efficientnet", weights="seeded:0", num_classes=0)
    assert features.embed(coffee).shape == features.logits(coffee).shape
    with pytest.raises(effnet.ModelError, match="`Classifier.embed` returns them"):
        features.classify(coffee)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"name": "efficientnet_b00"}, effnet.UnknownModelError, "did you mean"),
        ({"name": "efficientnet_b0.nothing"}, effnet.UnknownModelError, "has no tag"),
        ({"name": "./nothing/here"}, LookupError, "no such file or folder"),
        ({"weights": "nothing.safetensors"}, effnet.ModelError, "nothing.safetensors"),
        ({"name": "efficientnet_b0", "offline": True, "cache_dir": "/nothing"}, effnet.HubError, "offline mode is on"),
        ({"device": "cuda"}, effnet.DeviceError, "cuda"),
        ({"device": "abacus"}, ValueError, "device: "),
        ({"engine": "steam"}, ValueError, "engine: .*steam"),
        ({"dtype": "f8"}, ValueError, "dtype: "),
        ({"activation": "tanh"}, ValueError, "activation: "),
        ({"crop_mode": "round"}, ValueError, "crop_mode: "),
        ({"interpolation": "best"}, ValueError, "interpolation: "),
        ({"threads": 0}, ValueError, "threads: "),
        ({"img_size": 0}, ValueError, "img_size: "),
        ({"crop_pct": -1.0}, effnet.ModelError, "crop_pct is -1"),
        ({"labels": ["one"]}, effnet.ModelError, "`labels`"),
        ({"mean": "grey"}, TypeError, "mean"),
        ({"colour": "blue"}, TypeError, "colour"),
    ],
    ids=str,
)
def test_impossible_settings(arguments, error, words):
    with pytest.raises(error, match=words) as raised:
        effnet.create_model(**arguments)
    assert "::" not in str(raised.value)


def test_errors_have_a_common_base():
    for name in effnet.__all__:
        value = getattr(effnet, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, effnet.EffnetError)


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"errors": "ignore"}, {"k": 0}], ids=str)
def test_impossible_arguments(arguments, small, coffee):
    name = next(iter(arguments))
    for call in (small.classify, small.classify_each):
        with pytest.raises(ValueError, match=f"^{name} is"):
            call([coffee], **arguments)


def test_notes_are_logged(caplog):
    with caplog.at_level(logging.WARNING, "effnet"):
        effnet.create_model("tf_efficientnet_b0_ap", weights="seeded:0", num_classes=1, activation="sigmoid")
    assert any("tf_efficientnet_b0.ap_in1k" in record.getMessage() for record in caplog.records)


def test_pickle(small, coffee):
    again = pickle.loads(pickle.dumps(small))
    assert again.name == small.name
    assert np.array_equal(again.logits(coffee), small.logits(coffee))
    assert len(pickle.dumps(small)) < 1000
    error = pickle.loads(pickle.dumps(effnet.ImageError("words")))
    assert isinstance(error, effnet.ImageError) and str(error) == "words"
    assert pickle.loads(pickle.dumps(small.classify(coffee))) == small.classify(coffee)


def in_a_fork(answer, model, path):
    try:
        model.logits(path)
    except effnet.EffnetError as error:
        answer.put(str(error))
    own = effnet.create_model("test_efficientnet", weights="seeded:0", threads=2)
    answer.put(own.logits([path] * 20)[19].tolist())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork on Windows")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_is_told_and_can_make_its_own(small, coffee):
    expected = small.logits([coffee] * 20)[0]
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    child = context.Process(target=in_a_fork, args=(answer, small, coffee))
    child.start()
    assert "is a fork" in answer.get(timeout=60)
    assert np.array_equal(np.array(answer.get(timeout=60), np.float32), expected)
    child.join(60)
    assert child.exitcode == 0


def test_threads_share_a_model(small, images):
    expected = small.logits(images)
    failed = []

    def work():
        for _ in range(3):
            if not np.array_equal(small.logits(images), expected):
                failed.append("other bits")

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed
