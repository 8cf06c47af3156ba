//! The table of contents of a zip archive whose entries are stored without compression.
//!
//! Written here because nothing is ever unpacked (an entry is a range of the mapped file), and so
//! that a file's claims cost no memory: the crate `zip` makes room for as many entries as a
//! directory could hold before it reads one, and keeps their extra fields. The archive's layout:
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

use std::collections::HashMap;
use std::ops::Range;

/// What is wrong with a zip archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The file ends too early.
    #[error("it was cut off: {what}; fetch it again")]
    CutOff {
        /// What is missing.
        what: &'static str,
    },
    /// The archive's tables are inconsistent.
    #[error("its zip archive is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
    /// The archive is larger than any real one.
    #[error("its zip archive has more than {limit} entries")]
    Limit {
        /// The most that is accepted.
        limit: usize,
    },
    /// An entry that is needed is compressed or encrypted, which PyTorch's and Keras's never are.
    #[error(
        "its entry `{entry}` is compressed or encrypted, PyTorch and Keras store entries plainly: save it again"
    )]
    Compressed {
        /// The entry's name.
        entry: String,
    },
}

/// The first bytes of an archive.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
/// The most entries. Networks of this family have up to 4000.
const MAX_ENTRIES: usize = 1 << 16;
/// Length of the record that ends an archive, and the longest comment after it.
const END: usize = 22;
const MAX_COMMENT: usize = 0xffff;
/// Length of the record that points to the one with 64-bit numbers.
const LOCATOR: usize = 20;

struct Entry {
    /// Where its local header starts.
    header: u64,
    size: u64,
    plain: bool,
}

/// An archive's entries by name.
pub(super) struct Archive<'a> {
    file: &'a [u8],
    entries: HashMap<&'a str, Entry>,
}

impl<'a> Archive<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, ZipError> {
        let from = file.len().saturating_sub(END + MAX_COMMENT);
        let end = (from..=file.len().saturating_sub(END))
            .rev()
            .find(|&at| file.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x05\x06")))
            .ok_or(ZipError::CutOff { what: "a zip archive's last record is missing" })?;
        let mut count = u64::from(number2(file, end + 10)?);
        let mut size = u64::from(number4(file, end + 12)?);
        let mut start = u64::from(number4(file, end + 16)?);
        if let Some(locator) = end.checked_sub(LOCATOR)
            && file[locator..].starts_with(b"PK\x06\x07")
        {
            let at = position(number8(file, locator + 8)?)?;
            if !file.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x06\x06")) {
                return Err(ZipError::Damaged {
                    what: "its 64-bit record is not where it should be",
                });
            }
            count = number8(file, plus(at, 32)?)?;
            size = number8(file, plus(at, 40)?)?;
            start = number8(file, plus(at, 48)?)?;
        }
        if count > MAX_ENTRIES as u64 {
            return Err(ZipError::Limit { limit: MAX_ENTRIES });
        }
        let start = position(start)?;
        let directory = file
            .get(start..plus(start, position(size)?)?)
            .ok_or(ZipError::CutOff { what: "its zip directory ends beyond the file" })?;
        let mut entries = HashMap::new();
        let mut at = 0;
        for _ in 0..count {
            let (name, entry, next) = central(directory, at)?;
            at = next;
            if entries.insert(name, entry).is_some() {
                return Err(ZipError::Damaged { what: "two entries have one name" });
            }
        }
        Ok(Self { file, entries })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }

    /// Where an entry's bytes are, or `None` if there is no such entry.
    pub(super) fn range(&self, name: &str) -> Result<Option<Range<usize>>, ZipError> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if !entry.plain {
            return Err(ZipError::Compressed { entry: name.chars().take(80).collect() });
        }
        let header = position(entry.header)?;
        if !self.file.get(header..).is_some_and(|rest| rest.starts_with(MAGIC)) {
            return Err(ZipError::Damaged { what: "an entry is not where its directory says" });
        }
        let name = usize::from(number2(self.file, plus(header, 26)?)?);
        let extra = usize::from(number2(self.file, plus(header, 28)?)?);
        let start = plus(header, 30 + name + extra)?;
        let stop = plus(start, position(entry.size)?)?;
        match stop <= self.file.len() {
            true => Ok(Some(start..stop)),
            false => Err(ZipError::CutOff { what: "a zip entry ends beyond the file" }),
        }
    }
}

/// The directory's entry at `at`, and where the next one is.
fn central(directory: &[u8], at: usize) -> Result<(&str, Entry, usize), ZipError> {
    const ENCRYPTED: u16 = 1;
    if !directory.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")) {
        return Err(ZipError::Damaged { what: "its directory has fewer entries than it says" });
    }
    let flags = number2(directory, plus(at, 8)?)?;
    let method = number2(directory, plus(at, 10)?)?;
    let mut packed = u64::from(number4(directory, plus(at, 20)?)?);
    let mut size = u64::from(number4(directory, plus(at, 24)?)?);
    let [name, extra, comment] = [28, 30, 32].map(|field| number2(directory, at + field));
    let (name, extra, comment) = (usize::from(name?), usize::from(extra?), usize::from(comment?));
    let mut header = u64::from(number4(directory, plus(at, 42)?)?);
    let name_at = plus(at, 46)?;
    let extra_at = plus(name_at, name)?;
    let extra_end = plus(extra_at, extra)?;
    let name = directory
        .get(name_at..extra_at)
        .and_then(|name| str::from_utf8(name).ok())
        .ok_or(ZipError::Damaged { what: "an entry's name is not text" })?;
    let fields = directory
        .get(extra_at..extra_end)
        .ok_or(ZipError::Damaged { what: "its directory is cut off" })?;
    if let Some(mut wide) = wide_numbers(fields)? {
        // Only the numbers that do not fit in 32 bits are there, in this order.
        for value in [&mut size, &mut packed, &mut header] {
            if *value == u64::from(u32::MAX) {
                *value = number8(wide, 0)?;
                wide = &wide[8..];
            }
        }
    }
    let plain = method == 0 && flags & ENCRYPTED == 0 && packed == size;
    Ok((name, Entry { header, size, plain }, plus(extra_end, comment)?))
}

/// The 64-bit numbers among an entry's extra fields.
fn wide_numbers(mut fields: &[u8]) -> Result<Option<&[u8]>, ZipError> {
    while !fields.is_empty() {
        let (id, size) = (number2(fields, 0)?, usize::from(number2(fields, 2)?));
        let field = fields
            .get(4..4 + size)
            .ok_or(ZipError::Damaged { what: "an entry's extra field is cut off" })?;
        if id == 1 {
            return Ok(Some(field));
        }
        fields = &fields[4 + size..];
    }
    Ok(None)
}

fn plus(a: usize, b: usize) -> Result<usize, ZipError> {
    a.checked_add(b).ok_or(ZipError::Damaged { what: "a position is beyond all files" })
}

fn position(value: u64) -> Result<usize, ZipError> {
    usize::try_from(value).map_err(|_| ZipError::Damaged { what: "a position is beyond all files" })
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], ZipError> {
    file.get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(ZipError::CutOff { what: "a record of its zip archive ends beyond the file" })
}

fn number2(file: &[u8], at: usize) -> Result<u16, ZipError> {
    bytes(file, at).map(u16::from_le_bytes)
}

fn number4(file: &[u8], at: usize) -> Result<u32, ZipError> {
    bytes(file, at).map(u32::from_le_bytes)
}

fn number8(file: &[u8], at: usize) -> Result<u64, ZipError> {
    bytes(file, at).map(u64::from_le_bytes)
}
