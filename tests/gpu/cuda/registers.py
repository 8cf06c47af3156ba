"""Compiles the CUDA kernels for every machine and holds their registers against registers.txt.

    python3 -m venv VENV && VENV/bin/pip install nvidia-cuda-nvrtc==13.5.* nvidia-cuda-nvcc==13.5.*
    VENV/bin/python registers.py [--bless]

No GPU is needed. It fails where a kernel spills registers or has a stack, where a number is over the
table's, and where a kernel is missing from it; --bless writes the table anew. Another version of
ptxas gives other numbers.
"""

import ctypes
import importlib.util
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parents[2] / "src/engine/gpu/cuda/kernels"
TABLE = HERE / "registers.txt"
ARCHS = [75, 80, 86, 89, 90, 100, 120]
TYPES = ["T_F32", "T_F16", "T_BF16"]


def toolkit(pattern):
    for root in importlib.util.find_spec("nvidia").submodule_search_locations:
        for path in Path(root).glob(pattern):
            return path
    sys.exit(f"{pattern} is not here: see the head of {__file__}")


def text():
    """The kernels as one text, in the order that common.cuh states."""
    order = re.search(r"in this order:\n//\n((?://   .*\n)+)", (KERNELS / "common.cuh").read_text())
    names = re.findall(r"\w+\.cuh", order[1])
    assert sorted(names) == sorted(path.name for path in KERNELS.glob("*.cuh")), names
    return "".join(f'#line 1 "{name}"\n{(KERNELS / name).read_text()}' for name in names)


def ptx(nvrtc, source, dtype, arch):
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    options = [f"-D{dtype}".encode(), f"-arch=compute_{arch}".encode(), b"-std=c++17"]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * 3)(*options))

    def fetch(what):
        size = ctypes.c_size_t()
        getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
        return buffer.value

    log = fetch("ProgramLog").decode()
    if failed or log:
        sys.exit(f"{dtype}, sm_{arch}:\n{log}")
    return fetch("PTX")


def usage(ptxas, nvrtc, source, dtype, arch):
    """Of each kernel: registers, shared memory, and bytes of stack and spills."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.ptx"
        path.write_bytes(ptx(nvrtc, source, dtype, arch))
        command = [ptxas, "-v", f"-arch=sm_{arch}", path, "-o", f"{path}.cubin"]
        report = subprocess.run(command, capture_output=True, text=True)
    if report.returncode:
        sys.exit(f"{dtype}, sm_{arch}:\n{report.stderr}")
    found = {}
    for part in report.stderr.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        spilled = sum(int(n) for n in re.findall(r"(\d+) bytes (?:stack|spill)", part))
        shared = re.search(r"(\d+) bytes smem", part)
        registers = re.search(r"Used (\d+) registers", part)
        found[name] = int(registers[1]), int(shared[1]) if shared else 0, spilled
    return found


def main():
    bless = "--bless" in sys.argv
    ptxas, nvrtc = toolkit("**/bin/ptxas"), ctypes.CDLL(str(toolkit("**/libnvrtc.so.*")))
    version = re.search(r"V[\d.]+", subprocess.run([ptxas, "--version"], capture_output=True, text=True).stdout)[0]
    source = text()
    cells = [(dtype, arch) for dtype in TYPES for arch in ARCHS]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(cells, pool.map(lambda cell: usage(ptxas, nvrtc, source, *cell), cells)))

    lines, faults = [], []
    for dtype in TYPES:
        for name in found[dtype, ARCHS[0]]:
            row = [found[dtype, arch][name] for arch in ARCHS]
            shared = max(cell[1] for cell in row)
            numbers = " ".join(f"{cell[0]:6}" for cell in row)
            lines.append(f"{name:18} {dtype[2:].lower():5} {shared:6} {numbers}")
            faults += [f"{name} {dtype} sm_{arch}: {cell[2]} bytes of stack and spills"
                       for arch, cell in zip(ARCHS, row) if cell[2]]
    lines.sort()
    heads = " ".join(f"sm_{arch:<3}" for arch in ARCHS)
    head = f"# Shared memory in bytes, and registers, of ptxas {version}; none spills. By registers.py.\n"
    table = head + f"# kernel           dtype shared  {heads}\n" + "\n".join(lines) + "\n"
    print(table, end="")
    if bless and not faults:
        TABLE.write_text(table)
    committed = TABLE.read_text() if TABLE.exists() else ""
    allowed = {tuple(line.split()[:2]): list(map(int, line.split()[2:]))
               for line in committed.splitlines() if not line.startswith("#")}
    for line in lines:
        key, numbers = tuple(line.split()[:2]), list(map(int, line.split()[2:]))
        if key not in allowed:
            faults.append(f"{key} is not in the table")
        elif any(number > most for number, most in zip(numbers, allowed[key])):
            faults.append(f"{key}: {numbers} is over {allowed[key]}")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
