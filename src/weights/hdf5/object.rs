//! Object headers: the messages that say what a group or dataset is.

use super::Hdf5Error;
use super::cursor::{Cursor, File};

/// The most blocks in a header.
const MAX_BLOCKS: usize = 256;
/// Kinds of messages.
pub(super) const DATASPACE: u16 = 0x01;
pub(super) const LINK_INFO: u16 = 0x02;
pub(super) const DATATYPE: u16 = 0x03;
pub(super) const LINK: u16 = 0x06;
pub(super) const LAYOUT: u16 = 0x08;
pub(super) const FILTERS: u16 = 0x0b;
pub(super) const ATTRIBUTE: u16 = 0x0c;
const CONTINUATION: u16 = 0x10;
pub(super) const SYMBOL_TABLE: u16 = 0x11;
/// The flag of a message that only points to its content elsewhere.
const SHARED: u8 = 2;

const WHAT: &str = "an object's header";
const MESSAGE: &str = "a message of an object's header is longer than its block";

/// One message.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    flags: u8,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Its content; errors describe content that is too short as `what`.
    pub(super) fn body(&self, what: &'static str) -> Result<Cursor<'a>, Hdf5Error> {
        match self.flags & SHARED == 0 {
            true => Ok(Cursor::over(self.body, what)),
            false => Err(Hdf5Error::Unsupported { what: "a type in common to objects".to_owned() }),
        }
    }
}

/// The first message of a kind.
pub(super) fn find<'m, 'a>(messages: &'m [Message<'a>], kind: u16) -> Option<&'m Message<'a>> {
    messages.iter().find(|message| message.kind == kind)
}

/// All messages of the object at `address`.
pub(super) fn messages<'a>(file: &File<'a>, address: u64) -> Result<Vec<Message<'a>>, Hdf5Error> {
    let mut start = file.at(address, WHAT)?;
    if start.bytes.starts_with(b"OHDR") {
        return version_2(file, start);
    }
    if start.byte()? != 1 {
        return Err(Hdf5Error::Damaged { what: "there is no object where there should be one" });
    }
    start.take(1)?;
    let count = start.short()?;
    start.take(4)?;
    let size = start.number(4)?;
    start.take(4)?;
    let mut blocks = vec![start.take_long(size)?];
    let mut messages = Vec::new();
    let mut next = 0;
    while let Some(&block) = blocks.get(next) {
        next += 1;
        let mut block = Cursor::over(block, MESSAGE);
        while block.bytes.len() >= 8 && messages.len() < count {
            let (kind, size) = (block.number(2)? as u16, block.short()?);
            let flags = block.byte()?;
            block.take(3)?;
            let message = Message { kind, flags, body: block.take(size)? };
            if kind == CONTINUATION {
                let (mut at, size) = continuation(file, &message)?;
                blocks.push(at.take_long(size)?);
            }
            add(file, &mut messages, message, blocks.len())?;
        }
    }
    Ok(messages)
}

fn version_2<'a>(file: &File<'a>, mut start: Cursor<'a>) -> Result<Vec<Message<'a>>, Hdf5Error> {
    start.take(4)?;
    if start.byte()? != 2 {
        return Err(Hdf5Error::Unsupported { what: "a newer kind of object header".to_owned() });
    }
    let flags = start.byte()?;
    // Times, and the limits on attributes stored here.
    start.take(if flags & 0x20 == 0 { 0 } else { 16 })?;
    start.take(if flags & 0x10 == 0 { 0 } else { 4 })?;
    let size = start.number(1 << (flags & 3))?;
    let order = if flags & 4 == 0 { 0 } else { 2 };
    let mut blocks = vec![start.take_long(size)?];
    let mut messages = Vec::new();
    let mut next = 0;
    while let Some(&block) = blocks.get(next) {
        next += 1;
        let mut block = Cursor::over(block, MESSAGE);
        // Anything shorter than the start of a message is a gap.
        while block.bytes.len() >= 4 + order {
            let (kind, size) = (u16::from(block.byte()?), block.short()?);
            let flags = block.byte()?;
            block.take(order)?;
            let message = Message { kind, flags, body: block.take(size)? };
            if kind == CONTINUATION {
                let (mut at, size) = continuation(file, &message)?;
                at.signature(b"OCHK")?;
                // The size includes the letters before and the checksum after.
                let size = size
                    .checked_sub(8)
                    .ok_or(Hdf5Error::Damaged { what: "a continued header is too short" })?;
                blocks.push(at.take_long(size)?);
            }
            add(file, &mut messages, message, blocks.len())?;
        }
    }
    Ok(messages)
}

fn continuation<'a>(
    file: &File<'a>,
    message: &Message<'a>,
) -> Result<(Cursor<'a>, u64), Hdf5Error> {
    let mut body = message.body("a continuation of a header is too short")?;
    let (address, size) = (body.address()?, body.number(8)?);
    Ok((file.at(address, WHAT)?, size))
}

fn add<'a>(
    file: &File<'a>,
    messages: &mut Vec<Message<'a>>,
    message: Message<'a>,
    blocks: usize,
) -> Result<(), Hdf5Error> {
    if blocks > MAX_BLOCKS {
        return Err(Hdf5Error::Limit { what: "blocks of a header", limit: MAX_BLOCKS });
    }
    messages.push(message);
    file.step()
}
