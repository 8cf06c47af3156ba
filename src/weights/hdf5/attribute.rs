//! Attributes: the few texts that a reader of Keras's files needs.

use super::Hdf5Error;
use super::cursor::{Cursor, File};
use super::object::{ATTRIBUTE, Message};
use crate::weights::tensor_table::MAX_NAME;

const SHORT: &str = "an attribute is shorter than it says";
const HEAP: &str = "a heap of texts";
/// Classes of types.
const STRING: u8 = 3;
const VARIABLE_LENGTH: u8 = 9;

struct Attribute<'a> {
    /// The type's class, and its bits.
    class: u8,
    bits: u8,
    /// Bytes of one value.
    size: u64,
    data: &'a [u8],
}

/// Whether the object with these messages has an attribute of that name.
pub(super) fn has(messages: &[Message<'_>], wanted: &str) -> Result<bool, Hdf5Error> {
    Ok(attribute(messages, wanted)?.is_some())
}

/// The text of an attribute that holds a name, or `None` if there is no such attribute.
pub(super) fn name(
    file: &File<'_>,
    messages: &[Message<'_>],
    wanted: &str,
) -> Result<Option<String>, Hdf5Error> {
    let Some(bytes) = bytes(file, messages, wanted)? else {
        return Ok(None);
    };
    if bytes.len() > MAX_NAME {
        return Err(Hdf5Error::Limit { what: "bytes in a name", limit: MAX_NAME });
    }
    match str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Ok(Some(text.to_owned())),
        _ => Err(Hdf5Error::Damaged { what: "an attribute that should be a name is not text" }),
    }
}

/// The bytes of an attribute's text, or `None` if there is no such attribute.
pub(super) fn bytes<'a>(
    file: &File<'a>,
    messages: &[Message<'a>],
    wanted: &str,
) -> Result<Option<&'a [u8]>, Hdf5Error> {
    let Some(found) = attribute(messages, wanted)? else {
        return Ok(None);
    };
    match (found.class, found.bits & 15) {
        (STRING, _) => {
            let size = usize::try_from(found.size).unwrap_or(usize::MAX);
            let text = found.data.get(..size).ok_or(Hdf5Error::Damaged { what: SHORT })?;
            Ok(text.split(|&byte| byte == 0).next())
        }
        (VARIABLE_LENGTH, 1) => from_heap(file, found.data).map(Some),
        _ => Err(Hdf5Error::Damaged { what: "an attribute that should be text is not" }),
    }
}

fn attribute<'a>(
    messages: &[Message<'a>],
    wanted: &str,
) -> Result<Option<Attribute<'a>>, Hdf5Error> {
    for message in messages.iter().filter(|message| message.kind == ATTRIBUTE) {
        let mut body = message.body(SHORT)?;
        let version = body.byte()?;
        body.take(1)?;
        let sizes = [body.short()?, body.short()?, body.short()?];
        // Only the first version pads each part to eight bytes.
        let [name, datatype, dataspace] = match version {
            1 => sizes.map(|size| size.next_multiple_of(8)),
            _ => sizes,
        };
        body.take(usize::from(version >= 3))?;
        let name = body.take(name)?;
        let mut datatype = Cursor::over(body.take(datatype)?, SHORT);
        body.take(dataspace)?;
        let rest = name.strip_prefix(wanted.as_bytes());
        if rest.is_some_and(|rest| rest.first().is_none_or(|&byte| byte == 0)) {
            let class = datatype.byte()? & 15;
            let bits = datatype.byte()?;
            datatype.take(2)?;
            let size = datatype.number(4)?;
            return Ok(Some(Attribute { class, bits, size, data: body.bytes }));
        }
    }
    Ok(None)
}

/// The text that a 16-byte reference points to.
fn from_heap<'a>(file: &File<'a>, reference: &[u8]) -> Result<&'a [u8], Hdf5Error> {
    let mut reference = Cursor::over(reference, SHORT);
    let length = reference.number(4)?;
    let (address, wanted) = (reference.address()?, reference.number(4)?);
    if length == 0 {
        return Ok(&[]);
    }
    let mut heap = file.at(address, HEAP)?;
    heap.signature(b"GCOL")?;
    heap.take(4)?;
    let size = heap.number(8)?;
    let objects = size.checked_sub(16).ok_or(Hdf5Error::Damaged { what: HEAP })?;
    let mut objects = Cursor::over(heap.take_long(objects)?, HEAP);
    while objects.bytes.len() >= 16 {
        file.step()?;
        let index = objects.number(2)?;
        objects.take(6)?;
        let size = objects.number(8)?;
        if index == wanted {
            return objects.take_long(length.min(size));
        }
        if index == 0 {
            break;
        }
        objects.take_long(size.checked_next_multiple_of(8).unwrap_or(u64::MAX))?;
    }
    Err(Hdf5Error::Damaged { what: "a text is not in the heap that it should be in" })
}
