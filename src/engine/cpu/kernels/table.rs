//! The tables, and which of them this machine can run.

use super::super::CpuError;
use super::super::simd::portable::Portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::super::simd::wide_vec::WideVec;
use super::super::simd::{ByFloat, ByPair, LANES, Simd};
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
use super::amx;
use super::depthwise::{self, DepthwiseRow, MAX_SIDE};
use super::epilogue::{self, ApplyEpilogue, Mean, Scale};
use super::norm::{self, LayerNorm, Moments, Normalize};
use super::pairs::{self, Narrow, PairKernelTable};
use super::peak;
use super::softmax::{self, Softmax};
use super::tile::{self, Tile};
use super::winograd::{self, InputTransform, OutputTransform};
use crate::arch::Activation;

/// An instruction set that kernels exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// AVX-512F.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// NEON.
    Neon,
    /// Plain Rust.
    Portable,
}

impl Isa {
    /// All of them, fastest first.
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Its name in `EFFNET_ISA` and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Rows and columns (`mr`, `nr`) of the largest tile of sums that its float kernels keep in
    /// registers; `None` if this machine does not run it.
    #[must_use]
    pub fn tile(self) -> Option<(usize, usize)> {
        let tiles = KernelTable::of(self)?.tiles;
        Some((tiles.len(), tiles[0].len() * LANES))
    }

    /// The name of the bfloat16 kernels that go with its own on this machine, if any.
    pub(crate) fn bf16(self) -> Option<&'static str> {
        // The table's names say of AMX and AVX-512 that theirs multiply pairs.
        let name = KernelTable::pairs(self)?.name;
        Some(name.trim_end_matches(" (pairs)").trim_end_matches(" pairs"))
    }

    /// Those that this machine runs, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|&isa| KernelTable::of(isa).is_some())
    }

    /// The one that the environment variable `EFFNET_ISA` names; without it, the fastest.
    ///
    /// # Errors
    ///
    /// A word that names no instruction set, or one that this machine does not run.
    pub fn choose() -> Result<Self, CpuError> {
        let fastest = Self::available().next().unwrap_or(Self::Portable);
        let Some(word) = std::env::var_os("EFFNET_ISA").filter(|word| !word.is_empty()) else {
            return Ok(fastest);
        };
        Self::available()
            .find(|isa| word == *isa.name())
            .ok_or_else(|| CpuError::Isa { word: word.to_string_lossy().into_owned() })
    }
}

