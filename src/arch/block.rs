//! timm's block strings, read strictly.

use super::reader::Reader;
use super::{Activation, ArchError};

/// The kind of a block: the first token of a block string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockKind {
    /// `cn`: a convolution, a norm, an activation.
    ConvBnAct,
    /// `ds`: depthwise, then pointwise without activation.
    DepthwiseSeparable,
    /// `dsa`: depthwise, then pointwise with activation, never a residual (MobileNet V1).
    DepthwiseSeparableAct,
    /// `ir`: pointwise expansion, depthwise, pointwise projection (MBConv).
    InvertedResidual,
    /// `er`: full convolution as expansion, pointwise projection (Fused-MBConv).
    EdgeResidual,
    /// `uir`: an inverted residual whose depthwise convolutions are optional (MobileNet V4).
    UniversalInvertedResidual,
    /// `mqa`: attention of several query heads to one key and one value (MobileNet V4).
    MultiQueryAttention,
    /// `mha`: attention of several heads.
    MultiHeadAttention,
}

impl BlockKind {
    /// The token that stands for the kind in a block string.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::ConvBnAct => "cn",
            Self::DepthwiseSeparable => "ds",
            Self::DepthwiseSeparableAct => "dsa",
            Self::InvertedResidual => "ir",
            Self::EdgeResidual => "er",
            Self::UniversalInvertedResidual => "uir",
            Self::MultiQueryAttention => "mqa",
            Self::MultiHeadAttention => "mha",
        }
    }

    const ALL: [Self; 8] = [
        Self::ConvBnAct,
        Self::DepthwiseSeparable,
        Self::DepthwiseSeparableAct,
        Self::InvertedResidual,
        Self::EdgeResidual,
        Self::UniversalInvertedResidual,
        Self::MultiQueryAttention,
        Self::MultiHeadAttention,
    ];

    /// Whether the block expands its channels, and so needs an `e` token.
    const fn expands(self) -> bool {
        matches!(
            self,
            Self::InvertedResidual | Self::EdgeResidual | Self::UniversalInvertedResidual
        )
    }

    const fn attends(self) -> bool {
        matches!(self, Self::MultiQueryAttention | Self::MultiHeadAttention)
    }
}

/// One block string of an architecture, such as `ir_r2_k3_s2_e6_c24_se0.25`.
///
/// The first token is the [`BlockKind`]; the others may come in any order, each at most once:
///
/// | token | meaning | blocks |
/// | --- | --- | --- |
/// | `r2` | the block is repeated; only the first changes stride and channels | all |
/// | `k3` | kernel size, odd; 0 for no middle depthwise convolution in `uir` | all |
/// | `k3.5.7` | channels shared out over depthwise convolutions of these sizes | `ir` |
/// | `s2` | stride, 1 or 2 (`mqa` and `mha` take 1 only) | all |
/// | `c24` | output channels before width scaling | all |
/// | `e6` | expansion ratio (`ds`, `dsa` and `cn` take 1 only) | all but `mqa` `mha` |
/// | `se0.25` | squeeze-excitation ratio | `ds` `dsa` `ir` `er` |
/// | `fc24` | channels that the expansion is computed from | `er` |
/// | `gs16` | channels in a group of the spatial convolution | all but `mqa` `mha` |
/// | `a1.1`, `p1.1` | expansion, projection split by channels into two parts | `ir` |
/// | `a3` | kernel size of the depthwise convolution before the expansion, 0 for none | `uir` |
/// | `cc4` | kernels mixed for each image from 4 experts (CondConv) | `ir` |
/// | `d1` | halves the resolution by a 2x2 convolution until the next stride | `ds` |
/// | `h4`, `d64` | attention heads, channels of a key | `mqa` `mha` |
/// | `v2` | stride of key and value | `mqa` |
/// | `nre` | activation: `re`, `r6`, `hs`, `sw`, `mi` | all |
/// | `noskip`, `skip` | no residual / a residual (`cn` has none by default) | `ds` `ir` `er` / `cn` |
///
/// Source: `_decode_block_str` of `timm/models/_efficientnet_builder.py`, which skips tokens that
/// it does not know; here they are errors.
///
/// ```
/// use effnet::arch::{BlockDef, BlockKind};
/// let def = BlockDef::parse("ir_r2_k3_s2_e6_c24_se0.25")?;
/// assert_eq!(def.kind, BlockKind::InvertedResidual);
/// assert_eq!((def.repeats, def.stride, def.out_chs), (2, 2, 24));
/// assert_eq!(BlockDef::parse("ir_r1_k3.5.7_s1_e6_c40")?.kernel_sizes, [3, 5, 7]);
///
/// let error = BlockDef::parse("ir_r2_k3_s2_e6_q24").unwrap_err();
/// assert!(error.to_string().contains("`q24` in block string `ir_r2_k3_s2_e6_q24`"));
/// # Ok::<(), effnet::arch::ArchError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDef {
    /// The kind of block.
    pub kind: BlockKind,
    /// How many blocks the string stands for, before depth scaling.
    pub repeats: usize,
    /// Kernel sizes of the spatial convolution: one, several for a mixed one, none for `k0`.
    pub kernel_sizes: Vec<usize>,
    /// Stride of the first of the repeated blocks.
    pub stride: usize,
    /// Output channels, before width scaling.
    pub out_chs: usize,
    /// Expanded channels over input channels.
    pub exp_ratio: f64,
    /// Squeezed channels over the block's input channels; 0 for no squeeze-excitation.
    pub se_ratio: f64,
    /// The expansion is computed from this many channels instead of the block's input.
    pub force_in_chs: Option<usize>,
    /// Channels in a group of the spatial convolution.
    pub group_size: Option<usize>,
    /// Parts that the expansion is split into by channels.
    pub exp_parts: usize,
    /// Parts that the projection is split into by channels.
    pub pw_parts: usize,
    /// Kernel size of the depthwise convolution before the expansion.
    pub start_kernel_size: Option<usize>,
    /// Experts that the block's kernels are mixed from; 0 for ordinary convolutions.
    pub num_experts: usize,
    /// Whether a space-to-depth region starts here.
    pub s2d: bool,
    /// Attention heads; 0 for no attention.
    pub num_heads: usize,
    /// Channels of a key and of a value.
    pub key_dim: usize,
    /// Stride of key and value.
    pub kv_stride: usize,
    /// Activation of this block, if not the network's.
    pub act: Option<Activation>,
    /// Whether the block adds its input to its output where the shapes agree.
    pub skip: bool,
}

