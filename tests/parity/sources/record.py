"""Writes the small archives and tables of tests/data/sources, as the libraries of their formats write them.

    python tests/parity/sources/record.py tests/data/sources

Each holds the same four images: a.png, b.jpg and c.png of 24x20 pixels, and d.png, which is broken.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow

NAMES = ["cat", "dog", "fox"]
LABELS = [2, 0, 1, 0]


def images():
    random = np.random.default_rng(18)
    for name in ("a.png", "b.jpg", "c.png"):
        file = io.BytesIO()
        image = Pillow.fromarray(random.integers(0, 255, (20, 24, 3), np.uint8))
        image.save(file, "PNG" if name.endswith("png") else "JPEG")
        yield name, file.getvalue()
    yield "d.png", b"not an image"


def main(folder):
    pairs = list(images())
    for name, data in pairs:
        (folder / name).write_bytes(data)

    # A dataset of the hub: a struct of bytes and path, and the names of the labels in the metadata.
    rows = {"image": [{"bytes": data, "path": name} for name, data in pairs], "label": LABELS}
    rows["image"][2]["bytes"] = None  # The path stands in for the bytes.
    rows["title"] = ["ä", "b", None, "d"]
    features = Features({"image": Image(), "label": ClassLabel(names=NAMES), "title": Value("string")})
    table = Dataset.from_dict(rows, features=features).data.table
    # Without casting, so that the bytes stay absent.
    pq.write_table(table, folder / "datasets.parquet", row_group_size=3)

    # What other libraries write: bytes alone, other types, names and compressions.
    names = {"NONE": "none", "SNAPPY": "snappy", "ZSTD": "zstd", "GZIP": "gzip", "LZ4": "lz4"}
    for compression, name in names.items():
        table = pa.table({
            "id": pa.array([1, 2, 3, 4], pa.int32()),
            "jpg": pa.array([data for _, data in pairs], pa.binary()),
            "label": pa.array([NAMES[label] for label in LABELS], pa.string()),
        })
        pq.write_table(table, folder / f"bytes_{name}.parquet", compression=compression, data_page_version="2.0")

    with webdataset.TarWriter(str(folder / "webdataset.tar"), encoder=False) as tar:
        for (name, data), label in zip(pairs, LABELS):
            key, ending = name.split(".")
            tar.write({"__key__": f"part/{key}", ending: data, "cls": str(label).encode(), "json": json.dumps({}).encode()})
    with webdataset.TarWriter(str(folder / "webdataset.tar.gz"), encoder=False, compress=True) as tar:
        for (name, data), label in zip(pairs, LABELS):
            key, ending = name.split(".")
            tar.write({"__key__": f"part/{key}", "cls": str(label).encode(), ending: data})

    rows = "".join(f"{i},{name},{NAMES[label]}\n" for i, ((name, _), label) in enumerate(zip(pairs, LABELS)))
    (folder / "table.csv").write_text("id,file_name,label\n" + rows)


main(Path(sys.argv[1]))
