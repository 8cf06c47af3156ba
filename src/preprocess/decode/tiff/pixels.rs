//! An image in one of Pillow's modes, as the decoders fill it.

use super::lab;
use super::mode::Mode;
use super::unsupported;
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::Samples;

/// Row by row, `mode.bytes()` bytes per pixel.
pub(super) struct Pixels {
    pub(super) mode: Mode,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) data: Vec<u8>,
}

impl Pixels {
    pub(super) fn new(mode: Mode, width: usize, height: usize) -> Self {
        Self { mode, width, height, data: vec![0; width * height * mode.bytes()] }
    }

    /// `palette` has 256 colours if the mode needs one.
    pub(super) fn into_samples(self, palette: &[[u8; 3]]) -> Result<Samples, DecodeError> {
        let mut data = self.data;
        Ok(match self.mode {
            Mode::Bilevel | Mode::Grey => Samples::Grey(data),
            Mode::GreyAlpha => Samples::GreyAlpha(data),
            Mode::Grey16 => Samples::Wide(
                data.as_chunks::<2>().0.iter().map(|v| u16::from_le_bytes(*v).into()).collect(),
            ),
            Mode::Integer => Samples::Wide(
                data.as_chunks::<4>().0.iter().map(|v| i32::from_le_bytes(*v)).collect(),
            ),
            Mode::Float => Samples::Float(
                data.as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v)).collect(),
            ),
            Mode::Palette => {
                let mut colours = Box::new([[0, 0, 0, 255]; 256]);
                for (colour, [r, g, b]) in colours.iter_mut().zip(palette) {
                    *colour = [*r, *g, *b, 255];
                }
                Samples::Palette(data, colours)
            }
            Mode::PaletteAlpha => {
                let colour = |[index, alpha]: &[u8; 2]| {
                    let [r, g, b] = palette[usize::from(*index)];
                    [r, g, b, *alpha]
                };
                Samples::Rgba(data.as_chunks::<2>().0.iter().flat_map(colour).collect())
            }
            Mode::Rgb => Samples::Rgb(data),
            Mode::Rgba => Samples::Rgba(data),
            Mode::Cmyk => Samples::Cmyk(data),
            Mode::YCbCr => Samples::YCbCr(data),
            Mode::Lab => {
                lab::to_rgb(&mut data);
                Samples::Rgb(data)
            }
            Mode::PremultipliedGrey => {
                return Err(unsupported(&"grey with associated alpha; Pillow cannot convert it"));
            }
        })
    }
}
