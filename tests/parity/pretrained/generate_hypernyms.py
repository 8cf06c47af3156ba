"""Write the hypernyms of ImageNet's synsets, from WordNet 3.0's database as Debian packages it.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
    python generate_hypernyms.py wordnet/usr/share/wordnet/data.noun [REPOSITORY_ROOT]

Outputs, the same bytes on every run:
  weights-map/labels/hypernyms.tsv.gz        every synset of ImageNet's lists and what is above them
  tests/parity/pretrained/hypernyms.json     how many classes of ImageNet-1k some synsets cover

A line is `synset TAB first lemma TAB hypernyms`, by synset id; hypernyms (WordNet's pointers `@` and
`@i`) are separated by spaces, and only the root has none.
"""

import gzip
import io
import json
import sys
from pathlib import Path

from timm.data.imagenet_info import _NUM_CLASSES_TO_SUBSET, ImageNetInfo

SPOT = ["n02084071", "n02121808", "n03800933", "n00015388", "n00021939", "n00001740", "n07705711", "n02512053"]


def read(path):
    """Lemma and hypernyms of every noun synset. `wndb(5WN)` describes the file."""
    synsets = {}
    for line in Path(path).read_text(encoding="ascii").splitlines():
        if line.startswith("  "):  # the license
            continue
        fields = line.split(" | ")[0].split()
        words = int(fields[3], 16)
        pointers = fields[4 + 2 * words :]
        assert len(pointers) == 1 + 4 * int(pointers[0])
        above = [
            "n" + pointers[i + 1]
            for i in range(1, len(pointers), 4)
            if pointers[i] in ("@", "@i")
        ]
        synsets["n" + fields[0]] = (fields[4].replace("_", " "), above)
    return synsets


def main():
    synsets = read(sys.argv[1])
    root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[3]
    lists = {name: ImageNetInfo(name).label_names() for name in _NUM_CLASSES_TO_SUBSET.values()}

    closure, waiting = set(), sorted(set().union(*lists.values()))
    missing = [synset for synset in waiting if synset not in synsets]
    assert not missing, missing
    while waiting:
        synset = waiting.pop()
        if synset not in closure:
            closure.add(synset)
            waiting.extend(synsets[synset][1])
    assert [s for s in closure if not synsets[s][1]] == ["n00001740"]

    text = "".join(f"{s}\t{synsets[s][0]}\t{' '.join(synsets[s][1])}\n" for s in sorted(closure))
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as f:
        f.write(text.encode())
    (root / "weights-map" / "labels" / "hypernyms.tsv.gz").write_bytes(out.getvalue())

    def ancestors(synset):
        found, waiting = set(), [synset]
        while waiting:
            synset = waiting.pop()
            if synset not in found:
                found.add(synset)
                waiting.extend(synsets[synset][1])
        return found

    above = [ancestors(synset) for synset in lists["imagenet-1k"]]
    spot = {s: [synsets[s][0], sum(s in a for a in above)] for s in SPOT}
    golden = {
        "synsets": len(closure),
        "edges": sum(len(synsets[s][1]) for s in closure),
        "pairs_1k": sum(map(len, above)),
        "spot": spot,
    }
    path = root / "tests" / "parity" / "pretrained" / "hypernyms.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(len(text), len(out.getvalue()), golden)


if __name__ == "__main__":
    main()
