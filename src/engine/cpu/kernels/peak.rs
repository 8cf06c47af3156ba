//! Multiply-adds with nothing to load and nothing to store: the most that a core can do.

use std::hint::black_box;

use super::super::simd::{LANES, Simd};

/// Runs `rounds` multiply-adds in each of several independent vectors. Returns how many floating
/// point operations that was, two per multiply-add.
///
/// # Safety
///
/// [`Simd`]'s.
#[inline(always)]
pub(super) unsafe fn peak<S: Simd>(rounds: usize) -> usize {
    // Enough to hide an instruction's latency, but few enough for the registers: half as many again
    // as the outputs that a depthwise kernel holds. SAFETY: the caller's contract.
    unsafe {
        match S::DW {
            8.. => chains::<S, 12>(rounds),
            _ => chains::<S, 3>(rounds),
        }
    }
}

#[inline(always)]
unsafe fn chains<S: Simd, const N: usize>(rounds: usize) -> usize {
    // Opaque and different, so that nothing is computed in advance or shared.
    let starts: [f32; N] = black_box(std::array::from_fn(|i| i as f32));
    let (factor, term) = black_box((0.5, 1.0));
    // SAFETY: the caller's contract; the array holds a vector.
    unsafe {
        let (factor, term) = (S::splat(factor), S::splat(term));
        let mut chains = starts.map(|start| S::splat(start));
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = S::fma(*chain, factor, term);
            }
        }
        let sum = chains.into_iter().fold(S::splat(0.0), |sum, chain| S::add(sum, chain));
        let mut result = [0.0; LANES];
        S::store(result.as_mut_ptr(), sum);
        black_box(result);
    }
    2 * S::FLOATS * N * rounds
}
