//! Compares TIFF with Pillow 13.0.0, as `tests/parity/images/make_tiffs.py` recorded it for each
//! file in `tests/data/images/tiff`. Each file gives Pillow's bytes or is refused by name.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod preprocess_support;

use effnet::preprocess::{ColorMode, DecodeError, DecodeOptions, Image, Limits, decode};
use preprocess_support::{Noise, decodes, folder, goldens, sha256};

/// Files that Pillow reads and this library refuses, with part of the error.
const REFUSED: &[(&str, &str)] = &[
    ("chroma21_c1.tiff", "uncompressed YCbCr of subsampled chroma"),
    ("chroma44_c5.tiff", "blocks of chroma that libtiff cuts"),
    ("chroma44_c8.tiff", "blocks of chroma that libtiff cuts"),
    // Damage after which libtiff goes on.
    ("damaged_coefficients_type.tiff", "values of type 13"),
    ("damaged_filled_up.tiff", "faults in its markers"),
    ("damaged_huffman.tiff", "an invalid Huffman table"),
    ("damaged_marker.tiff", "faults in its markers"),
    ("damaged_predictor_type.tiff", "values of type 13"),
    ("damaged_scan.tiff", "a bad scan"),
    ("deflate_p0f32x1.tiff", "compressed big-endian samples that are signed or floats"),
    ("deflate_p1s32x1.tiff", "compressed big-endian samples that are signed or floats"),
    ("jpeg_12_bits_37_29.tiff", "rows of odd length"),
    // Pillow writes this file, and libtiff reads it with bad codes.
    ("fax_rlew_noise.tiff", "a bad fax code"),
    ("old_jpeg_411_16.tiff", "old JPEG in parts"),
    ("old_jpeg_420_16.tiff", "old JPEG in parts"),
    ("old_jpeg_444_16.tiff", "old JPEG in parts"),
    ("old_jpeg_parts_empty.tiff", "a strip of no bytes"),
    ("old_jpeg_parts_two_places.tiff", "tags of both strips and tiles"),
    ("overlapping_strips.tiff", "overlap"),
    ("planes_raw_p2u16x3.tiff", "in separate planes, uncompressed"),
    ("predictor3_b.tiff", "compressed big-endian samples that are signed or floats"),
    ("subsampled_raw_tag.tiff", "uncompressed YCbCr of subsampled chroma"),
];

/// A file that Pillow refuses and this library reads: FillOrder 2 in a palette image.
const MORE: &[&str] = &["fill2_palette.tiff"];

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("tiff").join(name)).unwrap()
}

fn open(name: &str) -> Result<Image, DecodeError> {
    decode(&read(name), ColorMode::Rgb, &DecodeOptions::default())
}

