"""Times effnet, ONNX Runtime, OpenVINO, timm and candle-transformers; see README.md."""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CANDLE = pathlib.Path(__file__).parent / "candle-transformers"

CASES = [
    "efficientnet_b0:224:1",
    "efficientnet_b0:224:16",
    "tf_efficientnet_lite0:224:1",
    "tf_efficientnet_lite0:224:16",
    "efficientnet_b4:384:1",
    "efficientnetv2_rw_s:384:1",
    "mobilenetv3_large_100:224:1",
]

# For each bar, the peers: effnet's time is divided by that of the faster one.
BARS = {"effnet": ["ONNX Runtime", "OpenVINO"], "effnet bf16": ["OpenVINO bf16"]}


class Case:
    """An architecture, the image size and the batch size; its files are made once."""

    def __init__(self, text, threads, folder):
        self.text, self.threads, self.folder = text, threads, folder
        self.name, size, batch = text.split(":")
        self.size, self.batch = int(size), int(batch)
        self.shape = (self.batch, 3, self.size, self.size)

    def model(self, **options):
        import timm

        return timm.create_model(self.name, pretrained=False, **options).eval()

    def images(self):
        import numpy

        return numpy.random.default_rng(0).standard_normal(self.shape, dtype="float32")

    def onnx(self):
        """The architecture as ONNX, with a fixed shape."""
        path = self.folder / f"{self.name}_{self.size}_{self.batch}.onnx"
        if not path.exists():
            import torch

            model, images = self.model(exportable=True), torch.from_numpy(self.images())
            names = {"input_names": ["x"], "opset_version": 17}
            torch.onnx.export(model, images, str(path), dynamo=False, **names)
        return str(path)


def timed(run):
    """One turn: the milliseconds of each pass, after one that does not count."""

    def turn(seconds):
        run()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times), min(times)

    return turn


def onnxruntime(case):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(case.onnx(), options, providers=providers)
    images = case.images()
    return timed(lambda: session.run(None, {"x": images}))


def openvino(case, precision):
    import openvino

    config = {
        "INFERENCE_NUM_THREADS": case.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(case.onnx()), "CPU", config)
    request, images = compiled.create_infer_request(), case.images()
    return timed(lambda: request.infer({0: images}))


def timm(case):
    import torch

    torch.set_num_threads(case.threads)
    model = case.model().to(memory_format=torch.channels_last)
    images = torch.from_numpy(case.images()).to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            model(images)

    return timed(run)


def candle_transformers(case):
    if not case.name.removeprefix("efficientnet_b") in list("01234567"):
        return None
    program = CANDLE / "target/release/candle-transformers-bench"
    if not program.exists():
        sys.exit(f"no {program}: see README.md")
    command = [program, case.name, str(case.size), str(case.batch)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(case.threads)}

    def turn(seconds):
        out = subprocess.run(
            [*command, str(seconds)], check=True, capture_output=True, text=True, env=environment
        ).stdout
        times = [float(line) for line in out.splitlines()]
        return statistics.median(times), min(times)

    return turn


def effnet(case, dtype):
    program = ROOT / "target/release/effnet"
    if not program.exists():
        sys.exit(f"no {program}: see README.md")
    command = [program, "bench", case.name, "--engine", "cpu", "--dtype", dtype, "--format", "json"]
    for option in ["img_size", "batch_size", "threads"]:
        value = {"img_size": case.size, "batch_size": case.batch, "threads": case.threads}[option]
        command += [f"--{option.replace('_', '-')}", str(value)]

    def turn(seconds):
        out = subprocess.run(
            [*command, "--seconds", str(seconds)], check=True, capture_output=True, text=True
        ).stdout
        [figures] = json.loads(out)
        return figures["median_ms"], figures["min_ms"]

    return turn


ENGINES = {
    "candle-transformers": candle_transformers,
    "timm": timm,
    "ONNX Runtime": onnxruntime,
    "OpenVINO": lambda case: openvino(case, "f32"),
    "OpenVINO bf16": lambda case: openvino(case, "bf16"),
    "effnet": lambda case: effnet(case, "f32"),
    "effnet bf16": lambda case: effnet(case, "bf16"),
}


def measure(case, names, rounds, seconds):
    """Milliseconds per image of each engine: the median of its turns' medians, and the fastest pass."""
    turns = {name: ENGINES[name](case) for name in names}
    results = {name: [] for name, turn in turns.items() if turn}
    for _ in range(rounds):
        for name in results:
            results[name].append(turns[name](seconds))
    return {
        name: (
            statistics.median(median for median, _ in pairs) / case.batch,
            min(fastest for _, fastest in pairs) / case.batch,
        )
        for name, pairs in results.items()
    }


def ratio(results, name, which):
    """The time of `name` divided by that of the faster of its bar's peers, if they were measured."""
    peers = [results[peer][which] for peer in BARS[name] if peer in results]
    return results[name][which] / min(peers) if peers and name in results else None


def cell(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def table(cases, results, names, which):
    """A Markdown table: one row per engine, one column per case."""
    titles = ["{} {} b={}".format(*case.split(":")) for case in cases]
    rows = [["ms per image", *titles], ["---"] * (1 + len(titles))]
    for name in names:
        times = [cell(result[name][which] if name in result else None, 2) for result in results]
        rows.append([name, *times])
    for name in filter(names.__contains__, BARS):
        ratios = [cell(ratio(result, name, which), 2) for result in results]
        rows.append([f"ratio of {name}", *ratios])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def machine(threads):
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return f"{name}, {os.cpu_count()} CPUs, {threads} threads"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="architecture:size:batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for an engine in a round")
    parser.add_argument("--engines", default=",".join(ENGINES), help="names, separated by commas")
    arguments = parser.parse_args()
    names = arguments.engines.split(",")
    for name in names:
        if name not in ENGINES:
            parser.error(f"no engine {name!r}: there are {', '.join(ENGINES)}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for text in arguments.cases:
            case = Case(text, arguments.threads, pathlib.Path(folder))
            result = measure(case, names, arguments.rounds, arguments.seconds)
            times = ", ".join(f"{name} {median:.2f}" for name, (median, _) in result.items())
            print(f"{text}: {times}", file=sys.stderr, flush=True)
            results.append(result)
    print(f"{machine(arguments.threads)}\n\nMedians:\n")
    print(table(arguments.cases, results, names, 0))
    print("\nFastest passes:\n")
    print(table(arguments.cases, results, names, 1))


if __name__ == "__main__":
    main()
