"""The CUDA engine beside the CPU engine, in every number type: `parity.py EFFNET`. Prints a Markdown table.

Logits of generated weights and images: the largest difference over the largest logit, and whether it is within
the type's bound. Then the classes of the photographs in examples/images.
"""

import csv
import glob
import io
import json
import struct
import subprocess
import sys
import tempfile

EFFNET = sys.argv[1]
BOUNDS = {"f32": 1e-4, "f16": 0.02, "bf16": 0.1}
NAMES = ["efficientnet_b0", "efficientnet_b4", "efficientnet_lite0", "efficientnetv2_s", "mobilenetv3_large_100",
         "mobilenetv4_conv_medium", "mobilenetv4_hybrid_medium", "mixnet_l", "efficientnet_cc_b0_4e", "efficientnet_es",
         "fbnetv3_b", "efficientnet_b3_gn"]


def run(*args):
    return subprocess.run([EFFNET, *args], check=True, capture_output=True, text=True).stdout


def tensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f",
                                data[slice(*t["data_offsets"])]) for name, t in header.items()}


def write(path, values, shape):
    data = struct.pack(f"<{len(values)}f", *values)
    header = json.dumps({"input": {"dtype": "F32", "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


def main():
    print("| network | " + " | ".join(BOUNDS) + " |\n| --- |" + " ---: |" * len(BOUNDS))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        side = 96
        values = [((i * 2654435761) % 4093) / 1023 - 2 for i in range(2 * 3 * side * side)]
        write(f"{folder}/in.safetensors", values, [2, 3, side, side])
        for name in NAMES:
            forward = ["forward", "-m", name, "--weights", "seeded:0", "-i", f"{folder}/in.safetensors", "-o"]
            run(*forward, f"{folder}/cpu.safetensors", "--device", "cpu")
            theirs = tensors(f"{folder}/cpu.safetensors")["logits"]
            cells = []
            for dtype, bound in BOUNDS.items():
                run(*forward, f"{folder}/gpu.safetensors", "--device", "cuda", "--dtype", dtype)
                ours = tensors(f"{folder}/gpu.safetensors")["logits"]
                worst = max(abs(a - b) for a, b in zip(ours, theirs)) / max(map(abs, theirs))
                failed |= not worst <= bound
                cells.append(f"{worst:.1e}{'' if worst <= bound else ' FAILS'}")
            print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
    images = sorted(glob.glob("examples/images/*.png"))
    first = {}
    for device, dtype in [("cpu", "f32")] + [("cuda", dtype) for dtype in BOUNDS]:
        rows = csv.DictReader(io.StringIO(run("classify", "--format", "csv", "--device", device, "--dtype", dtype, *images)))
        first[device, dtype] = [row["index"] for row in rows if row.get("rank") == "1"]
    agree = {dtype: sum(a == b for a, b in zip(first["cuda", dtype], first["cpu", "f32"])) for dtype in BOUNDS}
    print("| first class of the photographs | " + " | ".join(f"{n} of {len(images)}" for n in agree.values()) + " |")
    sys.exit(failed)


main()
