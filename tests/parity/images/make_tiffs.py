"""Writes tests/data/images/tiff: small TIFFs of every kind, and goldens.json, which says what
Pillow makes of each. See README.md. Files that no encoder writes (reversed bits, a JPEG too large
for its strip) are put together here."""

import hashlib
import io
import itertools
import json
import pathlib
import struct
import sys
import warnings
import zlib

import imagecodecs
import numpy as np
from PIL import Image

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "data/images/tiff")
RNG = np.random.Generator(np.random.PCG64(14))
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
# Rows of Pillow's OPEN_INFO: photometric, sample format, bits, samples, extra samples.
KINDS = [
    (0, 1, 1, 1, []), (0, 1, 2, 1, []), (0, 1, 4, 1, []), (0, 1, 8, 1, []), (0, 1, 16, 1, []), (0, 3, 32, 1, []),
    (1, 1, 1, 1, []), (1, 1, 2, 1, []), (1, 1, 4, 1, []), (1, 1, 8, 1, []), (1, 2, 8, 1, []), (1, 1, 12, 1, []),
    (1, 1, 16, 1, []), (1, 2, 16, 1, []), (1, 1, 32, 1, []), (1, 2, 32, 1, []), (1, 3, 32, 1, []),
    (1, 1, 8, 2, [0]), (1, 1, 8, 2, [1]), (1, 1, 8, 2, [2]), (1, 1, 16, 2, [2]),
    (2, 1, 8, 3, []), (2, 1, 8, 4, []), (2, 1, 8, 4, [0]), (2, 1, 8, 5, [0, 0]), (2, 1, 8, 6, [0, 0, 0]),
    (2, 1, 8, 4, [1]), (2, 1, 8, 5, [1, 0]), (2, 1, 8, 6, [1, 0, 0]), (2, 1, 8, 4, [2]), (2, 1, 8, 5, [2, 0]),
    (2, 1, 8, 6, [2, 0, 0]), (2, 1, 8, 4, [999]), (2, 1, 16, 3, []), (2, 1, 16, 4, []), (2, 1, 16, 4, [0]),
    (2, 1, 16, 4, [1]), (2, 1, 16, 4, [2]), (2, 3, 32, 3, []), (3, 1, 1, 1, []), (3, 1, 2, 1, []), (3, 1, 4, 1, []),
    (3, 1, 8, 1, []), (3, 1, 8, 2, [0]), (3, 1, 8, 2, [2]), (5, 1, 8, 4, []), (5, 1, 8, 5, [0]), (5, 1, 8, 6, [0, 0]),
    (5, 1, 16, 4, []), (6, 1, 8, 1, []), (6, 1, 8, 3, []), (8, 1, 8, 3, []), (8, 1, 16, 3, []),
]
ENCODE = {
    1: bytes, 5: imagecodecs.lzw_encode, 8: zlib.compress, 32773: imagecodecs.packbits_encode,
    34925: imagecodecs.lzma_encode, 50000: imagecodecs.zstd_encode,
}
# The quantization steps of a 12-bit JPEG of quality 80.
STEPS_12 = bytes.fromhex(
    "06040506050406060506070706080a100a0a09090a140e0f0c10171418181714"
    "16161a1d251f1a1b231c1616202c20232627292a29191f2d302d283025282928"
)
TYPES = {2: "B", 3: "H", 4: "L", 7: "B", 16: "Q"}


