"""Runs the clients of docs/serving.md against a server at its default addresses: each must name the coffee.

The Rust client is the text of examples/client.rs, and runs as that example.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
EXAMPLE = ROOT / "crates/effnet-serve/examples/client.rs"
RUN = {"sh": ["bash", "-e"], "python": [sys.executable], "javascript": ["node"]}

text = (ROOT / "docs/serving.md").read_text()
section = text.split("\n## Clients\n")[1].split("\n## ")[0]
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S)
assert [language for language, _ in blocks] == ["sh", "python", "javascript", "rust"], blocks
for language, block in blocks:
    if language == "rust":
        assert EXAMPLE.read_text().endswith(block), f"{EXAMPLE} is not what the document shows"
        command = [ROOT / "target/release/examples/client"]
    else:
        file = Path(tempfile.mkdtemp()) / ("client." + {"sh": "sh", "python": "py", "javascript": "mjs"}[language])
        file.write_text(block)
        command = [*RUN[language], file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{language}: {done.stdout}{done.stderr}"
    assert "espresso" in done.stdout, f"{language}: {done.stdout}{done.stderr}"
    print(f"{language}: ok")
