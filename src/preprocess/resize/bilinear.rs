//! Bilinear interpolation of the four nearest pixels, however much the image shrinks, in f32: the
//! resize of Keras and TensorFlow without antialiasing, and of torch
//! (`aten/src/ATen/native/UpSample.h`, `area_pixel_compute_source_index`).

use super::Window;
use crate::preprocess::image::Image;

/// The two pixels between which a new one is along one axis, and the share of the second.
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

fn between(input: u32, output: u64, wanted: u64) -> Between {
    let last = (input as usize).saturating_sub(1);
    let scale = input as f32 / output as f32;
    let at = ((wanted as f32 + 0.5) * scale - 0.5).max(0.0);
    let first = (at as usize).min(last);
    Between { first, second: (first + 1).min(last), share: (at - first as f32).clamp(0.0, 1.0) }
}

/// The values, from 0 to 255 and not rounded, of a window of the image resized to `size` (width,
/// height).
pub(in crate::preprocess) fn bilinear(image: &Image, size: (u64, u64), window: Window) -> Vec<f32> {
    let channels = image.channels();
    let stride = image.width() as usize * channels;
    let columns: Vec<_> = (window.x..window.x + window.width as u64)
        .map(|x| between(image.width(), size.0, x))
        .collect();
    let mut values = Vec::with_capacity(window.width * window.height * channels);
    for y in window.y..window.y + window.height as u64 {
        let row = between(image.height(), size.1, y);
        let [above, below] = [row.first, row.second].map(|y| &image.data()[y * stride..][..stride]);
        for column in &columns {
            for channel in 0..channels {
                let along = |row: &[u8]| {
                    let [left, right] = [column.first, column.second]
                        .map(|x| f32::from(row[x * channels + channel]));
                    left * (1.0 - column.share) + right * column.share
                };
                values.push(along(above) * (1.0 - row.share) + along(below) * row.share);
            }
        }
    }
    values
}

/// The nearest bytes.
pub(in crate::preprocess) fn rounded(values: &[f32]) -> Vec<u8> {
    values.iter().map(|value| value.round_ties_even() as u8).collect()
}