def tiff(name, tags, chunks, order="<", big=False, tiled=False, header=None):
    """`tags`: number to (type, values); None leaves the tag out."""
    field, size = (8, "Q") if big else (4, "L")
    body = bytearray()
    start = 16 if big else 8
    offsets = []
    for chunk in chunks:
        offsets.append(start + len(body))
        body += chunk + b"\0" * (len(chunk) % 2)
    where = (324, 325) if tiled else (273, 279)
    tags = {where[0]: (4, offsets), where[1]: (4, [len(chunk) for chunk in chunks]), **tags}
    entries = []
    for tag, value in sorted(tags.items()):
        if value is None:
            continue
        kind, values = value
        if kind == 5:
            data = struct.pack(f"{order}{2 * len(values)}L", *itertools.chain(*values))
        elif isinstance(values, bytes):
            data = values
        else:
            data = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
        if len(data) > field:
            at = struct.pack(order + size, start + len(body))
            body += data + b"\0" * (len(data) % 2)
            data = at
        entries.append(struct.pack(f"{order}HH{size}", tag, kind, len(values)) + data.ljust(field, b"\0"))
    directory = start + len(body)
    mark = b"II" if order == "<" else b"MM"
    if header is None:
        header = mark + struct.pack(f"{order}HHH" if big else f"{order}H", *((43, 8, 0) if big else (42,)))
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    file = header + struct.pack(order + size, directory) + body + count + b"".join(entries) + b"\0" * field
    (OUT / name).write_bytes(file)


