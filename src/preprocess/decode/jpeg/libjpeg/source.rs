//! The bytes of a stream as Pillow hands them to libjpeg, and the markers among them
//! (`jdmarker.c`).

use memchr::memchr;

use super::Fault;

/// How many bytes Pillow reads at once. libjpeg decodes differently near the end of what it has.
const BLOCK: usize = 1 << 16;
const FIRST_RESTART: u8 = 0xd0;

/// The next marker at or after a position, and its position.
pub(in crate::preprocess::decode::jpeg) fn next_marker(
    bytes: &[u8],
    mut at: usize,
) -> Option<(u8, usize)> {
    loop {
        at += memchr(0xff, bytes.get(at..)?)?;
        match bytes.get(at + 1)? {
            0 => at += 2,
            0xff => at += 1,
            code => return Some((*code, at)),
        }
    }
}

#[derive(Clone)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    /// The end of what was handed over.
    limit: usize,
    /// Whether an end marker is added after the last byte.
    lenient: bool,
    /// A marker that was found but not yet handled; 0 for none.
    pub(super) marker: u8,
    pub(super) next_restart: u8,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8], lenient: bool) -> Self {
        let limit = bytes.len().min(BLOCK);
        Self { bytes, at: 0, limit, lenient, marker: 0, next_restart: 0 }
    }

    /// How many bytes can be read before more must be handed over.
    pub(super) fn ready(&self) -> usize {
        self.limit.saturating_sub(self.at)
    }

    /// Hands over the next block. Returns whether there was one.
    pub(super) fn more(&mut self) -> bool {
        let length = self.bytes.len();
        if self.limit < length {
            self.limit = length.min(self.limit + BLOCK);
        } else if self.lenient && self.limit == length {
            self.limit = length + 2;
        } else {
            return false;
        }
        true
    }

    /// Stops handing over blocks.
    pub(super) fn stop(&mut self) {
        self.bytes = &self.bytes[..self.limit.min(self.bytes.len())];
        self.lenient = false;
    }

    /// The byte at a position in the file or in the end marker after it.
    pub(super) fn peek(&self, at: usize) -> u8 {
        match self.bytes.get(at) {
            Some(byte) => *byte,
            None if at == self.bytes.len() => 0xff,
            None => 0xd9,
        }
    }

    /// The next byte that was handed over.
    pub(super) fn ready_byte(&mut self) -> Result<u8, Fault> {
        if self.at >= self.limit {
            return Err(Fault::Cut);
        }
        self.at += 1;
        Ok(self.peek(self.at - 1))
    }

    /// The next byte; hands over more if needed.
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        while self.at >= self.limit {
            if !self.more() {
                return Err(Fault::Cut);
            }
        }
        self.ready_byte()
    }

    pub(super) fn number(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }

    /// Goes to the next marker and skips everything before it.
    pub(super) fn next_marker(&mut self) -> Result<u8, Fault> {
        loop {
            while self.byte()? != 0xff {}
            let mut code = 0xff;
            while code == 0xff {
                code = self.byte()?;
            }
            if code != 0 {
                self.marker = code;
                return Ok(code);
            }
        }
    }

    /// Skips a scan's bits with their restart markers. Returns whether there are this many and they
    /// are in order.
    pub(super) fn pass_scan(&mut self, restarts: usize) -> bool {
        for index in 0..=restarts {
            let Some((code, place)) = next_marker(self.bytes, self.at) else { return false };
            (self.at, self.marker) = (place + 2, code);
            let is_restart = (0xd0..=0xd7).contains(&code);
            if is_restart != (index < restarts) || (is_restart && code & 7 != (index % 8) as u8) {
                return false;
            }
        }
        true
    }

    /// Finds the restart marker that should come now, or what libjpeg takes for it.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        if self.marker == 0 {
            self.next_marker()?;
        }
        let expected = self.next_restart;
        loop {
            let number = self.marker.wrapping_sub(FIRST_RESTART);
            match number.wrapping_sub(expected) & 7 {
                // A marker that is not a restart marker stays for later. So does a restart marker
                // that is due soon, because the interval before it is empty.
                _ if number > 7 && self.marker >= 0xc0 => break,
                1 | 2 if number <= 7 => break,
                // Bytes that are not a marker are skipped, and so is a marker that was due before.
                6 | 7 => self.next_marker()?,
                _ if number > 7 => self.next_marker()?,
                _ => {
                    self.marker = 0;
                    break;
                }
            };
        }
        self.next_restart = (expected + 1) & 7;
        Ok(())
    }
}
