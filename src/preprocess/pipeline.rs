use std::fmt;

/// The library whose steps prepare images.
///
/// | | timm | transformers |
/// | --- | --- | --- |
/// | resize | Pillow's: weights with 22 fractional bits, vertical first if the height loses more than twice as many pixels as the width | torchvision's for tensors: weights with 16 bits in all, columns first |
/// | nearest | Pillow's, which adds up its steps | the pixel at `(i + 0.5) * scale` in f32 |
/// | centre crop | starts at half of the difference, rounded to even | starts at half of the difference, rounded down |
///
/// The column for transformers is about its image processors with torchvision, which they use since
/// version 5, on a CPU with vector instructions (AVX2, NEON).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Pipeline {
    /// timm's `transforms_imagenet_eval` on Pillow's images.
    #[default]
    Timm,
    /// transformers' image processors on torchvision's tensors.
    Transformers,
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timm => "timm",
            Self::Transformers => "transformers",
        })
    }
}