def picture(width, height, samples, bits, kind=UNSIGNED):
    y, x = np.mgrid[:height, :width]
    most = (1 << min(bits, 16)) - 1
    bands = [((x * (s + 2) * 7 + y * (5 - s) * 3) % 97) * most // 96 for s in range(samples)]
    noise = RNG.integers(0, most // 9 + 2, (height, width, samples))
    values = (np.stack(bands, -1) + noise) & most
    if kind == FLOAT:
        return (values / 200 - 20).astype(np.float32)
    return values - most // 3 if kind == SIGNED else values


def pack(values, bits, kind=UNSIGNED, order="<"):
    """Packs rows of samples; each row begins at a byte."""
    if bits in (1, 2, 4, 12):
        rows = ("".join(f"{int(value):0{bits}b}" for value in row.ravel()) for row in values)
        rows = (row.ljust(-(-len(row) // 8) * 8, "0") for row in rows)
        return b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    return values.astype(f"{order}{'?uif'[kind]}{bits // 8}").tobytes()


def make(name, kind, compression=8, order="<", planar=1, fill=1, predictor=1, tile=None, rows=None, big=False,
         size=(19, 11), tags={}):
    photometric, form, bits, samples, extra = kind
    width, height = size
    image = picture(width, height, samples, bits, form)
    if form != FLOAT and bits >= 8 and bits != 12:
        image = image.astype(f"{'?ui'[form]}{bits // 8}")
    parts = []
    for plane in ([image[..., s : s + 1] for s in range(samples)] if planar == 2 else [image]):
        if tile:
            for top, left in itertools.product(range(0, height, tile[1]), range(0, width, tile[0])):
                part = plane[top : top + tile[1], left : left + tile[0]]
                missing = ((0, tile[1] - part.shape[0]), (0, tile[0] - part.shape[1]), (0, 0))
                parts.append(np.pad(part, missing))
        else:
            step = rows or height
            parts += [plane[top : top + step] for top in range(0, height, step)]
    chunks = []
    for part in parts:
        if predictor == 2:
            part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
        data = pack(part, bits, form, order)
        if predictor == 3:
            data = b""
            for row in part:
                high_first = np.frombuffer(row.astype(">f4").tobytes(), np.uint8).reshape(-1, 4).T.ravel()
                data += np.concatenate([high_first[:1], np.diff(high_first)]).tobytes()
        data = ENCODE[compression](data)
        chunks.append(data.translate(REVERSED) if fill == 2 else data)
    all_tags = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * samples), 259: (3, [compression]),
        262: (3, [photometric]), 277: (3, [samples]), 339: (3, [form] * samples) if form != UNSIGNED else None,
        338: (3, extra) if extra else None, 284: (3, [2]) if planar == 2 else None,
        266: (3, [2]) if fill == 2 else None, 317: (3, [predictor]) if predictor != 1 else None,
        320: (3, [int(v) for v in RNG.integers(0, 65536, 3 << bits)]) if photometric == 3 else None,
        278: (4, [rows]) if rows else None,
        322: (4, [tile[0]]) if tile else None, 323: (4, [tile[1]]) if tile else None, **tags,
    }
    tiff(name, all_tags, chunks, order, big, bool(tile))


def label(kind):
    photometric, form, bits, samples, extra = kind
    return f"p{photometric}{'?usf'[form]}{bits}x{samples}" + "".join(f"e{e}" for e in extra)


def kinds():
    """Each row of the table, uncompressed and compressed, little- and big-endian, as one strip, strips and tiles."""
    orders = itertools.cycle("<><<>")
    cuts = itertools.cycle([{}, {"rows": 4}, {"tile": (16, 16)}, {"rows": 3}])
    for kind in KINDS:
        ones = {530: (3, [1, 1])} if kind[0] == 6 and kind[3] == 3 else {}
        make(f"raw_{label(kind)}.tiff", kind, 1, next(orders), tags=ones, **next(cuts))
        make(f"deflate_{label(kind)}.tiff", kind, 8, next(orders), tags=ones, **next(cuts))


def compressions():
    for compression, kind in itertools.product([5, 32773, 34925, 50000], [(2, 1, 8, 3, []), (1, 1, 4, 1, [])]):
        make(f"c{compression}_{label(kind)}.tiff", kind, compression, rows=5)
        make(f"c{compression}_fill2_{label(kind)}.tiff", (2, 1, 8, 3, []), compression, fill=2, rows=4)
    for kind in [(1, 1, 8, 1, []), (1, 1, 16, 1, []), (1, 1, 32, 1, []), (2, 1, 8, 4, [2]), (2, 1, 16, 3, [])]:
        for order in "<>":
            make(f"predictor2_{label(kind)}_{'lb'[order == '>']}.tiff", kind, 5, order, predictor=2, rows=4)
    for order in "<>":
        make(f"predictor3_{'lb'[order == '>']}.tiff", (1, 3, 32, 1, []), 8, order, predictor=3, tile=(16, 16))
    make("fill2_1.tiff", (0, 1, 1, 1, []), 1, fill=2)
    make("fill2_4.tiff", (1, 1, 4, 1, []), 1, fill=2)
    make("fill2_rgb.tiff", (2, 1, 8, 3, []), 1, fill=2)
    make("fill2_16.tiff", (1, 1, 16, 1, []), 1, fill=2)
    make("fill2_palette.tiff", (3, 1, 4, 1, []), 1, fill=2)
    raw = pack(picture(19, 11, 1, 4), 4)
    thunder = bytes(0xC0 | (byte >> s) & 15 for row in np.frombuffer(raw, np.uint8).reshape(11, 10)
                    for i, (byte, s) in enumerate(itertools.product(row, (4, 0))) if i < 19)
    tags = {256: (4, [19]), 257: (4, [11]), 258: (3, [4]), 259: (3, [32809]), 262: (3, [1]), 277: (3, [1])}
    tiff("thunderscan.tiff", tags, [thunder])


def planes():
    for kind in [(2, 1, 8, 3, []), (2, 1, 8, 4, []), (2, 1, 8, 4, [0]), (2, 1, 8, 4, [1]), (2, 1, 8, 4, [2]),
                 (2, 1, 16, 3, []), (5, 1, 8, 4, []), (1, 1, 8, 2, [2]), (8, 1, 8, 3, []), (0, 1, 8, 1, []),
                 (3, 1, 8, 2, [0]), (6, 1, 8, 3, [])]:
        ones = {530: (3, [1, 1])} if kind[0] == 6 else {}
        make(f"planes_raw_{label(kind)}.tiff", kind, 1, planar=2, rows=5, tags=ones)
        make(f"planes_deflate_{label(kind)}.tiff", kind, 8, planar=2, tile=(16, 16), tags=ones)
    make("planes_predictor.tiff", (2, 1, 16, 3, []), 5, ">", planar=2, predictor=2)


def chroma():
    """YCbCr with subsampled chroma, packed in blocks."""
    cuts = itertools.cycle([11, 4, 3])
    ranges = itertools.cycle([None, (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])])
    for (across, down), compression in itertools.product(
        [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4), (2, 4)], [1, 5, 8]):
        width, height, rows = 19, 11, next(cuts)
        image = picture(width, height, 3, 8).astype(np.uint8)
        chunks = []
        for top in range(0, height, rows):
            part = image[top : top + rows]
            part = np.pad(part, ((0, -part.shape[0] % down), (0, -width % across), (0, 0)), mode="edge")
            packed = b"".join(part[y : y + down, x : x + across, 0].tobytes() + part[y, x, 1:].tobytes()
                              for y in range(0, part.shape[0], down) for x in range(0, part.shape[1], across))
            chunks.append(ENCODE[compression](packed))
        coefficients = (5, [(2126, 10000), (7152, 10000), (722, 10000)]) if compression == 5 else None
        tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8] * 3), 259: (3, [compression]), 262: (3, [6]),
                277: (3, [3]), 278: (4, [rows]), 529: coefficients, 532: next(ranges),
                530: (3, [across, down]) if (across, down) != (2, 2) else None}
        tiff(f"chroma{across}{down}_c{compression}.tiff", tags, chunks, ">" if compression == 5 else "<")


