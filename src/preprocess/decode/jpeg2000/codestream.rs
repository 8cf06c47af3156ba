//! The markers of a codestream, read before it is decoded: what it holds, how much memory decoding
//! takes, and whether the decoder gives OpenJPEG's result.

use super::{TRUNCATED, corrupt, unsupported};
use crate::preprocess::error::DecodeError;

/// The most tiles that a tile number allows.
const MOST_TILES: u64 = 65_535;
/// The decoder computes in `f32`, which has this many bits.
const MOST_BITS: u8 = 24;
/// Bytes that the decoder keeps for a tile, for a code block or precinct, and for a layer of one.
const TILE: u64 = 1024;
const BLOCK: u64 = 320;
const LAYER: u64 = 72;

/// What the main header says.
pub(super) struct Codestream {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits per sample of each component.
    pub(super) depths: Vec<u8>,
    /// Bytes that decoding takes besides those for each pixel.
    pub(super) memory: u64,
}

impl Codestream {
    pub(super) fn read(stream: &[u8]) -> Result<Self, DecodeError> {
        let mut at = 2;
        let mut size = None;
        let mut style = None;
        loop {
            let (code, body) = segment(stream, at)?;
            match (code, &size) {
                (0x51, None) => size = Some(Size::read(body)?),
                // Coding, quantization, lengths, comments.
                (0x52, Some(size)) if style.is_none() => style = Some(blocks(body, size)?),
                (0x5c, Some(_)) => check_quantization(body)?,
                (0x5d, Some(_)) => check_quantization(body.get(1..).unwrap_or_default())?,
                (0x55 | 0x57 | 0x63 | 0x64, Some(_)) => {}
                (0x90, Some(_)) => break,
                _ => return Err(unsupported(&format!("marker ff{code:02x} in its main header"))),
            }
            at += 4 + body.len();
        }
        let (Some(size), Some(blocks)) = (size, style) else {
            return Err(corrupt("it does not say how it is coded"));
        };
        size.check_tiles(stream, at)?;
        let memory = size.tiles().saturating_mul(TILE).saturating_add(blocks);
        let [width, height] = [0, 1].map(|axis| size.grid[axis] - size.origin[axis]);
        Ok(Self { width, height, depths: size.depths, memory })
    }
}

/// A marker and the contents of its segment.
fn segment(stream: &[u8], at: usize) -> Result<(u8, &[u8]), DecodeError> {
    match stream.get(at..).ok_or(TRUNCATED)? {
        [0xff, code, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let length = length.checked_sub(2).ok_or_else(|| corrupt("a bad marker"))?;
            Ok((*code, rest.get(..length).ok_or(TRUNCATED)?))
        }
        [_, _, _, _, ..] => Err(corrupt("a bad marker")),
        _ => Err(TRUNCATED),
    }
}

/// Sizes on the reference grid, across and down.
struct Size {
    grid: [u32; 2],
    origin: [u32; 2],
    tile: [u32; 2],
    tile_origin: [u32; 2],
    depths: Vec<u8>,
}

