"""Writes the image files of tests/data/images: small, and each difficult in its own way.

Encoders: Pillow, tifffile, libjpeg-turbo's cjpeg and jpegtran (on PATH). Where none of these can
write a file, a few lines here put its bytes together. See README.md.
"""

import io
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import tifffile
from PIL import Image

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "data/images")
OUT.mkdir(parents=True, exist_ok=True)


def picture(width, height, channels=3, seed=1):
    """Ramps, waves, hard edges and some noise: what decoders and filters get wrong."""
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        wave = 90 * np.sin(x / (3.0 + c) + seed) * np.cos(y / (5.0 - c / 2) + c)
        ramp = 127 + 60 * np.sin((x + y * (c + 1)) / 17.0)
        edge = np.where((x // 7 + y // 5 + c) % 4 == 0, 80, 0)
        planes.append(ramp + wave + edge - 20 + rng.normal(0, 6, (height, width)))
    data = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return data[..., 0] if channels == 1 else data


def wide(shape, seed):
    """16-bit noise in every range: small, medium and large values."""
    rng = np.random.Generator(np.random.PCG64(seed))
    values = rng.integers(0, 65536, shape, dtype=np.uint16)
    return (values >> rng.integers(0, 12, shape, dtype=np.uint16)).astype(np.uint16)


def rgb(width=37, height=29, seed=1):
    return Image.fromarray(picture(width, height, 3, seed))


def write(name, data):
    (OUT / name).write_bytes(data)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def save(name, image, kind, **options):
    write(name, encode(image, kind, **options))


def tool(*command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def cjpeg(name, *options, width=45, height=35, seed=2, grey=False):
    image = Image.fromarray(picture(width, height, 1 if grey else 3, seed))
    write(name, tool("cjpeg", *options, data=encode(image, "PPM")))


# --- JPEG


def jpegs():
    for label, sampling in {
        "444": "1x1", "422": "2x1", "420": "2x2", "440": "1x2", "411": "4x1", "441": "1x4", "410": "4x2",
        "mixed": "2x2,1x2,2x1", "chroma_v": "2x2,2x1,1x1",
    }.items():
        cjpeg(f"jpeg_{label}.jpg", "-quality", "80", "-sample", sampling)
    for label, sampling in {"444": "1x1", "422": "2x1", "420": "2x2", "440": "1x2"}.items():
        cjpeg(f"jpeg_progressive_{label}.jpg", "-quality", "75", "-progressive", "-sample", sampling, seed=3)
    cjpeg("jpeg_restart_blocks.jpg", "-quality", "80", "-restart", "1B", seed=4)
    cjpeg("jpeg_restart_rows.jpg", "-quality", "80", "-restart", "1", "-progressive", seed=5)
    cjpeg("jpeg_optimized.jpg", "-quality", "35", "-optimize", seed=6)
    cjpeg("jpeg_arithmetic.jpg", "-quality", "80", "-arithmetic", seed=7)
    cjpeg("jpeg_arithmetic_progressive.jpg", "-quality", "80", "-arithmetic", "-progressive", seed=8)
    cjpeg("jpeg_rgb.jpg", "-quality", "80", "-rgb", seed=9)
    cjpeg("jpeg_grey.jpg", "-quality", "80", "-grayscale", seed=10, grey=True)
    cjpeg("jpeg_grey_sampled.jpg", "-quality", "80", "-grayscale", "-sample", "2x2", seed=10, grey=True)
    cjpeg("jpeg_grey_progressive.jpg", "-quality", "80", "-grayscale", "-progressive", seed=11, grey=True)
    cjpeg("jpeg_quality_1.jpg", "-quality", "1", seed=12)
    cjpeg("jpeg_quality_100.jpg", "-quality", "100", seed=13)
    for width, height in [(1, 1), (1, 40), (40, 1), (7, 9), (8, 8), (16, 16), (17, 15), (2, 3), (200, 5), (5, 200)]:
        cjpeg(f"jpeg_{width}x{height}.jpg", "-quality", "85", width=width, height=height, seed=14)
    cjpeg("jpeg_progressive_3x70.jpg", "-quality", "85", "-progressive", width=3, height=70, seed=15)
    # A non-interleaved scan script: one component after the other.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        script.write("0;\n1;\n2;\n")
        script.flush()
        cjpeg("jpeg_not_interleaved.jpg", "-quality", "80", "-scans", script.name, seed=16)
    # A progressive file that stops after its first scans: libjpeg smooths its blocks.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        script.write("0,1,2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n")
        script.flush()
        cjpeg("jpeg_progressive_first_scans.jpg", "-quality", "80", "-scans", script.name, seed=17)

    cmyk = Image.fromarray(picture(33, 27, 4, 18), "CMYK")
    plain = encode(cmyk, "JPEG", quality=85)  # Pillow writes the Adobe marker, transform 0
    write("jpeg_cmyk_adobe.jpg", plain)
    at = plain.index(b"Adobe")
    write("jpeg_ycck_adobe.jpg", plain[: at + 11] + b"\x02" + plain[at + 12:])
    write("jpeg_cmyk_no_marker.jpg", plain[: at - 4] + plain[at + 12:])
    write("jpeg_cmyk_progressive.jpg", encode(cmyk, "JPEG", quality=70, progressive=True))
    # Pillow gives the last three components fewer samples, black included.
    for name, size, options in [
        ("422", (33, 27), {"subsampling": 1}), ("420", (33, 27), {"subsampling": 2}),
        ("420_narrow", (4, 9), {"subsampling": 2}), ("420_progressive", (33, 27), {"subsampling": 2, "progressive": True}),
    ]:
        image = Image.fromarray(picture(*size, 4, 18), "CMYK")
        fewer = encode(image, "JPEG", quality=85, **options)
        write(f"jpeg_cmyk_{name}.jpg", fewer)
        if name == "420":
            at = fewer.index(b"Adobe")
            write("jpeg_ycck_420.jpg", fewer[: at + 11] + b"\x02" + fewer[at + 12:])
            # Only rows, and factors that fit: the scan codes noise, but the same noise for all files.
            frame = fewer.index(b"\xff\xc0")
            for rows, factors in [("440", b"\x12\x11\x11\x11"), ("mixed", b"\x22\x21\x12\x11")]:
                other = bytearray(fewer)
                other[frame + 11 : frame + 23 : 3] = factors
                write(f"jpeg_cmyk_{rows}.jpg", bytes(other))
    three = encode(rgb(33, 27, 19), "JPEG", quality=85, subsampling=0)
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    start = three.index(b"\xff\xe0")
    bare = three[:start] + three[start + 18:]  # no JFIF marker
    write("jpeg_adobe_rgb.jpg", bare[:2] + adobe + b"\x00" + bare[2:])
    write("jpeg_adobe_ycc.jpg", bare[:2] + adobe + b"\x01" + bare[2:])
    write("jpeg_no_jfif.jpg", bare)
    write("jpeg_trailing_bytes.jpg", three + b"\x00trailing bytes after the end" * 9)
    write("jpeg_no_eoi.jpg", three[:-2])
    write("jpeg_fill_bytes.jpg", three[:2] + b"\xff\xff\xff" + three[2:])
    save("jpeg_comment.jpg", rgb(20, 20, 20), "JPEG", comment=b"\xff\xd9 not the end", quality=80)

    whole = encode(rgb(64, 48, 21), "JPEG", quality=85)
    for label, share in {"10": 0.10, "50": 0.5, "97": 0.97}.items():
        head = whole.index(b"\xff\xda") + 14
        write(f"truncated_{label}.jpg", whole[: head + int((len(whole) - head) * share)])
    many = tool("cjpeg", "-quality", "85", "-progressive", data=encode(rgb(64, 48, 22), "PPM"))
    scans = [i for i in range(len(many)) if many[i:i + 2] == b"\xff\xda"]
    write("truncated_progressive.jpg", many[: scans[4] + 60])
    write("truncated_progressive_marker.jpg", many[: scans[7] + 2])
    write("truncated_header.jpg", whole[:200])
    write("damaged_marker.jpg", whole[: len(whole) // 2] + b"\xff\xd9" + whole[len(whole) // 2 + 2:])
    some = bytearray(whole)
    some[len(whole) * 2 // 3] ^= 0x55
    write("damaged_bits.jpg", bytes(some))


# --- EXIF


def oriented():
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        save(f"exif_{value}.jpg", rgb(23, 14, 30), "JPEG", exif=exif, quality=90, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("exif_6.png", rgb(23, 14, 31), "PNG", exif=exif)
    save("exif_6.webp", rgb(23, 14, 32), "WEBP", exif=exif, lossless=True)
    save("exif_6.tiff", rgb(23, 14, 33), "TIFF", tiffinfo={274: 6})
    save("exif_3_lzw.tiff", rgb(23, 14, 33), "TIFF", tiffinfo={274: 3}, compression="tiff_lzw")
    exif[0x0112] = 9
    save("exif_9.jpg", rgb(23, 14, 34), "JPEG", exif=exif, quality=90)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    save("exif_xmp_8.jpg", rgb(23, 14, 35), "JPEG", xmp=xmp, quality=90)
    exif = Image.Exif()
    exif.endian = ">"
    exif[0x0112] = 5
    save("exif_5_big_endian.jpg", rgb(23, 14, 36), "JPEG", exif=exif, quality=90)


# --- PNG


def png(width, height, depth, kind, rows, *chunks, interlace=0):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))
    body = b"".join(chunk(name, data) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def packed(values, depth):
    """Rows of samples (height, width, channels) as PNG rows without filters."""
    rows = b""
    for row in values.reshape(values.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = ((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
            data = np.packbits(bits.reshape(-1)).tobytes()
        rows += b"\0" + data
    return rows


def adam7(values, depth):
    parts = [values[y::dy, x::dx] for x, y, dx, dy in PASSES]
    return b"".join(packed(part, depth) for part in parts if part.size)


def pngs():
    rng = np.random.Generator(np.random.PCG64(40))
    save("png_rgb.png", rgb(seed=40), "PNG")
    save("png_rgba.png", Image.fromarray(picture(31, 23, 4, 41), "RGBA"), "PNG")
    save("png_grey.png", Image.fromarray(picture(31, 23, 1, 42)), "PNG")
    save("png_grey_alpha.png", Image.fromarray(picture(31, 23, 2, 43), "LA"), "PNG")
    save("png_1bit.png", Image.fromarray(picture(31, 23, 1, 44)).convert("1"), "PNG")
    for depth in (1, 2, 4, 8):
        values = rng.integers(0, 1 << depth, (13, 19, 1))
        write(f"png_grey{depth}.png", png(19, 13, depth, 0, packed(values, depth)))
        write(f"png_grey{depth}_trns.png", png(19, 13, depth, 0, packed(values, depth), (b"tRNS", b"\0\1")))
        write(f"png_grey{depth}_adam7.png", png(19, 13, depth, 0, adam7(values, depth), interlace=1))
        palette = rng.integers(0, 256, (1 << depth) * 3).astype(np.uint8).tobytes()
        plte = (b"PLTE", palette)
        write(f"png_palette{depth}.png", png(19, 13, depth, 3, packed(values, depth), plte))
        alpha = (b"tRNS", rng.integers(0, 256, 1 << depth).astype(np.uint8).tobytes())
        write(f"png_palette{depth}_trns.png", png(19, 13, depth, 3, packed(values, depth), plte, alpha))
        write(f"png_palette{depth}_adam7.png", png(19, 13, depth, 3, adam7(values, depth), plte, alpha, interlace=1))
    short = (b"PLTE", rng.integers(0, 256, 5 * 3).astype(np.uint8).tobytes())
    write("png_palette_out_of_range.png", png(19, 13, 4, 3, packed(rng.integers(0, 16, (13, 19, 1)), 4), short))
    for label, kind, channels in [("grey", 0, 1), ("rgb", 2, 3), ("grey_alpha", 4, 2), ("rgba", 6, 4)]:
        values = wide((11, 17, channels), 45 + kind)
        write(f"png_{label}16.png", png(17, 11, 16, kind, packed(values, 16)))
        write(f"png_{label}16_adam7.png", png(17, 11, 16, kind, adam7(values, 16), interlace=1))
        eight = picture(17, 11, channels, 50 + kind).reshape(11, 17, channels)
        write(f"png_{label}8_adam7.png", png(17, 11, 8, kind, adam7(eight, 8), interlace=1))
    values = wide((11, 17, 1), 56)
    grey = (b"tRNS", struct.pack(">H", int(values[3, 4, 0])))
    write("png_grey16_trns.png", png(17, 11, 16, 0, packed(values, 16), grey))
    values = wide((11, 17, 3), 57)
    colour = (b"tRNS", struct.pack(">3H", *map(int, values[3, 4])))
    write("png_rgb16_trns.png", png(17, 11, 16, 2, packed(values, 16), colour))
    eight = picture(17, 11, 3, 58)
    colour = (b"tRNS", struct.pack(">3H", *map(int, eight[3, 4])))
    write("png_rgb8_trns.png", png(17, 11, 8, 2, packed(eight, 8), colour))
    gamma = (b"gAMA", struct.pack(">I", 100000))
    write("png_gamma.png", png(17, 11, 8, 2, packed(eight, 8), gamma))
    for width, height in [(1, 1), (1, 50), (50, 1)]:
        save(f"png_{width}x{height}.png", rgb(width, height, 59), "PNG")
    one = picture(1, 1, 3, 60).reshape(1, 1, 3)
    write("png_1x1_adam7.png", png(1, 1, 8, 2, adam7(one, 8), interlace=1))
    frames = [rgb(20, 16, 61), rgb(20, 16, 62)]
    save("png_animated.png", frames[0], "PNG", save_all=True, append_images=frames[1:])
    whole = encode(rgb(64, 48, 63), "PNG")
    write("truncated_50.png", whole[: len(whole) // 2])
    write("truncated_no_iend.png", whole[:-12])
    write("truncated_header.png", whole[:30])
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0x10
    write("damaged_checksum.png", bytes(broken))
    write("bomb_60000x60000.png", png(60000, 60000, 8, 2, b"\0" * 100))


# --- GIF


def gif(width, height, background, palette, *blocks):
    bits = max((len(palette) // 3 - 1).bit_length(), 1)
    screen = struct.pack("<HHBBB", width, height, 0x80 | (bits - 1), background, 0)
    return b"GIF89a" + screen + palette.ljust(3 << bits, b"\0") + b"".join(blocks) + b";"


def gif_frame(x, y, indices, interlaced=False, transparent=None, colours=None):
    height, width = indices.shape
    if interlaced:
        order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
        indices = indices[order]
    control = b""
    if transparent is not None:
        control = b"!\xf9\x04" + struct.pack("<BHBB", 1, 0, transparent, 0)
    flags = 0x40 if interlaced else 0
    table = b""
    if colours is not None:
        bits = max((len(colours) // 3 - 1).bit_length(), 1)
        flags |= 0x80 | (bits - 1)
        table = colours.ljust(3 << bits, b"\0")
    # LZW with a clear code often enough that codes never grow: 7 bits of index, 8 bits a code.
    codes = []
    for i, index in enumerate(indices.reshape(-1)):
        if i % 100 == 0:
            codes.append(128)
        codes.append(int(index))
    codes.append(129)
    data = bytes(codes)
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return control + b"," + struct.pack("<HHHHB", x, y, width, height, flags) + table + b"\x07" + blocks + b"\0"


def gifs():
    rng = np.random.Generator(np.random.PCG64(70))
    palette = rng.integers(0, 256, 32 * 3).astype(np.uint8).tobytes()
    other = rng.integers(0, 256, 32 * 3).astype(np.uint8).tobytes()
    full = rng.integers(0, 32, (17, 21))
    part = rng.integers(0, 32, (7, 9))
    write("gif_plain.gif", gif(21, 17, 3, palette, gif_frame(0, 0, full)))
    write("gif_interlaced.gif", gif(21, 17, 3, palette, gif_frame(0, 0, full, interlaced=True)))
    write("gif_transparent.gif", gif(21, 17, 3, palette, gif_frame(0, 0, full, transparent=5)))
    write("gif_local_palette.gif", gif(21, 17, 3, palette, gif_frame(0, 0, full, colours=other)))
    write("gif_partial.gif", gif(21, 17, 3, palette, gif_frame(4, 6, part)))
    write("gif_partial_transparent.gif", gif(21, 17, 3, palette, gif_frame(4, 6, part, transparent=5)))
    write("gif_partial_local.gif", gif(21, 17, 3, palette, gif_frame(4, 6, part, colours=other, interlaced=True)))
    write("gif_beyond_screen.gif", gif(10, 9, 3, palette, gif_frame(4, 6, part)))
    write("gif_animated.gif", gif(21, 17, 3, palette, gif_frame(0, 0, full), gif_frame(2, 2, part)))
    save("gif_grey.gif", Image.fromarray(picture(40, 30, 1, 71)), "GIF")
    save("gif_colours.gif", rgb(40, 30, 72).quantize(200), "GIF")
    save("gif_1x1.gif", rgb(1, 1, 73).quantize(2), "GIF")


# --- BMP


def bmp(width, height, depth, rows, palette=b"", compression=0, masks=b"", header=40, used=0):
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, depth, compression, len(rows), 2835, 2835, used, 0)
    info += masks.ljust(header - 40, b"\0") if header > 40 else masks
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + palette + rows


def bmp_rows(values, depth):
    rows = b""
    for row in values[::-1]:
        bits = ((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
        data = np.packbits(bits.reshape(-1)).tobytes()
        rows += data + b"\0" * (-len(data) % 4)
    return rows


def bmps():
    rng = np.random.Generator(np.random.PCG64(80))
    for depth in (1, 4, 8):
        values = rng.integers(0, 1 << depth, (11, 19))
        palette = rng.integers(0, 256, (1 << depth, 4)).astype(np.uint8)
        palette[:, 3] = 0
        write(f"bmp_{depth}.bmp", bmp(19, 11, depth, bmp_rows(values, depth), palette.tobytes()))
    few = palette[:77]
    write("bmp_8_few_colours.bmp", bmp(19, 11, 8, bmp_rows(values % 77, 8), few.tobytes(), used=77))
    save("bmp_24.bmp", rgb(seed=81), "BMP")
    save("bmp_grey.bmp", Image.fromarray(picture(19, 11, 1, 82)), "BMP")
    save("bmp_32.bmp", Image.fromarray(picture(19, 11, 4, 83), "RGBA"), "BMP")
    values = rng.integers(0, 1 << 16, (11, 19))
    swapped = b"".join(row.astype("<u2").tobytes() + b"\0" * (-len(row) * 2 % 4) for row in values[::-1])
    write("bmp_16.bmp", bmp(19, 11, 16, swapped))
    write("bmp_16_565.bmp", bmp(19, 11, 16, swapped, compression=3, masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F)))
    wide32 = picture(19, 11, 4, 84)
    write("bmp_32_masks.bmp", bmp(19, 11, 32, wide32[::-1].tobytes(), compression=3,
                                 masks=struct.pack("<4I", 0xFF000000, 0xFF0000, 0xFF00, 0xFF), header=108))
    down = picture(19, 11, 3, 85)
    rows = b"".join(row.tobytes() + b"\0" * (-len(row) * 3 % 4) for row in down)
    write("bmp_24_top_down.bmp", bmp(19, -11, 24, rows))
    # RLE8: runs, a literal stretch, an early end of line, a jump.
    rle = b"\x05\x11\x00\x05\x01\x02\x03\x04\x05\x00\x03\x22\x00\x00" + b"\x13\x40\x00\x00" * 4
    rle += b"\x04\x09\x00\x02\x03\x02\x05\x33\x00\x00" + b"\x13\x41\x00\x00" * 4 + b"\x00\x01"
    write("bmp_8_rle.bmp", bmp(19, 11, 8, rle, palette.tobytes(), compression=1))
    rle = b"\x13\x12\x00\x00\x00\x06\x12\x34\x56\x00\x0d\x77\x00\x00" * 5 + b"\x13\x9a\x00\x00\x00\x01"
    write("bmp_4_rle.bmp", bmp(19, 11, 4, rle, palette[:16].tobytes(), compression=2))


# --- TIFF


def tiffs():
    image = rgb(41, 33, 90)
    for label, compression in {
        "raw": None, "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits",
    }.items():
        save(f"tiff_{label}.tiff", image, "TIFF", compression=compression)
    save("tiff_jpeg.tiff", image, "TIFF", compression="jpeg", quality=85)
    save("tiff_predictor.tiff", image, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    save("tiff_cmyk.tiff", Image.fromarray(picture(21, 17, 4, 91), "CMYK"), "TIFF")
    save("tiff_rgba.tiff", Image.fromarray(picture(21, 17, 4, 92), "RGBA"), "TIFF", compression="tiff_lzw")
    save("tiff_grey.tiff", Image.fromarray(picture(21, 17, 1, 93)), "TIFF")
    save("tiff_grey_alpha.tiff", Image.fromarray(picture(21, 17, 2, 94), "LA"), "TIFF")
    save("tiff_1bit.tiff", Image.fromarray(picture(21, 17, 1, 95)).convert("1"), "TIFF")
    save("tiff_group4.tiff", Image.fromarray(picture(21, 17, 1, 95)).convert("1"), "TIFF", compression="group4")
    save("tiff_palette.tiff", rgb(21, 17, 96).quantize(60), "TIFF")
    save("tiff_grey16.tiff", Image.fromarray(wide((17, 21), 97)), "TIFF")
    save("tiff_float.tiff", Image.fromarray(picture(21, 17, 1, 98).astype(np.float32) * 1.3 - 20), "TIFF")
    save("tiff_int32.tiff", Image.fromarray(picture(21, 17, 1, 98).astype(np.int32) * 3 - 99), "TIFF")
    save("tiff_ycbcr.tiff", image.convert("YCbCr"), "TIFF")
    save("tiff_lab.tiff", Image.fromarray(picture(21, 17, 3, 99), "LAB"), "TIFF")
    def tif(name, data, **options):
        tifffile.imwrite(OUT / name, data, metadata=None, software="", **options)
    tif("tiff_planar.tiff", np.moveaxis(picture(41, 33, 3, 100), -1, 0), photometric="rgb", planarconfig="separate")
    tif("tiff_tiled.tiff", picture(41, 33, 3, 101), photometric="rgb", tile=(16, 16))
    tif("tiff_tiled_lzw.tiff", picture(41, 33, 3, 101), photometric="rgb", tile=(16, 32), compression="lzw", predictor=True)
    tif("tiff_rgb16.tiff", wide((17, 21, 3), 102), photometric="rgb")
    tif("tiff_rgb16_big.tiff", wide((17, 21, 3), 103), photometric="rgb", byteorder=">", compression="deflate", predictor=True)
    tif("tiff_white_is_zero.tiff", picture(21, 17, 1, 104), photometric="miniswhite")
    tif("tiff_big.tiff", picture(21, 17, 3, 105), photometric="rgb", bigtiff=True)
    tif("tiff_strips.tiff", picture(41, 33, 3, 106), photometric="rgb", rowsperstrip=5, compression="packbits")
    save("tiff_two_pages.tiff", image, "TIFF", save_all=True, append_images=[rgb(10, 10, 107)])


# --- PNM, QOI, ICO, TGA, WebP and files that are not images


def pnms():
    rng = np.random.Generator(np.random.PCG64(110))
    bits = rng.integers(0, 2, (5, 11))
    write("pnm_p1.pbm", b"P1\n# ink is one\n11 5\n" + b"\n".join(b" ".join(b"%d" % v for v in r) for r in bits))
    write("pnm_p1_tight.pbm", b"P1 11 5\n" + b"\n".join(b"".join(b"%d" % v for v in r) for r in bits) + b"\n")
    write("pnm_p4.pbm", b"P4\n11 5\n" + np.packbits(bits, axis=1).tobytes())
    for maxval in (255, 100, 15, 1):
        grey = rng.integers(0, maxval + 1, (5, 11))
        colour = rng.integers(0, maxval + 1, (5, 11, 3))
        plain = lambda v: b"\n".join(b" ".join(b"%d" % i for i in r.reshape(-1)) for r in v) + b"\n"
        write(f"pnm_p2_{maxval}.pgm", b"P2\n11 5\n%d\n" % maxval + plain(grey))
        write(f"pnm_p3_{maxval}.ppm", b"P3\n11 5 # comment\n%d\n" % maxval + plain(colour))
        write(f"pnm_p5_{maxval}.pgm", b"P5\n11 5\n%d\n" % maxval + grey.astype(np.uint8).tobytes())
        write(f"pnm_p6_{maxval}.ppm", b"P6\n11 5\n%d\n" % maxval + colour.astype(np.uint8).tobytes())
    for maxval in (65535, 1000):
        grey = (wide((5, 11), 111).astype(int) % (maxval + 1)).astype(">u2")
        colour = (wide((5, 11, 3), 112).astype(int) % (maxval + 1)).astype(">u2")
        write(f"pnm_p5_{maxval}.pgm", b"P5\n11 5\n%d\n" % maxval + grey.tobytes())
        write(f"pnm_p6_{maxval}.ppm", b"P6\n11 5\n%d\n" % maxval + colour.tobytes())


def tga(width, height, kind, depth, body, palette=b"", flags=0, map_depth=24):
    map_length = len(palette) // (map_depth // 8)
    header = struct.pack("<BBBHHBHHHHBB", 0, 1 if palette else 0, kind, 0, map_length,
                         map_depth if palette else 0, 0, 0, width, height, depth, flags)
    return header + palette + body


def others():
    save("qoi_rgb.qoi", rgb(seed=120), "QOI")
    save("qoi_rgba.qoi", Image.fromarray(picture(31, 23, 4, 121), "RGBA"), "QOI")
    save("ico_png.ico", Image.fromarray(picture(48, 48, 4, 122), "RGBA"), "ICO", sizes=[(16, 16), (48, 48)])
    save("ico_bmp.ico", Image.fromarray(picture(32, 32, 4, 123), "RGBA"), "ICO", sizes=[(16, 16), (32, 32)],
         bitmap_format="bmp")
    save("ico_bmp24.ico", rgb(24, 24, 124), "ICO", sizes=[(24, 24)], bitmap_format="bmp")
    rng = np.random.Generator(np.random.PCG64(125))
    for label, image in {
        "rgb": rgb(29, 19, 125), "rgba": Image.fromarray(picture(29, 19, 4, 126), "RGBA"),
        "grey": Image.fromarray(picture(29, 19, 1, 127)), "palette": rgb(29, 19, 128).quantize(30),
        "grey_alpha": Image.fromarray(picture(29, 19, 2, 129), "LA"),
    }.items():
        save(f"tga_{label}.tga", image, "TGA")
        save(f"tga_{label}_rle.tga", image, "TGA", compression="tga_rle")
    save("tga_top.tga", rgb(29, 19, 130), "TGA", orientation=1)
    data = picture(13, 9, 3, 131)
    write("tga_right_to_left.tga", tga(13, 9, 2, 24, data.tobytes(), flags=0x30))
    write("tga_16.tga", tga(13, 9, 2, 16, rng.integers(0, 256, 13 * 9 * 2).astype(np.uint8).tobytes()))
    save("webp_lossless.webp", rgb(seed=140), "WEBP", lossless=True)
    save("webp_lossless_alpha.webp", Image.fromarray(picture(31, 23, 4, 141), "RGBA"), "WEBP", lossless=True, exact=True)
    save("webp_lossy.webp", rgb(61, 47, 142), "WEBP", quality=75)
    save("webp_lossy_low.webp", rgb(61, 47, 143), "WEBP", quality=5)
    save("webp_lossy_odd.webp", rgb(33, 17, 144), "WEBP", quality=90)
    save("webp_lossy_alpha.webp", Image.fromarray(picture(61, 47, 4, 145), "RGBA"), "WEBP", quality=75)
    save("webp_1x1.webp", rgb(1, 1, 146), "WEBP", quality=75)
    save("webp_palette.webp", rgb(40, 30, 147).quantize(12).convert("RGB"), "WEBP", lossless=True)
    frames = [rgb(20, 16, 148), rgb(20, 16, 149)]
    save("webp_animated.webp", frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    save("webp_animated_lossy.webp", frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=70)
    write("empty.png", b"")
    write("text.jpg", b"This is no image, whatever its name says.\n")
    write("jpeg_named.png", encode(rgb(12, 10, 150), "JPEG"))


for make in (jpegs, oriented, pngs, gifs, bmps, tiffs, pnms, others):
    make()
print(len(list(OUT.iterdir())), "files,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")