def encode_jpeg(part, photometric, quality=80, subsampling="444"):
    if part.shape[2] == 1:
        file = io.BytesIO()
        Image.fromarray(part[..., 0]).save(file, "JPEG", quality=quality)
        return file.getvalue()
    colours = {6: "YCBCR", 2: "RGB", 8: "RGB", 5: "CMYK"}[photometric]
    return imagecodecs.jpeg8_encode(np.ascontiguousarray(part), level=quality, colorspace=colours,
                                    outcolorspace=colours, subsampling=subsampling)


def two_components(part):
    """A JPEG with two components: two grey ones that share their tables, one scan for each."""
    segments = [[], []]
    scans = [b"", b""]
    for index in range(2):
        data = encode_jpeg(part[..., index : index + 1], 1)
        at = 2
        while data[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            segments[index].append(data[at:end])
            at = end
        scans[index] = data[at:-2]
    frame = next(s for s in segments[0] if s[1] == 0xC0)
    frame = frame[:3] + bytes([14]) + frame[4:9] + bytes([2, 1, 0x11, 0, 2, 0x11, 0])
    tables = b"".join(s for s in segments[0] if s[1] in (0xDB, 0xC4))
    second = scans[1][:5] + bytes([2]) + scans[1][6:]
    return b"\xff\xd8" + tables + frame + scans[0] + second + b"\xff\xd9"


def jpegs():
    def jpeg(name, kind, parts, rows, size=(37, 29), tile=None, planar=1, tables=None, subsampling=None):
        photometric, _, bits, samples, extra = kind
        tags = {256: (4, [size[0]]), 257: (4, [size[1]]), 258: (3, [bits] * samples), 259: (3, [7]),
                262: (3, [photometric]), 277: (3, [samples]), 338: (3, extra) if extra else None,
                284: (3, [2]) if planar == 2 else None, 278: None if tile else (4, [rows]),
                322: (4, [tile[0]]) if tile else None, 323: (4, [tile[1]]) if tile else None,
                347: (7, tables) if tables else None, 530: (3, subsampling) if subsampling else None}
        tiff(name, tags, parts, tiled=bool(tile))

    image = picture(37, 29, 4, 8).astype(np.uint8)
    rgb = image[..., :3]
    for subsampling, tag in {"444": [1, 1], "422": [2, 1], "420": None, "440": [1, 2], "411": [4, 1]}.items():
        parts = [encode_jpeg(rgb[top : top + 16], 6, subsampling=subsampling) for top in (0, 16)]
        jpeg(f"jpeg_ycbcr_{subsampling}.tiff", (6, 1, 8, 3, []), parts, 16, subsampling=tag)
    jpeg("jpeg_rgb.tiff", (2, 1, 8, 3, []), [encode_jpeg(rgb, 2)], 29)
    jpeg("jpeg_grey.tiff", (1, 1, 8, 1, []), [encode_jpeg(rgb[..., :1], 1)], 29)
    jpeg("jpeg_white_is_zero.tiff", (0, 1, 8, 1, []), [encode_jpeg(rgb[..., :1], 1)], 29)
    jpeg("jpeg_cmyk.tiff", (5, 1, 8, 4, []), [encode_jpeg(image, 5)], 29)
    jpeg("jpeg_grey_alpha.tiff", (1, 1, 8, 2, [2]), [two_components(image[..., :2])], 29)
    for kind in [(2, 1, 8, 3, []), (6, 1, 8, 3, [])]:
        parts = [encode_jpeg(rgb[..., band : band + 1], 1) for band in range(3)]
        jpeg(f"jpeg_planes_{label(kind)}.tiff", kind, parts, 29, planar=2, subsampling=[1, 1])
    padded = np.pad(rgb, ((0, 3), (0, 27), (0, 0)), mode="edge")
    tiles = [padded[top : top + 16, left : left + 32] for top in (0, 16) for left in (0, 32)]
    jpeg("jpeg_tiles.tiff", (6, 1, 8, 3, []), [encode_jpeg(t, 6, subsampling="420") for t in tiles], 0, tile=(32, 16))
    parts = [encode_jpeg(rgb[:16], 6), encode_jpeg(padded[16:32, :37], 6)]
    jpeg("jpeg_last_strip_padded.tiff", (6, 1, 8, 3, []), parts, 16, subsampling=[1, 1])
    parts = [encode_jpeg(rgb[:11], 6), encode_jpeg(rgb[16:], 6)]
    jpeg("jpeg_strip_short.tiff", (6, 1, 8, 3, []), parts, 16, subsampling=[1, 1])
    jpeg("jpeg_cut.tiff", (6, 1, 8, 3, []), [encode_jpeg(rgb, 6)[:-300]], 29, subsampling=[1, 1])
    whole = encode_jpeg(rgb, 2)
    scan = whole.index(b"\xff\xda")
    at, tables, rest = 2, b"", b""
    while at < scan:
        end = at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        if whole[at + 1] in (0xDB, 0xC4):
            tables += whole[at:end]
        else:
            rest += whole[at:end]
        at = end
    jpeg("jpeg_tables.tiff", (2, 1, 8, 3, []), [b"\xff\xd8" + rest + whole[scan:]], 29,
         tables=b"\xff\xd8" + tables + b"\xff\xd9")
    for subsampling, rows in itertools.product(["444", "420", "411"], [29, 16]):
        data = encode_jpeg(rgb, 6, subsampling=subsampling)
        count = -(-29 // rows)
        tags = {256: (4, [37]), 257: (4, [29]), 258: (3, [8] * 3), 259: (3, [6]), 262: (3, [6]), 277: (3, [3]),
                278: (4, [rows]), 273: (4, [8] * count), 279: (4, [len(data)] * count), 513: (4, [8]),
                514: (4, [len(data)])}
        if subsampling == "420":
            tags[532] = (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])
        tiff(f"old_jpeg_{subsampling}_{rows}.tiff", tags, [data])
    for width, rows, tile in [(38, 29, None), (38, 16, None), (37, 29, None), (38, 0, (32, 16))]:
        levels = picture(width, 29, 1, 12).astype(np.uint16) // 9
        encode = lambda part: imagecodecs.jpeg8_encode(np.ascontiguousarray(part), level=80, bitspersample=12)
        if tile:
            wide = np.pad(levels, ((0, 3), (0, 26), (0, 0)), mode="edge")
            parts = [encode(wide[y : y + 16, x : x + 32]) for y in (0, 16) for x in (0, 32)]
        else:
            parts = [encode(levels[top : top + rows]) for top in range(0, 29, rows)]
        jpeg(f"jpeg_12_bits_{width}_{rows}.tiff", (1, 1, 12, 1, []), parts, rows, size=(width, 29), tile=tile)
    # Small files that ask for much: a JPEG of 13,377 by 13,377 pixels in a small strip, and as the last of many strips.
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "JPEG")
    huge = bytearray(file.getvalue())
    frame = huge.index(b"\xff\xc0")
    huge[frame + 5 : frame + 9] = struct.pack(">HH", 13377, 13377)
    jpeg("bomb_jpeg_in_strip.tiff", (1, 1, 8, 1, []), [bytes(huge)], 16, size=(16, 16))
    for name, width in [("bomb_jpeg_last_strip.tiff", 13377), ("bomb_jpeg_strips.tiff", 13376)]:
        count = 500
        tags = {256: (4, [width]), 257: (4, [count * 8]), 258: (3, [8]), 259: (3, [7]), 262: (3, [1]), 277: (3, [1]),
                278: (4, [8]), 273: (4, [8] * count), 279: (4, [len(huge)] * count)}
        tiff(name, tags, [bytes(huge)])


