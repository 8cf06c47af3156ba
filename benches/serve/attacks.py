"""Faults that clients plan: see `faults.py`."""

import json
import threading
import time
import zlib
from pathlib import Path

from harness import MODEL, Load, expect, fault, one_answer_in, until
from wire import FLAG_END_HEADERS, FLAG_END_STREAM, Http2, frame, headers, png


def http2_attack(server, right, send, port=None, connections=20):
    """Sends what `send` makes on many connections, while others are answered and memory stays."""
    before = server.megabytes()
    with Load(server, right) as load:
        for number in range(connections):
            stream = server.connect(port or (server.port if number % 2 else server.grpc))
            try:
                client = Http2(stream)
                for piece in send(client):
                    stream.sendall(piece)
            except OSError:
                pass
            finally:
                stream.close()
    one_answer_in(server, right, 1)
    grown = server.megabytes() - before
    expect(grown < 200, f"memory grew by {grown:.0f} MB")
    return f"{load.answers} answers to others, the slowest after {load.slowest:.2f} s, {grown:+.0f} MB"


GET = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/models")]


@fault()
def http2_rapid_reset(server, right):
    def send(_):
        for start in range(1, 20001, 200):
            yield b"".join(
                frame(1, FLAG_END_HEADERS | FLAG_END_STREAM, stream, headers(GET)) + frame(3, 0, stream, b"\0\0\0\x08")
                for stream in range(start, start + 200, 2)
            )

    return http2_attack(server, right, send)


@fault()
def http2_floods(server, right):
    def settings(_):
        for _ in range(200):
            yield frame(4, 0, 0, b"") * 1000

    def pings(_):
        for _ in range(200):
            yield frame(6, 0, 0, b"12345678") * 500

    def continuations(_):
        yield frame(1, 0, 1, headers(GET))
        for _ in range(500):
            yield frame(9, 0, 1, headers([("x", "y" * 16000)]))

    def huge_headers(_):
        for stream in range(1, 400, 2):
            yield frame(1, 0, stream, headers(GET))
            for _ in range(6):
                yield frame(9, 0, stream, headers([("x", "y" * 10000)]))
            yield frame(9, FLAG_END_HEADERS, stream, headers([("x", "y" * 10000)]))

    def empty_data(_):
        post = [(":method", "POST"), *GET[1:3], (":path", "/classify")]
        yield frame(1, FLAG_END_HEADERS, 1, headers(post))
        for _ in range(200):
            yield frame(0, 0, 1, b"") * 500

    floods = (settings, pings, continuations, huge_headers, empty_data)
    return "; ".join(f"{flood.__name__}: {http2_attack(server, right, flood)}" for flood in floods)


@fault("--body-timeout", "3s", "--idle-timeout", "5s")
def answers_that_nobody_takes_over_http2(server, right):
    """The window for answers stays closed, and pings keep the connection busy."""
    before = server.megabytes()
    clients = []
    for _ in range(50):
        client = Http2(server.connect(), window=0)
        for stream in range(1, 200, 2):
            path = [*GET[:3], (":path", "/openapi.json")]
            client.send(frame(1, FLAG_END_HEADERS | FLAG_END_STREAM, stream, headers(path)))
        clients.append(client)
    begin = time.monotonic()
    left = clients
    while left and time.monotonic() - begin < 15:
        left = [client for client in left if client.is_open()]
        time.sleep(0.5)
    grown = server.megabytes() - before
    took = time.monotonic() - begin
    for client in clients:
        client.stream.close()
    expect(not left, f"{len(left)} connections are still open after {took:.0f} s, {grown:+.0f} MB")
    return f"5,000 answers; the connections ended after {took:.0f} s, {grown:+.0f} MB"


