//! Units of a scan that holds some bits of some coefficients (`jdphuff.c`).

use super::bits::{Bits, Codes, extend};
use super::{Block, Fault};

/// The coefficients that a scan codes, from the first to the last, and their bits: from `low` up,
/// when the bits from `high` up are already known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) high: u8,
    pub(super) low: u8,
}

impl Band {
    pub(super) fn is_dc(self) -> bool {
        self.first == 0
    }
}

/// The first bits of a block's DC value.
pub(super) fn dc_first(
    bits: &mut Bits<'_>,
    level: &mut i32,
    codes: &Codes,
    low: u8,
    block: &mut Block,
) -> Result<(), Fault> {
    let size = bits.code(codes)?;
    let step = extend(bits.bits(size)?, size);
    *level = level.checked_add(step).ok_or(super::broken("a coefficient beyond all bounds"))?;
    block[0] = (*level << low) as i16;
    Ok(())
}

/// One more bit of a block's DC value.
pub(super) fn dc_refine(bits: &mut Bits<'_>, low: u8, block: &mut Block) -> Result<(), Fault> {
    if bits.bits(1)? == 1 {
        block[0] |= 1 << low;
    }
    Ok(())
}

/// How many blocks are empty, by a symbol; this block counts too.
fn empty_blocks(bits: &mut Bits<'_>, run: u8) -> Result<u32, Fault> {
    Ok((1 << run) + bits.bits(run)? as u32)
}

/// The first bits of a block's AC coefficients. `empty` is the number of blocks without any.
pub(super) fn ac_first(
    bits: &mut Bits<'_>,
    empty: &mut u32,
    codes: &Codes,
    band: Band,
    block: &mut Block,
) -> Result<(), Fault> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    let mut at = band.first;
    while at <= band.last {
        let symbol = bits.code(codes)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        if size > 0 {
            at += usize::from(run);
            let value = extend(bits.bits(size)?, size);
            block[at.min(63)] = (value << band.low) as i16;
        } else if run == 15 {
            at += 15;
        } else {
            *empty = empty_blocks(bits, run)? - 1;
            break;
        }
        at += 1;
    }
    Ok(())
}

/// One more bit of a block's AC coefficients.
pub(super) fn ac_refine(
    bits: &mut Bits<'_>,
    empty: &mut u32,
    codes: &Codes,
    band: Band,
    block: &mut Block,
) -> Result<(), Fault> {
    let bit = 1i16 << band.low;
    let mut at = band.first;
    if *empty == 0 {
        while at <= band.last {
            let symbol = bits.code(codes)?;
            let (mut run, size) = (i32::from(symbol >> 4), symbol & 15);
            let mut value = 0;
            if size > 0 {
                value = if bits.bits(1)? == 1 { bit } else { -bit };
            } else if run != 15 {
                *empty = empty_blocks(bits, symbol >> 4)?;
                break;
            }
            // Skips the coefficients that are already known, and as many others as the run says.
            while at <= band.last {
                if block[at] != 0 {
                    correct(bits, bit, &mut block[at])?;
                } else {
                    run -= 1;
                    if run < 0 {
                        break;
                    }
                }
                at += 1;
            }
            if value != 0 {
                block[at.min(63)] = value;
            }
            at += 1;
        }
    }
    if *empty > 0 {
        while at <= band.last {
            if block[at] != 0 {
                correct(bits, bit, &mut block[at])?;
            }
            at += 1;
        }
        *empty -= 1;
    }
    Ok(())
}

fn correct(bits: &mut Bits<'_>, bit: i16, value: &mut i16) -> Result<(), Fault> {
    if bits.bits(1)? == 1 && *value & bit == 0 {
        *value = value.wrapping_add(if *value >= 0 { bit } else { -bit });
    }
    Ok(())
}
