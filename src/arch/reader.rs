//! The tokens of a block string, and their values, with errors that name the token and the string.

use std::ops::RangeInclusive;

use super::{ArchError, BlockKind};

pub(super) struct Reader<'a> {
    block: &'a str,
    kind: BlockKind,
    seen: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a str, kind: BlockKind) -> Self {
        Self { block, kind, seen: Vec::new() }
    }

    /// A token's key and value: `se0.25` is `se` and `0.25`, `nsw` is `n` and `sw`.
    pub(super) fn split(&mut self, token: &'a str) -> Result<(&'a str, &'a str), ArchError> {
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

    pub(super) fn unknown(&self, token: &str) -> ArchError {
        ArchError::UnknownToken { token: token.to_owned(), block: self.block.to_owned() }
    }

    pub(super) fn bad(&self, token: &str, reason: &'static str) -> ArchError {
        ArchError::BadValue { token: token.to_owned(), block: self.block.to_owned(), reason }
    }

    pub(super) fn missing(&self, token: &'static str) -> ArchError {
        ArchError::MissingToken { token, kind: self.kind.token(), block: self.block.to_owned() }
    }

    pub(super) fn only(&self, token: &str, kinds: &[BlockKind]) -> Result<(), ArchError> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        Err(self.foreign(token))
    }

    pub(super) fn foreign(&self, token: &str) -> ArchError {
        let (token, block) = (token.to_owned(), self.block.to_owned());
        ArchError::ForeignToken { token, kind: self.kind.token(), block }
    }

    pub(super) fn count(
        &self,
        token: &str,
        value: &str,
        range: RangeInclusive<usize>,
    ) -> Result<usize, ArchError> {
        let n = value.parse().map_err(|_| self.bad(token, "a whole number is needed"))?;
        if range.contains(&n) { Ok(n) } else { Err(self.bad(token, "the number is out of range")) }
    }

    /// Kernel sizes joined by dots, such as `3.5.7`: one for each part of a mixed convolution.
    pub(super) fn kernels(&self, token: &str, value: &str) -> Result<Vec<usize>, ArchError> {
        let kernels = value.split('.').map(|kernel| self.kernel(token, kernel));
        kernels.collect::<Result<Vec<_>, _>>()
    }

    pub(super) fn kernel(&self, token: &str, value: &str) -> Result<usize, ArchError> {
        let k = self.count(token, value, 1..=15)?;
        if k % 2 == 1 { Ok(k) } else { Err(self.bad(token, "a kernel size must be odd")) }
    }

    /// A kernel size, or 0 for no convolution.
    pub(super) fn optional_kernel(
        &self,
        token: &str,
        value: &str,
    ) -> Result<Option<usize>, ArchError> {
        if value == "0" { Ok(None) } else { self.kernel(token, value).map(Some) }
    }

    /// `1.1`: a pointwise convolution in parts, a `1` for each.
    pub(super) fn parts(&self, token: &str, value: &str) -> Result<usize, ArchError> {
        let kernels = self.kernels(token, value)?;
        if kernels.iter().all(|&k| k == 1) {
            Ok(kernels.len())
        } else {
            Err(self.bad(token, "the parts of a pointwise convolution are 1, as in 1.1"))
        }
    }

    pub(super) fn ratio(&self, token: &str, value: &str, max: f64) -> Result<f64, ArchError> {
        let ratio: f64 = value.parse().map_err(|_| self.bad(token, "a number is needed"))?;
        if ratio.is_finite() && ratio > 0.0 && ratio <= max {
            Ok(ratio)
        } else {
            Err(self.bad(token, "the ratio is out of range"))
        }
    }
}
