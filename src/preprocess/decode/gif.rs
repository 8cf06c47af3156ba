//! GIF: the first frame, on the screen that Pillow gives it.
//!
//! `image` paints what the frame leaves bare black; Pillow (`PIL/GifImagePlugin.py`) paints it in
//! the frame's transparent colour, or else in colour 0, and lets the screen grow with the frame.

use std::io::{Cursor, ErrorKind};

use gif::{ColorOutput, DecodeOptions as GifOptions, DecodingError, MemoryLimit};
use image::metadata::Orientation;

use super::DecodeOptions;
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif;
use crate::preprocess::image::RgbImage;

const FORMAT: &str = "GIF";

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(RgbImage, Orientation), DecodeError> {
    let explain = |error: DecodingError| match error {
        DecodingError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        other => DecodeError::corrupt(FORMAT, &other),
    };
    let mut settings = GifOptions::new();
    settings.set_color_output(ColorOutput::Indexed);
    // The frame's size is checked against the limits below, before its pixels are read.
    settings.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = settings.read_info(Cursor::new(bytes)).map_err(explain)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(explain)?;
    let frame = frame.ok_or_else(|| DecodeError::corrupt(FORMAT, &"it holds no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let transparent = frame.transparent;
    let (width, height) = (screen.0.max(left + frame_width), screen.1.max(top + frame_height));
    options.limits.check_pixels(width as u64, height as u64)?;
    options.limits.check_memory(FORMAT, width as u64 * height as u64 * 5)?;

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(explain)?;
    let grey: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
    let palette = decoder.palette().unwrap_or(&grey).as_chunks::<3>().0;
    let colour = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();

    let mut data = colour(transparent.unwrap_or(0)).repeat(width * height);
    if frame_width > 0 {
        let rows = data.chunks_exact_mut(width * 3).skip(top);
        for (row, indices) in rows.zip(indices.chunks_exact(frame_width)) {
            let row = row[left * 3..].as_chunks_mut::<3>().0;
            for (pixel, index) in row.iter_mut().zip(indices) {
                *pixel = colour(*index);
            }
        }
    }
    let orientation = exif::orientation(None, decoder.xmp_metadata());
    let image = RgbImage::new(width as u32, height as u32, data)
        .map_err(|error| DecodeError::corrupt(FORMAT, &error))?;
    Ok((image, orientation))
}
