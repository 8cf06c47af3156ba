"""A stand-in for the CUDA toolkit and driver, for machines without them: `toolkit.py FOLDER [SOURCE]`.

FOLDER gets what building effnet with the feature `cuda` needs: `bin/nvcc`, which compiles nothing, and the
libraries that cudarc links to. All their functions fail but those of `driver.cpp`: a device in the host's
memory. SOURCE is cudarc's own source (by default, that of Cargo.lock in Cargo's registry), whose
declarations are the functions' names.
"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = {"cuda": "driver", "nvrtc": "nvrtc", "curand": "curand", "cublas": "cublas", "cublasLt": "cublaslt",
             "cudart": "runtime", "cudnn": "cudnn"}
NVCC = """#!/bin/sh
# Compiles nothing: an empty module for --ptx, an empty object for -c, an empty library for --lib.
out= dir=. kind= source=
case "$*" in
  *--version*) printf 'nvcc: a stand-in\\n\\n\\nCuda compilation tools, release 13.0, V13.0.0\\n'; exit ;;
  *--list-gpu-code*) printf 'sm_75\\nsm_80\\nsm_86\\nsm_89\\nsm_90\\nsm_100\\nsm_120\\n'; exit ;;
esac
while [ $# -gt 0 ]; do
  case $1 in
    -o) out=$2; shift ;;
    --output-directory) dir=$2; shift ;;
    --ptx | -c | --lib) kind=$1 ;;
    *.cu) source=$1 ;;
  esac
  shift
done
case $kind in
  --ptx) printf '.version 8.0\\n.target sm_80\\n.address_size 64\\n' > "$dir/$(basename "$source" .cu).ptx" ;;
  -c) echo | cc -x c -c -o "$out" - ;;
  --lib) rm -f "$out"; echo | cc -x c -c -o "$out.o" - && ar rcs "$out" "$out.o" ;;
esac
"""


def cudarc():
    lock = open(os.path.join(HERE, "../../../Cargo.lock")).read()
    version = re.search(r'name = "cudarc"\nversion = "(.*)"', lock).group(1)
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    found = glob.glob(f"{home}/registry/src/*/cudarc-{version}")
    if not found:
        sys.exit(f"cudarc {version} is not in {home}: run `cargo fetch` first")
    return found[0]


def main():
    folder = os.path.abspath(sys.argv[1])
    source = sys.argv[2] if len(sys.argv) > 2 else cudarc()
    for name in ("bin", "lib64", "include"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/bin/nvcc", "w") as nvcc:
        nvcc.write(NVCC)
    os.chmod(f"{folder}/bin/nvcc", 0o755)
    with open(f"{folder}/include/cuda.h", "w") as header:
        header.write("#define CUDA_VERSION 13000\n")
    with open(f"{folder}/include/cudnn_version.h", "w") as header:
        header.write("#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 10\n")
    driver = f"{folder}/driver.o"
    written = set(re.findall(r"^EXPORT (\w+)", open(f"{HERE}/driver.cpp").read(), re.M))
    subprocess.run(["g++", "-O1", "-std=c++17", "-fPIC", "-c", "-o", driver, f"{HERE}/driver.cpp"], check=True)
    for library, room in LIBRARIES.items():
        # All that is written stands in the driver's library, the others link to it.
        text = "".join(open(file).read() for file in glob.glob(f"{source}/src/{room}/sys/*.rs"))
        names = sorted(set(re.findall(r"\bfn ((?:cu|nvrtc)\w+)\s*\(", text)) - written)
        stubs = f"{folder}/{library}.c"
        with open(stubs, "w") as file:
            for name in names:
                file.write(f"int {name}(void) {{ return 999; }}\n")
        own = [driver, "-ldl", "-lpthread"] if library == "cuda" else ["-Wl,--no-as-needed", f"-L{folder}/lib64", "-lcuda"]
        target = f"{folder}/lib64/lib{library}.so"
        subprocess.run(["g++", "-shared", "-fPIC", "-o", target, "-x", "c", stubs, "-x", "none", *own], check=True)
    print(folder)


main()
