//! Encoded images.

use effnet::preprocess::{ColorMode, DecodeError, DecodeOptions, Image, Limits, decode};

use super::memory::peak;

const MAX_PIXELS: u64 = 1 << 20;
const MAX_ALLOC: u64 = 8 << 20;
/// What a decoder may hold besides the pixels: tables, windows, buffers, and copies of its input.
const BESIDE: usize = 4 << 20;
const COPIES: usize = 8;

/// Decodes strictly and leniently; the bytes decide the mode and whether the orientation is
/// applied.
///
/// Asserted: no decoder panics; memory stays within the limits; a picture has the size that it
/// declares and no more pixels than the limit; what can be read strictly gives the same when read
/// leniently, except for PNG files that Pillow reads further only leniently.
fn image(bytes: &[u8]) {
    let sum = bytes.iter().fold(0usize, |sum, byte| sum + usize::from(*byte));
    let mode = [ColorMode::Rgb, ColorMode::L, ColorMode::Rgba][sum % 3];
    let strict = one(bytes, mode, false, sum / 3 % 4 == 0);
    let lenient = one(bytes, mode, true, sum / 3 % 4 == 0);
    if let Ok(strict) = strict
        && !has_odd_name(bytes)
    {
        match lenient {
            Ok(lenient) => assert!(
                (strict.width(), strict.height()) == (lenient.width(), lenient.height())
                    && strict.data() == lenient.data(),
                "another picture leniently: {strict:?}, {lenient:?}"
            ),
            Err(error) => panic!("read strictly as {strict:?}, but not leniently: {error}"),
        }
    }
}

/// Whether these hold a PNG, as an ICO may, with a chunk whose name is ASCII but not letters. As in
/// Pillow, strict reading ends there, and lenient reading takes it for a chunk, which must be whole,
/// and goes on.
fn has_odd_name(bytes: &[u8]) -> bool {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let begins = bytes.windows(SIGNATURE.len()).enumerate().filter(|(_, at)| *at == SIGNATURE);
    begins.map(|(at, _)| &bytes[at + SIGNATURE.len()..]).any(|mut rest| {
        while let Some((&[a, b, c, d, ref name @ ..], after)) = rest.split_first_chunk::<8>() {
            let letters = name.iter().all(u8::is_ascii_alphabetic);
            if !letters || name == b"IEND" {
                return !letters && name.is_ascii();
            }
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            rest = after.get(length.saturating_add(4)..).unwrap_or_default();
        }
        false
    })
}

fn one(
    bytes: &[u8],
    mode: ColorMode,
    lenient: bool,
    exif_orientation: bool,
) -> Result<Image, DecodeError> {
    let limits = Limits { max_pixels: MAX_PIXELS, max_alloc: MAX_ALLOC };
    let options = DecodeOptions { limits, lenient, exif_orientation };
    let (result, held) = peak(|| decode(bytes, mode, &options));
    let most = MAX_ALLOC as usize + BESIDE + COPIES * bytes.len();
    assert!(held <= most, "{held} bytes held, {most} allowed: {result:?}");
    match &result {
        Ok(image) => {
            let (width, height) = (image.width() as usize, image.height() as usize);
            assert_eq!(image.data().len(), width * height * mode.channels());
            assert!(width * height > 0 && (width * height) as u64 <= MAX_PIXELS);
            assert_eq!(image.mode(), mode);
        }
        Err(error) => {
            let text = error.to_string();
            // The message of a caught panic.
            assert!(!text.contains("its decoder gave up"), "a decoder panicked");
            assert!(!text.contains('\n'), "an error of several lines: {text}");
        }
    }
    result
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $starts:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(bytes: &[u8]) {
            // Other formats have their own targets.
            let starts: &[&[u8]] = &$starts;
            if starts.is_empty() || starts.iter().any(|start| bytes.starts_with(start)) {
                image(bytes);
            }
        }
    )*};
}

formats! {
    /// JPEG, MPO.
    jpeg: [b"\xff\xd8\xff"];
    /// PNG, APNG.
    png: [b"\x89PNG\r\n\x1a\n"];
    /// GIF.
    gif: [b"GIF8"];
    /// WebP.
    webp: [b"RIFF"];
    /// BMP, and DIB, which is BMP without the file header.
    bmp: [b"BM", b"\x28\0\0\0", b"\x0c\0\0\0", b"\x40\0\0\0", b"\x34\0\0\0", b"\x38\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"];
    /// ICO and CUR.
    ico: [b"\0\0\x01\0", b"\0\0\x02\0"];
    /// TIFF, BigTIFF.
    tiff: [b"II", b"MM"];
    /// PBM, PGM, PPM, PFM.
    pnm: [b"P"];
    /// JPEG 2000: JP2, or a bare codestream.
    jpeg2000: [b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"];
    /// QOI.
    qoi: [b"qoif"];
    /// TGA, which has no magic number.
    tga: [];
}
