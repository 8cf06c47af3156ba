"""Sends bytes that are no messages, and messages with random bytes in them, to every method of the gRPC side.

    random_bytes.py 127.0.0.1:8001

Each must be answered, and none as a fault of the server.
"""

import random
import sys

import grpc
from tritonclient.grpc import service_pb2

FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS)
SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def infer(randomness):
    """A request whose parts are mostly right, so that it gets far."""
    request = service_pb2.ModelInferRequest(model_name="tf_efficientnet_lite0.in1k")
    for _ in range(randomness.choice([1, 1, 1, 0, 2])):
        tensor = request.inputs.add()
        tensor.name = randomness.choice(["image", "pixels", "input", "x"])
        tensor.datatype = randomness.choice(["BYTES", "UINT8", "FP32", "FP16", ""])
        sizes = [-(1 << 63), -1, 0, 1, 1, 2, 3, 3, 224, 224, (1 << 63) - 1]
        tensor.shape.extend(randomness.choices(sizes, k=randomness.choice([0, 1, 4, 4, 7])))
        if randomness.random() < 0.8:
            length = randomness.choice([0, 1, 4, 12, 48, 602112])
            request.raw_input_contents.append(randomness.randbytes(length))
        if randomness.random() < 0.3:
            tensor.contents.bytes_contents.append(randomness.randbytes(9))
            tensor.contents.fp32_contents.append(randomness.random())
    for name in randomness.choices(["logits", "labels", "probabilities", "embedding", "y"], k=randomness.choice([0, 1, 2])):
        output = request.outputs.add()
        output.name = name
        output.parameters["classification"].int64_param = randomness.choice([-1, 0, 1, 5, 1 << 40])
    return request.SerializeToString()


def damaged(message, randomness):
    message = bytearray(message)
    for _ in range(randomness.choice([0, 1, 3])):
        if message:
            message[randomness.randrange(len(message))] = randomness.randrange(256)
    return bytes(message)


def main(address):
    randomness = random.Random(0)
    seen = {}
    with grpc.insecure_channel(address) as channel:
        for turn in range(4000):
            method = randomness.choice([method.name for method in SERVICE.methods] + ["Nothing"] + ["ModelInfer"] * 20)
            if method == "RepositoryModelUnload":
                continue
            message = damaged(infer(randomness), randomness) if method == "ModelInfer" else randomness.randbytes(turn % 40)
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            try:
                call(message, timeout=20)
                code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                code = error.code()
                assert code not in FAULTS, f"turn {turn}: {method}: {error}"
            seen[code.name] = seen.get(code.name, 0) + 1
    print(f"random bytes: {seen}")
    assert seen.get("OK") and seen.get("INVALID_ARGUMENT"), "the requests do not get far"


main(sys.argv[1])