impl BlockDef {
    /// Reads a block string.
    ///
    /// # Errors
    ///
    /// A token that is unknown, repeated, foreign to the block's kind or missing, or that has a bad
    /// value. The error names the token and the whole string.
    pub fn parse(block: &str) -> Result<Self, ArchError> {
        use BlockKind::{
            ConvBnAct, DepthwiseSeparable, DepthwiseSeparableAct, EdgeResidual, InvertedResidual,
            MultiHeadAttention, MultiQueryAttention, UniversalInvertedResidual,
        };
        let mut tokens = block.split('_');
        let first = tokens.next().unwrap_or_default();
        let kind = *BlockKind::ALL.iter().find(|k| k.token() == first).ok_or_else(|| {
            ArchError::UnknownToken { token: first.to_owned(), block: block.to_owned() }
        })?;
        let mut reader = Reader::new(block, kind);
        let (mut repeats, mut kernel_sizes, mut stride, mut out_chs) = (None, None, None, None);
        let (mut exp_ratio, mut num_heads, mut key_dim, mut skip) = (None, None, None, None);
        let mut start_kernel_size = None;
        let mut def = Self {
            kind,
            repeats: 1,
            kernel_sizes: Vec::new(),
            stride: 1,
            out_chs: 1,
            exp_ratio: 1.0,
            se_ratio: 0.0,
            force_in_chs: None,
            group_size: None,
            exp_parts: 1,
            pw_parts: 1,
            start_kernel_size: None,
            num_experts: 0,
            s2d: false,
            num_heads: 0,
            key_dim: 0,
            kv_stride: 1,
            act: None,
            skip: !matches!(kind, ConvBnAct | DepthwiseSeparableAct),
        };
        for token in tokens {
            let (key, value) = reader.split(token)?;
            match key {
                "r" => repeats = Some(reader.count(token, value, 1..=1000)?),
                "k" => {
                    kernel_sizes = Some(match kind {
                        InvertedResidual => reader.kernels(token, value)?,
                        UniversalInvertedResidual => {
                            Vec::from_iter(reader.optional_kernel(token, value)?)
                        }
                        _ => vec![reader.kernel(token, value)?],
                    });
                }
                "s" => {
                    let max = if kind.attends() { 1 } else { 2 };
                    stride = Some(reader.count(token, value, 1..=max)?);
                }
                "c" => out_chs = Some(reader.count(token, value, 1..=65536)?),
                "e" if !kind.attends() => exp_ratio = Some(reader.ratio(token, value, 64.0)?),
                "se" => {
                    reader.only(
                        token,
                        &[
                            DepthwiseSeparable,
                            DepthwiseSeparableAct,
                            InvertedResidual,
                            EdgeResidual,
                        ],
                    )?;
                    def.se_ratio = reader.ratio(token, value, 1.0)?;
                }
                "fc" => {
                    reader.only(token, &[EdgeResidual])?;
                    def.force_in_chs = Some(reader.count(token, value, 1..=65536)?);
                }
                "gs" if !kind.attends() => {
                    def.group_size = Some(reader.count(token, value, 1..=65536)?);
                }
                "a" if kind == UniversalInvertedResidual => {
                    start_kernel_size = Some(reader.optional_kernel(token, value)?);
                }
                "a" => {
                    reader.only(token, &[InvertedResidual])?;
                    def.exp_parts = reader.parts(token, value)?;
                }
                "p" => {
                    reader.only(token, &[InvertedResidual])?;
                    def.pw_parts = reader.parts(token, value)?;
                }
                "cc" => {
                    reader.only(token, &[InvertedResidual])?;
                    def.num_experts = reader.count(token, value, 1..=1024)?;
                }
                "d" if kind == DepthwiseSeparable => {
                    reader.count(token, value, 1..=1)?;
                    def.s2d = true;
                }
                "d" => {
                    reader.only(token, &[MultiQueryAttention, MultiHeadAttention])?;
                    key_dim = Some(reader.count(token, value, 1..=65536)?);
                }
                "h" => {
                    reader.only(token, &[MultiQueryAttention, MultiHeadAttention])?;
                    num_heads = Some(reader.count(token, value, 1..=1024)?);
                }
                "v" => {
                    reader.only(token, &[MultiQueryAttention])?;
                    def.kv_stride = reader.count(token, value, 1..=2)?;
                }
                "n" => {
                    def.act = Some(Activation::from_token(value).ok_or_else(|| {
                        reader.bad(token, "the activations are nre, nr6, nhs, nsw, nmi")
                    })?);
                }
                "noskip" => {
                    reader.only(token, &[DepthwiseSeparable, InvertedResidual, EdgeResidual])?;
                    skip = Some(false);
                }
                "skip" => {
                    reader.only(token, &[ConvBnAct])?;
                    skip = Some(true);
                }
                "e" | "gs" => return Err(reader.foreign(token)),
                _ => return Err(reader.unknown(token)),
            }
        }
        def.exp_ratio = match exp_ratio {
            Some(e) if !kind.expands() && e != 1.0 => {
                let token = format!("e{e}");
                return Err(reader.bad(&token, "this kind of block does not expand: 1 only"));
            }
            Some(e) => e,
            None if kind.expands() => return Err(reader.missing("e")),
            None => 1.0,
        };
        if kind.attends() {
            def.num_heads = num_heads.ok_or_else(|| reader.missing("h"))?;
            def.key_dim = key_dim.ok_or_else(|| reader.missing("d"))?;
        }
        if kind == UniversalInvertedResidual {
            def.start_kernel_size = start_kernel_size.ok_or_else(|| reader.missing("a"))?;
        }
        def.repeats = repeats.ok_or_else(|| reader.missing("r"))?;
        def.kernel_sizes = kernel_sizes.ok_or_else(|| reader.missing("k"))?;
        def.stride = stride.ok_or_else(|| reader.missing("s"))?;
        def.out_chs = out_chs.ok_or_else(|| reader.missing("c"))?;
        def.skip = skip.unwrap_or(def.skip);
        let spatial = def.start_kernel_size.is_some() || !def.kernel_sizes.is_empty();
        if def.stride > 1 && !spatial {
            return Err(reader.bad("s2", "a stride needs a depthwise convolution to take it"));
        }
        if def.num_experts > 0 && (def.exp_parts, def.pw_parts, def.kernel_sizes.len()) != (1, 1, 1)
        {
            return Err(reader.bad(
                &format!("cc{}", def.num_experts),
                "a mixed convolution cannot be mixed from experts",
            ));
        }
        Ok(def)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_read() {
        let def = BlockDef::parse("er_r1_k3_s1_e4_c24_fc24_gs8_se0.5_nre_noskip").unwrap();
        assert_eq!(def.kind, BlockKind::EdgeResidual);
        assert_eq!(def.force_in_chs, Some(24));
        assert_eq!(def.group_size, Some(8));
        assert_eq!(def.se_ratio, 0.5);
        assert_eq!(def.act, Some(Activation::Relu));
        assert!(!def.skip);
        assert!(BlockDef::parse("cn_r1_k3_s1_e1_c16_skip").unwrap().skip);
        assert!(!BlockDef::parse("cn_r1_k3_s1_c16").unwrap().skip);
        assert!(BlockDef::parse("ds_r1_k3_s1_c16").unwrap().skip);
        assert!(!BlockDef::parse("dsa_r1_k3_s1_c16").unwrap().skip);
        assert!(BlockDef::parse("ds_r1_k3_s1_c16_d1").unwrap().s2d);
        let def = BlockDef::parse("ir_r1_k3.5_a1.1_p1.1.1_s1_e6_c40").unwrap();
        assert_eq!((def.kernel_sizes, def.exp_parts, def.pw_parts), (vec![3, 5], 2, 3));
        assert_eq!(BlockDef::parse("ir_r1_k3_s1_e6_c40_cc4").unwrap().num_experts, 4);
        let def = BlockDef::parse("uir_r1_a3_k0_s1_e4_c160").unwrap();
        assert_eq!((def.start_kernel_size, def.kernel_sizes), (Some(3), vec![]));
        let def = BlockDef::parse("mqa_r1_k3_h4_s1_v2_d64_c160").unwrap();
        assert_eq!((def.num_heads, def.kv_stride, def.key_dim), (4, 2, 64));
        assert_eq!(BlockDef::parse("mha_r1_k3_h4_s1_d40_c160").unwrap().num_heads, 4);
    }

    #[test]
    fn strings_that_timm_would_swallow_are_refused() {
        for (string, message) in [
            ("", "unknown token ``"),
            ("xx_r1_k3_s1_c16", "unknown token `xx`"),
            ("ds_r1_k3_s1_c16_wide", "unknown token `wide`"),
            ("ds_r1_k3_s1_c16_nxx", "bad value in token `nxx`"),
            ("ds_r1_k3_s1_c16_e6", "bad value in token `e6`"),
            ("ir_r1_k3_s1_c16", "lacks `e`"),
            ("ir_k3_s1_e6_c16", "lacks `r`"),
            ("ir_r1_k4_s1_e6_c16", "a kernel size must be odd"),
            ("ir_r1_k3_s3_e6_c16", "out of range"),
            ("ir_r0_k3_s1_e6_c16", "out of range"),
            ("ir_r1_k3_s1_e6_c16_c24", "repeats an earlier one"),
            ("ir_r1_k3_s1_e6_c16_skip", "means nothing to a `ir` block"),
            ("cn_r1_k3_s1_c16_se0.25", "means nothing to a `cn` block"),
            ("ir_r1_k3_s1_enan_c16", "unknown token `enan`"),
            ("ir_r1_k3_s1_e1e400_c16", "out of range"),
            ("ir_r99999999999999999999_k3_s1_e6_c16", "a whole number is needed"),
            ("ir__r1_k3_s1_e6_c16", "unknown token ``"),
            ("ds_r1_k3.5_s1_c16", "bad value in token `k3.5`"),
            ("ir_r1_k3._s1_e6_c16", "bad value in token `k3.`"),
            ("ir_r1_k0_s1_e6_c16", "out of range"),
            ("ir_r1_k3_a1.3_s1_e6_c16", "the parts of a pointwise convolution are 1"),
            ("dsa_r1_k3_s1_c16_noskip", "means nothing to a `dsa` block"),
            ("uir_r1_k3_s1_e4_c16", "lacks `a`"),
            ("uir_r1_a0_k0_s2_e4_c16", "a stride needs a depthwise convolution"),
            ("uir_r1_a3_k3_p3_s1_e4_c16", "means nothing to a `uir` block"),
            ("mqa_r1_k3_h4_s2_d64_c160", "out of range"),
            ("mqa_r1_k3_s1_d64_c160", "lacks `h`"),
            ("mqa_r1_k3_h4_s1_c160", "lacks `d`"),
            ("mqa_r1_k3_h4_s1_d64_c160_e4", "means nothing to a `mqa` block"),
            ("mha_r1_k3_h4_s1_v2_d40_c160", "means nothing to a `mha` block"),
            ("er_r1_k3_s1_e4_c16_cc4", "means nothing to a `er` block"),
            ("ir_r1_k3.5_s1_e4_c16_cc4", "a mixed convolution cannot be mixed from experts"),
            ("ir_r1_k3_s1_e4_c16_d1", "means nothing to a `ir` block"),
            ("ds_r1_k3_s1_c16_d2", "out of range"),
        ] {
            let error = BlockDef::parse(string).unwrap_err().to_string();
            assert!(error.contains(message), "{string}: {error}");
        }
    }
}