fn names() -> Vec<String> {
    let mut names: Vec<_> =
        goldens("tiff/goldens.json").as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn decodes_as_pillow_does_or_says_what_it_refuses() {
    let goldens = goldens("tiff/goldens.json");
    let mut wrong = Vec::new();
    let (mut equal, mut refused) = (0, 0);
    for name in names() {
        let golden = &goldens[&name];
        let words = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, words)| *words);
        match (open(&name), words) {
            (Ok(image), None) if golden.get("error").is_none() => {
                equal += 1;
                let size = [u64::from(image.width()), u64::from(image.height())];
                let expected = ["width", "height"].map(|side| golden[side].as_u64().unwrap());
                if size != expected {
                    wrong.push(format!("{name}: {size:?} pixels, not {expected:?}"));
                } else if sha256(image.data()) != golden["sha256"] {
                    wrong.push(format!("{name}: other pixels"));
                }
            }
            (Ok(_), None) if MORE.contains(&name.as_str()) => {}
            (Ok(_), None) => wrong.push(format!("{name}: decoded, but Pillow refuses it")),
            (Ok(_), Some(_)) => wrong.push(format!("{name}: decoded: remove it from the list")),
            (Err(error), None) if golden.get("error").is_some() => {
                let text = error.to_string();
                assert!(!text.contains('\n') && !text.contains("gave up"), "{name}: {text}");
            }
            (Err(error), None) => wrong.push(format!("{name}: {error}")),
            (Err(error), Some(words)) => {
                refused += 1;
                if !error.to_string().contains(words) {
                    wrong.push(format!("{name}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {equal} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= 200, "only {equal} files were compared");
    assert_eq!(refused, REFUSED.len());
}

/// Every colour of CIELab, in one picture.
#[test]
fn every_colour_of_cielab_is_as_in_pillow() {
    let entries = [
        (256u16, 4096u32),
        (257, 4096),
        (258, 8),
        (259, 1),
        (262, 8),
        (273, 122),
        (277, 3),
        (278, 4096),
        (279, 3 << 24),
    ];
    let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, value) in entries {
        file.extend([&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    assert_eq!(file.len(), 122);
    file.extend((0..1u32 << 24).flat_map(|colour| colour.to_be_bytes().into_iter().skip(1)));
    let image = decode(&file, ColorMode::Rgb, &DecodeOptions::default()).unwrap();
    assert_eq!(sha256(image.data()), goldens("tiff/lab.json")["sha256"]);
    let rgba = decode(&read("raw_p8u8x3.tiff"), ColorMode::Rgba, &DecodeOptions::default());
    assert!(rgba.unwrap().data().as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 255));
    let grey = decode(&read("raw_p8u8x3.tiff"), ColorMode::L, &DecodeOptions::default());
    assert!(grey.unwrap_err().to_string().contains("CIELab as grey"));
}

#[test]
fn what_asks_for_more_than_it_holds_is_refused_before_it_is_decoded() {
    for (name, words) in [
        ("bomb_jpeg_in_strip.tiff", "holds a JPEG larger than itself"),
        ("bomb_jpeg_last_strip.tiff", "holds a JPEG larger than itself"),
        ("bomb_jpeg_strips.tiff", "holds a JPEG larger than itself"),
        ("overlapping_strips.tiff", "overlap"),
    ] {
        let error = open(name).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn limits_hold_for_every_way_to_read() {
    for name in ["raw_p2u8x3.tiff", "deflate_p2u8x3.tiff", "c34925_p2u8x3.tiff", "jpeg_rgb.tiff"] {
        let bytes = read(name);
        let few = Limits { max_pixels: 54, ..Limits::default() };
        let result = decode(
            &bytes,
            ColorMode::Rgb,
            &DecodeOptions { limits: few, ..DecodeOptions::default() },
        );
        assert!(matches!(result, Err(DecodeError::TooManyPixels { limit: 54, .. })), "{name}");
        let little = Limits { max_alloc: 100, ..Limits::default() };
        let result = decode(
            &bytes,
            ColorMode::Rgb,
            &DecodeOptions { limits: little, ..DecodeOptions::default() },
        );
        assert!(matches!(result, Err(DecodeError::TooMuchMemory { limit: 100, .. })), "{name}");
    }
}

#[test]
fn a_cut_file_without_compression_keeps_its_rows_leniently() {
    let bytes = read("cut.tiff");
    let strict = decode(&bytes, ColorMode::Rgb, &DecodeOptions::default());
    assert!(matches!(strict, Err(DecodeError::Truncated { .. })), "{strict:?}");
    let lenient = DecodeOptions { lenient: true, ..DecodeOptions::default() };
    let image = decode(&bytes, ColorMode::Rgb, &lenient).unwrap();
    assert_ne!(image.data()[0], 0);
    assert_eq!(image.data().last(), Some(&0));
}

/// Every file, cut and with bits flipped in many ways, gives an image or an error, never a panic,
/// and never more than the limits allow.
#[test]
fn damaged_files_neither_panic_nor_swell() {
    let limits = Limits { max_pixels: 1 << 18, max_alloc: 1 << 24 };
    let mut noise = Noise(41);
    let mut decoded = 0;
    for name in names() {
        let bytes = read(&name);
        for round in 0..200 {
            let mut bytes = bytes.clone();
            if round % 5 == 0 {
                bytes.truncate(noise.below(bytes.len() + 1));
            }
            // Damage in the tags, which come last, is the worst.
            let tags = bytes.len().min(240);
            for _ in 0..=noise.below(3) {
                let reach = if round % 2 == 0 { tags } else { bytes.len() };
                if reach > 0 {
                    let at = bytes.len() - 1 - noise.below(reach);
                    bytes[at] = noise.next() as u8;
                }
            }
            decoded += usize::from(decodes(&name, round, &bytes, limits));
        }
    }
    assert!(decoded > 5000, "only {decoded} damaged files decoded");
}
