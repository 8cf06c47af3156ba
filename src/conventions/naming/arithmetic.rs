//! Numbers in names: sums of a block's coordinates.

/// Where a tensor is in the network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) stage: usize,
    pub(super) block: usize,
    /// The block's index counted over all stages.
    pub(super) flat: usize,
    /// Whether the block has squeeze-and-excitation.
    pub(super) has_se: bool,
    /// Modules of the same class before the tensor's module.
    pub(super) nth: usize,
    /// Stages of the network.
    pub(super) stages: usize,
    /// Blocks of the network.
    pub(super) blocks: usize,
}

/// A sum such as `flat+1`, `2*flat` or `se+2`, written in digits or as a letter.
#[derive(Clone, Debug)]
pub(super) struct Number {
    text: String,
    terms: Vec<(i64, Unit)>,
    as_letter: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    One,
    Stage,
    Block,
    Flat,
    Se,
    Nth,
    Stages,
    Blocks,
}

impl Number {
    /// What a number's placeholder may hold, for error messages.
    pub(super) fn expected(of_block: bool) -> &'static str {
        if of_block {
            "{rest}, {model}, sums of {stage}, {block}, {flat}, {se}, {nth}, {stages}, {blocks} and numbers"
        } else {
            "{rest}, {model}, sums of {nth}, {stages}, {blocks} and numbers (outside of blocks)"
        }
    }

    /// Parses the inside of a placeholder; only a placeholder for a block may use the block's
    /// position.
    pub(super) fn parse(token: &str, of_block: bool) -> Option<Self> {
        let (sum, as_letter) = match token.strip_suffix(":a") {
            Some(sum) => (sum, true),
            None => (token, false),
        };
        let mut terms = Vec::new();
        let mut rest = sum;
        let mut sign = 1;
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let (factor, unit) = term(&rest[..end], of_block)?;
            terms.push((sign * factor, unit));
            match rest[end..].chars().next() {
                None => break,
                Some(next) => sign = if next == '+' { 1 } else { -1 },
            }
            rest = &rest[end + 1..];
        }
        // A number that is the same everywhere belongs in the text.
        let varies = terms.iter().any(|(_, unit)| *unit != Unit::One);
        varies.then(|| Self { text: token.to_owned(), terms, as_letter })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it depends on the modules before the tensor's module.
    pub(super) fn counts_modules(&self) -> bool {
        self.terms.iter().any(|(_, unit)| *unit == Unit::Nth)
    }

    pub(super) fn value(&self, at: &Place) -> i64 {
        let of = |unit| match unit {
            Unit::One => 1,
            Unit::Stage => at.stage,
            Unit::Block => at.block,
            Unit::Flat => at.flat,
            Unit::Se => usize::from(at.has_se),
            Unit::Nth => at.nth,
            Unit::Stages => at.stages,
            Unit::Blocks => at.blocks,
        };
        self.terms
            .iter()
            .map(|&(factor, unit)| {
                factor.saturating_mul(i64::try_from(of(unit)).unwrap_or(i64::MAX))
            })
            .fold(0, i64::saturating_add)
    }

    /// The number as a name spells it; the error is a value that a name cannot have.
    pub(super) fn write(&self, at: &Place) -> Result<String, i64> {
        let value = self.value(at);
        if self.as_letter {
            let letter = u8::try_from(value).ok().filter(|v| *v < 26).map(|v| char::from(b'a' + v));
            return letter.map(String::from).ok_or(value);
        }
        if value < 0 { Err(value) } else { Ok(value.to_string()) }
    }
}

/// One term of a sum: `3`, `flat`, `2*flat`.
fn term(text: &str, of_block: bool) -> Option<(i64, Unit)> {
    let number = |text: &str| {
        let digits =
            !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (factor, name) = match text.split_once('*') {
        Some((factor, name)) => (number(factor)?, name),
        None => match number(text) {
            Some(value) => return Some((value, Unit::One)),
            None => (1, text),
        },
    };
    let unit = match name {
        "nth" => Unit::Nth,
        "stages" => Unit::Stages,
        "blocks" => Unit::Blocks,
        "stage" if of_block => Unit::Stage,
        "block" if of_block => Unit::Block,
        "flat" if of_block => Unit::Flat,
        "se" if of_block => Unit::Se,
        _ => return None,
    };
    Some((factor, unit))
}
