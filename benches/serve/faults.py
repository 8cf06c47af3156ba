"""Does to `effnet serve` what clients, disks and operators do on bad days, and says of each whether it bore it.

    faults.py [--program PATH] [FAULT...]      all faults if none is named; --list names them

Every answer is compared with those of `effnet classify`, byte for byte. After each fault the server must have as many
descriptors and threads as before. Exit code 1 if anything went wrong. Linux; it needs 22,000 open files for itself.
"""

import argparse
import http.client
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attacks  # Adds its faults to FAULTS.
import harness
from harness import FAULTS, IMAGES, MODEL, Load, Server, Wrong, alone, expect, fault
from harness import one_answer_in, right_answers, seen_answers, until
from wire import Http2, grpc_infer

HEAD = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n"


@fault()
def clients_that_vanish_in_mid_body(server, right):
    body = right["coffee.png"][0]
    with Load(server, right):
        for number in range(3000):
            stream = server.connect()
            stream.sendall(HEAD.format("/classify", len(body)).encode() + body[: random.randrange(len(body) // 4)])
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
    return "3000 clients"


@fault("--header-timeout", "2s")
def slow_heads(server, right):
    streams = [server.connect() for _ in range(500)]
    for stream in streams:
        stream.sendall(b"POST /classify HTTP/1.1\r\nX: ")
    return trickle(server, right, streams)


@fault("--body-timeout", "2s")
def slow_bodies(server, right):
    streams = [server.connect() for _ in range(500)]
    for stream in streams:
        stream.sendall(HEAD.format("/classify", 100_000).encode())
    return trickle(server, right, streams)


def trickle(server, right, streams):
    """Sends a byte on each stream every 0.2 s, longer than the server bears it."""
    begin, slowest = time.monotonic(), 0.0
    while time.monotonic() - begin < 4:
        for stream in streams:
            try:
                stream.sendall(b"x")
            except OSError:
                pass
        slowest = max(slowest, one_answer_in(server, right, 1))
        time.sleep(0.2)
    return closed(streams) + f"; others waited {slowest:.2f} s at most"


def closed(streams):
    open_ones = 0
    for stream in streams:
        stream.settimeout(3)
        try:
            while stream.recv(4096):
                pass
        except TimeoutError:
            open_ones += 1
        except OSError:
            pass
        stream.close()
    expect(open_ones == 0, f"{open_ones} connections are still open")
    return f"{len(streams)} connections ended"


@fault("--max-connections", "11000", "--header-timeout", "30s")
def idle_connections(server, right):
    before = server.megabytes()
    streams = [server.connect() for _ in range(10_000)]
    with Load(server, right) as load:
        time.sleep(3)
    slowest = max(one_answer_in(server, right, 1) for _ in range(20))
    grown = server.megabytes() - before
    for stream in streams:
        stream.close()
    expect(grown < 300, f"{grown:.0f} MB for 10,000 idle connections")
    return f"10,000 of them take {grown:.0f} MB; a new request waited {max(slowest, load.slowest):.2f} s at most"


@fault("--max-connections", "1000", "--header-timeout", "30s")
def idle_connections_beyond_the_limit(server, right):
    streams = [server.connect() for _ in range(1900)]
    took = one_answer_in(server, right, 4)
    for stream in streams:
        stream.close()
    return f"1,900 with room for 1,000; a new request waited {took:.2f} s"


@fault()
def lengths_that_lie(server, right):
    body = right["coffee.png"][0]
    size = len(body)
    post = b"POST /classify HTTP/1.1\r\nHost: a\r\n"
    for fields, sent, statuses in [
        (f"Content-Length: {2**63}", body, (400, 413)),
        (f"Content-Length: {2**64 - 1}", body, (400, 413, 431)),
        (f"Content-Length: {2**64}", body, (400,)),
        ("Content-Length: 0", b"", (400, 422)),
        ("Content-Length: -1", body, (400,)),
        (f"Content-Length: {size - 100}", body, (422,)),
        (f"Content-Length: {size}\r\nContent-Length: {size + 1}", body, (400,)),
        (f"Content-Length: {size}, {size}", body, (400,)),
        (f"Transfer-Encoding: chunked\r\nContent-Length: {size}", b"0\r\n\r\n", (400, 422)),
        ("Transfer-Encoding: chunked, identity", b"0\r\n\r\n", (400,)),
        ("Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n", (400,)),
        ("Transfer-Encoding: chunked", b"-1\r\n", (400,)),
    ]:
        stream = server.connect()
        answer = b""
        # A server that has answered may have ended the connection.
        try:
            stream.sendall(post + b"Connection: close\r\n" + fields.encode() + b"\r\n\r\n" + sent)
        except OSError:
            pass
        try:
            while more := stream.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        stream.close()
        status = int(answer[9:12] or 0)
        expect(status in statuses, f"{fields}: {answer[:200]}")
    stream = server.connect()
    stream.sendall(post + f"Content-Length: {size + 100}\r\n\r\n".encode() + body)
    stream.shutdown(socket.SHUT_WR)
    answer = stream.recv(65536)
    expect(not answer.startswith(b"HTTP/1.1 200"), f"a body that is too short has an answer: {answer[:200]}")
    return "13 heads"


@fault()
def pipelined_requests(server, right):
    names = [random.choice(list(right)) for _ in range(100)]
    stream = server.connect()

    def send():
        for name in names:
            body = right[name][0]
            stream.sendall(HEAD.format("/classify", len(body)).encode() + body)

    sender = threading.Thread(target=send)
    sender.start()
    reader = stream.makefile("rb")
    for name in names:
        response = http.client.HTTPResponse(stream)
        response.fp = reader
        response.begin()
        body = response.read(response.length)
        expect(response.status == 200 and body in right[name][1], f"{name}: {response.status} {body[:200]}")
        # http.client closes its file at the end of each answer.
        reader = reader if not reader.closed else stream.makefile("rb")
    sender.join()
    stream.close()
    return "100 in a row"


@fault()
def broken_images_under_load(server, right):
    with Load(server, right, broken=0.1) as load:
        time.sleep(5)
    return f"{load.answers} answers, a tenth of them refusals"


@fault()
def a_client_is_killed_in_mid_batch(server, right):
    with Load(server, right) as load:
        for _ in range(20):
            client = subprocess.Popen([sys.executable, __file__, "--many", str(server.port)], stdout=subprocess.PIPE)
            client.stdout.readline()
            time.sleep(random.random() / 10)
            client.kill()
            client.wait()
            client.stdout.close()
    return f"20 kills, {load.answers} answers to others"


def ask_for_many(port):
    """What a client does until it is killed."""
    image = IMAGES[0].read_bytes()
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n' + image + b"\r\n"
    body = part * 60 + b"--x--\r\n"
    head = f"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    streams = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    for stream in streams:
        stream.sendall(head.encode() + body)
    print("sent", flush=True)
    time.sleep(60)


@fault(None)
def sigterm_under_load(_, right):
    answers = 0
    for _ in range(10):
        with alone("--log-level", "warn") as server:
            with Load(server, seen_answers(server, right)) as load:
                time.sleep(random.random())
                load.ending = True
                server.stop()
                server.has_ended()
            answers += load.answers
    return f"10 times, {answers} answers, none lost"


@fault(None)
def sigterm_with_grpc_calls(_, right):
    answers = 0
    for _ in range(5):
        with alone("--log-level", "warn") as server:
            message = grpc_infer(MODEL, right["coffee.png"][0])
            client = Http2(server.connect(server.grpc))
            expected = client.call(message)
            expect(expected and len(expected) > 4000, f"no answer: {expected}")
            clients = [Http2(server.connect(server.grpc)) for _ in range(4)]
            asked = [(client, client.begin(message)) for client in clients for _ in range(10)]
            # All of them have come once later questions on the same connections are answered.
            for client in clients:
                client.ping()
            server.stop()
            for client, stream in asked:
                expect(client.answer(stream) == expected, "a call has another answer, or none")
            answers += len(asked)
            # The clients answer the pings that precede the end of their connections.
            for client in clients:
                client.rest()
            server.has_ended()
    return f"5 times, {answers} calls in flight, none lost"


def checkpoint(path, seed):
    """Weights for the small network, renamed into place."""
    values = random.Random(seed)
    report = subprocess.run([harness.PROGRAM, "map", "test_efficientnet", "--format", "json"], check=True, capture_output=True)
    table, data = {}, bytearray()
    for tensor in json.loads(report.stdout):
        name, shape = tensor["name"], tensor["shape"]
        count = 1
        for side in shape:
            count *= side
        fan_in = max(1, count // shape[0])
        if name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")):
            numbers = [1.0] * count
        else:
            numbers = [values.gauss(0, (2 / fan_in) ** 0.5 if len(shape) > 1 else 0.1) for _ in range(count)]
        begin = len(data)
        data += struct.pack(f"<{count}f", *numbers)
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    head = json.dumps(table).encode()
    new = path.with_suffix(".new")
    new.write_bytes(struct.pack("<Q", len(head)) + head + data)
    new.rename(path)


@fault(None)
def model_swapped_under_load(_, right):
    with tempfile.TemporaryDirectory() as folder:
        file, config = Path(folder) / "swap.safetensors", Path(folder) / "serve.toml"
        config.write_text(f'[[model]]\nname = "swap"\nmodel = "test_efficientnet"\nweights = "{file}"\n')
        both = {}
        kept = [Path(folder) / f"{seed}.safetensors" for seed in (1, 2)]
        for seed, one in enumerate(kept, 1):
            checkpoint(one, seed)
        for one in kept:
            os.link(one, file)
            with alone("--config", config) as server:
                for name, (body, _) in right.items():
                    both.setdefault(name, (body, set()))[1].add(server.ask("POST", "/classify", body)[1])
            file.unlink()
        expect(all(len(answers) == 2 for _, answers in both.values()), "the two checkpoints answer alike")
        os.link(kept[0], file)
        with alone("--config", config, "--log-level", "warn") as server:
            sizes = []
            with Load(server, both) as load:
                for number in range(50):
                    new = Path(folder) / "new"
                    os.link(kept[(number + 1) % 2], new)
                    new.rename(file)
                    status, answer = server.ask("POST", "/v2/repository/models/swap/load")
                    expect(status == 200, f"{status} {answer}")
                    now = server.ask("POST", "/classify", right["coffee.png"][0])[1]
                    expect(now in both["coffee.png"][1], f"{now[:200]}")
                    sizes.append(server.megabytes())
            until(lambda: server.level()[1] <= 40, 20, f"{server.level()[1]} threads are left")
            grown = sizes[-1] - sizes[9]
            expect(grown < 20, f"memory grew by {grown:.0f} MB from the 10th to the 50th load")
            server.end()
    return f"50 loads, {load.answers} answers, {sizes[9]:.0f} MB after 10 loads, {sizes[-1]:.0f} MB after 50"


@fault(None)
def disk_full_for_the_log(_, right):
    with alone("--log-file", "/dev/full") as server:
        with Load(server, seen_answers(server, right)) as load:
            time.sleep(2)
        lost = server.meter("effnet_log_lines_lost_total")
        expect(lost >= load.answers, f"{lost} lines lost are counted, of {load.answers}")
        server.end()
    return f"/dev/full: {load.answers} answers, {lost:.0f} lost lines counted" + a_small_disk(right)


def a_small_disk(right):
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True).returncode:
            return "; a small disk cannot be mounted here"
        try:
            log, ballast = Path(folder) / "log", Path(folder) / "ballast"
            with alone("--log-file", log) as server:
                ballast.write_bytes(b"x" * 32768)
                with Load(server, seen_answers(server, right)):
                    until(lambda: server.meter("effnet_log_lines_lost_total") > 100, 30, "the disk is not full")
                    ballast.unlink()
                    before = log.stat().st_size
                    until(lambda: log.stat().st_size > before, 10, "the log does not go on when there is room again")
                server.end()
            lines = log.read_text().splitlines()
            # The disk was full twice.
            torn = sum("answered" not in line for line in lines[-50:])
            expect(torn <= 2, f"{torn} torn lines")
        finally:
            subprocess.run(["umount", folder], check=True)
    return "; a small disk: the log went on when there was room again"


def settled(server, level):
    def is_settled():
        files, threads = server.level()
        return files <= level[0] and threads <= level[1]

    try:
        until(is_settled, 30, "")
    except Wrong:
        raise Wrong(f"{server.level()} descriptors and threads, {level} before") from None


def run(name, function, options, right, usual):
    if options == (None,):
        return function(None, right)
    server = Server("--log-level", "warn", *options) if options else usual
    try:
        answers = seen_answers(server, right)
        # The first load starts threads that stay.
        with Load(server, answers):
            time.sleep(1)
        level = server.level()
        says = function(server, answers)
        settled(server, level)
        one_answer_in(server, answers, 2)
        if options:
            server.end()
        return says
    finally:
        if options:
            server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--many", type=int, help=argparse.SUPPRESS)
    parser.add_argument("faults", nargs="*")
    given = parser.parse_args()
    if given.many:
        return ask_for_many(given.many)
    if given.list:
        return print("\n".join(name for name, *_ in FAULTS))
    harness.PROGRAM = given.program or harness.PROGRAM
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    chosen = [row for row in FAULTS if row[0] in given.faults or not given.faults]
    right = right_answers()
    usual, failed = Server("--log-level", "warn"), False
    with Load(usual, seen_answers(usual, right)):
        time.sleep(5)
    warm = usual.megabytes()
    for name, function, options in chosen:
        begin = time.monotonic()
        try:
            says = "ok: " + run(name, function, options, right, usual)
        except Exception as error:
            failed, says = True, f"WRONG: {error!r}"
        print(f"{name} ({time.monotonic() - begin:.0f} s): {says}", flush=True)
    with Load(usual, seen_answers(usual, right)):
        time.sleep(5)
    now = usual.megabytes()
    grown = now / warm - 1
    failed |= grown > 0.1
    print(f"memory after all: {now:.0f} MB, {warm:.0f} MB after the first load ({grown:+.1%})")
    usual.end()
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        sys.exit(f"WRONG: {wrong}")
