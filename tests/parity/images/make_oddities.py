"""Writes the files `odd_*` of tests/data/images: files of kinds that people have, which break a
rule, but which Pillow may still read. See README.md."""

import io
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "data/images")
MAGIC = b"\x89PNG\r\n\x1a\n"


def picture(width=31, height=23, channels=3, seed=5):
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (5 + c) + y * (9 - 2 * c) + rng.integers(0, 30, x.shape)) % 256 for c in range(channels)]
    data = np.stack(planes, -1).astype(np.uint8)
    return Image.fromarray(data[..., 0] if channels == 1 else data)


RGB, GREY, RGBA = picture(), picture(channels=1), picture(channels=4)


def write(name, data):
    (OUT / f"odd_{name}").write_bytes(data)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def webp():
    # Colours under clear pixels, partial alpha, and frames smaller than the canvas: the first frame
    # is not blended.
    hidden = RGBA.copy()
    hidden.putalpha(Image.fromarray(np.where(np.asarray(GREY) > 120, 255, 0).astype(np.uint8)))
    for name, image in [("hidden", hidden), ("half", RGBA)]:
        for kind, options in [("lossless", {"lossless": True, "exact": True}), ("lossy", {"quality": 60, "exact": True})]:
            still = encode(image, "WEBP", **options)
            chunks = still[30:] if still[12:16] == b"VP8X" else still[12:]
            for canvas, place in [((31, 23), (0, 0)), ((50, 40), (8, 6))]:
                frame = struct.pack("<HBHB", place[0] // 2, 0, place[1] // 2, 0) + three(30) + three(22) + three(100)
                body = b"VP8X" + struct.pack("<IB3x", 10, 0x12) + three(canvas[0] - 1) + three(canvas[1] - 1)
                body += chunk_le(b"ANIM", bytes([7, 8, 9, 255]) + b"\0\0") + chunk_le(b"ANMF", frame + b"\0" + chunks)
                write(f"webp_{name}_{kind}_{canvas[0]}.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    still = encode(RGB, "WEBP", quality=70)
    head = b"VP8X" + struct.pack("<IB3x", 10, 0x3c) + three(30) + three(22)
    body = head + still[12:]
    write("webp_flags_without_chunks.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    write("webp_trailer.webp", still + b"trailing bytes")


def three(number):
    return struct.pack("<I", number)[:3]


def chunk_le(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def bmp():
    plain = encode(RGB, "BMP")
    write("bmp_offset_0.bmp", plain[:10] + bytes(4) + plain[14:])
    grey = encode(GREY, "BMP")
    write("bmp_8_offset_0.bmp", grey[:10] + bytes(4) + grey[14:])
    write("bmp_headerless.dib", encode(RGB, "DIB"))
    palette = encode(RGB.quantize(20), "BMP")
    write("bmp_offset_at_palette.bmp", palette[:10] + struct.pack("<I", 54) + palette[14:])
    rows = np.asarray(RGBA)[::-1]
    for name, masks, order in [
        ("abgr", (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (3, 2, 1, 0)), ("rgba", (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0, 1, 2, 3)),
        ("bgra", (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (2, 1, 0, 3)), ("zero", (0, 0, 0, 0), (2, 1, 0, 3)),
    ]:
        info = struct.pack("<IiiHHIIiiII", 56, 31, 23, 1, 32, 3, 0, 0, 0, 0, 0) + struct.pack("<4I", *masks)
        write(f"bmp_fields_{name}.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 70) + info + rows[..., list(order)].tobytes())
    core = struct.pack("<IHHHH", 12, 31, 23, 1, 24)
    write("bmp_os2.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + core + plain[54:])
    # RLE4 with a jump, an early end of line, and a run of pixels that crosses the end of the row.
    codes = bytes([5, 0x12, 0, 0, 0, 2, 3, 1, 0, 5, 0x34, 0x56, 0x70, 0, 40, 0x9A, 0, 0] + [31, 0x56, 0, 0] * 20 + [0, 1])
    table = b"".join(bytes([i * 15, 255 - i * 9, i * 7, 0]) for i in range(16))
    info = struct.pack("<IiiHHIIiiII", 40, 31, 23, 1, 4, 2, len(codes), 0, 0, 16, 0)
    write("bmp_rle4.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 64) + info + table + codes)


    # The same with a palette of black and white only; all pixels except 0 are white.
    table = bytes(4) + bytes([255, 255, 255, 0])
    info = struct.pack("<IiiHHIIiiII", 40, 31, 23, 1, 4, 2, len(codes), 0, 0, 2, 0)
    write("bmp_rle4_black_and_white.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 8) + info + table + codes)
    dib = encode(RGB, "DIB")
    write("bmp_planes_3.dib", dib[:12] + b"\3" + dib[13:])


def jpeg():
    restarts = encode(RGB, "JPEG", quality=80, restart_marker_blocks=1)
    marks = [i for i in range(restarts.index(b"\xff\xda"), len(restarts) - 1)
             if restarts[i] == 0xFF and 0xD0 <= restarts[i + 1] <= 0xD7]
    write("jpeg_restart_missing.jpg", restarts[:marks[1]] + restarts[marks[1] + 2:])
    write("jpeg_restart_doubled.jpg", restarts[:marks[1]] + restarts[marks[1]:marks[1] + 2] + restarts[marks[1]:])
    write("jpeg_restart_far.jpg", restarts[:marks[1] + 1] + b"\xd5" + restarts[marks[1] + 2:])
    write("jpeg_restart_before.jpg", restarts[:marks[1] + 1] + b"\xd0" + restarts[marks[1] + 2:])
    plain = encode(RGB, "JPEG", quality=80)
    start = plain.index(b"\xff\xc0")
    # If the last bits were read ahead, nothing needs to follow them.
    noise = np.random.Generator(np.random.PCG64(38)).integers(0, 255, (16, 38, 3), dtype=np.uint8)
    write("jpeg_no_end_nothing.jpg", encode(Image.fromarray(noise), "JPEG", quality=68)[:-2])
    write("jpeg_no_end_trailer.jpg", plain[:-2] + b"A" * 64)
    write("jpeg_no_end_segments.jpg", plain[:-2] + b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data\xff\xe1\0\x08123456SEFT")
    write("jpeg_two_starts.jpg", b"\xff\xd8\xff\xd9" + plain)
    write("jpeg_tables_first.jpg", plain[:start] + b"\xff\xd9\xff\xd8" + plain[start:])
    # More chroma samples than luma samples.
    write("jpeg_chroma_larger.jpg", plain[:start + 11] + b"\x11" + plain[start + 12:start + 14] + b"\x21" + plain[start + 15:])
    # A code of ones only is not in any table.
    middle = len(plain) - 200
    write("jpeg_damaged.jpg", plain[:middle] + b"\xff\0" * 8 + plain[middle + 16:])
    # What libjpeg has no room for: 16-bit DC values, and units of 18 blocks.
    symbols = plain.index(bytes(range(12)), plain.index(b"\xff\xc4"))
    write("jpeg_dc_16_bits.jpg", plain[:symbols + 11] + b"\x10" + plain[symbols + 12:])
    write("jpeg_unit_18_blocks.jpg", plain[:start + 11] + b"\x44" + plain[start + 12:])
    progressive = encode(RGB, "JPEG", quality=80, progressive=True)
    write("jpeg_progressive_no_end.jpg", progressive[:-2] + b"A" * 64)


def chunk(name, data, crc=None):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) if crc is None else crc)


def chunks(file):
    at = 8
    while at < len(file):
        length = struct.unpack_from(">I", file, at)[0]
        yield file[at + 4:at + 8], file[at + 8:at + 8 + length]
        at += 12 + length


def png():
    palette = encode(RGB.quantize(16), "PNG")
    parts = list(chunks(palette))
    join = lambda parts: MAGIC + b"".join(part if isinstance(part, bytes) else chunk(*part) for part in parts)
    write("png_no_palette.png", join(p for p in parts if p[0] != b"PLTE"))
    write("png_empty_palette.png", join((p[0], b"") if p[0] == b"PLTE" else p for p in parts))
    second = (b"PLTE", bytes(range(48)))
    write("png_two_palettes.png", join(parts[:2] + [second] + parts[2:]))
    write("png_odd_palette.png", join((p[0], p[1] + b"\x05") if p[0] == b"PLTE" else p for p in parts))
    plain = encode(RGB, "PNG")
    header, data = [body for name, body in chunks(plain) if name in (b"IHDR", b"IDAT")]
    end = (b"IEND", b"")
    write("png_unknown_critical.png", join([(b"IHDR", header), (b"CgBI", b"1234"), (b"IDAT", data), end]))
    write("png_data_checksum.png", join([(b"IHDR", header), chunk(b"IDAT", data, 7), end]))
    raw = zlib.decompress(data)
    stride = 31 * 3 + 1
    write("png_rows_missing.png", join([(b"IHDR", header), (b"IDAT", zlib.compress(raw[:stride * 20])), end]))
    write("png_row_cut.png", join([(b"IHDR", header), (b"IDAT", zlib.compress(raw[:stride * 20 + 9])), end]))
    write("png_rows_more.png", join([(b"IHDR", header), (b"IDAT", zlib.compress(raw + raw[:stride])), end]))
    wrong = zlib.compress(raw)
    wrong = wrong[:-1] + bytes([wrong[-1] ^ 1])
    write("png_sum_wrong.png", join([(b"IHDR", header), (b"IDAT", wrong), end]))
    write("png_sum_apart.png", join([(b"IHDR", header), (b"IDAT", wrong[:-4]), (b"IDAT", wrong[-4:]), end]))
    write("png_filter_unknown.png", join([(b"IHDR", header), (b"IDAT", zlib.compress(b"\x07" + raw[1:])), end]))
    write("png_many_chunks.png", join([(b"IHDR", header)] + [(b"IDAT", data[i:i + 50]) for i in range(0, len(data), 50)] + [end]))
    text = zlib.compress(b" " * ((1 << 20) + 1))
    write("png_text_long.png", join([(b"IHDR", header), (b"zTXt", b"k\0\0" + text), (b"IDAT", data), end]))
    write("png_text_long_after.png", join([(b"IHDR", header), (b"IDAT", data), (b"iTXt", b"k\0\1\0\0\0" + text), end]))
    small = zlib.compress(b" " * (1 << 20))
    write("png_text_largest.png", join([(b"IHDR", header), (b"zTXt", b"k\0\0" + small), (b"IDAT", data), end]))
    # The orientation in every place where Pillow finds it, and in places where it does not.
    for name, block in [
        ("short", exif(3, struct.pack(">HH", 6, 0))), ("long", exif(4, struct.pack(">I", 6))), ("sshort", exif(8, struct.pack(">hh", 6, 0))),
        ("slong", exif(9, struct.pack(">i", 6))), ("byte", exif(1, b"\6\0\0\0")), ("text", exif(2, b"6\0\0\0")), ("float", exif(11, struct.pack(">f", 6))),
        ("two", exif(3, struct.pack(">HH", 6, 3), 2)), ("headed", b"Exif\0\0" + exif(3, struct.pack(">HH", 6, 0))), ("cut", exif(3, b"\0\6")[:-2]),
    ]:
        write(f"exif_{name}.png", join([(b"IHDR", header), (b"IDAT", data), (b"eXIf", block), end]))
    block = b"Exif\0\0" + exif(3, struct.pack(">HH", 8, 0))
    profile = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    write("exif_profile.png", join([(b"IHDR", header), (b"tEXt", b"Raw profile type exif\0" + profile), (b"IDAT", data), end]))
    write("exif_profile_packed.png", join([(b"IHDR", header), (b"IDAT", data), (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)), end]))
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    write("exif_xmp.png", join([(b"IHDR", header), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), (b"IDAT", data), end]))
    write("exif_xmp_element.png", join([(b"IHDR", header), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<tiff:Orientation>5</tiff:Orientation>")), (b"IDAT", data), end]))
    jpeg = encode(RGB, "JPEG", quality=50)
    app1 = lambda body: b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    whole = b"Exif\0\0" + exif(3, struct.pack(">HH", 6, 0))
    write("exif_two_parts.jpg", jpeg[:2] + app1(whole[:20]) + app1(b"Exif\0\0" + whole[20:]) + jpeg[2:])
    write("exif_after_frame.jpg", jpeg[:-2] + app1(whole) + jpeg[-2:])
    write("exif_xmp_last.jpg", jpeg[:2] + b"".join(app1(b"http://ns.adobe.com/xap/1.0/\0" + b'tiff:Orientation="%d"' % n) for n in (3, 6)) + jpeg[2:])
    xmp_gif = encode(GREY, "GIF")
    extension = b"!\xff\x0bXMP DataXMP" + b'tiff:Orientation="6"' + bytes([1]) + bytes(range(255, -1, -1)) + b"\0"
    at = xmp_gif.index(b",", 13 + 768 if xmp_gif[10] & 7 == 7 else 13)
    write("exif_xmp.gif", xmp_gif[:at] + extension + xmp_gif[at:])
    still = encode(RGB, "WEBP", quality=60)
    for name, flags in [("flagged", 0x08), ("not_flagged", 0)]:
        body = b"VP8X" + struct.pack("<IB3x", 10, flags) + three(30) + three(22) + still[12:] + chunk_le(b"EXIF", exif(3, struct.pack(">HH", 6, 0)))
        write(f"exif_{name}.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)


def exif(kind, value, count=1):
    return b"MM\0\x2a\0\0\0\x08\0\1" + struct.pack(">HHI", 274, kind, count) + value + bytes(4)


def icons():
    write("ico_png_rgb.ico", icon(encode(RGB, "PNG"), 1))
    write("ico_png_exif.ico", icon(encode(RGB, "PNG", exif=b"Exif\0\0" + exif(3, struct.pack(">HH", 6, 0))), 1))
    dib = encode(RGB, "DIB")
    double = dib[:8] + struct.pack("<i", 46) + dib[12:]
    mask = bytes([0x55, 0x0F, 0xF0, 0x3C]) * 23
    write("ico_24.ico", icon(double + mask, 1))
    rows = np.asarray(RGBA)[::-1][..., [2, 1, 0, 3]].tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, 31, 46, 1, 32, 0, 0, 0, 0, 0, 0)
    write("ico_32.ico", icon(head + rows + mask, 1, 32))
    write("cur_32.cur", icon(head + rows + mask, 2))
    write("cur_24.cur", icon(double + mask, 2))
    bits = struct.pack("<IiiHHIIiiII", 40, 31, 46, 1, 1, 0, 0, 0, 0, 0, 0) + b"\0\0\0\0\xff\xff\xff\0"
    write("cur_1.cur", icon(bits + bytes([0xA5, 0x33, 0x0F, 0x80]) * 23 + mask, 2))


def icon(picture, kind, bits=24):
    return struct.pack("<HHHBBBBHHII", 0, kind, 1, 31, 23, 0, 0, 1, bits, len(picture), 22) + picture


def gif():
    file = encode(RGB.quantize(64), "GIF")
    size = 3 << (file[10] & 7) + 1
    write("gif_no_palette.gif", file[:10] + bytes([file[10] & 0x7F]) + file[11:13] + file[13 + size:])
    write("gif_garbage.gif", file[:13 + size] + b"\0\0garbage\0" + file[13 + size:])
    write("gif_cut.gif", file[:-200])
    write("gif_no_end_code.gif", file[:-20])


def others():
    floats = (np.asarray(GREY).astype("<f4") * 1.7 - 20)[::-1]
    write("pnm_float.pfm", b"Pf\n31 23\n-1.0\n" + floats.tobytes())
    write("pnm_float_big.pfm", b"Pf 31 23 2.5\n" + floats.astype(">f4").tobytes())
    write("pnm_cmyk.ppm", b"P0CMYK\n31 23\n255\n" + RGBA.tobytes())
    write("pnm_comment_in_number.pgm", b"P5 1#c\n0 1#d\r\n 25#\n5\n0123456789")
    write("pnm_comments.ppm", b"P3 #a\n2 #b\r1\n255#c\n1 2 3#d\n 4 5 6")
    for depth, size in [(16, 2), (32, 4)]:
        table = bytes((i * 37 + 11) % 256 for i in range(64 * size))
        head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 64, depth, 0, 0, 31, 23, 8, 0x20)
        write(f"tga_palette_{depth}.tga", head + table + bytes(np.asarray(GREY) % 64))


for part in (webp, bmp, jpeg, png, icons, gif, others):
    part()
