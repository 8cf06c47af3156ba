"""Measures `effnet serve` on this machine. Each measure prints one table in Markdown, or lines of JSON.

    measure.py throughput PHOTOS [--onnx lite0.onnx] [--rounds 3]   at saturation, beside the command and Python services
    measure.py latency PHOTOS [--rounds 3]                          one request at a time, beside calls of the library
    measure.py overload PHOTOS [--seconds 60]                       twice what the server can do, on 64 connections
    measure.py soak PHOTOS [--seconds 3600]                         80% of what it can do, a tenth of the images broken

PHOTOS is a folder of JPEGs. Programs are those of `cargo build --release --bins --examples`. `--onnx` is what
`service.py export` wrote; run this file with the Python that has requirements.txt then.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EFFNET = ROOT / "target/release/effnet"
LOAD = ROOT / "target/release/examples/load"
SERVICE = Path(__file__).with_name("service.py")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(kind, threads, onnx=None, *options):
    """A server of this kind; gives its address and process."""
    port = free_port()
    if kind == "effnet":
        command = [EFFNET, "serve", "--bind", f"127.0.0.1:{port}", "--grpc-bind", "none", "--threads", str(threads)]
        command += ["--log-level", "warn", *options]
    else:
        command = [sys.executable, SERVICE, kind, onnx, str(port), str(threads)]
    process = subprocess.Popen(command)
    address = f"http://127.0.0.1:{port}/classify"
    try:
        wait_for(process, port)
        # Not all of the first requests are like the later ones.
        load(address, OPTIONS.photos, "--connections", "4", "--seconds", "2")
        yield address, process
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60) not in (0, -signal.SIGTERM):
            print(f"{kind} ended with {process.returncode}", file=sys.stderr)


def wait_for(process, port):
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{process.args} ended with {process.returncode}")


def load(address, photos, *options):
    """What the load reports."""
    return json.loads(subprocess.run([LOAD, address, photos, *options], check=True, capture_output=True).stdout)


def memory(process):
    """Peak resident megabytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024


def bench():
    """Milliseconds an image in the network, by `effnet bench`, at the better of two batch sizes."""
    times = []
    for batch in (1, 8):
        command = [EFFNET, "bench", "tf_efficientnet_lite0", "--batch-size", str(batch), "--threads", str(OPTIONS.threads)]
        report = subprocess.run([*command, "--format", "json"], check=True, capture_output=True)
        times.append(json.loads(report.stdout)[0]["median_ms"] / batch)
    return min(times)


def throughput():
    kinds = ["effnet"] + (["onnxruntime", "openvino"] if OPTIONS.onnx else [])
    rows = {kind: [] for kind in kinds}
    bounds, commands = [], []
    count = len(list(Path(OPTIONS.photos).iterdir()))
    for _ in range(OPTIONS.rounds):
        for kind in kinds:
            with server(kind, OPTIONS.threads, OPTIONS.onnx) as (address, process):
                seen = load(address, OPTIONS.photos, "--connections", "32", "--seconds", "10")
                p50, _, p99, _ = seen["answers"]["200"]["p50_p90_p99_max_ms"]
                rows[kind].append((seen["images_per_second"], p50, p99, memory(process)))
                if kind == "effnet":
                    alone = load(address, OPTIONS.photos, "--library", "100")
                    bounds.append(1000 / (bench() + alone["pixels_on_all_cores_ms"]))
        begin = time.monotonic()
        command = [EFFNET, "classify", "--format", "csv", "--threads", str(OPTIONS.threads), OPTIONS.photos]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        commands.append(count / (time.monotonic() - begin))
    print("| | images/s | p50 ms | p99 ms | peak MB |\n| --- | --- | --- | --- | --- |")
    for kind, figures in rows.items():
        medians = [statistics.median(column) for column in zip(*figures)]
        print(f"| {kind} | " + " | ".join(f"{figure:.1f}" for figure in medians) + " |")
    print(f"| `effnet classify` of the folder | {statistics.median(commands):.1f} | | | |")
    bound = statistics.median(bounds)
    print(f"| `effnet bench` plus decoding | {bound:.1f} | | | |")
    ratios = sorted(row[0] / bound for row, bound in zip(rows["effnet"], bounds))
    print(f"\nserver to bench plus decoding, round by round: {[round(ratio, 3) for ratio in ratios]}")


def latency():
    for _ in range(OPTIONS.rounds):
        with server("effnet", OPTIONS.threads) as (address, _):
            print(json.dumps(load(address, OPTIONS.photos, "--library", "300")))


def capacity(address):
    return load(address, OPTIONS.photos, "--connections", "32", "--seconds", "8")["images_per_second"]


def overload():
    queue = 16
    with server("effnet", OPTIONS.threads, None, "--max-queue-size", str(queue)) as (address, process):
        rate = capacity(address)
        options = ["--connections", "64", "--rate", str(2 * rate), "--seconds", str(OPTIONS.seconds)]
        seen = load(address, OPTIONS.photos, *options, "--pid", str(process.pid))
        print(json.dumps({"capacity": rate, "queue_times_image_ms": (queue + 8) / rate * 1000, **seen}, indent=1))


def soak():
    with server("effnet", OPTIONS.threads) as (address, process):
        rate = capacity(address)
        options = ["--connections", "16", "--rate", str(0.8 * rate), "--seconds", str(OPTIONS.seconds)]
        faults = ["--broken", "0.1", "--vanish", "0.02"]
        seen = load(address, OPTIONS.photos, *options, *faults, "--pid", str(process.pid))
        print(json.dumps({"capacity": rate, **seen}, indent=1))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("measure", choices=["throughput", "latency", "overload", "soak"])
parser.add_argument("photos")
parser.add_argument("--onnx")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float)
parser.add_argument("--threads", type=int, default=os.cpu_count())
OPTIONS = parser.parse_args()
if OPTIONS.seconds is None:
    OPTIONS.seconds = 3600 if OPTIONS.measure == "soak" else 60
globals()[OPTIONS.measure]()
