//! Compares JPEG 2000 with Pillow 13.0.0, as `tests/parity/images/make_jpeg2000.py` recorded it for
//! each file in `tests/data/images/jpeg2000`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod preprocess_support;

use effnet::preprocess::{ColorMode, DecodeError, DecodeOptions, Image, Limits, decode};
use preprocess_support::{Noise, decodes, folder, goldens, sha256};

/// Files that Pillow reads and this library refuses, with part of the error.
const REFUSED: &[(&str, &str)] = &[
    ("_irreversible.jp2", "the irreversible transform"),
    ("changes.jp2", "marker ff5f"),
    ("region.jp2", "marker ff5e"),
    ("too_many_bits.jp2", "coefficients of more than 24 bits"),
];

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("jpeg2000").join(name)).unwrap()
}

fn open(bytes: &[u8], mode: ColorMode) -> Result<Image, DecodeError> {
    decode(bytes, mode, &DecodeOptions::default())
}

fn names() -> Vec<String> {
    let goldens = goldens("jpeg2000/goldens.json");
    let mut names: Vec<_> = goldens.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn decodes_as_pillow_does_or_says_what_it_refuses() {
    let goldens = goldens("jpeg2000/goldens.json");
    let (mut equal, mut refused) = (0, 0);
    for name in names() {
        let golden = &goldens[&name];
        let words = REFUSED.iter().find(|(end, _)| name.ends_with(end)).map(|(_, words)| *words);
        for mode in [ColorMode::L, ColorMode::Rgb, ColorMode::Rgba] {
            match (open(&read(&name), mode), words) {
                (Ok(image), None) => {
                    equal += 1;
                    let size = [image.width(), image.height()].map(u64::from);
                    assert_eq!(
                        size,
                        ["width", "height"].map(|side| golden[side].as_u64().unwrap())
                    );
                    assert_eq!(sha256(image.data()), golden[mode.to_string()], "{name} as {mode}");
                }
                (Err(error), Some(words)) => {
                    refused += 1;
                    assert!(error.to_string().contains(words), "{name}: {error}");
                }
                (Ok(_), Some(_)) => panic!("{name}: decoded: remove it from the list"),
                (Err(error), None) => panic!("{name}: {error}"),
            }
        }
    }
    assert!(equal >= 3 * 40 && refused >= 3 * 9, "{equal} equal, {refused} refused");
}

#[test]
fn limits_hold_before_pixels_are_read() {
    for name in ["rgb.jp2", "rgb.j2k", "small_blocks.jp2"] {
        let limits = Limits { max_pixels: 54, ..Limits::default() };
        let options = DecodeOptions { limits, ..DecodeOptions::default() };
        let result = decode(&read(name), ColorMode::Rgb, &options);
        assert!(matches!(result, Err(DecodeError::TooManyPixels { limit: 54, .. })), "{name}");
        let limits = Limits { max_alloc: 100, ..Limits::default() };
        let options = DecodeOptions { limits, ..DecodeOptions::default() };
        let result = decode(&read(name), ColorMode::Rgb, &options);
        assert!(matches!(result, Err(DecodeError::TooMuchMemory { limit: 100, .. })), "{name}");
    }
}

/// A short file that announces many small parts.
#[test]
fn small_files_that_ask_for_much_are_refused() {
    let whole = read("rgb.j2k");
    let size = whole.windows(2).position(|bytes| bytes == b"\xff\x51").unwrap();
    let style = whole.windows(2).position(|bytes| bytes == b"\xff\x52").unwrap();
    // Sides of 13,000 pixels.
    let mut large = whole.clone();
    for at in [size + 6, size + 10, size + 22, size + 26] {
        large[at..at + 4].copy_from_slice(&13_000u32.to_be_bytes());
    }
    // In precincts of four.
    let mut precincts = large.clone();
    precincts[style + 4] |= 1;
    let levels = usize::from(precincts[style + 9]);
    let length = u16::from_be_bytes([precincts[style + 2], precincts[style + 3]]);
    let length = (length + levels as u16 + 1).to_be_bytes();
    precincts[style + 2..style + 4].copy_from_slice(&length);
    precincts.splice(style + 14..style + 14, vec![0x11; levels + 1]);
    let error = open(&precincts, ColorMode::Rgb).unwrap_err();
    assert!(matches!(error, DecodeError::TooMuchMemory { .. }), "{error}");
    // In tiles of one pixel.
    let mut tiles = large;
    for at in [size + 22, size + 26] {
        tiles[at..at + 4].copy_from_slice(&1u32.to_be_bytes());
    }
    let error = open(&tiles, ColorMode::Rgb).unwrap_err().to_string();
    assert!(error.contains("more tiles than have numbers"), "{error}");
}

#[test]
fn a_cut_file_is_refused() {
    for name in ["rgb.jp2", "rgb.j2k", "tiles.jp2", "row.jp2"] {
        let whole = read(name);
        for length in [20, whole.len() / 2, whole.len() - 3, whole.len() - 1] {
            let result = open(&whole[..length], ColorMode::Rgb);
            assert!(matches!(result, Err(DecodeError::Truncated { .. })), "{name}: {result:?}");
        }
    }
}

/// Every file, cut and with bits flipped in many ways, gives an image or an error, never a panic,
/// and never more than the limits allow.
#[test]
fn damaged_files_neither_panic_nor_swell() {
    let limits = Limits { max_pixels: 1 << 16, max_alloc: 1 << 25 };
    let mut noise = Noise(2000);
    let mut decoded = 0;
    for name in names() {
        let bytes = read(&name);
        for round in 0..100 {
            let mut bytes = bytes.clone();
            if round % 9 == 0 {
                bytes.truncate(noise.below(bytes.len() + 1));
            }
            let reach = if round % 2 == 0 { bytes.len().min(220) } else { bytes.len() };
            for _ in 0..=noise.below(3) {
                if reach > 0 {
                    let at = noise.below(reach);
                    bytes[at] = noise.next() as u8;
                }
            }
            decoded += usize::from(decodes(&name, round, &bytes, limits));
        }
    }
    assert!(decoded > 1000, "only {decoded} damaged files decoded");
}