def old_jpegs():
    """Old JPEG (compression 6) in parts: tables where tags say, coded bits in strips; a whole stream as a strip."""
    y, x = np.mgrid[:64, :48]
    rgb = np.stack([x * 5 % 256, y * 4 % 256, (x + y) * 3 % 256], -1).astype(np.uint8)

    def parts(name, subsampling, rows, proportion, change=lambda tags: None):
        strips, tables = [], {}
        for top in range(0, 64, rows):
            data = encode_jpeg(rgb[top : top + rows], 6, subsampling=subsampling)
            at = 2
            while data[at + 1] != 0xDA:
                end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
                kind, body = data[at + 1], data[at + 4 : end]
                while kind in (0xDB, 0xC4) and body:
                    length = 64 if kind == 0xDB else 16 + sum(body[1:17])
                    tables[kind, body[0]] = body[1 : 1 + length]
                    body = body[1 + length :]
                at = end
            strips.append(data[at + 14 : -2])
        chunks = strips + list(tables.values())
        offsets = [8]
        for chunk in chunks:
            offsets.append(offsets[-1] + len(chunk) + len(chunk) % 2)
        where = dict(zip(tables, offsets[len(strips) :]))
        tags = {256: (4, [48]), 257: (4, [64]), 258: (3, [8] * 3), 259: (3, [6]), 262: (3, [6]), 277: (3, [3]),
                278: (4, [rows]), 273: (4, offsets[: len(strips)]), 279: (4, [len(strip) for strip in strips]),
                512: (3, [1]), 530: (3, proportion)}
        for tag, kind, first in [(519, 0xDB, 0), (520, 0xC4, 0), (521, 0xC4, 16)]:
            tags[tag] = (4, [where[kind, first], where[kind, first + 1], where[kind, first + 1]])
        change(tags)
        tiff(name, tags, chunks)

    for subsampling, proportion in {"444": [1, 1], "422": [2, 1], "420": [2, 2]}.items():
        for rows in (64, 32, 16):
            parts(f"old_jpeg_parts_{subsampling}_{rows}.tiff", subsampling, rows, proportion)
    parts("old_jpeg_parts_cut_blocks.tiff", "420", 16, [2, 2], lambda tags: tags.update({278: (4, [12])}))
    parts("old_jpeg_parts_no_tables.tiff", "420", 16, [2, 2], lambda tags: tags.pop(519))
    def tile(tags):
        tags.update({256: (4, [45]), 257: (4, [61]), 322: (4, [48]), 323: (4, [64]), 324: (4, [8]), 325: tags[279]})
        tags.update({273: None, 278: None, 279: None})

    parts("old_jpeg_parts_tile.tiff", "420", 64, [2, 2], tile)
    parts("old_jpeg_parts_two_places.tiff", "444", 16, [1, 1], lambda tags: tags.update({324: tags[273]}))
    parts("old_jpeg_parts_empty.tiff", "444", 32, [1, 1], lambda tags: tags.update({279: (4, [tags[279][1][0], 0])}))
    # The beginning of a stream, and a strip that continues before its coded bits.
    data = encode_jpeg(rgb, 6, subsampling="422")
    scan = data.index(b"\xff\xda")
    strips = [encode_jpeg(rgb[top : top + 16], 6, subsampling="422") for top in range(0, 64, 16)]
    strips = [strip[strip.index(b"\xff\xda") + (14 if index else 0) : -2] for index, strip in enumerate(strips)]
    chunks, offsets = [data[:scan], *strips], [8]
    for chunk in chunks:
        offsets.append(offsets[-1] + len(chunk) + len(chunk) % 2)
    tags = {256: (4, [48]), 257: (4, [64]), 258: (3, [8] * 3), 259: (3, [6]), 262: (3, [6]), 277: (3, [3]),
            278: (4, [16]), 273: (4, offsets[1:5]), 279: (4, [len(strip) for strip in strips]), 513: (4, [8]),
            514: (4, [scan])}
    tiff("old_jpeg_parts_stream.tiff", tags, chunks)
    whole = encode_jpeg(rgb, 6, subsampling="420")
    tags = {256: (4, [48]), 257: (4, [64]), 258: (3, [8] * 3), 259: (3, [6]), 262: (3, [6]), 277: (3, [3])}
    tiff("old_jpeg_strip.tiff", tags | {278: (4, [64])}, [whole])
    strips = [encode_jpeg(rgb[top : top + 16], 6, subsampling="420") for top in range(0, 64, 16)]
    tiff("old_jpeg_strips.tiff", tags | {278: (4, [16])}, strips)


