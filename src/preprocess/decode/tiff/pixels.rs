//! An image in one of Pillow's modes, and its conversion to RGB.

use super::mode::Mode;
use super::unsupported;
use crate::preprocess::decode::convert::{cmyk_to_rgb, ycbcr_to_rgb};
use crate::preprocess::error::DecodeError;

/// Row by row, `mode.bytes()` bytes a pixel.
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

    /// Pillow's `convert("RGB")`. `palette` has 256 colours where the mode has one.
    pub(super) fn into_rgb(self, palette: &[[u8; 3]]) -> Result<Vec<u8>, DecodeError> {
        let data = self.data;
        let grey = |levels: &mut dyn Iterator<Item = u8>| levels.flat_map(|v| [v; 3]).collect();
        let colour = |index: &u8| palette[usize::from(*index)];
        Ok(match self.mode {
            Mode::Bilevel | Mode::Grey => grey(&mut data.into_iter()),
            Mode::GreyAlpha => grey(&mut data.as_chunks::<2>().0.iter().map(|p| p[0])),
            // These three clip where they become RGB, and so does `as`.
            Mode::Grey16 => {
                let values = data.as_chunks::<2>().0.iter();
                grey(&mut values.map(|value| u16::from_le_bytes(*value).min(255) as u8))
            }
            Mode::Integer => {
                let values = data.as_chunks::<4>().0.iter();
                grey(&mut values.map(|value| i32::from_le_bytes(*value).clamp(0, 255) as u8))
            }
            Mode::Float => {
                let values = data.as_chunks::<4>().0.iter();
                grey(&mut values.map(|value| f32::from_le_bytes(*value) as u8))
            }
            Mode::Palette => data.iter().flat_map(colour).collect(),
            Mode::PaletteAlpha => {
                data.as_chunks::<2>().0.iter().flat_map(|p| colour(&p[0])).collect()
            }
            Mode::Rgb => data,
            Mode::Rgba => data.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect(),
            Mode::Cmyk => cmyk_to_rgb(&data, false),
            Mode::YCbCr => ycbcr_to_rgb(&data),
            Mode::Lab => return Err(unsupported(&"CIELab")),
            Mode::PremultipliedGrey => {
                return Err(unsupported(&"grey with associated alpha; Pillow cannot convert it"));
            }
        })
    }
}
