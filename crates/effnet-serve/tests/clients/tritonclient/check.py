"""Asks a running server by the clients of `tritonclient`: http and grpc, each sync and aio; see README.md."""

import argparse
import asyncio
import base64
import inspect
import io
import json
import pathlib
import struct

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from PIL import Image
from tritonclient.utils import InferenceServerException

OUTPUTS = ["logits", "probabilities", "labels", "embedding"]
# An error's status over HTTP, and over gRPC.
INVALID = ("400", "StatusCode.INVALID_ARGUMENT")
NO_IMAGE = ("422", "StatusCode.INVALID_ARGUMENT")
MISSING = ("404", "StatusCode.NOT_FOUND")
NO_CONFIG = ("404", "StatusCode.UNIMPLEMENTED")
LATE = ("504", "StatusCode.DEADLINE_EXCEEDED")


class Client:
    """One of the four clients; its methods are awaited, whatever they give."""

    def __init__(self, module, address):
        self.name = module.__name__.removeprefix("tritonclient.")
        self.module = module
        self.is_http = self.name.startswith("http")
        self.client = module.InferenceServerClient(address)

    async def call(self, method, *arguments, **options):
        answer = getattr(self.client, method)(*arguments, **options)
        return await answer if inspect.isawaitable(answer) else answer

    async def fails(self, statuses, words, method, *arguments, **options):
        try:
            answer = await self.call(method, *arguments, **options)
        except InferenceServerException as error:
            expected = statuses[0] if self.is_http else statuses[1]
            assert error.status() == expected, f"{self.name}: {error}"
            assert words in error.message(), f"{self.name}: {words!r} is not in {error}"
            return
        raise AssertionError(f"{self.name}: {method}{arguments} gave {answer}, not an error")

    def input(self, name, array, binary=True):
        datatype = {"image": "BYTES", "pixels": "UINT8", "input": "FP32"}[name]
        tensor = self.module.InferInput(name, list(array.shape), datatype)
        options = {"binary_data": binary} if self.is_http else {}
        return tensor.set_data_from_numpy(array, **options) or tensor

    def output(self, name, binary=True, **options):
        if self.is_http:
            options["binary_data"] = binary
        return self.module.InferRequestedOutput(name, **options)


class Expected:
    """What the command says of the images, by `classify` and `preprocess`."""

    def __init__(self, options):
        records = json.loads(options.classified.read_text())
        self.model = records[0]["model"]
        self.files = [pathlib.Path(record["image"]).read_bytes() for record in records]
        predictions = [record["predictions"] for record in records]
        by_index = [sorted(best, key=lambda best: best["index"]) for best in predictions]
        self.labels = [[best["label"].encode() for best in image] for image in predictions]
        self.indices = [[best["index"] for best in image] for image in predictions]
        self.logits = self.array(by_index, "logit")
        self.probabilities = self.array(by_index, "probability")
        raw = options.preprocessed.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + length])["input"]
        begin, end = header["data_offsets"]
        data = raw[8 + length :][begin:end]
        self.input = np.frombuffer(data, dtype="<f4").reshape(header["shape"])
        assert len(self.input) == len(self.files)

    @staticmethod
    def array(images, key):
        return np.array([[best[key] for best in image] for image in images], dtype=np.float32)


def equal(found, expected, what):
    expected = np.asarray(expected, dtype=found.dtype)
    assert found.shape == expected.shape, f"{what}: {found.shape}, not {expected.shape}"
    same = found.tolist() == expected.tolist() if found.dtype == object else found.tobytes() == expected.tobytes()
    assert same, f"{what}: {found} is not {expected}"