@fault("--body-timeout", "3s", "--idle-timeout", "3s")
def answers_that_nobody_takes(server, right):
    ask = b"GET /page/page.css HTTP/1.1\r\nHost: a\r\n\r\n"
    size = len(server.get("/page/page.css")[1])
    before, streams = server.megabytes(), []
    for _ in range(1000):
        stream = server.connect(receive=2048)
        stream.sendall(ask * 50)
        streams.append(stream)
    slowest = max(one_answer_in(server, right, 5) for _ in range(10))
    peak = server.megabytes() - before
    begin = time.monotonic()
    # What the system's buffers take is over for the server: such a connection is idle.
    until(lambda: server.level()[0] < 100, 30, "connections that take nothing stay open")
    took = time.monotonic() - begin
    for stream in streams:
        stream.close()
    expect(peak < 300, f"{peak:.0f} MB")
    return f"1,000 times 50 answers of {size >> 10} KiB: {peak:+.0f} MB, ended after {took:.0f} s; others waited {slowest:.2f} s at most"


@fault("--timeout", "120s")
def images_that_ask_for_much(server, right):
    bodies = [png(9_000, 9_000, gray=gray) for gray in (False, True)]
    before = server.megabytes()
    statuses = []

    def ask(number):
        statuses.append(server.ask("POST", "/classify", bodies[number % 2], timeout=150)[0])

    threads = [threading.Thread(target=ask, args=[number]) for number in range(64)]
    for thread in threads:
        thread.start()
    peak = 0
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, server.megabytes())
        time.sleep(0.02)
    expect(set(statuses) <= {200, 413, 429, 504}, f"{sorted(set(statuses))}")
    # All decoders together have 2 GiB.
    expect(peak - before < 2300, f"{peak - before:.0f} MB")
    one_answer_in(server, right, 1)
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return f"64 at once: {counts}, {peak:.0f} MB at most, {server.megabytes():.0f} MB after"


@fault("--max-body", "8MiB")
def bodies_that_grow(server, right):
    """Compressed bodies are small on their way, and JSON is small for what it says."""
    before, peak = server.megabytes(), 0
    grown = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = grown.compress(b" " * (8 << 20))
    body += grown.flush(zlib.Z_SYNC_FLUSH)
    streams = []
    for _ in range(300):
        stream = server.connect()
        lines = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
        stream.sendall(lines.encode() + f"Content-Length: {len(body) + 10}\r\n\r\n".encode() + body)
        streams.append(stream)
        peak = max(peak, server.megabytes())
    time.sleep(1)
    held = max(peak, server.megabytes()) - before
    for stream in streams:
        stream.close()
    # 16 bodies of the largest size may be there at once.
    expect(held < 16 * 8 * 2, f"300 compressed bodies of 8 KiB take {held:.0f} MB")
    return f"300 compressed bodies: {held:+.0f} MB"


@fault("--max-body", "8MiB")
def lists_without_end(server, right):
    before, peak = server.megabytes(), 0
    empty = b'{"images": [' + b'"",' * 2_700_000 + b'""]}'
    keys = b'{"inputs": [], "parameters": {' + b",".join(b'"%d":1' % n for n in range(600_000)) + b"}}"
    sizes = b'{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [' + b"1," * 4_000_000 + b"1]}]}"
    deep = b'{"images": ' + b"[" * 100_000
    name = json.dumps({"image": "", "model": "\0" * 1_300_000}).encode()
    for path, kind, body in [
        ("/classify", "application/json", empty),
        ("/classify", "application/json", deep),
        ("/classify", "application/json", name),
        (f"/v2/models/{MODEL}/infer", "application/json", keys),
        (f"/v2/models/{MODEL}/infer", "application/json", sizes),
        (f"/v2/models/{MODEL}/infer", "application/json", b"[" * 8_000_000),
    ]:
        threads = [
            threading.Thread(target=server.ask, args=["POST", path, body, {"Content-Type": kind}]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, server.megabytes())
            time.sleep(0.005)
        status, answer = server.ask("POST", path, body, {"Content-Type": kind})
        expect(400 <= status < 500 and len(answer) < 4096, f"{body[:30]}...: {status} with {len(answer)} bytes")
    expect(peak - before < 600, f"{peak - before:.0f} MB for 8 bodies of 8 MiB at once")
    log = Path(server.log.name).stat().st_size
    expect(log < 4 << 20, f"{log >> 20} MB of log")
    return f"{peak - before:+.0f} MB at most"
