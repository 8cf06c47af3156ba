//! What the tests of preprocessing share: where the data is, hashes, noise.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::path::PathBuf;

use effnet::preprocess::{ColorMode, DecodeOptions, Image, Limits, decode};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

pub fn goldens(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SplitMix64, the generator of every random number in these tests and in the scripts that made
/// their goldens.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// An image of noise: the generator's outputs as little-endian bytes.
pub fn noise(mode: ColorMode, width: u32, height: u32, seed: u64) -> Image {
    let length = width as usize * height as usize * mode.channels();
    let mut generator = Noise(seed);
    let mut data: Vec<u8> =
        (0..length.div_ceil(8)).flat_map(|_| generator.next().to_le_bytes()).collect();
    data.truncate(length);
    Image::new(mode, width, height, data).unwrap()
}

/// Damages a file in one of several ways and decodes it. Returns whether that gave an image, and
/// asserts that the image is within the limits and an error is one line and not a caught panic.
pub fn decodes(name: &str, round: usize, bytes: &[u8], limits: Limits) -> bool {
    let (lenient, exif_orientation) = (round % 4 == 1, round % 5 == 1);
    match decode(bytes, ColorMode::Rgb, &DecodeOptions { limits, lenient, exif_orientation }) {
        Ok(image) => {
            let pixels = u64::from(image.width()) * u64::from(image.height());
            assert!(pixels <= limits.max_pixels, "{name}, round {round}: {pixels} pixels");
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains('\n') && text.len() < 400, "{name}: {text}");
            assert!(!text.contains("gave up"), "{name}, round {round}: a panic");
            false
        }
    }
}
