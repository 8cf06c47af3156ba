//! CCITT's fax compressions (T.4 and T.6), as libtiff reads them. The code tables come from the
//! crate `fax`.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, Bits};

use super::Chunk;
use crate::preprocess::decode::tiff::{corrupt, truncated, unsupported};
use crate::preprocess::error::DecodeError;

/// How many zeros an end-of-line code has before its one.
const END_ZEROS: u8 = 11;

/// Bits of the longest run codes.
const LONGEST_WHITE: usize = 12;
const LONGEST_BLACK: usize = 13;

/// How rows are coded.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Coding {
    /// Runs only. Each row begins at a byte. With `words`, it begins where libtiff thinks that a
    /// word of two bytes begins; libtiff goes by how far it has read ahead.
    Rows { words: bool },
    /// Group 3: an end-of-line code before each row, then only runs. With `changes`, a bit before
    /// each row says which of the two codings follows.
    Group3 { changes: bool },
    /// Group 4: changes from the previous row.
    Group4,
}

impl Coding {
    /// The coding that the T4Options tag gives.
    pub(super) fn group3(options: u64) -> Result<Self, DecodeError> {
        if options & 2 != 0 {
            return Err(unsupported(&"fax with uncompressed rows"));
        }
        Ok(Self::Group3 { changes: options & 1 != 0 })
    }
}

pub(super) fn decode(
    data: &[u8],
    coding: Coding,
    chunk: &Chunk,
    out: &mut [u8],
) -> Result<(), DecodeError> {
    if chunk.depth != 1 || chunk.samples != 1 {
        return Err(unsupported(&"fax compression of samples that are not bilevel"));
    }
    let width = u32::try_from(chunk.width).map_err(|_| corrupt(&"its width"))?;
    let mut codes = Codes { data, at: 0, seen: 0 };
    // Where the previous row changes colour, and where the current row does.
    let (mut before, mut row) = (Vec::new(), Vec::new());
    for (index, out) in out.chunks_exact_mut(chunk.row_bytes).enumerate() {
        row.clear();
        match coding {
            Coding::Rows { words } => {
                codes.runs(width, &mut row)?;
                if words {
                    codes.pass_to_word(chunk.odd);
                } else {
                    codes.at = codes.at.next_multiple_of(8);
                }
            }
            Coding::Group3 { changes } => {
                codes.pass_end_of_line()?;
                if changes && !codes.bit()? {
                    codes.changes(width, &before, &mut row)?;
                } else {
                    codes.runs(width, &mut row)?;
                }
            }
            // libtiff accepts an early end, except in the row that it has begun.
            Coding::Group4 if index > 0 && codes.is_end_of_block() => {
                out.fill(0);
                return Ok(());
            }
            Coding::Group4 => codes.changes(width, &before, &mut row)?,
        }
        paint(&row, width, out);
        std::mem::swap(&mut before, &mut row);
    }
    Ok(())
}

/// A stream of bits, the highest bit of a byte first.
struct Codes<'a> {
    data: &'a [u8],
    at: usize,
    /// How many bytes libtiff has looked at.
    seen: usize,
}

