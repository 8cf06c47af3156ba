"""Checks the local hub with Python's real clients, and a cache shared between them and effnet.

Usage: fidelity.py FOLDER-OF-BINARIES
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(sys.argv[1])
WORK = Path(tempfile.mkdtemp())
os.environ.update(HF_HOME=str(WORK / "home"), HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
    os.environ.pop(name, None)

import timm  # noqa: E402
import torch  # noqa: E402
from timm.models import save_for_hf  # noqa: E402

torch.manual_seed(0)
MODEL = timm.create_model("efficientnet_b0", num_classes=3).eval()
REPO = "someone/three-flowers"
for name in (REPO, "someone/private-flowers", "someone/gated-flowers"):
    save_for_hf(MODEL, WORK / "repos" / name, model_config={"label_names": ["a", "b", "c"]}, safe_serialization=True)

SERVER = subprocess.Popen(
    [BIN / "test-hub", WORK / "repos"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
ENDPOINT, TOKEN = SERVER.stdout.readline().split()
os.environ["HF_ENDPOINT"] = ENDPOINT
# The checks run in a separate process, because huggingface_hub reads its environment when it is imported.
CHECKS = Path(__file__).with_name("checks.py")
code = subprocess.run([sys.executable, CHECKS, BIN, WORK, REPO, TOKEN], check=False).returncode
SERVER.stdin.close()
print(f"{len(SERVER.stdout.read().splitlines())} requests were served")
sys.exit(code)
