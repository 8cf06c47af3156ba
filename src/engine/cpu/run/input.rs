//! The caller's images, read row by row.

use super::super::side::Side;
use super::convolution::pad_row;
use crate::engine::{Data, Images};

/// Where the images of a pass are.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Input<'a> {
    /// Normalized, (images, C, H, W).
    Planes(*const f32),
    /// Bytes, (images, H, W, C), and for each channel the normalized value of every byte.
    Bytes(*const u8, &'a [[f32; 256]]),
}

impl<'a> Input<'a> {
    /// `images`, starting with number `image`.
    pub(in super::super) fn new(images: Images<'a>, image: usize) -> Self {
        let at = image * images.shape()[1..].iter().product::<usize>();
        match images.data() {
            Data::Normalized(data) => Self::Planes(data[at..].as_ptr()),
            Data::Pixels(data, normalize) => Self::Bytes(data[at..].as_ptr(), normalize.tables()),
        }
    }

    /// Puts row `y` of channel `c` (of `chs`) of an image between its padding zeros; without a row,
    /// writes only zeros.
    ///
    /// # Safety
    ///
    /// `to` has room for the padded row, which nobody else touches; there is such a row.
    pub(super) unsafe fn row(
        self,
        (image, c, chs): (usize, usize, usize),
        (h, w): (Side, Side),
        y: Option<usize>,
        to: *mut f32,
    ) {
        // SAFETY: the caller's contract; the images have `h` by `w` pixels of `chs` channels.
        unsafe {
            match (self, y) {
                (_, None) => pad_row(w, 1, to, None),
                (Self::Planes(planes), Some(y)) => {
                    let row = ((image * chs + c) * h.input + y) * w.input;
                    pad_row(w, 1, to, Some(planes.add(row)));
                }
                (Self::Bytes(bytes, tables), Some(y)) => {
                    let from = bytes.add((image * h.input + y) * w.input * chs + c);
                    let table = &tables[c];
                    to.write_bytes(0, w.before);
                    let inside = to.add(w.before);
                    for x in 0..w.input {
                        *inside.add(x) = table[usize::from(*from.add(x * chs))];
                    }
                    inside.add(w.input).write_bytes(0, w.padded - w.before - w.input);
                }
            }
        }
    }
}
