//! Bytes of the file, read forward, every step checked.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::Hdf5Error;

/// The address that means nowhere.
const UNDEFINED: u64 = u64::MAX;
/// The most steps: messages, nodes and entries read. A file of this family takes about 100,000.
const MAX_STEPS: usize = 1 << 21;

/// The file, and what reading it has cost so far.
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    steps: Cell<usize>,
    /// Addresses of groups and their nodes seen so far: each has one owner, so that there is no
    /// cycle.
    seen: RefCell<HashSet<u64>>,
}

impl<'a> File<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, steps: Cell::new(0), seen: RefCell::default() }
    }

    /// Counts a piece of work, so that no file causes more work than a real one.
    pub(super) fn step(&self) -> Result<(), Hdf5Error> {
        self.steps.set(self.steps.get() + 1);
        match self.steps.get() > MAX_STEPS {
            true => Err(Hdf5Error::Limit { what: "parts", limit: MAX_STEPS }),
            false => Ok(()),
        }
    }

    /// Whether an address that must have only one owner is seen for the first time.
    pub(super) fn is_first(&self, address: u64) -> bool {
        self.seen.borrow_mut().insert(address)
    }

    /// A cursor at an address; errors call what lies there `what`.
    pub(super) fn at(&self, address: u64, what: &'static str) -> Result<Cursor<'a>, Hdf5Error> {
        let rest = defined(address).and_then(|at| self.bytes.get(at..));
        let bytes = rest.ok_or(Hdf5Error::CutOff { what, size: self.bytes.len() })?;
        Ok(Cursor { bytes, what, file: Some(self.bytes.len()) })
    }
}

/// A position in the file, unless it is the address of nothing.
pub(super) fn defined(address: u64) -> Option<usize> {
    (address != UNDEFINED).then(|| usize::try_from(address).ok()).flatten()
}

/// Bytes that are read from the beginning.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    what: &'static str,
    /// The file's size, if its end is where the bytes end.
    file: Option<usize>,
}

impl<'a> Cursor<'a> {
    /// A cursor over a part whose length the file states.
    pub(super) fn over(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what, file: None }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Hdf5Error> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(match self.file {
            Some(size) => Hdf5Error::CutOff { what: self.what, size },
            None => Hdf5Error::Damaged { what: self.what },
        })?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Like [`take`](Self::take), for a length given by the file.
    pub(super) fn take_long(&mut self, count: u64) -> Result<&'a [u8], Hdf5Error> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, Hdf5Error> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Hdf5Error> {
        Ok(self.take(1)?[0])
    }

    /// A number of two bytes, as a length.
    pub(super) fn short(&mut self) -> Result<usize, Hdf5Error> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    pub(super) fn address(&mut self) -> Result<u64, Hdf5Error> {
        self.number(8)
    }

    /// Skips four letters that must be here.
    pub(super) fn signature(&mut self, letters: &[u8; 4]) -> Result<(), Hdf5Error> {
        match self.take(4)? == letters {
            true => Ok(()),
            false => Err(Hdf5Error::Damaged { what: self.what }),
        }
    }
}