def faxes():
    bits = Image.fromarray((picture(133, 21, 1, 8)[..., 0] > 120).astype(np.uint8) * 255).convert("1")
    wide = Image.new("1", (2700, 4), 1)
    wide.paste(0, (30, 1, 2690, 3))
    for label, image in {"noise": bits, "wide": wide}.items():
        for name, compression, tags in [
            ("rle", "tiff_ccitt", {}), ("rlew", "tiff_raw_16", {}), ("g3", "group3", {}), ("g3_2d", "group3", {292: 1}),
            ("g3_fill", "group3", {292: 5}), ("g4", "group4", {}), ("g4_fill2", "group4", {266: 2}),
            ("g3_strips", "group3", {278: 5}), ("g4_strips", "group4", {278: 5}),
        ]:
            image.save(OUT / f"fax_{name}_{label}.tiff", "TIFF", compression=compression, tiffinfo=tags)


def tags():
    """Tags that are missing, wrong or unusual."""
    rgb, grey, palette = (2, 1, 8, 3, []), (1, 1, 8, 1, []), (3, 1, 8, 1, [])
    make("no_byte_counts.tiff", rgb, 8, tags={279: None})
    make("no_byte_counts_raw.tiff", rgb, 1, rows=4, tags={279: None})
    make("no_photometric.tiff", grey, 1, tags={262: None})
    make("no_rows_per_strip.tiff", rgb, 8)
    make("no_bits_per_sample.tiff", (1, 1, 1, 1, []), 1, tags={258: None})
    make("one_bits_per_sample.tiff", rgb, 8, tags={258: (3, [8])})
    make("two_photometrics.tiff", grey, 8, tags={262: (3, [1, 1])})
    make("rows_beyond.tiff", rgb, 8, tags={278: (4, [2**32 - 1])})
    make("short_colour_map.tiff", palette, 1, tags={320: (3, [int(v) for v in RNG.integers(0, 65536, 30)])})
    make("no_colour_map.tiff", palette, 8, tags={320: None})
    make("bigtiff.tiff", rgb, 8, big=True, rows=5)
    make("orientation_6.tiff", rgb, 8, tags={274: (3, [6])})
    make("orientation_xmp_8.tiff", rgb, 1, tags={700: (7, b'<x tiff:Orientation="8"/>' + b" " * 8)})
    make("orientation_9.tiff", rgb, 1, tags={274: (3, [9])})
    make("subsampled_raw_tag.tiff", (6, 1, 8, 3, []), 1, tags={530: (3, [2, 2])})
    make("webp.tiff", rgb, 8, tags={259: (3, [50001])})
    make("overlapping_strips.tiff", grey, 5, size=(19, 400), rows=1, tags={273: (4, [8] * 400), 279: (4, [5000] * 400)})
    for name, mark in {"header_ii.tiff": b"II\0*", "header_mm.tiff": b"MM*\0"}.items():
        file = (OUT / "raw_p2u8x3.tiff").read_bytes()
        order = file[:2]
        if order == mark[:2]:
            (OUT / name).write_bytes(mark + file[4:])
    # The tags come before the pixels, and the last rows are missing.
    entries = [(256, 19), (257, 11), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, 11), (279, 209)]
    directory = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries)
    pixels = (picture(19, 11, 1, 8) | 1).astype(np.uint8).tobytes()[:100]
    (OUT / "cut.tiff").write_bytes(struct.pack("<2sHLH", b"II", 42, 8, 9) + directory + bytes(4) + pixels)
    whole = (OUT / "bigtiff.tiff").read_bytes()
    (OUT / "cut_compressed.tiff").write_bytes(whole[:-300])


