//! The boxes of a JP2 file: what its header says about the picture, and where the codestream is.

use super::{TRUNCATED, corrupt, unsupported};
use crate::preprocess::error::DecodeError;

/// The number of sRGB among the enumerated colour spaces.
const SRGB: u32 = 16;
const GREY: u32 = 17;
const YCBCR: u32 = 18;

/// What the header box says.
pub(super) struct Announced {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: usize,
    /// Bits per sample, less one.
    pub(super) depth: u8,
    pub(super) is_ycbcr: bool,
}

/// The codestream of a file, and what its header box says if it has boxes.
pub(super) fn codestream(file: &[u8]) -> Result<(&[u8], Option<Announced>), DecodeError> {
    if file.starts_with(super::CODESTREAM) {
        return Ok((file, None));
    }
    let mut announced = None;
    for item in Boxes(file) {
        let (name, body) = item?;
        match &name {
            b"jp2h" if announced.is_none() => announced = Some(header(body)?),
            b"jp2c" => {
                let announced = announced.ok_or_else(|| corrupt("it has no header"))?;
                return Ok((body, Some(announced)));
            }
            _ => {}
        }
    }
    Err(TRUNCATED)
}

fn header(body: &[u8]) -> Result<Announced, DecodeError> {
    let (mut announced, mut colour) = (None, None);
    for item in Boxes(body) {
        let (name, body) = item?;
        match (&name, &announced) {
            (b"ihdr", None) => {
                let &[a, b, c, d, e, f, g, h, high, low, depth, ..] = body else {
                    return Err(TRUNCATED);
                };
                announced = Some(Announced {
                    height: u32::from_be_bytes([a, b, c, d]),
                    width: u32::from_be_bytes([e, f, g, h]),
                    components: u16::from_be_bytes([high, low]).into(),
                    depth,
                    is_ycbcr: false,
                });
            }
            (b"colr", Some(_)) => {
                let space = match *body {
                    [1, _, _, a, b, c, d, ..] => Some(u32::from_be_bytes([a, b, c, d])),
                    [2, ..] => None,
                    _ => return Err(unsupported("a colour space of another kind")),
                };
                // The first one counts, but Pillow looks at the others too.
                if colour.is_some() {
                    return Err(unsupported("two colour spaces"));
                }
                colour = Some(space);
            }
            (b"cdef", Some(announced)) => check_channels(body, announced.components)?,
            // Bits of each component, which the codestream has too; resolutions, which are not
            // needed.
            (b"bpcc" | b"res ", Some(_)) => {}
            (b"pclr" | b"cmap", _) => return Err(unsupported("a palette")),
            _ => return Err(corrupt("an unknown box in its header")),
        }
    }
    let mut announced = announced.ok_or_else(|| corrupt("it has no header"))?;
    match (colour.flatten(), announced.components) {
        (None, _) | (Some(GREY), 1 | 2) | (Some(SRGB), 3 | 4) => {}
        (Some(YCBCR), 3) => announced.is_ycbcr = true,
        (Some(space), count) => {
            return Err(unsupported(&format!("colour space {space} of {count} components")));
        }
    }
    Ok(announced)
}

/// Checks that the channels are in order, with alpha last.
fn check_channels(body: &[u8], components: usize) -> Result<(), DecodeError> {
    let numbers: Vec<_> = body.as_chunks::<2>().0.iter().map(|n| u16::from_be_bytes(*n)).collect();
    let (count, channels) = numbers.split_first().ok_or(TRUNCATED)?;
    let colours = components - usize::from(matches!(components, 2 | 4));
    let in_order = |(index, channel): (usize, &[u16; 3])| {
        let is_alpha = index >= colours;
        let owner = if is_alpha { 0 } else { index as u16 + 1 };
        *channel == [index as u16, u16::from(is_alpha), owner]
    };
    let channels = channels.as_chunks::<3>().0;
    if usize::from(*count) == components
        && channels.len() == components
        && channels.iter().enumerate().all(in_order)
    {
        Ok(())
    } else {
        Err(unsupported("channels in another order"))
    }
}

/// Names and bytes of boxes.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<([u8; 4], &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_none() {
            self.0 = &[];
        }
        Some(item.ok_or(TRUNCATED))
    }
}

impl<'a> Boxes<'a> {
    fn read(&mut self) -> Option<([u8; 4], &'a [u8])> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        let [a, b, c, d, name @ ..] = *head;
        let (rest, length) = match u32::from_be_bytes([a, b, c, d]) {
            // Up to the file's end.
            0 => (rest, rest.len()),
            1 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                (rest, usize::try_from(u64::from_be_bytes(*length)).ok()?.checked_sub(16)?)
            }
            length => (rest, (length as usize).checked_sub(8)?),
        };
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((name, body))
    }
}
