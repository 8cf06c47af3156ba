//! Pillow's resize, to the last bit.

mod axis;
mod bilinear;
mod passes;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use self::axis::{Axis, Filter};
pub(super) use self::bilinear::{bilinear, rounded};
use self::passes::{View, horizontal, vertical};
use super::decode::Limits;
use super::error::TransformError;
use super::image::{ColorMode, Image};
use super::pipeline::Pipeline;
use super::raster::share;

/// A resampling filter, with timm's name; timm does not have `bilinear-no-antialias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Interpolation {
    /// The pixel under the centre of the new one.
    Nearest,
    /// Triangle filter, support 1.
    Bilinear,
    /// Only the four nearest pixels, however much the image shrinks, as in Keras and TensorFlow.
    /// The values for the network are not rounded to bytes.
    BilinearNoAntialias,
    /// Cubic filter with a = -0.5, support 2.
    #[default]
    Bicubic,
    /// Windowed sinc, support 3.
    Lanczos,
}

impl FromStr for Interpolation {
    type Err = TransformError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let hint = match name {
            "nearest" => return Ok(Self::Nearest),
            "bilinear" => return Ok(Self::Bilinear),
            "bilinear-no-antialias" => return Ok(Self::BilinearNoAntialias),
            "bicubic" => return Ok(Self::Bicubic),
            "lanczos" => return Ok(Self::Lanczos),
            "random" => " (\"random\" is for training: it draws bilinear or bicubic per image)",
            _ => "",
        };
        Err(TransformError::UnknownInterpolation { name: name.to_owned(), hint })
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::BilinearNoAntialias => "bilinear-no-antialias",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        })
    }
}

/// The wanted part of a resized image, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Resizes to `width` x `height` like Pillow's `Image.resize`, with every byte equal.
///
/// ```
/// use effnet::preprocess::{ColorMode, Image, Interpolation, resize};
///
/// let image = Image::new(ColorMode::Rgb, 2, 1, vec![0, 0, 0, 200, 100, 50])?;
/// let wider = resize(&image, 4, 1, Interpolation::Bilinear)?;
/// assert_eq!(wider.data(), [0, 0, 0, 50, 25, 13, 150, 75, 38, 200, 100, 50]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError::ResizedArea`] if a side is zero or there are more than 178,956,970 pixels, the
/// default limit of [`Limits`](super::Limits).
pub fn resize(
    image: &Image,
    width: u32,
    height: u32,
    interpolation: Interpolation,
) -> Result<Image, TransformError> {
    let refused = TransformError::ResizedArea { width, height };
    if u64::from(width) * u64::from(height) > Limits::default().max_pixels {
        return Err(refused);
    }
    let window = Window { x: 0, y: 0, width: width as usize, height: height as usize };
    let data = resize_window(
        image,
        (width.into(), height.into()),
        (Pipeline::Timm, interpolation),
        window,
    );
    Image::new(image.mode(), width, height, data).map_err(|_| refused)
}

/// One window of the image resized to `size` (width, height), which must lie within it. Takes
/// memory for the window and for the input rows or columns that it needs.
pub(super) fn resize_window(
    image: &Image,
    size: (u64, u64),
    filter: (Pipeline, Interpolation),
    window: Window,
) -> Vec<u8> {
    if filter.1 == Interpolation::BilinearNoAntialias {
        return rounded(&bilinear(image, size, window));
    }
    let whole = (u64::from(image.width()), u64::from(image.height()));
    match image.mode() {
        ColorMode::L => resize_channels::<1>(image, image.data(), size, filter, window),
        ColorMode::Rgb => resize_channels::<3>(image, image.data(), size, filter, window),
        // Colours are weighted by their alpha: Pillow resizes in its mode `RGBa`.
        ColorMode::Rgba
            if filter.0 == Pipeline::Timm
                && filter.1 != Interpolation::Nearest
                && size != whole =>
        {
            let premultiplied = premultiply(image.data());
            let mut data = resize_channels::<4>(image, &premultiplied, size, filter, window);
            unpremultiply(&mut data);
            data
        }
        ColorMode::Rgba => resize_channels::<4>(image, image.data(), size, filter, window),
    }
}

/// `RGBA` to `RGBa`, with Pillow's rounding.
fn premultiply(rgba: &[u8]) -> Vec<u8> {
    let pixel = |&[r, g, b, alpha]: &[u8; 4]| {
        let [r, g, b] = [r, g, b].map(|value| share(value.into(), alpha.into()) as u8);
        [r, g, b, alpha]
    };
    rgba.as_chunks::<4>().0.iter().flat_map(pixel).collect()
}