def damaged():
    """Bytes changed."""
    for name, source, place, value in [
        ("damaged_huffman.tiff", "jpeg_planes_p6u8x3.tiff", 1202, 0xF3),
        ("damaged_scan.tiff", "jpeg_planes_p6u8x3.tiff", 2464, 0x84),
        ("damaged_predictor_type.tiff", "predictor2_p2u16x3_l.tiff", 1632, 13),
        ("damaged_coefficients_type.tiff", "chroma21_c5.tiff", 681, 13),
    ]:
        file = bytearray((OUT / source).read_bytes())
        file[place] = value
        (OUT / name).write_bytes(file)
    for name, source, before, after in [
        # 16-bit DC values, units of 18 blocks: libjpeg has no room for either.
        ("damaged_dc_bits.tiff", "jpeg_grey.tiff", bytes(range(12)), bytes(range(11)) + b"\x10"),
        ("damaged_dc_bits_12.tiff", "jpeg_12_bits_38_29.tiff", b"\x03\x04\x05\x02\x01\x0c", b"\x03\x04\x05\x02\x01\x10"),
        ("damaged_unit.tiff", "jpeg_ycbcr_420.tiff", b"\x03\x01\x22\x00", b"\x03\x01\x44\x00"),
        ("damaged_unit_old.tiff", "old_jpeg_420_29.tiff", b"\x03\x01\x22\x00", b"\x03\x01\x44\x00"),
        # A marker among the coded bits, after which libjpeg considers the rest lost.
        ("damaged_marker.tiff", "old_jpeg_parts_422_16.tiff", b"\xc3\x47\xd5\x4f\xb5\xc1", b"\xc3\x47\xff\xff\xb5\xc1"),
        # A fill byte of ones among the coded bits.
        ("damaged_filled_up.tiff", "jpeg_planes_p2u8x3.tiff", b"\x77\x2f\x93\xff\0\x3d", b"\x77\x2f\xff\xff\0\x3d"),
        # YCbCr with one sample.
        ("damaged_ycbcr_grey.tiff", "jpeg_grey.tiff", b"\x06\x01\x03\0\x01\0\0\0\x01", b"\x06\x01\x03\0\x01\0\0\0\x06"),
        # Samples far beyond 12 bits; libjpeg keeps their last 14.
        ("damaged_12_bits_steps.tiff", "jpeg_12_bits_38_29.tiff", STEPS_12, bytes([255] * 64)),
        ("damaged_12_bits_progressive.tiff", "jpeg_12_bits_38_29.tiff", b"\xff\xc1", b"\xff\xc2"),
    ]:
        file = (OUT / source).read_bytes()
        assert before in file
        (OUT / name).write_bytes(file.replace(before, after))


def outcome(path):
    try:
        image = Image.open(path)
        mode = image.mode
        image = image.convert("RGB")
    except Exception as error:
        return {"error": type(error).__name__}
    return {"mode": mode, "width": image.width, "height": image.height,
            "sha256": hashlib.sha256(image.tobytes()).hexdigest()}


def lab():
    """What Pillow makes of every colour of CIELab."""
    colours = np.arange(1 << 24, dtype=">u4").view(np.uint8).reshape(4096, 4096, 4)[..., 1:]
    image = Image.frombytes("LAB", (4096, 4096), colours.tobytes()).convert("RGB")
    (OUT / "lab.json").write_text(json.dumps({"sha256": hashlib.sha256(image.tobytes()).hexdigest()}) + "\n")


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    for group in (kinds, compressions, planes, chroma, jpegs, old_jpegs, faxes, tags, damaged):
        group()
    goldens = {path.name: outcome(path) for path in sorted(OUT.glob("*.tiff"))}
    lines = (f" {json.dumps(name)}: {json.dumps(golden)}" for name, golden in goldens.items())
    lab()
    (OUT / "goldens.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
