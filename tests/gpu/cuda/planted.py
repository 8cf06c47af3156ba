"""Plants faults in the text of the CUDA kernels and expects the tests to notice each.

    python3 planted.py [NAME ...]

A fault is a replacement in one file. `plain` builds are expected to notice by results and canaries,
`address` and `thread` by those sanitizers. The unchanged text has to pass all three builds.
"""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TESTS, KERNELS = "tests/gpu/cuda", "src/engine/gpu/cuda/kernels"
BARRIER = "__syncthreads();\n"

# name: build, type, file, what stands there, what comes in its place
FAULTS = {
    # Barriers: the results stay right, as fibers run in order.
    "slice_barrier": ("thread", "T_BF16", "product", "is free.\n    " + BARRIER, "is free.\n"),
    "slice_barrier_f32": ("thread", "T_F32", "product", "is free.\n    " + BARRIER, "is free.\n"),
    "spread_barrier": ("thread", "T_BF16", "product", "copy_wait<0>();\n  " + BARRIER, "copy_wait<0>();\n"),
    "finish_barrier": ("thread", "T_F32", "product", "(sums, tile);\n  " + BARRIER, "(sums, tile);\n"),
    "sums_barrier": ("thread", "T_F32", "product", "is taken.\n  " + BARRIER, "is taken.\n"),
    "totals_barrier": ("thread", "T_F32", "product", "at, total);\n  " + BARRIER, "at, total);\n"),
    "depthwise_barrier": ("thread", "T_F32", "depthwise", "= total;\n  " + BARRIER, "= total;\n"),
    "hidden_barrier": ("thread", "T_F32", "vectors", "mean, w1, b1);\n  " + BARRIER, "mean, w1, b1);\n"),
    "pool_barrier": ("thread", "T_F32", "vectors", "sums);\n  " + BARRIER, "sums);\n"),
    "scores_barrier": ("thread", "T_F32", "context", "own_scores[i] = score;\n  }\n  " + BARRIER,
                       "own_scores[i] = score;\n  }\n"),
    "block_sum_barrier": ("thread", "T_F32", "common", "place is taken.\n  " + BARRIER, "place is taken.\n"),
    "tile_barrier": ("thread", "T_F32", "attention", "int dim) {\n  " + BARRIER, "int dim) {\n"),
    "export_barrier": ("thread", "T_F32", "maps", "lane]);\n  " + BARRIER, "lane]);\n"),
    # Copies that are not waited for.
    "wait": ("plain", "T_BF16", "pointwise", "if (!gate) return copy_wait<S::STAGES - 2>();",
             "if (!gate) return copy_wait<S::STAGES - 1>();"),
    "gate_wait": ("plain", "T_F16", "pointwise", "copy_wait<S::STAGES - 2>();\n    if (at",
                  "copy_wait<S::STAGES - 1>();\n    if (at"),
    # Ends that are not guarded.
    "row_tail": ("plain", "T_F32", "product", "if (row >= rows) continue;", ""),
    "row_tail_address": ("address", "T_BF16", "product", "if (row >= rows) continue;", ""),
    "column_tail": ("address", "T_BF16", "product", "if (col < f.n) {", "{"),
    "weight_tail": ("address", "T_F32", "product", "any && i * 32 < columns", "any"),
    "slice_tail": ("address", "T_F32", "product", "bool any = ahead < k;", "bool any = true;"),
    "x_tail": ("address", "T_F32", "pointwise", "return i * 32 < rows;", "return true;"),
    "conv_left": ("address", "T_BF16", "conv", "(u32)(x0[i] + dx) < (u32)in.w", "x0[i] + dx < in.w"),
    "depthwise_top": ("address", "T_F32", "depthwise", "if ((u32)row >= (u32)d.h) continue;\n      const",
                      "if (row >= d.h) continue;\n      const"),
    "depthwise_right": ("plain", "T_F32", "depthwise", "if (col + i >= d.ow) continue;", ""),
    "pool_tail": ("address", "T_F16", "vectors", "i < hw; i += 32", "i <= hw; i += 32"),
    "dense_tail": ("address", "T_F32", "vectors", "if (lane < images) y", "if (lane < 8) y"),
    "mix_tail": ("address", "T_F32", "vectors", "if (at >= len) return;", ""),
    "query_tail": ("address", "T_F16", "attention", "own < rows && dim < key_dim", "dim < key_dim"),
    "key_tail": ("plain", "T_F32", "attention", "lane < positions ? scores[r] : ", ""),
    "export_tail": ("plain", "T_F32", "maps", "position0 + lane < hw && ", ""),
    "shared_size": ("address", "T_BF16", "product", "memory[S::BYTES]", "memory[S::BYTES - 16]"),
    # Indices.
    "swizzle": ("plain", "T_F32", "product", "swizzled(tx, chunk) +", "swizzled(tx, 3 - chunk) +"),
    "fragment": ("plain", "T_F16", "product", "w[j / 2][j % 2 * 2 + 1]", "w[j / 2][j % 2 * 2]"),
    "tap": ("plain", "T_F32", "conv", "dx = tap - dy * in.kernel", "dx = tap - dy * in.stride"),
    "stride": ("plain", "T_F32", "conv", "position % ow * in.stride", "position % ow"),
    "gate_row": ("plain", "T_F32", "pointwise", "int row = own_row + i * 32;\n", "int row = i * 32;\n"),
    "group_weights": ("plain", "T_F32", "pointwise", "wt + group * w_stride", "wt"),
    "sums_tile": ("plain", "T_F32", "conv", "sums + own * cout", "sums + own / tiles * cout"),
    "share": ("plain", "T_F32", "depthwise", "(part + 1) * share : strips", "(part + 1) * share - 1 : strips"),
    "channel_group": ("plain", "T_F32", "norms", "groups + channel / group", "groups + own.channel / group"),
    "padding_norm": ("plain", "T_F16", "norms", "if (own.channel + i >= c_real) out[i] = 0.f;", ";"),
    "padding_attention": ("plain", "T_F16", "attention", "line[i] = 0;", ";"),
    "blur_start": ("plain", "T_F32", "maps", "oh, ow, 1,", "oh, ow, 0,"),
    # Arithmetic.
    "residual_first": ("plain", "T_F32", "product", "v[i * 8 + j] = sums[j] + bias[j];",
                       "v[i * 8 + j] = sums[j] + bias[j] + residual[i][j];"),
    "one_pass": ("plain", "T_F32", "norms", "fmaf(v[i] - mean, v[i] - mean, squares)",
                 "fmaf(v[i], v[i], squares) - mean * mean"),
    "rescale": ("plain", "T_F32", "attention", "sums[r][i] *= before;", ";"),
    "gelu": ("plain", "T_F32", "common", "erff(v[i] * 0.70710678f)", "tanhf(v[i] * 0.8f)"),
}

