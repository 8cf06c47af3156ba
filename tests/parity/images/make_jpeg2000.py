"""Writes tests/data/images/jpeg2000: small JPEG 2000 files from Pillow and from OpenJPEG's
opj_compress (on PATH; Debian: libopenjp2-tools), and goldens.json, which says what Pillow makes of
each. See README.md."""

import hashlib
import json
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parents[2] / "data/images/jpeg2000"
RNG = np.random.Generator(np.random.PCG64(2000))
BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "YCbCr": 3}


def picture(width, height, bands, bits):
    y, x = np.mgrid[:height, :width]
    most = (1 << bits) - 1
    waves = [(np.sin(x / (9 + band)) * np.cos(y / (7 + band)) * 0.45 + 0.5) * most for band in range(bands)]
    noise = RNG.integers(0, most // 10 + 1, (height, width, bands))
    return np.clip(np.stack(waves, -1) + noise, 0, most).astype(np.uint16 if bits > 8 else np.uint8)


def pillow():
    def save(name, mode, size=(37, 29), **options):
        if mode == "I;16":
            image = Image.fromarray(picture(*size, 1, 16)[..., 0])
        else:
            image = Image.frombytes(mode, size, picture(*size, BANDS[mode], 8).tobytes())
        image.save(OUT / name, "JPEG2000", **options)

    for mode in ["L", "LA", "RGB", "RGBA", "YCbCr", "I;16"]:
        name = mode.lower().replace(";", "")
        save(f"{name}.jp2", mode)
        save(f"{name}_rate.jp2", mode, quality_mode="rates", quality_layers=[12, 6, 3])
        save(f"{name}_irreversible.jp2", mode, irreversible=True)
    save("rgb.j2k", "RGB", no_jp2=True)
    save("pixel.jp2", "RGB", (1, 1))
    save("row.jp2", "L", (40, 1))
    save("column.jp2", "RGBA", (1, 40))
    save("tiles.jp2", "RGB", tile_size=(16, 16))
    save("offset.jp2", "RGB", (61, 47), offset=(7, 5), tile_size=(50, 40), tile_offset=(3, 2))
    save("precincts.jp2", "L", codeblock_size=(16, 16), precinct_size=(64, 64), progression="RPCL")
    save("unmixed.jp2", "RGB", mct=0)


def openjpeg():
    def compress(name, bands, bits, options="-n 3", size=(37, 29)):
        values = picture(*size, bands, bits)
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / ("in.pgm" if bands == 1 else "in.ppm")
            head = f"P{5 if bands == 1 else 6}\n{size[0]} {size[1]}\n{(1 << bits) - 1}\n"
            source.write_bytes(head.encode() + values.astype(">u2" if bits > 8 else "u1").tobytes())
            command = ["opj_compress", "-i", str(source), "-o", str(OUT / name), *options.split()]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    for bands, bits in [(1, 1), (1, 4), (1, 9), (1, 12), (1, 16), (3, 10), (3, 12), (3, 16)]:
        compress(f"bits_{bands}_{bits}.jp2", bands, bits)
    compress("bits_1_9.j2k", 1, 9)
    for style in (1, 2, 4, 8, 16, 32, 63):
        compress(f"style_{style}.jp2", 1, 8, f"-M {style} -n 3")
    for order in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL"):
        compress(f"order_{order.lower()}.jp2", 3, 8, f"-p {order} -t 30,20 -c [32,32],[16,16] -n 3 -r 10,1")
    compress("markers.jp2", 3, 8, "-SOP -EPH -n 3")
    compress("tile_parts.jp2", 3, 8, "-TP R -t 16,16 -n 3")
    compress("small_blocks.jp2", 1, 8, "-b 4,4 -n 3")
    compress("region.jp2", 1, 8, "-ROI c=0,U=5 -n 3")
    compress("changes.jp2", 3, 8, "-POC T1=0,0,1,5,3,CPRL/T1=5,0,1,6,3,CPRL", (61, 47))


def outcome(path):
    image = Image.open(path)
    golden = {"width": image.width, "height": image.height}
    for mode in ("L", "RGB", "RGBA"):
        golden[mode] = hashlib.sha256(image.convert(mode).tobytes()).hexdigest()
    return golden


OUT.mkdir(parents=True, exist_ok=True)
pillow()
openjpeg()
# A quantization exponent that announces more bits than there are.
damaged = bytearray((OUT / "rgb_rate.jp2").read_bytes())
damaged[damaged.index(b"\xff\x5c") + 5] = 0xF3
(OUT / "too_many_bits.jp2").write_bytes(damaged)
goldens = {path.name: outcome(path) for path in sorted(OUT.glob("*.j*")) if path.suffix != ".json"}
lines = (f" {json.dumps(name)}: {json.dumps(golden)}" for name, golden in goldens.items())
(OUT / "goldens.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
