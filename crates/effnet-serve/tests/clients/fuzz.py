"""What schemathesis makes requests of, so that they come as far as the decoders: the name of a model, and images.

Its environment has SCHEMATHESIS_HOOKS=fuzz, and PYTHONPATH with this folder. The images are the small ones of the fuzz
targets, whole and damaged; random bytes are among them too.
"""

import base64
from pathlib import Path

import schemathesis
from hypothesis import strategies

MODEL = "tf_efficientnet_lite0.in1k"
CORPUS = Path(__file__).resolve().parents[4] / "fuzz/corpus"
KINDS = ["bmp", "gif", "jpeg", "png", "webp"]
FILES = [file for kind in KINDS for file in sorted((CORPUS / kind).iterdir()) if file.stat().st_size < 8192]


def damage(image, place, patch):
    """Other bytes somewhere in an image."""
    place = place % (len(image) + 1)
    return image[:place] + patch + image[place + len(patch) :]


whole = strategies.sampled_from(FILES).map(Path.read_bytes)
damaged = strategies.builds(damage, whole, strategies.integers(0, 8192), strategies.binary(min_size=1, max_size=8))
images = strategies.one_of(whole, damaged, strategies.binary(max_size=64))
encoded = images.map(lambda image: base64.b64encode(image).decode())
schemathesis.openapi.format("binary", images)
schemathesis.openapi.format("byte", encoded)
schemathesis.openapi.media_type("image/*", images)


def with_value(key, value):
    """What is there under a key that would have a random value, every second time.

    Values that are wrong on purpose are no dictionaries here, and stay as they are.
    """

    def named(values):
        return {**values, key: value} if isinstance(values, dict) and key in values else values

    return lambda _, strategy: strategy | strategy.map(named)


for part, key, value in [
    ("path_parameters", "name", MODEL),
    ("path_parameters", "version", "1"),
    ("query", "model", MODEL),
    ("body", "model", MODEL),
]:
    schemathesis.hook(f"before_generate_{part}")(with_value(key, value))


@schemathesis.hook
def before_generate_body(_, strategy):
    """An image in a tensor, every second time: name, datatype, shape and data would hardly ever fit."""

    def with_image(body):
        if not isinstance(body, dict) or "inputs" not in body:
            return strategies.just(body)
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
        return encoded.map(lambda image: {"inputs": [{**tensor, "data": [image]}]})

    return strategy | strategy.flatmap(with_image)


@schemathesis.hook
def before_generate_headers(_, strategy):
    """The JSON is all of the body, every second time."""
    length = "Inference-Header-Content-Length"

    def without(headers):
        return {key: headers[key] for key in headers if key != length} if isinstance(headers, dict) else headers

    return strategy | strategy.map(without)