async def about(client, expected):
    """Health and metadata; the protocol has no configuration."""
    model = expected.model
    for method in "is_server_live", "is_server_ready":
        assert await client.call(method), method
    for name, version, ready in (model, "", True), (model, "99", False), ("other", "", False):
        assert await client.call("is_model_ready", name, version) is ready, (name, version)
    options = {} if client.is_http else {"as_json": True}
    server = await client.call("get_server_metadata", **options)
    assert server["name"] == "effnet"
    assert set(server["extensions"]) == {"binary_tensor_data", "classification", "model_repository"}
    metadata = await client.call("get_model_metadata", model, **options)
    assert (metadata["name"], metadata["platform"]) == (model, "effnet")
    tensors = {
        tensor["name"]: (tensor["datatype"], [int(size) for size in tensor["shape"]])
        for tensor in metadata["inputs"] + metadata["outputs"]
    }
    channels, *size = expected.input.shape[1:]
    assert tensors["image"] == ("BYTES", [-1])
    assert tensors["pixels"] == ("UINT8", [-1, -1, -1, channels])
    assert tensors["input"] == ("FP32", [-1, channels, *size])
    assert tensors["logits"] == ("FP32", [-1, expected.logits.shape[1]])
    assert [name for name in tensors if name in OUTPUTS] == OUTPUTS
    await client.fails(MISSING, "other", "get_model_metadata", "other")
    await client.fails(NO_CONFIG, "", "get_model_config", model)
    return tensors


async def images(client, expected):
    """Every kind of input, one image at a time and all together: the command's floats."""
    answers = []
    for number, file in enumerate(expected.files):
        pixels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))[None]
        text = base64.b64encode(file)
        inputs = [
            client.input("image", np.array([file], dtype=object)),
            client.input("pixels", pixels),
            client.input("input", expected.input[number : number + 1]),
        ]
        if client.is_http:
            inputs.append(client.input("image", np.array([text], dtype=object), binary=False))
            inputs.append(client.input("input", expected.input[number : number + 1], binary=False))
        for tensor in inputs:
            what = f"{client.name}, image {number}, {tensor.name()}"
            result = await client.call("infer", expected.model, [tensor], request_id="7")
            assert (result.get_response()["id"] if client.is_http else result.get_response().id) == "7"
            equal(result.as_numpy("logits"), expected.logits[number : number + 1], what)
            equal(result.as_numpy("probabilities"), expected.probabilities[number : number + 1], what)
            equal(result.as_numpy("labels"), [expected.labels[number][:5]], what)
        answers.append(result.as_numpy("embedding"))
    together = [
        client.input("image", np.array(expected.files, dtype=object)),
        client.input("input", expected.input),
    ]
    for tensor in together:
        for binary in (True, False) if client.is_http else (True,):
            outputs = [client.output(name, binary) for name in OUTPUTS]
            result = await client.call("infer", expected.model, [tensor], outputs=outputs)
            equal(result.as_numpy("logits"), expected.logits, f"{client.name}, all images")
            equal(result.as_numpy("probabilities"), expected.probabilities, f"{client.name}, all images")
            equal(result.as_numpy("embedding"), np.concatenate(answers), f"{client.name}, all images")
    return np.concatenate(answers)


async def classes(client, expected):
    """Triton's classification, and the parameter `k`."""
    tensor = client.input("image", np.array(expected.files, dtype=object))
    for name, values in ("logits", expected.logits), ("probabilities", expected.probabilities):
        for binary in (True, False) if client.is_http else (True,):
            output = client.output(name, binary, class_count=3)
            result = await client.call("infer", expected.model, [tensor], outputs=[output])
            found = result.as_numpy(name)
            assert found.shape == (len(expected.files), 3)
            for number, image in enumerate(found):
                for place, text in enumerate(image):
                    text = text if isinstance(text, str) else text.decode()
                    value, index, label = text.split(":", 2)
                    assert int(index) == expected.indices[number][place]
                    assert label.encode() == expected.labels[number][place]
                    assert np.float32(value) == values[number][int(index)]
    result = await client.call("infer", expected.model, [tensor], parameters={"k": 2})
    equal(result.as_numpy("labels"), [labels[:2] for labels in expected.labels], client.name)


async def compressed(client, expected):
    tensor = client.input("input", expected.input[:1])
    for algorithm in "gzip", "deflate":
        names = ["compression_algorithm"]
        if client.is_http:
            names = ["request_compression_algorithm", "response_compression_algorithm"]
        options = dict.fromkeys(names, algorithm)
        result = await client.call("infer", expected.model, [tensor], **options)
        equal(result.as_numpy("logits"), expected.logits[:1], f"{client.name}, {algorithm}")


