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
use crate::preprocess::raster::{Raster, Samples};

const FORMAT: &str = "GIF";

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(Raster, Orientation), DecodeError> {
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
    let mut colours = Box::new([[0, 0, 0, 255]; 256]);
    for (colour, [r, g, b]) in colours.iter_mut().zip(palette) {
        *colour = [*r, *g, *b, 255];
    }
    if let Some(index) = transparent {
        colours[usize::from(index)][3] = 0;
    }

    let mut data = vec![transparent.unwrap_or(0); width * height];
    if frame_width > 0 {
        let rows = data.chunks_exact_mut(width).skip(top);
        for (row, indices) in rows.zip(indices.chunks_exact(frame_width)) {
            row[left..][..frame_width].copy_from_slice(indices);
        }
    }
    let orientation = exif::orientation(None, decoder.xmp_metadata());
    let samples = Samples::Palette(data, colours);
    Ok((Raster::new(width as u32, height as u32, samples), orientation))
}
