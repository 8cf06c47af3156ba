//! The logits that a temperature is fitted to: all of them, or as many as the memory allows, each
//! image with the same chance.

/// The most memory for kept logits: 67,108 images of 1000 classes. Of more images, this many are
/// kept, each with the same chance.
pub const KEPT_BYTES: usize = 1 << 28;

/// Logits and targets, a reservoir: the images of any number have the same chance to be in it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    classes: usize,
    capacity: usize,
    seen: u64,
    rows: Vec<Row>,
    logits: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    target: usize,
    half: Half,
}

/// What an image is used for. Half of them, drawn by number, fit a temperature; the others measure
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Fit,
    HeldOut,
}

impl Sample {
    pub(super) fn new(classes: usize) -> Self {
        Self::with_bytes(classes, KEPT_BYTES)
    }

    fn with_bytes(classes: usize, bytes: usize) -> Self {
        let capacity = (bytes / (4 * classes.max(1))).max(1);
        Self { classes, capacity, seen: 0, rows: Vec::new(), logits: Vec::new() }
    }

    pub(super) fn add(&mut self, logits: &[f32], target: usize) {
        let random = splitmix64(self.seen);
        let half = if random & 1 == 0 { Half::Fit } else { Half::HeldOut };
        let row = Row { target, half };
        if self.rows.len() < self.capacity {
            self.rows.push(row);
            self.logits.extend_from_slice(logits);
        } else {
            // One of the numbers up to this image's, each with the same chance (algorithm R).
            let place = (u128::from(random) * u128::from(self.seen + 1)) >> 64;
            if let Some(place) = usize::try_from(place).ok().filter(|place| *place < self.capacity)
            {
                self.rows[place] = row;
                self.logits[place * self.classes..][..self.classes].copy_from_slice(logits);
            }
        }
        self.seen += 1;
    }

    /// The logits and targets of a half.
    pub(super) fn half(&self, half: Half) -> Vec<(&[f32], usize)> {
        let rows = self.rows.iter().zip(self.logits.chunks_exact(self.classes.max(1)));
        rows.filter(|(row, _)| row.half == half).map(|(row, logits)| (logits, row.target)).collect()
    }
}

/// A number that looks random, for each number (Steele, Lea and Flood 2014).
fn splitmix64(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(splitmix64(1), 0x6E78_9E6A_A1B9_65F4);
    }

    /// With memory for 1000 rows, 100,000 are drawn from evenly, whatever their order.
    #[test]
    fn memory_is_bounded_and_every_image_has_the_same_chance() {
        let mut sample = Sample::with_bytes(2, 8000);
        for number in 0..100_000_u32 {
            sample.add(&[number as f32, 0.0], number as usize);
        }
        assert_eq!((sample.rows.len(), sample.logits.len()), (1000, 2000));
        let mut from_each_tenth = [0_usize; 10];
        let halves = [Half::Fit, Half::HeldOut].map(|half| sample.half(half));
        for (logits, target) in halves.iter().flatten() {
            assert_eq!(logits[0] as usize, *target);
            from_each_tenth[target / 10_000] += 1;
        }
        assert_eq!(from_each_tenth.iter().sum::<usize>(), 1000);
        // Four standard deviations are 38.
        assert!(from_each_tenth.iter().all(|&n| n.abs_diff(100) < 38), "{from_each_tenth:?}");
        assert!(halves.iter().all(|half| half.len().abs_diff(500) < 64));
    }
}
