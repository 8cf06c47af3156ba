use std::fmt;

/// Whose steps prepare images.
///
/// | | timm | transformers |
/// | --- | --- | --- |
/// | resize | Pillow's: weights of 22 fractional bits, the larger shrinking first | torchvision's, of tensors: weights of 16 bits in all, columns first |
/// | nearest | Pillow's, which adds up its step | the pixel at `(i + 0.5) * scale` in f32 |
/// | centre crop | starts at the half, rounded to even | starts at the half, cut |
///
/// transformers' is that of its image processors where torchvision is there, as they are since version
/// 5, on a CPU with vector instructions (AVX2, NEON).
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
