//! The memory between kernels: regions that share it where their lives do not meet.

/// Regions begin at multiples of it.
const ALIGN: usize = 256;

/// A region of the arena.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) bytes: usize,
    /// The first and the last step that uses it.
    pub(super) life: [usize; 2],
}

/// Offsets of the regions, so that no two share memory while both are in use, and the bytes of all.
pub(super) fn arrange(regions: &[Region]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..regions.len()).collect();
    // The largest first: the small ones fit between.
    order.sort_by_key(|&at| std::cmp::Reverse(regions[at].bytes));
    let mut offsets = vec![0; regions.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for at in order {
        let Region { bytes, life: [first, last] } = regions[at];
        let meets = |&&other: &&usize| {
            let life = regions[other].life;
            first <= life[1] && life[0] <= last
        };
        let mut taken: Vec<[usize; 2]> = placed
            .iter()
            .filter(meets)
            .map(|&other| [offsets[other], offsets[other] + regions[other].bytes])
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for [from, to] in taken {
            if offset + bytes <= from {
                break;
            }
            offset = offset.max(to.next_multiple_of(ALIGN));
        }
        offsets[at] = offset;
        end = end.max(offset + bytes);
        placed.push(at);
    }
    (offsets, end)
}
