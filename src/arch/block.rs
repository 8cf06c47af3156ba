//! timm's block strings, read strictly.

use super::{Activation, ArchError};

/// The kind of a block: the first token of a block string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockKind {
    /// `cn`: a convolution, a norm, an activation.
    ConvBnAct,
    /// `ds`: depthwise, then pointwise without activation.
    DepthwiseSeparable,
    /// `ir`: pointwise expansion, depthwise, pointwise projection (MBConv).
    InvertedResidual,
    /// `er`: full convolution as expansion, pointwise projection (Fused-MBConv).
    EdgeResidual,
}

impl BlockKind {
    /// The token that stands for the kind in a block string.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::ConvBnAct => "cn",
            Self::DepthwiseSeparable => "ds",
            Self::InvertedResidual => "ir",
            Self::EdgeResidual => "er",
        }
    }

    const ALL: [Self; 4] =
        [Self::ConvBnAct, Self::DepthwiseSeparable, Self::InvertedResidual, Self::EdgeResidual];
}

/// One block string of an architecture, such as `ir_r2_k3_s2_e6_c24_se0.25`.
///
/// The first token is the [`BlockKind`]; the others may stand in any order, each at most once:
///
/// | token | meaning | blocks |
/// | --- | --- | --- |
/// | `r2` | the block is repeated, stride and channel change in the first only | all |
/// | `k3` | kernel size, odd | all |
/// | `s2` | stride, 1 or 2 | all |
/// | `c24` | output channels before width scaling | all |
/// | `e6` | expansion ratio (`ds` and `cn` take 1 only) | all |
/// | `se0.25` | squeeze-excitation ratio | `ds` `ir` `er` |
/// | `fc24` | channels that the expansion is computed from | `er` |
/// | `gs16` | channels in a group of the spatial convolution | all |
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
/// assert_eq!((def.repeats, def.kernel_size, def.stride, def.out_chs), (2, 3, 2, 24));
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
    /// Kernel size of the spatial convolution.
    pub kernel_size: usize,
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
    /// Activation of this block, where it is not the network's.
    pub act: Option<Activation>,
    /// Whether the block adds its input to its output where the shapes agree.
    pub skip: bool,
}

