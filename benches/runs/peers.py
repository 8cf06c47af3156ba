"""Classifies a folder of JPEGs with effnet and, beside it in the same run, with OpenVINO and Pillow.

    python benches/serve/service.py export weights-map/bundled/tf_efficientnet_lite0.in1k.safetensors lite0.onnx
    python benches/runs/peers.py PHOTOS lite0.onnx [--rounds 5] [--threads 2]

It needs the Python of benches/serve/requirements.txt, and `cargo build --release --bins --examples`. Pillow decodes and resizes on
threads while OpenVINO computes the batch before, both in float32. The last lines compare effnet with OpenVINO, and with what
decoding alone and the network alone need, round by round.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import openvino
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EFFNET = ROOT / "target/release/effnet"
LOAD = ROOT / "target/release/examples/load"
BATCH = 8
PORT = 18018


def pixels(path):
    image = Image.open(path).convert("RGB")
    width, height = image.size
    scaled = (256, int(256 * height / width)) if width < height else (int(256 * width / height), 256)
    image = image.resize(scaled, Image.Resampling.BICUBIC)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    return numpy.asarray(image.crop((left, top, left + 224, top + 224)), numpy.float32)


def with_openvino(compiled, paths, pool):
    """The best class of each image."""
    request, best = compiled.create_infer_request(), []
    batches = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    ahead = [pool.submit(pixels, path) for path in batches[0]]
    for number in range(len(batches)):
        images = numpy.stack([image.result() for image in ahead])
        ahead = [pool.submit(pixels, path) for path in batches[number + 1]] if number + 1 < len(batches) else []
        images = ((images / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2)
        logits = request.infer({"input": numpy.ascontiguousarray(images)})["logits"]
        best += logits.argmax(1).tolist()
    return best


def with_effnet(folder):
    command = [EFFNET, "classify", folder, "-k", "1", "--format", "csv", "--threads", str(OPTIONS.threads)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [int(line.split(",")[3]) for line in lines[1:]]


def alone(count):
    """Seconds for `count` images that are only decoded, then only computed."""
    serve = [EFFNET, "serve", "--bind", f"127.0.0.1:{PORT}", "--grpc-bind", "none", "--log-level", "error"]
    server = subprocess.Popen(serve)
    time.sleep(1)
    address = f"http://127.0.0.1:{PORT}/classify"
    loaded = subprocess.run([LOAD, address, OPTIONS.photos, "--library", "100"], capture_output=True, check=True)
    server.terminate()
    server.wait()
    bench = [EFFNET, "bench", "tf_efficientnet_lite0", "--batch-size", str(BATCH), "--threads", str(OPTIONS.threads)]
    bench = subprocess.run([*bench, "--seconds", "3", "--format", "json"], capture_output=True, check=True)
    network = json.loads(bench.stdout)[0]["median_ms"] / BATCH
    return count * (json.loads(loaded.stdout)["pixels_on_all_cores_ms"] + network) / 1000


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("photos")
parser.add_argument("onnx")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=os.cpu_count())
OPTIONS = parser.parse_args()

PATHS = sorted(Path(OPTIONS.photos).iterdir())
HINTS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": OPTIONS.threads, "INFERENCE_PRECISION_HINT": "f32"}
COMPILED = openvino.Core().compile_model(OPTIONS.onnx, "CPU", HINTS)
ratios = {"OpenVINO": [], "decoding alone and the network alone": []}
for _ in range(OPTIONS.rounds):
    times, answers = [], []
    with ThreadPoolExecutor(OPTIONS.threads) as pool:
        for run in (lambda: with_effnet(OPTIONS.photos), lambda: with_openvino(COMPILED, PATHS, pool)):
            begin = time.monotonic()
            answers.append(run())
            times.append(time.monotonic() - begin)
    bound = alone(len(PATHS))
    same = statistics.mean(a == b for a, b in zip(*answers))
    print(f"effnet {times[0]:.2f} s, OpenVINO {times[1]:.2f} s, alone {bound:.2f} s, {same:.1%} the same class", flush=True)
    ratios["OpenVINO"].append(times[0] / times[1])
    ratios["decoding alone and the network alone"].append(times[0] / bound)
for name, all_ratios in ratios.items():
    print(f"effnet / {name}: median {statistics.median(all_ratios):.3f} of {[round(r, 3) for r in sorted(all_ratios)]}")
