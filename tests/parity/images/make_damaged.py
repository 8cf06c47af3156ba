"""Writes the files `damaged_*` of tests/data/images: JPEGs, PNGs and WebPs that Pillow reads,
strictly or leniently, although they are damaged, most of them in one of the sweep's ways. See
README.md."""

import numpy as np

from sweep import DAMAGES, IMAGES, begin_of_data, is_image, pillow

JPEGS = ["420", "422", "440", "411", "444", "grey", "cmyk_adobe", "ycck_adobe", "restart_blocks", "restart_rows", "not_interleaved",
         "progressive_420", "progressive_444", "progressive_3x70", "cmyk_progressive", "arithmetic", "arithmetic_progressive"]
PNGS = ["rgb", "rgb16_adam7", "palette2", "grey1_adam7", "grey_alpha16_adam7", "rgba16"]
A_SEED = 5


def main():
    rng = np.random.Generator(np.random.PCG64(14))
    seeds = [f"jpeg_{name}.jpg" for name in JPEGS] + [f"png_{name}.png" for name in PNGS]
    number = 0
    for index, name in enumerate(seeds):
        seed = (IMAGES / name).read_bytes()
        for turn in range(A_SEED):
            # Each seed gets other kinds of damage than the previous one; the first is in the list twice.
            damage = DAMAGES[1 + (index * A_SEED + turn) % (len(DAMAGES) - 1)]
            for _ in range(50):
                data = bytearray(seed)
                damage(rng, data, int(rng.integers(begin_of_data(seed), len(seed))))
                if data != seed and any(is_image(pillow(bytes(data), lenient)[1]) for lenient in (False, True)):
                    (IMAGES / f"damaged_{number:03}_{damage.__name__}_{name}").write_bytes(data)
                    number += 1
                    break
    # The first scans only: libjpeg guesses what they lack from the surrounding blocks.
    seed = (IMAGES / "jpeg_progressive_420.jpg").read_bytes()
    scans = [at for at in range(len(seed)) if seed[at : at + 2] == b"\xff\xda"]
    for count, (begin, end) in enumerate(zip(scans, scans[1:]), 1):
        (IMAGES / f"damaged_scans_{count}.jpg").write_bytes(seed[: seed.index(b"\xff\xc4", begin) if b"\xff\xc4" in seed[begin:end] else end])
    # Coefficients so large that libjpeg's arithmetic exceeds 16 bits.
    beyond = bytearray((IMAGES / "jpeg_quality_1.jpg").read_bytes())
    for place, byte in [(756, 41), (761, 56), (765, 41), (768, 154), (776, 104)]:
        beyond[place] = byte
    (IMAGES / "damaged_beyond.jpg").write_bytes(beyond)
    # The same, where only a Huffman table shows the fault.
    beyond = bytearray((IMAGES / "jpeg_adobe_ycc.jpg").read_bytes())
    beyond[447:447], beyond[103:103] = b"\xff\xd9", b"\xff\xc4"
    (IMAGES / "damaged_beyond_table.jpg").write_bytes(beyond)
    # The same for libwebp, in a still picture, in a frame, and with alpha.
    for name, seed, begin, bytes_there in [
        ("still", "webp_lossy", 344, b"\xaf"),
        ("frame", "webp_animated_lossy", 164, b"\xff\xff"),
        ("alpha", "odd_webp_half_lossy_31", 798, b"\xff\xff"),
    ]:
        beyond = bytearray((IMAGES / f"{seed}.webp").read_bytes())
        beyond[begin : begin + len(bytes_there)] = bytes_there
        (IMAGES / f"damaged_beyond_{name}.webp").write_bytes(beyond)


main()
