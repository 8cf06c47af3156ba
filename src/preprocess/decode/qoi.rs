//! QOI (`PIL/QoiImagePlugin.py`).

use image::metadata::Orientation;

use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "QOI";
const HEADER: usize = 14;
/// The most pixels that one byte can stand for.
const LONGEST_RUN: usize = 64;

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    // Pillow's lenient mode does not reach its QOI decoder.
    let truncated = || DecodeError::Truncated { format: FORMAT };
    let header = bytes.first_chunk::<HEADER>().ok_or_else(truncated)?;
    let side = |at: usize| header[at..at + 4].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
    let (width, height) = (side(4), side(8));
    job.admit(FORMAT, width.into(), height.into(), 8)?;
    let count = width as usize * height as usize;
    if count / LONGEST_RUN > bytes.len() {
        return Err(truncated());
    }
    let mut pixels = Vec::with_capacity(count);
    read_pixels(&bytes[HEADER..], count, &mut pixels).ok_or_else(truncated)?;
    let samples = match header[12] {
        3 => Samples::Rgb(
            pixels.iter().map(|p| [p[0], p[1], p[2]]).collect::<Vec<_>>().into_flattened(),
        ),
        _ => Samples::Rgba(pixels.into_flattened()),
    };
    Ok((Raster::new(width, height, samples), Orientation::NoTransforms))
}

/// Reads `count` pixels; `None` if the bytes end first.
fn read_pixels(bytes: &[u8], count: usize, pixels: &mut Vec<[u8; 4]>) -> Option<()> {
    let mut bytes = bytes.iter().copied();
    let mut seen = [[0u8; 4]; 64];
    let mut last = [0, 0, 0, 255u8];
    while pixels.len() < count {
        let byte = bytes.next()?;
        let [red, green, blue, alpha] = last;
        last = match (byte, byte >> 6) {
            (0xfe, _) => [bytes.next()?, bytes.next()?, bytes.next()?, alpha],
            (0xff, _) => [bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?],
            (_, 0) => seen[usize::from(byte)],
            (_, 1) => {
                let add =
                    |value: u8, shift: u32| value.wrapping_add((byte >> shift) & 3).wrapping_sub(2);
                [add(red, 4), add(green, 2), add(blue, 0), alpha]
            }
            (_, 2) => {
                let second = bytes.next()?;
                let step = (byte & 63).wrapping_sub(32);
                let add = |value: u8, more: u8| value.wrapping_add(step).wrapping_add(more);
                [
                    add(red, (second >> 4).wrapping_sub(8)),
                    add(green, 0),
                    add(blue, (second & 15).wrapping_sub(8)),
                    alpha,
                ]
            }
            _ => {
                let run = (usize::from(byte & 63) + 1).min(count - pixels.len());
                pixels.extend(std::iter::repeat_n(last, run));
                continue;
            }
        };
        let [r, g, b, a] = last.map(usize::from);
        seen[(r * 3 + g * 5 + b * 7 + a * 11) % 64] = last;
        pixels.push(last);
    }
    Some(())
}
