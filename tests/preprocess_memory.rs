//! Compares the memory that decoders take with what they reserve of `Limits::max_alloc`.

#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "support/counting.rs"]
mod counting;

use std::sync::Mutex;

use effnet::preprocess::{ColorMode, DecodeError, DecodeOptions, Image, Limits, decode};

/// Only one test counts at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Memory that is not counted: tables and the like, whose size does not depend on the file.
const SMALL: u64 = 300 << 10;

/// The most that running it takes, in addition to what was taken before.
fn most(run: impl FnOnce()) -> u64 {
    counting::held(run).0 as u64
}

fn open(file: &[u8], mode: ColorMode, max_alloc: u64) -> Result<Image, DecodeError> {
    let limits = Limits { max_alloc, ..Limits::default() };
    decode(file, mode, &DecodeOptions { limits, ..DecodeOptions::default() })
}

/// A kind of pixel, as tags describe it.
#[derive(Clone, Copy)]
struct Kind {
    photometric: u32,
    bits: u32,
    samples: u32,
    format: u32,
    extra: Option<u32>,
}

const GREY: Kind = Kind { photometric: 1, bits: 8, samples: 1, format: 1, extra: None };

/// A TIFF with one strip, which comes directly after the header.
fn tiff(side: u32, kind: Kind, compression: u32, strip: &[u8]) -> Vec<u8> {
    let mut tags = vec![
        (256, side),
        (257, side),
        (258, kind.bits),
        (259, compression),
        (262, kind.photometric),
        (273, 8),
        (277, kind.samples),
        (278, side),
        (279, strip.len() as u32),
    ];
    if kind.photometric == 3 {
        // Any bytes can be a palette.
        tags.push((320, 0));
    }
    tags.extend(kind.extra.map(|extra| (338, extra)));
    tags.push((339, kind.format));
    let mut file = b"II*\0".to_vec();
    file.extend((8 + strip.len() as u32).to_le_bytes());
    file.extend(strip);
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        let (kind, count) = if tag == 320 { (3u16, 768u32) } else { (4, 1) };
        file.extend((tag as u16).to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 1536]);
    file
}

/// A zstd frame of zeros, which asks for a window of a power of two.
fn zstd(length: usize, window_bits: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_bits - 10) << 3];
    let mut left = length;
    while left > 0 {
        let block = left.min(1 << 17);
        left -= block;
        let head = (block as u32) << 3 | 1 << 1 | u32::from(left == 0);
        frame.extend(&head.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

#[test]
fn decoders_take_no_more_than_they_reserve() {
    let _turn = TURN.lock();
    let side = 1024;
    let kind = |photometric, bits, samples, format, extra| Kind {
        photometric,
        bits,
        samples,
        format,
        extra,
    };
    for kind in [
        GREY,
        kind(1, 16, 1, 1, None),
        kind(1, 32, 1, 2, None),
        kind(1, 32, 1, 3, None),
        kind(1, 8, 2, 1, Some(2)),
        kind(2, 8, 3, 1, None),
        kind(2, 16, 4, 1, Some(2)),
        kind(3, 8, 1, 1, None),
        kind(3, 8, 2, 1, Some(2)),
        kind(5, 8, 4, 1, None),
    ] {
        let length = (side * side * kind.samples * kind.bits / 8) as usize;
        let plain = tiff(side, kind, 1, &vec![0; length]);
        let small_window = tiff(side, kind, 50_000, &zstd(length, 17));
        let large_window = tiff(side, kind, 50_000, &zstd(length, 26));
        for (name, file) in [("plain", plain), ("zstd", small_window), ("window", large_window)] {
            for mode in [ColorMode::L, ColorMode::Rgb, ColorMode::Rgba] {
                let Kind { photometric, bits, samples, .. } = kind;
                let what = format!("{name}, {samples} of {bits} bits, {photometric}, {mode}");
                open(&file, mode, 1 << 30).expect(&what);
                let enough = enough(&file, mode);
                open(&file, mode, enough).expect(&what);
                let taken = most(|| drop(open(&file, mode, enough)));
                assert!(taken <= enough + SMALL, "{what}: {taken} bytes of {enough}");
            }
        }
    }
}

/// The smallest limit that a file's decoder does not refuse.
fn enough(file: &[u8], mode: ColorMode) -> u64 {
    let (mut refused, mut enough) = (0u64, 1u64 << 30);
    while enough - refused > 1 << 12 {
        let limit = refused.midpoint(enough);
        match open(file, mode, limit) {
            Err(DecodeError::TooMuchMemory { .. }) => refused = limit,
            _ => enough = limit,
        }
    }
    enough
}

/// A JPEG 2000 with many small parts, which are set up before the bits of the first are read.
#[test]
fn parts_of_jpeg_2000_are_counted() {
    let _turn = TURN.lock();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/jpeg2000");
    let mut file = std::fs::read(format!("{folder}/rgb.j2k")).unwrap();
    let find = |code| file.windows(2).position(|bytes| bytes == [0xff, code]).unwrap();
    let (size, style) = (find(0x51), find(0x52));
    for at in [6, 10, 22, 26] {
        file[size + at..][..4].copy_from_slice(&1500u32.to_be_bytes());
    }
    // Blocks of four by four.
    file[style + 10..style + 12].fill(0);
    let limit = enough(&file, ColorMode::Rgb);
    let taken = most(|| drop(open(&file, ColorMode::Rgb, limit)));
    assert!(taken > 100 << 20, "only {taken} bytes: nothing was tried");
    assert!(taken <= limit, "{taken} bytes of {limit}");
}

#[test]
fn windows_of_many_files_at_once_stay_within_the_limit() {
    let _turn = TURN.lock();
    // 4 MiB of pixels, which the decoder keeps, and converts to more.
    let side = 2048;
    let file = tiff(side, GREY, 50_000, &zstd((side * side) as usize, 27));
    let limit = 64 << 20;
    let taken = most(|| {
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        open(&file, ColorMode::L, limit).unwrap();
                    }
                });
            }
        });
    });
    // The returned images are not counted.
    let images = u64::from(side * side) * 12;
    assert!(taken <= limit + images, "{taken} bytes");
    assert!(taken >= 24 << 20, "only {taken} bytes: nothing was tried");
    // libtiff does not accept this either.
    let file = tiff(32, GREY, 50_000, &zstd(32 * 32, 28));
    let error = open(&file, ColorMode::L, 1 << 30).unwrap_err();
    assert!(matches!(error, DecodeError::Corrupt { .. }), "{error}");
}
