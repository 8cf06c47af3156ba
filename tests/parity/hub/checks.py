"""The checks of fidelity.py, which starts this with HF_ENDPOINT and HF_HOME set."""

import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import timm
import torch
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url, scan_cache_dir
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

BIN, WORK, REPO, TOKEN = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
FILES = ("config.json", "model.safetensors")


def effnet(*arguments, cache, offline=False, **options):
    environment = dict(os.environ, HF_HUB_CACHE=str(cache))
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    return subprocess.run(
        [BIN / "effnet", *arguments], env=environment, capture_output=True, text=True, check=True, **options
    ).stdout.strip()


def raises(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def same(cache, folder):
    """The snapshot holds the repository's files, and Python finds nothing wrong in the cache."""
    for name in FILES:
        assert (Path(folder) / name).read_bytes() == (WORK / "repos" / REPO / name).read_bytes(), name
    info = scan_cache_dir(cache)
    assert not info.warnings, info.warnings
    assert [repo.repo_id for repo in info.repos] == [REPO]
    assert {file.file_name for repo in info.repos for rev in repo.revisions for file in rev.files} >= set(FILES)


def protocol():
    metadata = get_hf_file_metadata(hf_hub_url(REPO, FILES[1]))
    assert len(metadata.etag) == 64 and len(metadata.commit_hash) == 40, metadata
    assert metadata.size == (WORK / "repos" / REPO / FILES[1]).stat().st_size
    small = get_hf_file_metadata(hf_hub_url(REPO, FILES[0]))
    assert len(small.etag) == 40 and small.size == (WORK / "repos" / REPO / FILES[0]).stat().st_size
    api = HfApi()
    assert api.model_info(REPO).sha == metadata.commit_hash
    assert set(api.list_repo_files(REPO)) >= set(FILES)
    assert {entry.path for entry in api.list_repo_tree(REPO)} >= set(FILES)
    raises(RepositoryNotFoundError, lambda: hf_hub_download("someone/none", FILES[0]))
    raises(RevisionNotFoundError, lambda: hf_hub_download(REPO, FILES[0], revision="v9"))
    raises(RemoteEntryNotFoundError, lambda: hf_hub_download(REPO, "none.json"))
    raises(RepositoryNotFoundError, lambda: api.model_info("someone/private-flowers", token=False))
    raises(GatedRepoError, lambda: api.model_info("someone/gated-flowers", token=False))
    for name in ("someone/private-flowers", "someone/gated-flowers"):
        assert hf_hub_download(name, FILES[1], token=TOKEN, cache_dir=WORK / "token")


def timm_loads():
    theirs = timm.create_model(f"hf-hub:{REPO}", pretrained=True).eval()
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    mine = timm.create_model("efficientnet_b0", num_classes=3).eval()
    with torch.inference_mode():
        assert torch.equal(theirs(image), mine(image))


def python_then_effnet():
    cache = WORK / "python-first"
    theirs = snapshot_download(REPO, cache_dir=cache)
    same(cache, theirs)
    assert effnet("download", REPO, cache=cache, offline=True) == theirs
    assert "sound" in effnet("cache", "verify", cache=cache)
    same(cache, theirs)


def effnet_then_python():
    cache = WORK / "effnet-first"
    mine = effnet("download", REPO, cache=cache)
    same(cache, mine)
    before = {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*") if path.is_file()}
    for name in FILES:
        assert hf_hub_download(REPO, name, cache_dir=cache, local_files_only=True) == f"{mine}/{name}"
        assert hf_hub_download(REPO, name, cache_dir=cache) == f"{mine}/{name}"
    assert before == {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*") if path.is_file()}


def killed_then_python():
    for i in range(10):
        cache = WORK / f"killed-{i}"
        child = subprocess.Popen(
            [BIN / "effnet", "download", REPO],
            env=dict(os.environ, HF_HUB_CACHE=str(cache)),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(random.uniform(0.0, 0.15))
        child.kill()
        child.wait()
        if cache.is_dir():
            info = scan_cache_dir(cache)
            assert not info.warnings, info.warnings
        try:
            weights = hf_hub_download(REPO, FILES[1], cache_dir=cache, local_files_only=True)
            assert Path(weights).read_bytes() == (WORK / "repos" / REPO / FILES[1]).read_bytes()
        except LocalEntryNotFoundError:
            pass
        theirs = hf_hub_download(REPO, FILES[0], cache_dir=cache)
        assert hf_hub_download(REPO, FILES[1], cache_dir=cache)
        same(cache, Path(theirs).parent)
        assert effnet("download", REPO, cache=cache) == str(Path(theirs).parent)


def one_lock():
    """While Python holds the lock, effnet waits; when Python releases it, effnet goes on."""
    from filelock import FileLock

    cache = WORK / "locked"
    etag = get_hf_file_metadata(hf_hub_url(REPO, FILES[1])).etag
    path = cache / ".locks" / f"models--{REPO.replace('/', '--')}" / f"{etag}.lock"
    path.parent.mkdir(parents=True)
    with FileLock(path):
        child = subprocess.Popen(
            [BIN / "effnet", "download", REPO],
            env=dict(os.environ, HF_HUB_CACHE=str(cache)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = child.stderr.readline()
        assert "another process downloads this" in line, line
        assert child.poll() is None
    out, _ = child.communicate(timeout=30)
    same(cache, out.strip())


warnings.simplefilter("ignore")
for check in (protocol, timm_loads, python_then_effnet, effnet_then_python, killed_then_python, one_lock):
    check()
    print(f"ok: {check.__name__}")