impl BitReader for Codes<'_> {
    type Error = Infallible;

    /// Zeros follow the last byte.
    fn peek(&self, bits: u8) -> Option<u16> {
        if self.at >= self.data.len() * 8 {
            return None;
        }
        let byte =
            |index: usize| u32::from(self.data.get(self.at / 8 + index).copied().unwrap_or(0));
        let window = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        let shifted = window >> (24 - self.at % 8 - usize::from(bits));
        Some((shifted & ((1 << bits) - 1)) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Infallible> {
        self.at += usize::from(bits);
        Ok(())
    }

    fn expect(&mut self, bits: Bits) -> Result<(), Option<Bits>> {
        match self.peek(bits.len) {
            Some(data) if data == bits.data => Ok(()),
            other => Err(other.map(|data| Bits { data, len: bits.len })),
        }
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        (self.at.next_multiple_of(8) - self.at) as u8
    }
}

impl Codes<'_> {
    fn bit(&mut self) -> Result<bool, DecodeError> {
        let bit = self.peek(1).ok_or_else(truncated)? == 1;
        self.at += 1;
        Ok(bit)
    }

    /// `odd`: whether the first byte is at an odd position in the file.
    fn pass_to_word(&mut self, odd: bool) {
        let ahead = (self.seen * 8).saturating_sub(self.at);
        self.at += ahead % 16;
        if ahead < 16 && (self.seen % 2 == 1) != odd {
            self.at += 8;
            self.seen += 1;
        }
    }

    /// Skips to after the next end-of-line code, whatever comes before it.
    fn pass_end_of_line(&mut self) -> Result<(), DecodeError> {
        while self.peek(END_ZEROS).ok_or_else(truncated)? != 0 {
            self.at += 1;
        }
        while !self.bit()? {}
        Ok(())
    }

    /// Whether only an end-of-block code or only padding follows.
    fn is_end_of_block(&self) -> bool {
        match self.peek(12) {
            None | Some(1) => true,
            Some(0) => self.at + 16 > self.data.len() * 8,
            _ => false,
        }
    }

    fn run(&mut self, is_black: bool) -> Result<u32, DecodeError> {
        let mut length = 0u32;
        let longest = if is_black { LONGEST_BLACK } else { LONGEST_WHITE };
        loop {
            self.seen = self.seen.max((self.at + longest).div_ceil(8));
            let part = if is_black { black::decode(self) } else { white::decode(self) };
            let part = u32::from(part.ok_or_else(|| corrupt(&"a bad fax code"))?);
            length = length.saturating_add(part);
            if part < 64 {
                return Ok(length);
            }
        }
    }

    /// A row of alternating white and black runs.
    fn runs(&mut self, width: u32, row: &mut Vec<u32>) -> Result<(), DecodeError> {
        let (mut at, mut is_black) = (0u32, false);
        while at < width {
            at = at.saturating_add(self.run(is_black)?);
            is_black = !is_black;
            row.push(at);
            // A row with endless runs of length zero.
            if row.len() as u64 > 2 * u64::from(width) + 4 {
                return Err(corrupt(&"a fax row without end"));
            }
        }
        if at == width { Ok(()) } else { Err(corrupt(&"a fax row is too long")) }
    }

    /// A row, coded by where its colour changes relative to the previous row.
    fn changes(
        &mut self,
        width: u32,
        before: &[u32],
        row: &mut Vec<u32>,
    ) -> Result<(), DecodeError> {
        let mut at = 0u32;
        let mut next = 0;
        let mut begun = false;
        while at < width {
            let is_black = row.len() % 2 == 1;
            // The next place where the previous row changes to the colour that this row does not
            // have now.
            while next > 0 && before.get(next - 1).is_some_and(|change| *change > at) {
                next -= 1;
            }
            while before.get(next).is_some_and(|change| *change <= at && (begun || *change < at))
                || next % 2 != usize::from(is_black)
            {
                next += 1;
            }
            let change = |index: usize| before.get(index).copied().unwrap_or(width).min(width);
            let place = change(next);
            begun = true;
            match mode::decode(self) {
                Some(Mode::Pass) => at = change(next + 1),
                Some(Mode::Horizontal) => {
                    for is_black in [is_black, !is_black] {
                        at = at.saturating_add(self.run(is_black)?);
                        row.push(at);
                    }
                }
                Some(Mode::Vertical(distance)) => {
                    let change = place.checked_add_signed(distance.into());
                    at = change.filter(|new| *new >= at).ok_or_else(|| corrupt(&"a fax code"))?;
                    row.push(at);
                }
                _ if self.at >= self.data.len() * 8 => return Err(truncated()),
                _ => return Err(corrupt(&"a bad fax code")),
            }
            if row.len() as u64 > 2 * u64::from(width) + 4 {
                return Err(corrupt(&"a fax row without end"));
            }
        }
        if at == width { Ok(()) } else { Err(corrupt(&"a fax row is too long")) }
    }
}

/// Sets the bits of the black runs.
fn paint(row: &[u32], width: u32, out: &mut [u8]) {
    out.fill(0);
    for run in row.chunks(2) {
        let begin = run[0].min(width) as usize;
        let end = run.get(1).map_or(width, |end| (*end).min(width)) as usize;
        let (first, last) = (begin / 8, end / 8);
        if begin >= end {
            continue;
        }
        let (head, tail) = (0xffu8 >> (begin % 8), !(0xffu8 >> (end % 8)));
        if first == last {
            out[first] |= head & tail;
            continue;
        }
        out[first] |= head;
        out[first + 1..last].fill(0xff);
        if tail != 0 {
            out[last] |= tail;
        }
    }
}