/// The kernels of one instruction set.
///
/// The pointers are `unsafe fn`s with the contracts of the functions that they are made from.
/// [`KernelTable::of`] checks once that the machine has the instruction set.
#[derive(Debug)]
pub(in super::super) struct KernelTable {
    /// The set's name in `docs/cpu-engine.md`.
    #[cfg(test)]
    name: &'static str,
    /// `tiles[m - 1][n - 1]` computes `m` rows of `n` vectors.
    pub(in super::super) tiles: &'static [&'static [unsafe fn(&Tile<'_>)]],
    /// Whether a tile's results leave enough registers to compute any activation.
    spare: bool,
    pub(in super::super) apply_epilogue: unsafe fn(&ApplyEpilogue),
    pub(in super::super) scale: unsafe fn(&Scale),
    pub(in super::super) mean: unsafe fn(&Mean),
    pub(in super::super) moments: unsafe fn(&Moments),
    pub(in super::super) normalize: unsafe fn(&Normalize),
    pub(in super::super) layer_norm: unsafe fn(&LayerNorm),
    pub(in super::super) softmax: unsafe fn(&Softmax),
    pub(in super::super) input_transform: unsafe fn(&InputTransform),
    pub(in super::super) output_transform: unsafe fn(&OutputTransform),
    /// Sums in registers; returns the number of operations.
    pub(in super::super) peak: unsafe fn(usize) -> usize,
    /// Kernel sides 3, 5, 7, 9, 11 at strides 1 and 2.
    depthwise: [[unsafe fn(&DepthwiseRow<'_>); 2]; 5],
}

impl KernelTable {
    /// The kernels of `isa`, if this machine runs it.
    pub(in super::super) fn of(isa: Isa) -> Option<&'static Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if std::is_x86_feature_detected!("avx512f") => Some(&avx512::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2
                if std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma") =>
            {
                Some(&avx2::KERNELS)
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Some(&neon::KERNELS),
            Isa::Portable => Some(&portable::KERNELS),
            _ => None,
        }
    }

    /// The bfloat16 pair kernels that go with those of `isa`, if this machine runs any.
    pub(in super::super) fn pairs(isa: Isa) -> Option<&'static PairKernelTable> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if std::is_x86_feature_detected!("avx512bf16") => {
                #[cfg(target_os = "linux")]
                if amx::available() {
                    return Some(&amx_bf16::KERNELS);
                }
                Some(&avx512_bf16::KERNELS)
            }
            Isa::Portable => Some(&portable_bf16::KERNELS),
            _ => None,
        }
    }

    /// Whether `act` is left to `apply_epilogue`, which has all registers for it. In a tile the
    /// results would leave too few.
    pub(in super::super) fn acts_after(&self, act: Option<Activation>) -> bool {
        use Activation::{Gelu, Mish, Sigmoid, Silu};
        !self.spare && matches!(act, Some(Silu | Sigmoid | Mish | Gelu))
    }

    /// The kernel of a depthwise convolution's row; `None` for a side or stride without one.
    pub(in super::super) fn depthwise(
        &self,
        side: usize,
        stride: usize,
    ) -> Option<unsafe fn(&DepthwiseRow<'_>)> {
        let side = [3, 5, 7, 9, MAX_SIDE].iter().position(|&k| k == side)?;
        self.depthwise[side].get(stride.checked_sub(1)?).copied()
    }
}

/// `$S` is the vector of most kernels. `$Narrow` is the vector of kernels whose many values would
/// otherwise not fit in the registers.
macro_rules! kernels {
    ($name:literal, $module:ident, $S:ty, $Narrow:ty, [$($m:literal)*], $n:tt $(, #[$attr:meta])?) => {
        mod $module {
            use super::*;

            // SAFETY of the calls: each function hands its own contract on.
            $(#[$attr])?
            unsafe fn tile<const MR: usize, const NR: usize>(t: &Tile<'_>) {
                // SAFETY: see above.
                unsafe { tile::tile::<ByFloat<$S>, MR, NR>(t) }
            }
            $(#[$attr])?
            pub(super) unsafe fn apply_epilogue(p: &ApplyEpilogue) {
                // SAFETY: see above.
                unsafe { epilogue::apply_epilogue::<$Narrow>(p) }
            }
            $(#[$attr])?
            unsafe fn scale(s: &Scale) {
                // SAFETY: see above.
                unsafe { epilogue::scale::<$S>(s) }
            }
            $(#[$attr])?
            unsafe fn peak(rounds: usize) -> usize {
                // SAFETY: see above.
                unsafe { peak::peak::<$Narrow>(rounds) }
            }
            $(#[$attr])?
            unsafe fn mean(m: &Mean) {
                // SAFETY: see above.
                unsafe { epilogue::mean::<$S>(m) }
            }
            $(#[$attr])?
            unsafe fn moments(m: &Moments) {
                // SAFETY: see above.
                unsafe { norm::moments::<$S>(m) }
            }
            $(#[$attr])?
            unsafe fn normalize(n: &Normalize) {
                // SAFETY: see above.
                unsafe { norm::normalize::<$Narrow>(n) }
            }
            $(#[$attr])?
            unsafe fn layer_norm(l: &LayerNorm) {
                // SAFETY: see above.
                unsafe { norm::layer_norm::<$Narrow>(l) }
            }
            $(#[$attr])?
            unsafe fn softmax(s: &Softmax) {
                // SAFETY: see above.
                unsafe { softmax::softmax::<$S>(s) }
            }
            $(#[$attr])?
            unsafe fn input_transform(t: &InputTransform) {
                // SAFETY: see above.
                unsafe { winograd::input_transform::<$Narrow>(t) }
            }
            $(#[$attr])?
            unsafe fn output_transform(t: &OutputTransform) {
                // SAFETY: see above.
                unsafe { winograd::output_transform::<$Narrow>(t) }
            }
            $(#[$attr])?
            unsafe fn depthwise<const K: usize, const T: usize>(d: &DepthwiseRow<'_>) {
                // SAFETY: see above.
                unsafe { depthwise::row::<$Narrow, K, T>(d) }
            }

            pub(super) static KERNELS: KernelTable = KernelTable {
                #[cfg(test)]
                name: $name,
                tiles: &[$(kernels!(@row $m $n)),*],
                spare: <$S>::FLOATS == <$Narrow>::FLOATS,
                apply_epilogue,
                scale,
                mean,
                moments,
                normalize,
                layer_norm,
                softmax,
                input_transform,
                output_transform,
                peak,
                depthwise: [
                    [depthwise::<3, 1>, depthwise::<3, 2>],
                    [depthwise::<5, 1>, depthwise::<5, 2>],
                    [depthwise::<7, 1>, depthwise::<7, 2>],
                    [depthwise::<9, 1>, depthwise::<9, 2>],
                    [depthwise::<MAX_SIDE, 1>, depthwise::<MAX_SIDE, 2>],
                ],
            };
        }
    };
    (@row $m:literal [$($n:literal)*]) => { &[$(tile::<$m, $n>),*] };
}

#[cfg(target_arch = "aarch64")]
use super::super::simd::neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::super::simd::{avx2::Avx2, avx512::Avx512};

#[cfg(target_arch = "x86_64")]
kernels!("AVX-512F", avx512, Avx512, Avx512, [1 2 3 4 5 6 7 8], [1 2 3], #[target_feature(enable = "avx512f")]);
#[cfg(target_arch = "x86_64")]
kernels!("AVX2 + FMA", avx2, WideVec<Avx2>, Avx2, [1 2 3 4 5 6], [1], #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "aarch64")]
kernels!("NEON", neon, WideVec<WideVec<Neon>>, WideVec<Neon>, [1 2 3 4 5 6], [1], #[target_feature(enable = "neon")]);
kernels!("portable", portable, Portable, Portable, [1 2], [1]);

macro_rules! pair_kernels {
    ($name:literal, $module:ident, $S:ty, [$($m:literal)*], $n:tt $(, #[$attr:meta])?) => {
        mod $module {
            use super::*;

            // SAFETY of the calls: each function hands its own contract on.
            $(#[$attr])?
            unsafe fn tile<const MR: usize, const NR: usize>(t: &Tile<'_>) {
                // SAFETY: see above.
                unsafe { tile::tile::<ByPair<$S>, MR, NR>(t) }
            }
            $(#[$attr])?
            pub(super) unsafe fn narrow(n: &Narrow) {
                // SAFETY: see above.
                unsafe { pairs::narrow::<$S>(n) }
            }

            pub(super) static KERNELS: PairKernelTable = PairKernelTable {
                name: $name,
                tiles: &[$(kernels!(@row $m $n)),*],
                narrow,
                dense: false,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
pair_kernels!(
    "AVX512-BF16 (pairs)", avx512_bf16, Avx512, [1 2 3 4 5 6 7 8], [1 2 3],
    #[target_feature(enable = "avx512f,avx512bf16")]
);
pair_kernels!("portable pairs", portable_bf16, Portable, [1 2], [1]);

#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
macro_rules! amx_kernels {
    ($module:ident, $unit:ty, $floats:ident, $pairs:ident, [$($m:literal)*]) => {
        mod $module {
            use super::*;

            unsafe fn tile<const MR: usize, const NR: usize>(t: &Tile<'_>) {
                // SAFETY: the caller's contract; the unit's machines have the other set too.
                unsafe {
                    amx::tile::<$unit, MR, NR>(t);
                    $floats::apply_epilogue(&ApplyEpilogue { out: t.out, rows: MR, vecs: NR });
                }
            }

            pub(super) static KERNELS: PairKernelTable = PairKernelTable {
                name: "AMX (pairs)",
                tiles: &[$(&[tile::<$m, 1>, tile::<$m, 2>, tile::<$m, 3>]),*],
                narrow: $pairs::narrow,
                dense: true,
            };
        }
    };
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
amx_kernels!(
    amx_bf16, amx::Amx, avx512, avx512_bf16,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]
);
#[cfg(test)]
amx_kernels!(
    emulated_amx, amx::emulated::Emulated, portable, portable_bf16,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]
);

#[cfg(test)]
impl PairKernelTable {
    /// The kernels of AMX on an emulated unit.
    pub(in super::super) fn emulated_amx() -> &'static Self {
        &emulated_amx::KERNELS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For the sets that this machine has, the tiles are those that the document lists.
    #[test]
    fn the_document_lists_these_tiles() {
        let document = include_str!("../../../../docs/cpu-engine.md");
        let rows = document.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let rows: Vec<_> = rows.filter(|cells| cells.len() == 9).collect();
        let floats = Isa::available().filter_map(KernelTable::of).map(|t| (t.name, t.tiles));
        let pairs = Isa::available().filter_map(KernelTable::pairs);
        let pairs = pairs.chain([PairKernelTable::emulated_amx()]).map(|t| (t.name, t.tiles));
        for (name, tiles) in floats.chain(pairs) {
            let row = rows.iter().find(|cells| cells[1] == name);
            let row = row.unwrap_or_else(|| panic!("no row of {name}"));
            let mr = if tiles.len() > 2 { "1 to " } else { "1, " }.to_owned();
            assert_eq!(row[3], mr + &tiles.len().to_string(), "{name}");
            let nr: Vec<_> = (1..=tiles[0].len()).map(|n| (n * LANES).to_string()).collect();
            assert_eq!(row[4], nr.join(", "), "{name}");
        }
    }
}