impl Size {
    fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let (numbers, rest) = body.split_at_checked(36).ok_or(TRUNCATED)?;
        let pair = |index: usize| {
            let words = numbers[2 + index * 8..][..8].as_chunks::<4>().0;
            [u32::from_be_bytes(words[0]), u32::from_be_bytes(words[1])]
        };
        if numbers[..2] != [0, 0] {
            return Err(unsupported("a codestream beyond the first part of the standard"));
        }
        let [grid, origin, tile, tile_origin] = [0, 1, 2, 3].map(pair);
        for axis in 0..2 {
            let first = tile_origin[axis].checked_add(tile[axis]);
            if origin[axis] >= grid[axis]
                || grid[axis] > 1 << 30
                || tile_origin[axis] > origin[axis]
                || first.is_none_or(|end| end <= origin[axis])
            {
                return Err(corrupt("its size"));
            }
        }
        let components = rest.as_chunks::<3>().0;
        let count = usize::from(u16::from_be_bytes([numbers[34], numbers[35]]));
        if components.len() != count || rest.len() != 3 * count || !(1..=4).contains(&count) {
            return Err(unsupported(&format!("{count} components")));
        }
        let mut depths = Vec::new();
        for [depth, across, down] in components {
            if (*across, *down) != (1, 1) {
                return Err(unsupported("subsampled components"));
            }
            if *depth >= 16 {
                return Err(unsupported("signed samples, or samples of more than 16 bits"));
            }
            depths.push(depth + 1);
        }
        Ok(Self { grid, origin, tile, tile_origin, depths })
    }

    fn tiles(&self) -> u64 {
        let count = |axis: usize| {
            u64::from((self.grid[axis] - self.tile_origin[axis]).div_ceil(self.tile[axis]))
        };
        count(0) * count(1)
    }

    /// Walks over the tile parts, which may not change how they are coded.
    fn check_tiles(&self, stream: &[u8], mut at: usize) -> Result<(), DecodeError> {
        let count = self.tiles();
        if count > MOST_TILES {
            return Err(corrupt("more tiles than have numbers"));
        }
        let mut parts = vec![0u8; count as usize];
        loop {
            match stream.get(at..at + 2).ok_or(TRUNCATED)? {
                [0xff, 0xd9] => break,
                [0xff, 0x90] => {}
                _ => return Err(corrupt("no tile where one should begin")),
            }
            let (_, body) = segment(stream, at)?;
            let &[high, low, a, b, c, d, part, _] = body else {
                return Err(corrupt("a bad tile"));
            };
            // The parts of a tile come in order.
            match parts.get_mut(usize::from(u16::from_be_bytes([high, low]))) {
                Some(next) if *next == part => *next = next.saturating_add(1),
                _ => return Err(corrupt("a tile of a wrong number")),
            }
            let end = match u32::from_be_bytes([a, b, c, d]) as usize {
                0 => stream.len().checked_sub(2).ok_or(TRUNCATED)?,
                length => at.checked_add(length).ok_or(TRUNCATED)?,
            };
            at += 12;
            while stream.get(at..at + 2).ok_or(TRUNCATED)? != [0xff, 0x93] {
                let (code, body) = segment(stream, at)?;
                if !matches!(code, 0x58 | 0x64) {
                    return Err(unsupported(&format!("marker ff{code:02x} in a tile's header")));
                }
                at += 4 + body.len();
            }
            if end < at + 2 {
                return Err(corrupt("a tile's length"));
            }
            at = end;
        }
        if parts.contains(&0) { Err(corrupt("a tile is missing")) } else { Ok(()) }
    }
}

/// Bytes that the code blocks of a tile take.
fn blocks(body: &[u8], size: &Size) -> Result<u64, DecodeError> {
    let &[
        flags,
        order,
        high,
        low,
        mixed,
        levels,
        across,
        down,
        style,
        transform,
        ref precincts @ ..,
    ] = body
    else {
        return Err(TRUNCATED);
    };
    if flags > 7 || style > 63 {
        return Err(unsupported(&format!("coding styles {flags} and {style}")));
    }
    if transform != 1 {
        let reason = "the irreversible transform, whose rounding is OpenJPEG's own";
        return Err(unsupported(if transform == 0 { reason } else { "an unknown transform" }));
    }
    let layers = u64::from(u16::from_be_bytes([high, low]));
    let known = mixed <= 1 && order <= 4 && levels <= 32 && across <= 8 && down <= 8;
    let named = if flags & 1 == 1 { usize::from(levels) + 1 } else { 0 };
    if !known || across + down > 8 || layers == 0 || precincts.len() != named {
        return Err(corrupt("an invalid coding style"));
    }
    if mixed == 1 && size.depths.len() < 3 {
        return Err(corrupt("a colour transform without three components"));
    }
    let mut count = 0u64;
    for level in 0..=levels {
        let exponents = precincts.get(usize::from(level)).copied().unwrap_or(0xff);
        let pieces = |axis: usize, precinct: u8, block: u8| {
            let side = u64::from(size.tile[axis].min(size.grid[axis]));
            let side = (side >> (levels - level)) + 2;
            let precincts = (side >> precinct) + 2;
            (precincts, (side >> (block + 2).min(precinct)) + 2 * precincts)
        };
        let (wide, blocks_wide) = pieces(0, exponents & 15, across);
        let (high, blocks_high) = pieces(1, exponents >> 4, down);
        let blocks = blocks_wide.saturating_mul(blocks_high);
        count = count.saturating_add(wide.saturating_mul(high).saturating_add(blocks) * 3);
    }
    let one = BLOCK + layers * LAYER;
    Ok(count.saturating_mul(size.depths.len() as u64).saturating_mul(one))
}

/// Reversible coding has no quantization steps. It has exponents, which say how many bits the
/// coefficients have, plus guard bits.
fn check_quantization(body: &[u8]) -> Result<(), DecodeError> {
    let (style, exponents) = body.split_first().ok_or(TRUNCATED)?;
    if style & 31 != 0 {
        return Err(unsupported("quantized coefficients"));
    }
    if exponents.iter().any(|exponent| (exponent >> 3) + (style >> 5) > MOST_BITS + 1) {
        return Err(unsupported("coefficients of more than 24 bits"));
    }
    Ok(())
}
