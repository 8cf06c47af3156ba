"""HTTP/2, gRPC and PNG, as much as `faults.py` needs to say wrong things in them."""

import struct
import zlib

FLAG_END_STREAM, FLAG_END_HEADERS = 0x1, 0x4


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(fields):
    """Literal fields without a table and without Huffman codes."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def text(value):
    value = value.encode()
    length = len(value)
    if length < 127:
        return bytes([length]) + value
    head, length = bytearray([127]), length - 127
    while length >= 128:
        head.append(length % 128 + 128)
        length //= 128
    return bytes(head) + bytes([length]) + value


class Http2:
    """A client's side of a connection."""

    def __init__(self, stream, window=(1 << 31) - 1):
        self.stream, self.next, self.buffer = stream, 1, b""
        self.bodies, self.ended, self.pongs = {}, set(), 0
        # SETTINGS_INITIAL_WINDOW_SIZE, and the connection's window.
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, window)))
        if window:
            self.send(frame(8, 0, 0, struct.pack(">I", (1 << 31) - 1 - 65535)))
        # What may be sent: windows for the connection and for each stream.
        self.room, self.rooms = 65535, {}
        self.start = None
        while self.start is None:
            self.read()

    def send(self, data):
        self.stream.sendall(data)

    def read(self):
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    break
            more = self.stream.recv(65536)
            if not more:
                raise OSError("the connection is closed")
            self.buffer += more
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
        if kind == 0:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        elif kind == 3:
            self.ended.add(stream)
            self.bodies[stream] = None
        elif kind == 4 and not flags & 1:
            found = dict(struct.iter_unpack(">HI", payload))
            self.start = found.get(4, 65535)
            self.send(frame(4, 1, 0, b""))
        elif kind == 6:
            self.pongs += flags & 1
            if not flags & 1:
                self.send(frame(6, 1, 0, payload))
        elif kind == 8:
            (more,) = struct.unpack(">I", payload)
            if stream:
                self.rooms[stream] = self.rooms.get(stream, self.start) + more
            else:
                self.room += more
        if kind in (0, 1) and flags & FLAG_END_STREAM:
            self.ended.add(stream)

    def begin(self, message):
        """Sends a call of ModelInfer; gives its stream."""
        stream, self.next = self.next, self.next + 2
        path = "/inference.GRPCInferenceService/ModelInfer"
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        fields += [("content-type", "application/grpc"), ("te", "trailers")]
        self.send(frame(1, FLAG_END_HEADERS, stream, headers(fields)))
        data = b"\0" + struct.pack(">I", len(message)) + message
        while data:
            room = min(self.room, self.rooms.setdefault(stream, self.start), 16384, len(data))
            if room <= 0:
                self.read()
                continue
            piece, data = data[:room], data[room:]
            self.room -= room
            self.rooms[stream] -= room
            self.send(frame(0, 0 if data else FLAG_END_STREAM, stream, piece))
        return stream

    def answer(self, stream):
        while stream not in self.ended:
            self.read()
        return self.bodies.get(stream)

    def call(self, message):
        return self.answer(self.begin(message))

    def ping(self):
        pongs = self.pongs
        self.send(frame(6, 0, 0, b"12345678"))
        while self.pongs == pongs:
            self.read()

    def rest(self):
        """Reads until the server ends the connection."""
        try:
            while True:
                self.read()
        except OSError:
            pass

    def is_open(self):
        try:
            self.stream.settimeout(5)
            self.ping()
            return True
        except OSError:
            return False


def field(number, payload):
    length, size = len(payload), bytearray()
    while length >= 128:
        size.append(length % 128 + 128)
        length //= 128
    return bytes([number << 3 | 2]) + bytes(size) + bytes([length]) + payload


def grpc_infer(model, image):
    """A ModelInferRequest with one image's file."""
    tensor = field(1, b"image") + field(2, b"BYTES") + field(3, b"\1")
    raw = struct.pack("<I", len(image)) + image
    return field(1, model.encode()) + field(5, tensor) + field(7, raw)


def png(width, height, gray):
    """A black image, which is small as a file."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + width * (1 if gray else 3))
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if gray else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