FLAGS = {"plain": [], "address": ["-fsanitize=address"], "thread": ["-fsanitize=thread"]}


def passes(build, dtype, file=None, stands="", comes=""):
    with tempfile.TemporaryDirectory() as folder:
        for part in (TESTS, KERNELS):
            shutil.copytree(ROOT / part, Path(folder) / part)
        if file:
            path = Path(folder) / KERNELS / f"{file}.cuh"
            text = path.read_text()
            if stands not in text:
                sys.exit(f"{file}.cuh has no {stands!r}")
            path.write_text(text.replace(stands, comes))
        command = ["g++", "-O1", "-g", "-std=c++17", "-w", f"-D{dtype}", *FLAGS[build]]
        program = f"{folder}/kernels"
        subprocess.run([*command, f"{folder}/{TESTS}/kernels.cpp", "-o", program], check=True)
        run = subprocess.run([program], capture_output=True, text=True, timeout=300)
        reason = [line for line in run.stderr.splitlines() if line.strip("= \n")][:1]
        return run.returncode == 0, reason[0] if reason else ""


def main():
    cases = {f"nothing ({build}, {dtype})": (build, dtype)
             for build in FLAGS for dtype in ("T_F32", "T_F16", "T_BF16")} | FAULTS
    if len(sys.argv) > 1:
        cases = {name: cases[name] for name in sys.argv[1:]}
    missed = []
    with ThreadPoolExecutor(2) as pool:
        for name, (passed, reason) in zip(cases, pool.map(lambda case: passes(*case), cases.values())):
            right = passed == name.startswith("nothing")
            print(f"{'ok' if right else 'MISSED'} {name}: {reason or 'passed'}", flush=True)
            if not right:
                missed.append(name)
    sys.exit(f"missed: {missed}" if missed else 0)


if __name__ == "__main__":
    main()
