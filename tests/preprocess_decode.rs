//! Compares decoding with Pillow 13.0.0, as `tests/parity/images/make_goldens.py` recorded it for
//! each file in `tests/data/images`, byte for byte except the files listed here.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod preprocess_support;

use effnet::preprocess::{ColorMode, DecodeError, DecodeOptions, FORMATS, Image, Limits, decode};
use preprocess_support::{Noise, decodes, folder, goldens, sha256};
use serde_json::Value;

/// Files that Pillow reads and this library refuses, with part of the error.
const REFUSED: &[(&str, &str)] = &[
    ("damaged_beyond.jpg", "coefficients larger than any encoder writes"),
    ("damaged_beyond_alpha.webp", "corrupt (its coefficients exceed 16 bits)"),
    ("damaged_beyond_frame.webp", "corrupt (its coefficients exceed 16 bits)"),
    ("damaged_beyond_still.webp", "corrupt (its coefficients exceed 16 bits)"),
    ("damaged_beyond_table.jpg", "coefficients larger than any encoder writes"),
    ("odd_jpeg_chroma_larger.jpg", "convert it"),
];

fn read(name: &str, mode: ColorMode, options: &DecodeOptions) -> Result<Image, DecodeError> {
    decode(&std::fs::read(folder().join(name)).unwrap(), mode, options)
}

fn difference(image: &Image, expected: &Value) -> Option<String> {
    let (width, height) = (image.width(), image.height());
    if [&expected["width"], &expected["height"]] != [&Value::from(width), &Value::from(height)] {
        return Some(format!(
            "{width}x{height} pixels, not {}x{}",
            expected["width"], expected["height"]
        ));
    }
    if sha256(image.data()) == expected["sha256"] {
        return None;
    }
    // The golden has some evenly spread bytes, as a hint at what went wrong.
    let sample = expected["sample"].as_str().unwrap();
    let count = sample.len() / 2;
    let wrong = (0..count).filter(|i| {
        let byte = u8::from_str_radix(&sample[i * 2..i * 2 + 2], 16).unwrap();
        image.data()[i * image.data().len() / count] != byte
    });
    Some(format!("other pixels; {} of {count} sampled bytes differ", wrong.count()))
}

fn check(part: &str, options: &DecodeOptions) {
    let goldens = goldens("goldens.json");
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, golden) in goldens.as_object().unwrap() {
        let expected = golden.get(part).unwrap_or(golden);
        let result = read(name, ColorMode::Rgb, options);
        if REFUSED.iter().any(|(refused, _)| refused == name) {
            continue;
        }
        compared += 1;
        match (result, expected.get("error")) {
            (Ok(image), None) => {
                wrong.extend(difference(&image, expected).map(|what| format!("{name}: {what}")));
                for mode in [ColorMode::L, ColorMode::Rgba] {
                    let hash = read(name, mode, options).ok().map(|image| sha256(image.data()));
                    if hash.as_deref() != expected[mode.to_string()].as_str() {
                        wrong.push(format!("{name}: other pixels as {mode}"));
                    }
                }
            }
            (Ok(_), Some(error)) => wrong.push(format!("{name}: decoded, but Pillow says {error}")),
            (Err(error), None) => wrong.push(format!("{name}: {error}")),
            (Err(error), Some(_)) => {
                let text = error.to_string();
                assert!(!text.contains('\n') && !text.contains("gave up"), "{name}: {text}");
            }
        }
    }
    assert!(compared > 200, "only {compared} files were compared");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn decodes_as_pillow_does() {
    check("as stored", &DecodeOptions::default());
}

#[test]
fn turns_upright_as_pillow_does() {
    let options = DecodeOptions { exif_orientation: true, ..DecodeOptions::default() };
    check("transposed", &options);
    let goldens = goldens("goldens.json");
    let turned =
        goldens.as_object().unwrap().values().filter(|golden| golden.get("transposed").is_some());
    assert!(turned.count() >= 10);
}

#[test]
fn keeps_what_is_there_as_pillow_does() {
    let options = DecodeOptions { lenient: true, ..DecodeOptions::default() };
    check("lenient", &options);
}

