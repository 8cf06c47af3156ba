//! Pillow's colour conversions that `image` does in another way (`src/libImaging/Convert.c`).

/// CMYK to RGB, without a colour profile: `255 - K`, less the share of it that the ink takes.
/// `inverted` is Adobe's way round, with 255 for no ink.
pub(super) fn cmyk_to_rgb(cmyk: &[u8], inverted: bool) -> Vec<u8> {
    let flip = if inverted { 255 } else { 0 };
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for pixel in cmyk.as_chunks::<4>().0 {
        let [cyan, magenta, yellow, black] = pixel.map(|value| i32::from(value ^ flip));
        let white = 255 - black;
        rgb.extend(
            [cyan, magenta, yellow].map(|ink| (white - share(ink, white)).clamp(0, 255) as u8),
        );
    }
    rgb
}

/// `a * b / 255`, rounded, in Pillow's whole numbers.
fn share(a: i32, b: i32) -> i32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}

/// JFIF's YCbCr to RGB, in Pillow's whole numbers of 1/64
/// (`src/libImaging/ConvertYCbCr.c`: each product plus a half, cut towards zero, then shifted).
pub(super) fn ycbcr_to_rgb(ycbcr: &[u8]) -> Vec<u8> {
    let part = |factor: f64, value: u8| {
        let exact = factor * 64.0 * (f64::from(value) - 128.0);
        (exact + 0.5) as i32
    };
    let mut rgb = Vec::with_capacity(ycbcr.len());
    for &[y, cb, cr] in ycbcr.as_chunks::<3>().0 {
        let light = i32::from(y);
        let red = light + (part(1.402, cr) >> 6);
        let green = light + ((part(-0.34414, cb) + part(-0.71414, cr)) >> 6);
        let blue = light + (part(1.772, cb) >> 6);
        rgb.extend([red, green, blue].map(|value| value.clamp(0, 255) as u8));
    }
    rgb
}

/// A 5- or 6-bit sample as Pillow widens it, `value * 255 / most` without rounding, from the
/// rounded byte that `image` gives.
pub(super) fn truncated_sample(byte: u8, bits: u32) -> u8 {
    let most = (1u32 << bits) - 1;
    ((u32::from(byte) >> (8 - bits)) * 255 / most) as u8
}
