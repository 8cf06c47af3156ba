//! Restart markers that are missing, doubled or out of order, as libjpeg finds its way among them
//! (`jdmarker.c`, `jpeg_resync_to_restart`).

use super::FORMAT;
use crate::preprocess::error::DecodeError;

/// What libjpeg does with a restart marker that it does not expect.
enum Action {
    /// Goes on behind it.
    Accept,
    /// Looks for the next one.
    Skip,
    /// Leaves it for later, so that the interval before it stays empty.
    Leave,
}

fn action(found: u8, expected: u8) -> Action {
    match found.wrapping_sub(expected) & 7 {
        1 | 2 => Action::Leave,
        6 | 7 => Action::Skip,
        _ => Action::Accept,
    }
}

/// The bits of a scan of this many intervals with its restart markers in order; none if they are.
/// Where a `stray` marker ends the scan, libjpeg may go on behind it: its intervals must be whole.
pub(super) fn in_order(
    bits: &[u8],
    intervals: u64,
    stray: bool,
) -> Result<Option<Vec<u8>>, DecodeError> {
    // Where each marker stands.
    let pairs = bits.iter().zip(bits.iter().skip(1)).enumerate();
    let all: Vec<_> = pairs
        .filter(|(_, pair)| matches!(pair, (0xff, 0xd0..=0xd7)))
        .map(|(at, (_, code))| (at, code & 7))
        .collect();
    let expected = (0..intervals.saturating_sub(1)).map(|index| (index % 8) as u8);
    if all.iter().map(|(_, number)| *number).eq(expected.clone()) {
        return Ok(None);
    }
    let interval = |index: usize| {
        let end = all.get(index).map_or(bits.len(), |(at, _)| *at);
        let start = index.checked_sub(1).map_or(0, |index| all[index].0 + 2);
        &bits[start..end]
    };
    let mut ordered = interval(0).to_vec();
    let (mut next, mut empty) = (0, false);
    'intervals: for expected in expected {
        let accepted = loop {
            // What ends the scan leaves all further intervals empty, in the decoder too.
            let Some((_, found)) = all.get(next) else {
                if stray {
                    return Err(DecodeError::Damaged { format: FORMAT });
                }
                break 'intervals;
            };
            match action(*found, expected) {
                Action::Accept => {
                    next += 1;
                    break true;
                }
                Action::Skip => next += 1,
                Action::Leave => break false,
            }
        };
        // After an empty interval libjpeg's next one is empty in another way.
        if !accepted && empty {
            return Err(DecodeError::Damaged { format: FORMAT });
        }
        ordered.extend_from_slice(&[0xff, 0xd0 + expected]);
        if accepted {
            ordered.extend_from_slice(interval(next));
        }
        empty = !accepted;
    }
    Ok(Some(ordered))
}
