#!/usr/bin/env bash
# Builds effnet for the GPU of this machine, holds it against the CPU, measures it beside timm, and writes one
# Markdown table: `benches/gpu/run.sh [OUT.md]`, under ten minutes. Needs a CUDA toolkit, Rust, and for timm's
# columns Python with torch and timm (VENV=path; without it they are left out).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-gpu.md}
venv=${VENV:-/tmp/effnet-gpu-venv}
: "${CUDA_COMPUTE_CAP:=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)}"
export CUDA_COMPUTE_CAP

cargo build --release -p effnet-cli --features cuda
effnet=target/release/effnet
python=$venv/bin/python
if [ ! -x "$python" ] && python3 -c "import torch, timm" 2>/dev/null; then python=python3; fi

{
    echo "# $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1), $(date +%F), $(git rev-parse --short HEAD)"
    echo
    python3 benches/gpu/parity.py "$effnet"
    echo
    python3 benches/gpu/speed.py "$effnet" "$python"
} | tee "$out"