impl BlockDef {
    /// Reads a block string.
    ///
    /// # Errors
    ///
    /// Any token that is unknown, repeated, of a bad value, foreign to the block's kind, or absent
    /// though needed, with the token and the whole string.
    pub fn parse(block: &str) -> Result<Self, ArchError> {
        let mut tokens = block.split('_');
        let first = tokens.next().unwrap_or_default();
        let kind = *BlockKind::ALL.iter().find(|k| k.token() == first).ok_or_else(|| {
            ArchError::UnknownToken { token: first.to_owned(), block: block.to_owned() }
        })?;
        let mut reader = Reader { block, kind, seen: Vec::new() };
        let (mut repeats, mut kernel_size, mut stride, mut out_chs) = (None, None, None, None);
        let mut exp_ratio = None;
        let mut se_ratio = 0.0;
        let (mut force_in_chs, mut group_size, mut act, mut skip) = (None, None, None, None);
        use BlockKind::{ConvBnAct, DepthwiseSeparable, EdgeResidual, InvertedResidual};
        for token in tokens {
            let (key, value) = reader.split(token)?;
            match key {
                "r" => repeats = Some(reader.count(token, value, 1..=1000)?),
                "k" => kernel_size = Some(reader.kernel(token, value)?),
                "s" => stride = Some(reader.count(token, value, 1..=2)?),
                "c" => out_chs = Some(reader.count(token, value, 1..=65536)?),
                "e" => exp_ratio = Some(reader.ratio(token, value, 64.0)?),
                "se" => {
                    reader.only(token, &[DepthwiseSeparable, InvertedResidual, EdgeResidual])?;
                    se_ratio = reader.ratio(token, value, 1.0)?;
                }
                "fc" => {
                    reader.only(token, &[EdgeResidual])?;
                    force_in_chs = Some(reader.count(token, value, 1..=65536)?);
                }
                "gs" => group_size = Some(reader.count(token, value, 1..=65536)?),
                "n" => {
                    act = Some(Activation::from_token(value).ok_or_else(|| {
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
                _ => {
                    return Err(ArchError::UnknownToken {
                        token: token.to_owned(),
                        block: block.to_owned(),
                    });
                }
            }
        }
        let expands = matches!(kind, InvertedResidual | EdgeResidual);
        let exp_ratio = match exp_ratio {
            Some(e) if !expands && e != 1.0 => {
                let token = format!("e{e}");
                return Err(reader.bad(&token, "this kind of block does not expand: 1 only"));
            }
            Some(e) => e,
            None if expands => return Err(reader.missing("e")),
            None => 1.0,
        };
        Ok(Self {
            kind,
            repeats: repeats.ok_or_else(|| reader.missing("r"))?,
            kernel_size: kernel_size.ok_or_else(|| reader.missing("k"))?,
            stride: stride.ok_or_else(|| reader.missing("s"))?,
            out_chs: out_chs.ok_or_else(|| reader.missing("c"))?,
            exp_ratio,
            se_ratio,
            force_in_chs,
            group_size,
            act,
            skip: skip.unwrap_or(kind != ConvBnAct),
        })
    }
}

/// Splits tokens and reads their values, with errors that name the token and the string.
struct Reader<'a> {
    block: &'a str,
    kind: BlockKind,
    seen: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// A token's key and value: `se0.25` is `se` and `0.25`, `nsw` is `n` and `sw`.
    fn split(&mut self, token: &'a str) -> Result<(&'a str, &'a str), ArchError> {
        let (key, value) = if token == "noskip" || token == "skip" {
            (token, "")
        } else if let Some(value) = token.strip_prefix('n') {
            ("n", value)
        } else {
            token.split_at(token.find(|c: char| c.is_ascii_digit()).unwrap_or(token.len()))
        };
        let slot = if key == "noskip" { "skip" } else { key };
        if self.seen.contains(&slot) {
            let (token, block) = (token.to_owned(), self.block.to_owned());
            return Err(ArchError::RepeatedToken { token, block });
        }
        self.seen.push(slot);
        Ok((key, value))
    }

    fn bad(&self, token: &str, reason: &'static str) -> ArchError {
        ArchError::BadValue { token: token.to_owned(), block: self.block.to_owned(), reason }
    }

    fn missing(&self, token: &'static str) -> ArchError {
        ArchError::MissingToken { token, kind: self.kind.token(), block: self.block.to_owned() }
    }

    fn only(&self, token: &str, kinds: &[BlockKind]) -> Result<(), ArchError> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        let (token, block) = (token.to_owned(), self.block.to_owned());
        Err(ArchError::ForeignToken { token, kind: self.kind.token(), block })
    }

    fn count(
        &self,
        token: &str,
        value: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, ArchError> {
        let n = value.parse().map_err(|_| self.bad(token, "a whole number is needed"))?;
        if range.contains(&n) { Ok(n) } else { Err(self.bad(token, "the number is out of range")) }
    }

    fn kernel(&self, token: &str, value: &str) -> Result<usize, ArchError> {
        let k = self.count(token, value, 1..=15)?;
        if k % 2 == 1 { Ok(k) } else { Err(self.bad(token, "a kernel size is odd")) }
    }

    fn ratio(&self, token: &str, value: &str, max: f64) -> Result<f64, ArchError> {
        let ratio: f64 = value.parse().map_err(|_| self.bad(token, "a number is needed"))?;
        if ratio.is_finite() && ratio > 0.0 && ratio <= max {
            Ok(ratio)
        } else {
            Err(self.bad(token, "the ratio is out of range"))
        }
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
            ("ir_r1_k4_s1_e6_c16", "a kernel size is odd"),
            ("ir_r1_k3_s3_e6_c16", "out of range"),
            ("ir_r0_k3_s1_e6_c16", "out of range"),
            ("ir_r1_k3_s1_e6_c16_c24", "repeats an earlier one"),
            ("ir_r1_k3_s1_e6_c16_skip", "means nothing to a `ir` block"),
            ("cn_r1_k3_s1_c16_se0.25", "means nothing to a `cn` block"),
            ("ir_r1_k3_s1_enan_c16", "unknown token `enan`"),
            ("ir_r1_k3_s1_e1e400_c16", "out of range"),
            ("ir_r99999999999999999999_k3_s1_e6_c16", "a whole number is needed"),
            ("ir__r1_k3_s1_e6_c16", "unknown token ``"),
        ] {
            let error = BlockDef::parse(string).unwrap_err().to_string();
            assert!(error.contains(message), "{string}: {error}");
        }
    }
}
