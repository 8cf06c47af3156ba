"""Times effnet's fused CPU engine beside ONNX Runtime and OpenVINO; see README.md."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

CASES = [
    "efficientnet_b0:224:1",
    "efficientnet_b0:224:16",
    "tf_efficientnet_lite0:224:1",
    "efficientnet_b4:384:1",
    "efficientnetv2_rw_s:384:1",
    "mobilenetv3_large_100:224:1",
]


def export(name, size, batch, folder):
    """Writes the architecture as ONNX, of a fixed shape."""
    import timm
    import torch

    path = folder / f"{name}_{size}_{batch}.onnx"
    model = timm.create_model(name, pretrained=False, exportable=True).eval()
    images = torch.randn(batch, 3, size, size)
    torch.onnx.export(model, images, str(path), dynamo=False, input_names=["x"], opset_version=17)
    return str(path)


def onnxruntime_pass(path, threads, images):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": images})


def openvino_pass(path, threads, images):
    import openvino

    config = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core = openvino.Core()
    request = core.compile_model(core.read_model(path), "CPU", config).create_infer_request()
    return lambda: request.infer({0: images})


def timed(run, seconds):
    """Milliseconds of each pass, after one that is not counted."""
    run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def effnet(program, case, threads, seconds):
    """Milliseconds of each pass, as the bench prints them."""
    command = [program, case, "--threads", str(threads), "--seconds", str(seconds), "--times"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(line) for line in out.splitlines()]


def program():
    """The bench's path, from cargo's messages on the standard input."""
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "forward":
            return message["executable"]
    sys.exit("no program `forward` in cargo's messages: see README.md")


def measure(case, bench, arguments, folder):
    import numpy

    name, size, batch = case.split(":")
    size, batch = int(size), int(batch)
    path = export(name, size, batch, folder)
    images = numpy.random.default_rng(0).standard_normal((batch, 3, size, size), dtype="float32")
    threads, seconds = arguments.threads, arguments.seconds
    peers = {
        "onnxruntime": onnxruntime_pass(path, threads, images),
        "openvino": openvino_pass(path, threads, images),
    }
    times = {peer: [] for peer in (*peers, "effnet")}
    for _ in range(arguments.rounds):
        for peer, run in peers.items():
            times[peer] += timed(run, seconds)
        times["effnet"] += effnet(bench, case, threads, seconds)
    print(case)
    for what, of in [("fastest", min), ("median", lambda t: sorted(t)[len(t) // 2])]:
        ms = {peer: of(t) / batch for peer, t in times.items()}
        ratio = ms["effnet"] / min(ms[peer] for peer in peers)
        figures = ", ".join(f"{peer} {value:.2f}" for peer, value in ms.items())
        print(f"  {what:8} {figures} ms/image; ratio {ratio:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="architecture:size:batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of an engine in a round")
    arguments = parser.parse_args()
    bench = program()
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases:
            measure(case, bench, arguments, pathlib.Path(folder))


if __name__ == "__main__":
    main()
