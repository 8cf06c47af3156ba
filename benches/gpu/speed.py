"""effnet beside timm on this machine's GPU: `speed.py EFFNET PYTHON`. Prints a Markdown table.

Both are timed by the device's clock from images in its memory to logits there, in bfloat16: effnet by its recorded
graph, timm in channels-last, as it is and compiled. Medians; the two take turns within one run.
"""

import json
import subprocess
import sys
import time

EFFNET, PYTHON = sys.argv[1:3]
CASES = [(name, side, batch) for name, side in (("efficientnet_b0", 224), ("efficientnetv2_s", 384), ("efficientnet_b4", 320))
         for batch in (1, 64, 256)]
TIMM = """
import sys, json, torch, timm
name, side, batch, compiled = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "compiled"
model = timm.create_model(name).eval().cuda().to(memory_format=torch.channels_last, dtype=torch.bfloat16)
xs = torch.randn(batch, 3, side, side, device="cuda", dtype=torch.bfloat16).to(memory_format=torch.channels_last)
if compiled: model = torch.compile(model, mode="max-autotune-no-cudagraphs" if batch > 1 else "reduce-overhead")
times = []
with torch.inference_mode():
    for i in range(40):
        before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        before.record(); model(xs); after.record(); torch.cuda.synchronize()
        if i >= 10: times.append(before.elapsed_time(after))
times.sort(); print(times[len(times) // 2])
"""


def timm(*args):
    done = subprocess.run([PYTHON, "-c", TIMM, *map(str, args)], capture_output=True, text=True)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main():
    end = time.monotonic() + 420
    print("| network | pixels | batch | effnet, ms | images/s | kernels | of memory | of cores | whole call, ms | timm, ms | timm compiled, ms |")
    print("| --- |" + " ---: |" * 10)
    for name, side, batch in CASES:
        args = [EFFNET, "bench", name, "--device", "cuda", "--dtype", "bf16", "--batch-size", str(batch), "--img-size", str(side),
                "--seconds", "2", "--format", "json"]
        figures = json.loads(subprocess.run(args, check=True, capture_output=True, text=True).stdout)[0]
        work = figures["device_work"]
        plain = timm(name, side, batch, "plain")
        compiled = timm(name, side, batch, "compiled") if time.monotonic() < end else None
        share = lambda key: "-" if work[key] is None else f"{100 * work[key]:.0f}%"
        number = lambda ms: "-" if ms is None else f"{ms:.3f}"
        print(f"| `{name}` | {side} | {batch} | {work['median_ms']:.3f} | {work['images_per_s']:.0f} | {work['launches']} | "
              f"{share('memory_share')} | {share('compute_share')} | {figures['median_ms']:.3f} | {number(plain)} | "
              f"{number(compiled)} |", flush=True)


main()
