"""The examples of docs/python.md and of the package's README run."""

import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "docs/python.md", ROOT / "crates/effnet-py/README.md"]


def blocks(document):
    return re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples(document, tmp_path, monkeypatch, images):
    """The blocks of a document run one after the other, in a folder with the photographs."""
    for image in images:
        shutil.copy(image, tmp_path)
    (tmp_path / "photos").mkdir()
    shutil.copy(images[0], tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    assert blocks(document)
    for block in blocks(document):
        exec(compile(block, str(document), "exec"), names)
