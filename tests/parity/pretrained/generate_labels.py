"""Write the ImageNet label tables and the golden that checks them, from timm's data files.

    python generate_labels.py [REPOSITORY_ROOT]

Outputs, the same bytes on every run:
  weights-map/labels/imagenet-1k.tsv.gz    the 1000 classes of ImageNet-1k, in class order
  weights-map/labels/imagenet-rest.tsv.gz  every other synset of the larger sets, by synset id
  tests/parity/pretrained/labels.json      sizes and FNV-1a hashes of each rebuilt list

A line is `synset TAB sets TAB lemmas TAB definition`. `sets` holds one letter for each set that has
the synset: k = 12k, w = 22k, g = 21k-goog, m = 21k-miil.
"""

import gzip
import io
import json
import sys
from pathlib import Path

from timm.data.imagenet_info import _NUM_CLASSES_TO_SUBSET, ImageNetInfo

LETTERS = {"k": "imagenet-12k", "w": "imagenet-22k", "g": "imagenet-21k-goog", "m": "imagenet-21k-miil"}


def compressed(text):
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as f:
        f.write(text.encode())
    return out.getvalue()


def fnv1a(text):
    """64-bit FNV-1a of the UTF-8 bytes, which is short enough to write again in the Rust test."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3]
    infos = {name: ImageNetInfo(name) for name in _NUM_CLASSES_TO_SUBSET.values()}
    lists = {name: info.label_names() for name, info in infos.items()}
    any_info = infos["imagenet-1k"]
    lemmas, definitions = any_info._lemmas, any_info._definitions
    members = {letter: set(lists[name]) for letter, name in LETTERS.items()}

    one_k = lists["imagenet-1k"]
    rest = sorted(set().union(*lists.values()) - set(one_k))
    # The reader relies on this to rebuild the lists from the letters alone.
    for name in LETTERS.values():
        assert lists[name] == sorted(lists[name]), name
    twenty_two = lists["imagenet-22k"]
    assert lists["imagenet-22k-ms"] == one_k + [s for s in twenty_two if s not in set(one_k)]

    def line(synset):
        fields = [
            synset,
            "".join(letter for letter in LETTERS if synset in members[letter]),
            lemmas[synset],
            definitions[synset],
        ]
        assert not any("\t" in f or "\n" in f for f in fields)
        return "\t".join(fields) + "\n"

    out = root / "weights-map" / "labels"
    out.mkdir(parents=True, exist_ok=True)
    (out / "imagenet-1k.tsv.gz").write_bytes(compressed("".join(map(line, one_k))))
    (out / "imagenet-rest.tsv.gz").write_bytes(compressed("".join(map(line, rest))))

    golden = {}
    for count, name in sorted(_NUM_CLASSES_TO_SUBSET.items()):
        info = infos[name]
        names = info.label_names()
        assert len(names) == count
        # Exactly what the Rust test hashes: synset, lemmas and definition of every class, in order.
        rows = "".join(f"{s}\t{info.index_to_description(i, detailed=True)}\n" for i, s in enumerate(names))
        golden[name] = {
            "num_classes": count,
            "rows_fnv1a": fnv1a(rows),
            "spot": [[i, names[i], info.index_to_description(i)] for i in (0, count // 3, count // 2, count - 1)],
        }
    path = Path(__file__).with_name("labels.json")
    path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


main()
