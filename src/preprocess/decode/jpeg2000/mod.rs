//! JPEG 2000 with the reversible transform, by `hayro-jpeg2000`, with the bytes of OpenJPEG. Files
//! that the decoder would read differently from OpenJPEG, or without bounds on memory and time, are
//! refused first.

mod boxes;
mod codestream;

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use image::metadata::Orientation;

use self::codestream::Codestream;
use super::budget::Job;
use crate::preprocess::error::DecodeError;
use crate::preprocess::image::ColorMode;
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "JPEG 2000";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };
/// How a codestream begins: with its start marker and its size marker.
const CODESTREAM: &[u8] = b"\xff\x4f\xff\x51";

pub(super) fn accepts(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0cjP  ") || bytes.starts_with(CODESTREAM)
}

fn corrupt(reason: &str) -> DecodeError {
    DecodeError::corrupt(FORMAT, &reason)
}

fn unsupported(reason: &str) -> DecodeError {
    DecodeError::unsupported(FORMAT, &reason)
}

pub(super) fn decode(bytes: &[u8], job: &Job<'_>) -> Result<(Raster, Orientation), DecodeError> {
    let (stream, announced) = boxes::codestream(bytes)?;
    if !stream.starts_with(CODESTREAM) {
        return Err(corrupt("it holds no codestream"));
    }
    let Codestream { width, height, depths, memory } = Codestream::read(stream)?;
    // Pillow reads grey of more than 8 bits as 16 bits: from 9 bits on in a bare codestream, from
    // 10 bits on in a file with a header.
    let mut is_wide = depths.len() == 1 && depths[0] > 8;
    let mut is_ycbcr = false;
    if let Some(announced) = announced {
        if (announced.width, announced.height, announced.components)
            != (width, height, depths.len())
            || depths.iter().any(|depth| depth - 1 != announced.depth)
        {
            return Err(corrupt("its header is of another picture"));
        }
        is_wide &= announced.depth > 8;
        is_ycbcr = announced.is_ycbcr;
    }
    // The samples as `f32`, one component's samples twice more, and the samples as bytes.
    let count = depths.len() as u64;
    job.admit_beside(FORMAT, width.into(), height.into(), 4 * count + 13, memory)?;
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let explain = |error| corrupt(&format!("{error}"));
    let image = Image::new(stream, &settings).map_err(explain)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(explain)?;
    let size = width as usize * height as usize;
    let components = decoded.components();
    if components.len() != depths.len() || components.iter().any(|c| c.samples().len() != size) {
        return Err(corrupt("components of another size"));
    }
    let bits = if is_wide { 16 } else { 8 };
    let mut levels = vec![0i32; if is_wide { size } else { 0 }];
    let mut data = vec![0u8; if is_wide { 0 } else { size * components.len() }];
    for (band, (component, depth)) in components.iter().zip(&depths).enumerate() {
        let most = ((1u32 << depth) - 1) as f32;
        let level = |sample: &f32| {
            let sample = sample.clamp(0.0, most) as u32;
            // Pillow rounds, so that white may get one bit too many and become black.
            match depth.checked_sub(bits) {
                Some(0) => sample,
                Some(over) => (sample + (1 << (over - 1))) >> over,
                None => sample << (bits - depth),
            }
        };
        let samples = component.samples().iter();
        if is_wide {
            levels.iter_mut().zip(samples).for_each(|(to, from)| *to = level(from) as i32);
        } else {
            let to = data[band..].iter_mut().step_by(components.len());
            to.zip(samples).for_each(|(to, from)| *to = level(from) as u8);
        }
    }
    let samples = match (is_wide, components.len()) {
        (true, _) => Samples::Wide(levels),
        (_, 1) => Samples::Grey(data),
        (_, 2) => Samples::GreyAlpha(data),
        // Pillow converts it to RGB first.
        (_, 3) if is_ycbcr => {
            Samples::Rgb(Raster::new(width, height, Samples::YCbCr(data)).into_data(ColorMode::Rgb))
        }
        (_, 3) => Samples::Rgb(data),
        _ => Samples::Rgba(data),
    };
    Ok((Raster::new(width, height, samples), Orientation::NoTransforms))
}
