"""The command in the wheel is the real one."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import sysconfig

import effnet
import numpy as np
import pytest

SCRIPT = pathlib.Path(sysconfig.get_path("scripts")) / ("effnet.exe" if os.name == "nt" else "effnet")


def run(*arguments, **options):
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, **options)


def test_rows_are_the_packages(classifier, images):
    done = run("classify", *images, "--threads", "2", "-k", "1000", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    for path, record, predictions in zip(images, records, classifier.classify(images, k=1000)):
        assert (record["image"], record["model"]) == (str(path), classifier.name)
        assert len(record["predictions"]) == len(predictions) == 1000
        for theirs, ours in zip(record["predictions"], predictions):
            assert theirs.keys() == ours._asdict().keys()
            for key, value in ours._asdict().items():
                # JSON has as many digits as float32 needs.
                assert theirs[key] == value or np.float32(theirs[key]) == np.float32(value)


def test_version_and_help():
    assert run("--version").stdout == f"effnet {effnet.__version__}\n"
    for words in (["help"], ["classify", "--help"], ["serve", "--help"]):
        done = run(*words)
        assert done.returncode == 0 and "Usage: effnet" in done.stdout


def test_the_module_is_the_command(coffee):
    arguments = ["classify", coffee, "--format", "csv"]
    done = subprocess.run([sys.executable, "-m", "effnet", *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == run(*arguments).stdout


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["classify"], 2, "required"),
        (["nothing"], 2, "unrecognized subcommand 'nothing'"),
        (["classify", "none.png"], 1, "error: none.png: No such file"),
        (["classify", "none.png", "-m", "efficientnet_b00"], 3, "unknown architecture"),
    ],
    ids=str,
)
def test_exit_codes(arguments, code, words):
    done = run(*arguments)
    assert done.returncode == code and words in done.stderr + done.stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
def test_a_closed_pipe_is_no_error(coffee):
    line = f'"{SCRIPT}" classify {coffee} {coffee} --format jsonl | head -c 1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{0\n", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk_is_an_error(coffee):
    with open("/dev/full", "w") as full:
        done = subprocess.run([SCRIPT, "classify", coffee], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write to standard output" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_ends_the_command_as_a_signal_does():
    process = subprocess.Popen(
        [SCRIPT, "bench", "test_efficientnet", "--seconds", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT


@pytest.mark.skipif(os.name == "nt", reason="file names of Unix")
def test_names_that_are_not_unicode(tmp_path, coffee):
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb") as file:
        file.write(coffee.read_bytes())
    assert run("classify", odd, "--format", "csv").returncode == 0
    model = effnet.create_model("test_efficientnet", weights="seeded:0")
    assert np.array_equal(model.logits(os.fsdecode(odd)), model.logits(coffee))
