//! Pillow's colour conversions that `image` does in another way (`src/libImaging/Convert.c`).

/// CMYK to RGB, without a colour profile: `255 - K`, less the share of it that the ink takes.
/// `inverted` is Adobe's way round, with 255 for no ink.
pub(super) fn cmyk_to_rgb(cmyk: &[u8], inverted: bool) -> Vec<u8> {
    let flip = if inverted { 255 } else { 0 };
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for pixel in cmyk.as_chunks::<4>().0 {
        let [cyan, magenta, yellow, black] = pixel.map(|value| i32::from(value ^ flip));
        let white = 255 - black;
        rgb.extend([cyan, magenta, yellow].map(|ink| (white - share(ink, white)).clamp(0, 255) as u8));
    }
    rgb
}

/// `a * b / 255`, rounded, in Pillow's whole numbers.
fn share(a: i32, b: i32) -> i32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}
