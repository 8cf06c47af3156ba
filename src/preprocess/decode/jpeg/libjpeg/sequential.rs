//! Units of a scan that holds all coefficients (`jdhuff.c`).

use super::bits::{Bits, Codes, extend};
use super::{Block, Fault};

/// How a block of a unit is coded.
#[derive(Clone)]
pub(super) struct Plan<'a> {
    /// The component, among those of the scan.
    pub(super) component: usize,
    pub(super) dc: &'a Codes,
    pub(super) ac: &'a Codes,
}

/// Reads a unit into its blocks. `levels` are the last DC values of the scan's components.
pub(super) fn unit(
    bits: &mut Bits<'_>,
    levels: &mut [i32; 4],
    plans: &[Plan<'_>],
    restarts: bool,
    mut block: impl FnMut(usize, &mut dyn FnMut(&mut Block)),
) -> Result<(), Fault> {
    loop {
        let (mut now, mut at) = (bits.clone(), *levels);
        if !restarts && now.is_fast(plans.len()) {
            for (index, plan) in plans.iter().enumerate() {
                block(index, &mut |block| fast(&mut now, &mut at[plan.component], plan, block));
            }
            if !now.met_marker() {
                (*bits, *levels) = (now, at);
                return Ok(());
            }
            // What the fast path wrote so far stays.
            (now, at) = (bits.clone(), *levels);
        }
        let mut result = Ok(());
        for (index, plan) in plans.iter().enumerate() {
            block(index, &mut |block| {
                result = slow(&mut now, &mut at[plan.component], plan, block);
            });
            if result.is_err() {
                break;
            }
        }
        match result {
            Ok(()) => {
                (*bits, *levels) = (now, at);
                return Ok(());
            }
            Err(Fault::Cut) if bits.source.more() => {}
            Err(fault) => return Err(fault),
        }
    }
}

fn slow(
    bits: &mut Bits<'_>,
    level: &mut i32,
    plan: &Plan<'_>,
    block: &mut Block,
) -> Result<(), Fault> {
    let size = bits.code(plan.dc)?;
    let step = extend(bits.bits(size)?, size);
    *level = level.wrapping_add(step);
    block[0] = *level as i16;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.code(plan.ac)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size > 0 {
            at += run;
            let value = extend(bits.bits(size)?, size);
            block[at.min(63)] = value as i16;
        } else if run == 15 {
            at += 15;
        } else {
            break;
        }
        at += 1;
    }
    Ok(())
}

fn fast(bits: &mut Bits<'_>, level: &mut i32, plan: &Plan<'_>, block: &mut Block) {
    let size = bits.code_fast(plan.dc);
    if size > 0 {
        *level = level.wrapping_add(extend(bits.bits_fast(size), size));
    }
    block[0] = *level as i16;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.code_fast(plan.ac);
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size > 0 {
            at += run;
            block[at.min(63)] = extend(bits.bits_fast(size), size) as i16;
        } else if run == 15 {
            at += 15;
        } else {
            break;
        }
        at += 1;
    }
}