#[test]
fn what_is_refused_is_refused_by_name() {
    let goldens = goldens("goldens.json");
    for (name, words) in REFUSED {
        assert!(goldens[name].get("sha256").is_some(), "{name}: Pillow refuses it too");
        let error = read(name, ColorMode::Rgb, &DecodeOptions::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn one_changed_byte_is_caught() {
    let goldens = goldens("goldens.json");
    let name = "jpeg_420.jpg";
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let image = decode(&bytes, ColorMode::Rgb, &DecodeOptions::default()).unwrap();
    assert_eq!(difference(&image, &goldens[name]), None);
    let mut data = image.data().to_vec();
    data[1000] ^= 1;
    let changed = Image::new(ColorMode::Rgb, image.width(), image.height(), data).unwrap();
    assert!(difference(&changed, &goldens[name]).is_some());
    // A changed byte of the file itself shows as well.
    let mut bytes = bytes;
    let middle = bytes.len() * 2 / 3;
    bytes[middle] ^= 0x20;
    let changed = decode(&bytes, ColorMode::Rgb, &DecodeOptions::default());
    assert!(changed.map_or(true, |image| difference(&image, &goldens[name]).is_some()));
}

#[test]
fn limits_hold_before_pixels_are_read() {
    let bomb = std::fs::read(folder().join("bomb_60000x60000.png")).unwrap();
    assert!(matches!(
        decode(&bomb, ColorMode::Rgb, &DecodeOptions::default()),
        Err(DecodeError::TooManyPixels { width: 60_000, height: 60_000, .. })
    ));
    let memory = Limits { max_pixels: u64::MAX, max_alloc: 1 << 30 };
    let options = DecodeOptions { limits: memory, ..DecodeOptions::default() };
    assert!(matches!(
        decode(&bomb, ColorMode::Rgb, &options),
        Err(DecodeError::TooMuchMemory { .. })
    ));
    for name in [
        "jpeg_420.jpg",
        "jpeg_progressive_420.jpg",
        "png_rgb.png",
        "gif_plain.gif",
        "bmp_24.bmp",
        "tiff_raw.tiff",
        "pnm_p6_255.ppm",
        "qoi_rgb.qoi",
        "tga_rgb.tga",
        "webp_lossy.webp",
        "ico_png.ico",
        "odd_ico_png_rgb.ico",
        "odd_cur_24.cur",
        "odd_bmp_headerless.dib",
        "odd_pnm_float.pfm",
        "odd_webp_half_lossy_50.webp",
    ] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let few = Limits { max_pixels: 54, ..Limits::default() };
        let options = DecodeOptions { limits: few, ..DecodeOptions::default() };
        let result = decode(&bytes, ColorMode::Rgb, &options);
        assert!(
            matches!(result, Err(DecodeError::TooManyPixels { limit: 54, .. })),
            "{name}: {result:?}"
        );
        let little = Limits { max_alloc: 100, ..Limits::default() };
        let options = DecodeOptions { limits: little, ..DecodeOptions::default() };
        let result = decode(&bytes, ColorMode::Rgb, &options);
        assert!(
            matches!(result, Err(DecodeError::TooMuchMemory { limit: 100, .. })),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn images_of_the_image_crate_convert_as_pillow_does() {
    use image::{DynamicImage, ImageBuffer};
    let convert =
        |image: DynamicImage| Image::from_dynamic(&image, ColorMode::Rgb).unwrap().into_data();
    let raw = |values: &[u16]| values.to_vec();
    let (grey, grey_alpha) = ([0u16, 1, 255, 256], [0x1234u16, 7, 0xff00, 9]);
    let image = ImageBuffer::from_raw(4, 1, raw(&grey)).unwrap();
    assert_eq!(
        convert(DynamicImage::ImageLuma16(image)),
        [0, 0, 0, 1, 1, 1, 255, 255, 255, 255, 255, 255]
    );
    let image = ImageBuffer::from_raw(2, 1, raw(&grey_alpha)).unwrap();
    assert_eq!(convert(DynamicImage::ImageLumaA16(image)), [0x12, 0x12, 0x12, 0xff, 0xff, 0xff]);
    let image = ImageBuffer::from_raw(1, 1, raw(&[0x1234, 0x5678, 0x9abc])).unwrap();
    assert_eq!(convert(DynamicImage::ImageRgb16(image)), [0x12, 0x56, 0x9a]);
    let image = ImageBuffer::from_raw(1, 1, raw(&[0x1234, 0x5678, 0x9abc, 0])).unwrap();
    assert_eq!(convert(DynamicImage::ImageRgba16(image)), [0x12, 0x56, 0x9a]);
    let image = ImageBuffer::from_raw(1, 1, vec![10, 20, 30, 0]).unwrap();
    assert_eq!(convert(DynamicImage::ImageRgba8(image)), [10, 20, 30]);
    let image = ImageBuffer::from_raw(1, 1, vec![-3.0f32, 127.9, 300.0]).unwrap();
    assert_eq!(convert(DynamicImage::ImageRgb32F(image)), [0, 127, 255]);
    assert!(Image::from_dynamic(&DynamicImage::new_rgb8(0, 5), ColorMode::L).is_err());
    let image = Image::new(ColorMode::Rgba, 1, 1, vec![255, 0, 0, 7]).unwrap();
    assert_eq!(image.clone().convert(ColorMode::L).data(), [76]);
    assert_eq!(image.convert(ColorMode::L).convert(ColorMode::Rgba).data(), [76, 76, 76, 255]);
}

#[test]
fn errors_name_the_cause() {
    let read = |name| read(name, ColorMode::Rgb, &DecodeOptions::default());
    assert!(matches!(read("empty.png"), Err(DecodeError::Empty)));
    assert!(matches!(read("text.jpg"), Err(DecodeError::UnknownFormat)));
    for name in [
        "truncated_10.jpg",
        "truncated_97.jpg",
        "truncated_header.jpg",
        "jpeg_no_eoi.jpg",
        "truncated_50.png",
    ] {
        let error = read(name).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. }), "{name}: {error}");
        assert!(error.to_string().contains("`DecodeOptions::lenient`"));
    }
}

#[test]
fn small_files_that_ask_for_much_are_refused() {
    // 256 empty scans of 179 million pixels.
    let error = read("bombs/jpeg_256_scans.jpg", ColorMode::L, &DecodeOptions::default());
    assert!(error.unwrap_err().to_string().contains("more scans"));
    for name in ["odd_png_text_long.png", "odd_png_text_long_after.png"] {
        let error = read(name, ColorMode::Rgb, &DecodeOptions::default()).unwrap_err();
        assert!(error.to_string().contains("inflates beyond"), "{name}: {error}");
    }
}

#[test]
fn errors_tell_the_setting_that_decides() {
    let strict = DecodeOptions::default();
    let limits = Limits { max_alloc: 100, ..Limits::default() };
    let little = DecodeOptions { limits, ..strict };
    for (name, options, setting) in [
        ("truncated_50.png", strict, "`DecodeOptions::lenient`"),
        ("bomb_60000x60000.png", strict, "`Limits::max_pixels`"),
        ("png_rgb.png", little, "`Limits::max_alloc`"),
    ] {
        let error = read(name, ColorMode::Rgb, &options).unwrap_err().to_string();
        assert!(error.contains(setting), "{name}: {error}");
    }
}

#[test]
fn grey_levels_that_are_clipped_are_told() {
    let clipped = |name| read(name, ColorMode::L, &DecodeOptions::default()).unwrap().is_clipped();
    for name in ["png_grey16.png", "pnm_p5_65535.pgm", "odd_pnm_float.pfm"] {
        assert!(clipped(name), "{name}");
    }
    for name in ["png_grey8.png", "png_rgb16.png", "jpeg_grey.jpg"] {
        assert!(!clipped(name), "{name}");
    }
}

#[test]
fn formats_are_known_by_their_first_bytes() {
    let named = |bytes: &[u8]| {
        let mut file = bytes.to_vec();
        file.resize(64, b' ');
        match decode(&file, ColorMode::Rgb, &DecodeOptions::default()) {
            Err(DecodeError::NotDecoded { format }) => format,
            other => panic!("{other:?}"),
        }
    };
    for (name, bytes) in [
        ("AVIF", b"\0\0\0\x20ftypavif".as_slice()),
        ("HEIC", b"\0\0\0\x20ftypheic"),
        ("video (MP4 or QuickTime)", b"\0\0\0\x20ftypisom"),
        ("JPEG XL", b"\xff\x0a"),
        ("PCX", b"\x0a\x05\x01\x08"),
        ("XBM", b"#define im_width 10"),
        ("XPM", b"/* XPM */"),
        ("SVG", b"<?xml version='1.0'?>\n<svg>"),
        ("PDF", b"%PDF-1.7"),
        ("Sun raster", b"\x59\xa6\x6a\x95"),
        ("BLP", b"BLP2"),
    ] {
        assert_eq!(named(bytes), name);
    }
    let mut extensions: Vec<_> = FORMATS.iter().flat_map(|format| format.extensions).collect();
    extensions.sort();
    assert!(extensions.is_sorted_by(|a, b| a < b), "an ending of two formats");
    let decoded = FORMATS.iter().filter(|format| format.is_decoded());
    let decoded: Vec<_> = decoded.flat_map(|format| format.extensions).collect();
    for extension in ["mpo", "jfif", "apng", "dib", "cur", "icb", "vda", "vst", "pfm", "tif"] {
        assert!(decoded.contains(&&extension), "{extension}");
    }
}

/// Every file, cut and with bits flipped in a few thousand ways, gives an image or an error, never
/// a panic, and never more than the limits allow.
#[test]
fn damaged_files_neither_panic_nor_swell() {
    let limits = Limits { max_pixels: 1 << 18, max_alloc: 1 << 24 };
    let mut noise = Noise(2026);
    let mut names: Vec<_> = goldens("goldens.json").as_object().unwrap().keys().cloned().collect();
    names.sort();
    let mut decoded = 0;
    for name in &names {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        for round in 0..300 {
            let mut bytes = bytes.clone();
            if round % 3 == 0 {
                bytes.truncate(noise.below(bytes.len() + 1));
            }
            for _ in 0..noise.below(4) {
                // Damage in headers is the worst.
                let reach = if round % 2 == 0 { bytes.len().min(64) } else { bytes.len() };
                if reach > 0 {
                    let at = noise.below(reach);
                    bytes[at] = noise.next() as u8;
                }
            }
            decoded += usize::from(decodes(name, round, &bytes, limits));
        }
    }
    assert!(
        decoded > 5000,
        "only {decoded} damaged files decoded: the damage is too coarse to say much"
    );
}
