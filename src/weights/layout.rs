//! The order of a tensor's axes in a file.

/// The axes of a kernel in the order in which a library stores them: `HWIO`, `HWCM`, `IO`.
///
/// Canonical tensors are PyTorch's: `OIHW` for a convolution (a depthwise one has I = 1), `OI` for
/// a linear layer. `C` and `M`, channels and multiplier of a depthwise kernel, are other words for
/// `O` and `I`. An axis that one side lacks has size 1, so a linear layer can be laid out as a 1x1
/// convolution and vice versa.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The library's axes, as indices into `OIHW`.
    axes: Vec<usize>,
}

/// Axes of a canonical kernel.
const AXES: usize = 4;

/// How the values of one tensor are moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// The canonical shape, its axes padded to four.
    canonical: [usize; AXES],
    /// The library's axes, as indices into `canonical`.
    axes: Vec<usize>,
}

impl Layout {
    /// The layout of this name; `None` for an unknown or repeated letter, or an empty name.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let mut axes = Vec::new();
        for letter in word.chars() {
            let axis = match letter {
                'O' | 'C' => 0,
                'I' | 'M' => 1,
                'H' => 2,
                'W' => 3,
                _ => return None,
            };
            if axes.contains(&axis) {
                return None;
            }
            axes.push(axis);
        }
        (!axes.is_empty()).then_some(Self { axes })
    }

    /// How a tensor of this canonical shape is stored: the library's shape and the rearrangement.
    /// `None` if an axis that the library lacks is longer than 1. A tensor of one dimension (a
    /// bias, a norm's parameter) stays as it is.
    pub(crate) fn arrange(&self, shape: &[usize]) -> Option<(Vec<usize>, Option<Arrangement>)> {
        if !(2..=AXES).contains(&shape.len()) {
            return Some((shape.to_owned(), None));
        }
        let mut canonical = [1; AXES];
        canonical[..shape.len()].copy_from_slice(shape);
        let lost = |axis: &usize| canonical[*axis] != 1 && !self.axes.contains(axis);
        if (0..AXES).any(|axis| lost(&axis)) {
            return None;
        }
        let stored = self.axes.iter().map(|&axis| canonical[axis]).collect();
        // Values in the same order need no moving, even if the shape differs.
        let long = self.axes.iter().filter(|&&axis| canonical[axis] != 1);
        let moves = !long.is_sorted();
        let arrangement = moves.then(|| Arrangement { canonical, axes: self.axes.clone() });
        Some((stored, arrangement))
    }
}

impl Arrangement {
    /// The values of a stored tensor in canonical order.
    pub(crate) fn to_canonical(&self, stored: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; stored.len()];
        self.each(|from_stored, to_canonical| values[to_canonical] = stored[from_stored]);
        values
    }

    /// The values of a canonical tensor in the order in which the library stores them.
    pub(crate) fn to_stored(&self, canonical: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; canonical.len()];
        self.each(|to_stored, from_canonical| values[to_stored] = canonical[from_canonical]);
        values
    }

    /// Calls `call` with each value's stored and canonical index.
    fn each(&self, mut call: impl FnMut(usize, usize)) {
        let mut strides = [0; AXES];
        let mut stride = 1;
        for &axis in self.axes.iter().rev() {
            strides[axis] = stride;
            stride *= self.canonical[axis];
        }
        let [o, i, h, w] = self.canonical;
        let mut at = 0;
        for o in 0..o {
            for i in 0..i {
                for h in 0..h {
                    let row = o * strides[0] + i * strides[1] + h * strides[2];
                    for w in 0..w {
                        call(row + w * strides[3], at);
                        at += 1;
                    }
                }
            }
        }
    }
}