async def refused(client, expected):
    """Errors, each with its status and a sentence."""
    model, file = expected.model, expected.files[0]
    image = lambda *files: [client.input("image", np.array(files, dtype=object))]
    tensor = lambda shape: [client.input("input", np.zeros(shape, dtype=np.float32))]
    fails = lambda statuses, words, inputs, **options: client.fails(
        statuses, words, "infer", options.pop("model", model), inputs, **options
    )
    await fails(MISSING, "no model", image(file), model="other")
    await fails(MISSING, model, image(file), model_version="99")
    await fails(NO_IMAGE, "image", image(b"no image"))
    await fails(NO_IMAGE, "image 1 of 2, counted from 0: ", image(file, b"no image"))
    await fails(INVALID, "does not fit", tensor((1, 3, 8, 8)))
    await fails(INVALID, "images; a request may have", tensor((0, *expected.input.shape[1:])))
    await fails(INVALID, "2 inputs", image(file) + tensor((1, 3, 8, 8)))
    await fails(INVALID, "no output", image(file), outputs=[client.output("scores")])
    await fails(INVALID, "unknown parameter", image(file), outputs=[client.output("embedding", class_count=1)])
    await fails(INVALID, "unknown parameter", image(file), parameters={"top": 1})
    await fails(INVALID, "unknown parameter", image(file), priority=1)
    await fails(LATE, "deadline", image(file), timeout=1)
    shared = client.module.InferInput("image", [1], "BYTES")
    shared.set_shared_memory("region", 8)
    await fails(INVALID, "input \"image\": ", [shared])
    if not client.is_http:
        # The client's own deadline, which the server hears of too.
        await fails(LATE, "", image(file), client_timeout=1e-3)


async def repository(client, expected):
    """Unloads the model and loads it anew."""
    model = expected.model
    options = {} if client.is_http else {"as_json": True}

    async def index():
        models = await client.call("get_model_repository_index", **options)
        models = models if client.is_http else models["models"]
        return {entry["name"]: entry["state"] for entry in models}

    image = [client.input("image", np.array(expected.files[:1], dtype=object))]
    assert (await index())[model] == "READY"
    await client.fails(MISSING, "other", "load_model", "other")
    await client.fails(MISSING, "other", "unload_model", "other")
    await client.fails(INVALID, "config", "load_model", model, config="{}")
    await client.call("unload_model", model)
    assert (await index())[model] == "UNAVAILABLE"
    assert not await client.call("is_model_ready", model)
    await client.fails(MISSING, model, "infer", model, image)
    await client.call("load_model", model)
    assert await client.call("is_model_ready", model)
    result = await client.call("infer", model, image)
    equal(result.as_numpy("logits"), expected.logits[:1], f"{client.name}, loaded anew")


def many(client, expected):
    """`async_infer` of the sync clients: many requests under way."""
    image = [client.input("image", np.array(expected.files[:1], dtype=object))]
    if client.is_http:
        under_way = [client.client.async_infer(expected.model, image) for _ in range(20)]
        results = [one.get_result() for one in under_way]
    else:
        import queue

        results = queue.Queue()
        for _ in range(20):
            give = lambda result, error: results.put(error or result)
            client.client.async_infer(expected.model, image, give)
        results = [results.get(timeout=60) for _ in range(20)]
    for result in results:
        equal(result.as_numpy("logits"), expected.logits[:1], f"{client.name}, async_infer")


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", required=True, help="address of the server's HTTP")
    parser.add_argument("--grpc", required=True, help="address of its gRPC")
    parser.add_argument("--classified", required=True, type=pathlib.Path, help="from effnet classify")
    parser.add_argument("--preprocessed", required=True, type=pathlib.Path, help="from effnet preprocess")
    options = parser.parse_args()
    expected = Expected(options)
    seen = []
    for module, address in [
        (tritonclient.http, options.http),
        (tritonclient.grpc, options.grpc),
        (tritonclient.http.aio, options.http),
        (tritonclient.grpc.aio, options.grpc),
    ]:
        client = Client(module, address)
        tensors = await about(client, expected)
        embedding = await images(client, expected)
        seen.append((tensors, embedding.tobytes()))
        await classes(client, expected)
        await compressed(client, expected)
        await refused(client, expected)
        if not client.name.endswith("aio"):
            many(client, expected)
        await repository(client, expected)
        await client.call("close")
        print(f"{client.name}: as expected")
    assert seen.count(seen[0]) == len(seen), "the clients see different things"


asyncio.run(main())
