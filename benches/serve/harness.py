"""The server and its usual clients, for `faults.py`."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = [ROOT / "examples/images" / name for name in ("coffee.png", "rocket.jpg", "chelsea.png")]
MODEL = "tf_efficientnet_lite0.in1k"
PROGRAM = ROOT / "target/release/effnet"
FAULTS = []


class Wrong(Exception):
    """What a fault did that it must not."""


def fault(*options):
    """A fault, and the options of the server that it needs besides the usual ones."""

    def add(function):
        FAULTS.append((function.__name__, function, options))
        return function

    return add


def expect(condition, says):
    if not condition:
        raise Wrong(says)


class Server:
    def __init__(self, *options):
        self.port, self.grpc = free_port(), free_port()
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        addresses = ["--bind", f"127.0.0.1:{self.port}", "--grpc-bind", f"127.0.0.1:{self.grpc}"]
        command = [PROGRAM, "serve", *addresses, *options]
        self.process = subprocess.Popen(command, stderr=self.log)
        until(lambda: self.process.poll() is not None or self.is_ready(), 60, "the server is not ready")
        expect(self.process.poll() is None, "the server did not start: " + Path(self.log.name).read_text()[-500:])

    def is_ready(self):
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def connect(self, port=None, receive=None):
        stream = socket.socket()
        if receive:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        stream.settimeout(30)
        stream.connect(("127.0.0.1", port or self.port))
        return stream

    def get(self, path):
        return self.ask("GET", path)

    def ask(self, method, path, body=None, headers={}, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def status(self, key):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise Wrong("the server is gone")

    def megabytes(self):
        return self.status("VmRSS") / 1024

    def level(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd")), self.status("Threads")

    def meter(self, name):
        lines = self.get("/metrics")[1].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def has_ended(self, code=0):
        ended = self.process.wait(60)
        expect(ended == code, f"the server ended with {ended}, not {code}")

    def end(self):
        self.stop()
        self.has_ended()

    def kill(self):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds, says):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, says)
        time.sleep(0.02)


class Load:
    """Threads that ask on connections of their own, and compare every answer."""

    def __init__(self, server, right, threads=6, broken=0.0):
        self.server, self.right, self.broken = server, right, broken
        self.answers, self.slowest, self.wrong, self.stopping = 0, 0.0, [], False
        # Told to end, a server refuses new connections; those that it has are answered.
        self.ending = False
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: self.answers > 20 or self.wrong, 60, "no answers")
        return self

    def __exit__(self, kind, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
            expect(not thread.is_alive(), "a client waits forever")
        if kind is None:
            expect(not self.wrong, f"{len(self.wrong)} of {self.answers} wrong: {self.wrong[:2]}")

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        while not self.stopping:
            name = random.choice(list(self.right))
            body, right = self.right[name]
            is_broken = random.random() < self.broken
            begin = time.monotonic()
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError as error:
                if not self.ending:
                    self.wrong.append(f"no connection: {error}")
                return
            try:
                connection.request("POST", "/classify", body[: len(body) // 3] if is_broken else body)
                response = connection.getresponse()
                status, answer = response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"lost: {error!r}")
                return
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.answers += 1
            # A torn PNG is refused; so is a torn JPEG.
            is_right = status == 422 if is_broken else status == 200 and answer in right
            if not is_right:
                self.wrong.append(f"{name}: {status} {answer[:200]}")
        connection.close()


def right_answers(*model):
    """The bodies, and what the command says of each as the server would."""
    right = {}
    for path in IMAGES:
        command = [PROGRAM, "classify", *model, "--format", "json", path]
        record = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]
        record["image"] = "image"
        right[path.name] = (path.read_bytes(), record)
    return right


def seen_answers(server, right):
    """The server's bytes for each image, which must say what the command says."""
    seen = {}
    for name, (body, record) in right.items():
        status, answer = server.ask("POST", "/classify", body)
        found = json.loads(answer)
        found["model"] = record["model"]
        expect(status == 200 and found == record, f"{name}: {answer[:300]}, the command says {record}")
        seen[name] = (body, {answer})
    return seen


def one_answer_in(server, right, seconds):
    body, answers = right["coffee.png"]
    begin = time.monotonic()
    status, answer = server.ask("POST", "/classify", body)
    took = time.monotonic() - begin
    expect(status == 200 and answer in answers, f"{status} {answer[:200]}")
    expect(took < seconds, f"a new request took {took:.2f} s")
    return took


@contextmanager
def alone(*options):
    server = Server(*options)
    try:
        yield server
    finally:
        server.kill()