/// `RGBa` to `RGBA`, truncated as in Pillow.
fn unpremultiply(rgba: &mut [u8]) {
    for [r, g, b, alpha] in rgba.as_chunks_mut::<4>().0 {
        if !matches!(alpha, 0 | 255) {
            for value in [r, g, b] {
                *value = (255 * u32::from(*value) / u32::from(*alpha)).min(255) as u8;
            }
        }
    }
}

/// [`resize_window`] of an image's bytes, `C` per pixel.
fn resize_channels<const C: usize>(
    image: &Image,
    data: &[u8],
    size: (u64, u64),
    (pipeline, interpolation): (Pipeline, Interpolation),
    window: Window,
) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let columns = window.x..window.x + window.width as u64;
    let rows = window.y..window.y + window.height as u64;
    if columns.is_empty() || rows.is_empty() {
        return Vec::new();
    }
    let Some(filter) = Filter::of(interpolation) else {
        return nearest::<C>(image, size, pipeline, columns, rows);
    };
    let axis = |input, output| Axis::new(input, output, filter, pipeline);
    let (x_axis, y_axis) = (axis(width, size.0), axis(height, size.1));
    let view = View::<C> { data, width, left: 0, top: 0 };
    let as_is = |range: &Range<u64>| range.start as usize..range.end as usize;
    match (size.0 != width as u64, size.1 != height as u64) {
        (false, false) => {
            as_is(&rows).flat_map(|y| view.row(y, &as_is(&columns))).copied().collect()
        }
        (true, false) => horizontal(view, as_is(&rows), &x_axis, columns),
        (false, true) => vertical(view, &as_is(&columns), &y_axis, rows),
        (true, true)
            if pipeline == Pipeline::Timm
                && vertical_first((width as u64, height as u64), size) =>
        {
            let inputs = x_axis.span(&columns);
            let strip = vertical(view, &inputs, &y_axis, rows);
            let strip = View::<C> { data: &strip, width: inputs.len(), left: inputs.start, top: 0 };
            horizontal(strip, 0..window.height, &x_axis, columns)
        }
        (true, true) => {
            let inputs = y_axis.span(&rows);
            let strip = horizontal(view, inputs.clone(), &x_axis, columns);
            let strip = View::<C> { data: &strip, width: window.width, left: 0, top: inputs.start };
            vertical(strip, &(0..window.width), &y_axis, rows)
        }
    }
}

/// Pillow 13's order of the passes; the bytes between them are rounded, so the order matters.
fn vertical_first(from: (u64, u64), to: (u64, u64)) -> bool {
    from.1.saturating_sub(to.1) > 2 * from.0.saturating_sub(to.0)
}

/// The nearest pixels.
fn nearest<const C: usize>(
    image: &Image,
    size: (u64, u64),
    pipeline: Pipeline,
    columns: Range<u64>,
    rows: Range<u64>,
) -> Vec<u8> {
    let inputs = match pipeline {
        Pipeline::Timm => pillow_inputs,
        Pipeline::Transformers => torch_inputs,
    };
    let columns = inputs(image.width(), size.0, columns);
    let stride = image.width() as usize * C;
    let mut output = Vec::new();
    for y in inputs(image.height(), size.1, rows) {
        for x in &columns {
            match (x, y) {
                (Some(x), Some(y)) => {
                    output.extend_from_slice(&image.data()[y * stride + x * C..][..C]);
                }
                _ => output.extend([0; C]),
            }
        }
    }
    output
}

/// The input pixel under each output pixel, as Pillow finds it (`src/libImaging/Geometry.c`,
/// `ImagingScaleAffine`). Pillow adds up the step, so its rounding errors add up too, and the sum
/// has to start from the edge. Pixels outside stay black.
fn pillow_inputs(input: u32, output: u64, wanted: Range<u64>) -> Vec<Option<usize>> {
    let step = f64::from(input) / output as f64;
    let mut at = step * 0.5;
    let mut inputs = Vec::new();
    for index in 0..wanted.end {
        if index >= wanted.start {
            inputs.push(Some(at as usize).filter(|at| *at < input as usize));
        }
        at += step;
    }
    inputs
}

/// The input pixel under each output pixel, as torch's `nearest-exact` finds it.
fn torch_inputs(input: u32, output: u64, wanted: Range<u64>) -> Vec<Option<usize>> {
    let scale = input as f32 / output as f32;
    let last = (input as usize).saturating_sub(1);
    wanted.map(|index| Some((((index as f32 + 0.5) * scale) as usize).min(last))).collect()
}
