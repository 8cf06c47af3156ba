"""Any number of images: in order, few at a time, beside other Python code, and ended by Ctrl-C."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import effnet
import numpy as np
import pytest


def test_few_images_are_read_ahead(small, coffee):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield coffee

    results = small.classify_each(endless(), batch_size=4)
    assert taken == 0
    for done, (image, predictions) in enumerate(itertools.islice(results, 100), start=1):
        assert image is coffee and len(predictions) == 5
        assert done < taken <= done + 3 * 4
    assert isinstance(results, effnet.Results) and iter(results) is results


def test_errors_in_their_places(small, coffee):
    images = [coffee, "none.png", coffee, 7, coffee]
    results = [result for _, result in small.logits_each(images, batch_size=2, errors="return")]
    assert [type(result) for result in results] == [np.ndarray, effnet.ImageError, np.ndarray, TypeError, np.ndarray]
    assert small.logits(images, batch_size=2, errors="return")[1].args == results[1].args
    seen = []
    with pytest.raises(effnet.ImageError, match="none.png"):
        for image, _ in small.logits_each(images, batch_size=2):
            seen.append(image)
    assert seen == [coffee]
    with pytest.raises(effnet.ImageError, match="none.png"):
        small.logits(images)


def test_an_error_of_the_iterable_comes_after_the_images_before_it(small, coffee):
    def broken():
        yield coffee
        yield coffee
        raise KeyError("the list is broken")

    seen = []
    with pytest.raises(KeyError, match="the list is broken"):
        for image, _ in small.logits_each(broken(), errors="return"):
            seen.append(image)
    assert seen == [coffee, coffee]
    with pytest.raises(KeyError):
        small.logits(broken(), errors="return")


def test_the_iterable_runs_on_the_callers_thread(small, coffee):
    threads = set()

    def images():
        for _ in range(30):
            threads.add(threading.get_ident())
            yield coffee

    assert len(list(small.logits_each(images()))) == 30
    assert threads == {threading.get_ident()}


def test_one_image_is_not_a_stream(small, coffee):
    for image in (coffee, str(coffee), coffee.read_bytes(), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(TypeError, match="an iterable of images, not one image"):
            small.logits_each(image)
    with pytest.raises(TypeError, match="not int"):
        small.logits_each(7)


def test_other_threads_run_meanwhile(small, coffee):
    """With the GIL held, the other thread could count only between two calls."""
    model = effnet.create_model("efficientnet_b0", weights="seeded:0", img_size=512, threads=1)
    model.logits(coffee)
    counts, done = [], threading.Event()

    def count():
        while not done.is_set():
            counts.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    begin = time.monotonic()
    model.logits([coffee] * 8)
    end = time.monotonic()
    done.set()
    thread.join()
    inside = [moment for moment in counts if begin < moment < end]
    assert len(inside) > 10 * (end - begin)


def test_a_stream_that_is_left_ends(small, coffee):
    before = threads_of_this_process()
    for _ in range(20):
        next(small.logits_each(itertools.repeat(coffee)))
    deadline = time.monotonic() + 20
    while threads_of_this_process() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threads_of_this_process() <= before


def threads_of_this_process():
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("threads are counted in /proc")
    return len(os.listdir("/proc/self/task"))


ENDLESS = """
import itertools, sys, effnet
model = effnet.create_model("test_efficientnet", weights="seeded:0")
image = sys.argv[1]
print("ready", flush=True)
try:
    model.logits(itertools.repeat(image))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    print(model.logits(image).shape, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_a_long_call(coffee):
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, coffee], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert out == "interrupted\n(1000,)\n" and process.returncode == 0
    assert time.monotonic() - begin < 30


MANY = """
import resource, sys, effnet
model = effnet.create_model("test_efficientnet", weights="seeded:0", threads=2)
data = open(sys.argv[1], "rb").read()
def peak(count):
    for _, logits in model.logits_each(bytes(data) + bytes(1) for _ in range(count)):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
few = peak(100)
print(few, peak(1000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is Unix's")
def test_memory_does_not_grow_with_images(coffee):
    few, many = map(int, subprocess.check_output([sys.executable, "-c", MANY, coffee], text=True).split())
    assert many < few * 1.2, (few, many)
