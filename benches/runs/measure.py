"""Measures long runs of `effnet classify`. Programs are those of `cargo build --release`.

    measure.py kills PHOTOS [--kills 20]        kill -9 at random moments, then --resume: csv, jsonl, parquet
    measure.py containers PHOTOS [--rounds 5]   loose files, a tar archive and a Parquet file, in turns
    measure.py million [--rows 1000000]         tiny images in tar archives: rows/s, and memory on the way

PHOTOS is a folder of 2,000 JPEGs. `containers` needs pyarrow.
"""

import argparse
import io
import json
import os
import random
import signal
import statistics
import struct
import subprocess
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EFFNET = ROOT / "target/release/effnet"


def run(*arguments, **options):
    return subprocess.run([EFFNET, *map(str, arguments)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)


def damage(data, kind):
    """A file that is broken in one of ten ways."""
    return [
        lambda: b"",
        lambda: data[:100],
        lambda: data[: len(data) // 2],
        lambda: b"not an image",
        lambda: bytes(len(data)),
        lambda: data[:20] + b"\xff" * 200 + data[220:],
        lambda: data[2:],
        lambda: b"<html><body>404</body></html>",
        lambda: b"\x89PNG\r\n\x1a\n" + data,
        lambda: data[:2] + random.Random(18).randbytes(1000),
    ][kind]()


def kills():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        photos, broken = folder / "photos", 0
        photos.mkdir()
        for i, path in enumerate(sorted(Path(OPTIONS.photos).iterdir())):
            data = path.read_bytes()
            if i % 20 == 7:
                data = damage(data, i // 20 % 10)
                broken += 1
            (photos / path.name).write_bytes(data)
        for ending in ("csv", "jsonl", "parquet"):
            whole, killed = folder / f"whole.{ending}", folder / f"killed.{ending}"
            begin = time.monotonic()
            run("classify", photos, "-o", whole)
            seconds = time.monotonic() - begin
            done = 0
            for _ in range(OPTIONS.kills):
                command = [EFFNET, "classify", photos, "-o", killed, "--resume"]
                process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                time.sleep(random.uniform(0.02, seconds / OPTIONS.kills * 1.5))
                process.send_signal(signal.SIGKILL)
                done += process.wait() == -signal.SIGKILL
            ended = run("classify", photos, "-o", killed, "--resume").returncode
            same = whole.read_bytes() == killed.read_bytes()
            left = Path(f"{killed}.journal").exists()
            print(json.dumps({
                "form": ending, "files": len(list(photos.iterdir())), "broken": broken, "killed": done, "exit code": ended,
                "same bytes": same, "journal left": left,
            }))


def containers():
    import pyarrow
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = sorted(Path(OPTIONS.photos).iterdir())
        with tarfile.open(folder / "photos.tar", "w") as tar:
            for path in paths:
                tar.add(path, path.name)
        data = [path.read_bytes() for path in paths]
        images = [{"bytes": data, "path": path.name} for data, path in zip(data, paths)]
        pyarrow.parquet.write_table(pyarrow.table({"image": images}), folder / "photos.parquet", row_group_size=100)
        sources = {"files": OPTIONS.photos, "tar": folder / "photos.tar", "parquet": folder / "photos.parquet"}
        times = {name: [] for name in sources}
        for _ in range(OPTIONS.rounds):
            for name, source in sources.items():
                begin = time.monotonic()
                run("classify", source, "-o", folder / "out.csv", "--threads", OPTIONS.threads)
                times[name].append(time.monotonic() - begin)
        for name, seconds in times.items():
            ratios = sorted(a / b for a, b in zip(seconds, times["files"]))
            print(f"{name}: {statistics.median(seconds):.2f} s, {statistics.median(ratios):.3f} of loose files {ratios}")


def png(width, height, color):
    rows = b"".join(b"\0" + bytes(color) * width for _ in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def million():
    """The network is the smallest, so that rows and not products are measured."""
    per = 100_000
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        archives = []
        for number in range(-(-OPTIONS.rows // per)):
            archives.append(folder / f"{number:03}.tar")
            with tarfile.open(archives[-1], "w") as tar:
                for i in range(min(per, OPTIONS.rows - number * per)):
                    data = png(4, 4, (i & 255, i >> 8 & 255, number))
                    info = tarfile.TarInfo(f"{i:06}.png")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        output = folder / "out.parquet"
        model = ["-m", "test_efficientnet", "--weights", "seeded:0", "--img-size", "32", "-k", "1", "--batch-size", "64"]
        begin = time.monotonic()
        process = subprocess.Popen([EFFNET, "classify", *archives, "-o", output, *model], stderr=subprocess.DEVNULL)
        status, journal = Path(f"/proc/{process.pid}/status"), Path(f"{output}.journal")
        sizes, rows = [], 0
        with open(journal) if journal.exists() else wait_for(journal) as lines:
            while process.poll() is None:
                rows += sum(1 for _ in lines)
                line = next((l for l in status.read_text().splitlines() if l.startswith("VmRSS")), None)
                if line:
                    sizes.append((rows, int(line.split()[1]) / 1024))
                time.sleep(0.2)
        seconds = time.monotonic() - begin
        early = next(size for rows, size in sizes if rows >= min(10_000, OPTIONS.rows // 2))
        print(json.dumps({
            "rows": OPTIONS.rows, "exit code": process.returncode, "seconds": round(seconds, 1),
            "rows per second": round(OPTIONS.rows / seconds), "MB at 10,000 rows": round(early, 1),
            "MB at the end of the rows": round([s for r, s in sizes if r < OPTIONS.rows][-1], 1),
            "most MB": round(max(size for _, size in sizes), 1), "MB of the file": round(output.stat().st_size / 1e6, 1),
        }))


def wait_for(path):
    while not path.exists():
        time.sleep(0.01)
    return open(path)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("measure", choices=["kills", "containers", "million"])
parser.add_argument("photos", nargs="?")
parser.add_argument("--kills", type=int, default=20)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--rows", type=int, default=1_000_000)
parser.add_argument("--threads", type=int, default=os.cpu_count())
OPTIONS = parser.parse_args()
globals()[OPTIONS.measure]()
