//! The members of a group: a B-tree of names, or links in the group's header.

use super::Hdf5Error;
use super::cursor::{Cursor, File, defined};
use super::object::{LINK, LINK_INFO, Message, SYMBOL_TABLE, find};
use crate::weights::tensor_table::MAX_NAME;

/// A member's name and the address of its object.
pub(super) type Link = (String, u64);

const NODE: &str = "a group's table";
const HEAP: &str = "a group's names";

/// The members of the object with these messages, or `None` if it is not a group. Links by name
/// (soft and external ones) are left out.
pub(super) fn links(
    file: &File<'_>,
    messages: &[Message<'_>],
    path: &str,
) -> Result<Option<Vec<Link>>, Hdf5Error> {
    if let Some(table) = find(messages, SYMBOL_TABLE) {
        let mut body = table.body("a symbol table message is too short")?;
        let (tree, heap) = (body.address()?, body.address()?);
        return symbols(file, tree, heap, path).map(Some);
    }
    let info = find(messages, LINK_INFO);
    if let Some(info) = info {
        let mut body = info.body("a link info message is too short")?;
        body.take(1)?;
        let flags = body.byte()?;
        body.take(if flags & 1 == 0 { 0 } else { 8 })?;
        if defined(body.address()?).is_some() {
            return Err(Hdf5Error::Unsupported {
                what: format!("a group with a fractal heap, `{path}`"),
            });
        }
    }
    let mut links = Vec::new();
    let mut is_group = info.is_some();
    for message in messages.iter().filter(|message| message.kind == LINK) {
        is_group = true;
        links.extend(link(message)?);
    }
    Ok(is_group.then_some(links))
}

/// The link in a message, if it is a hard one.
fn link(message: &Message<'_>) -> Result<Option<Link>, Hdf5Error> {
    let mut body = message.body("a link message is too short")?;
    body.take(1)?;
    let flags = body.byte()?;
    let kind = if flags & 8 == 0 { 0 } else { body.byte()? };
    body.take(if flags & 4 == 0 { 0 } else { 8 })?;
    body.take(if flags & 16 == 0 { 0 } else { 1 })?;
    let length = body.number(1 << (flags & 3))?;
    let name = name(body.take_long(length)?)?;
    Ok(if kind == 0 { Some((name, body.address()?)) } else { None })
}

/// The members of an older group: a B-tree whose leaves list them, and a heap of their names.
fn symbols(file: &File<'_>, tree: u64, heap: u64, path: &str) -> Result<Vec<Link>, Hdf5Error> {
    let mut header = file.at(heap, HEAP)?;
    header.signature(b"HEAP")?;
    header.take(4)?;
    let size = header.number(8)?;
    header.take(8)?;
    let names = file.at(header.address()?, HEAP)?.take_long(size)?;

    let mut links = Vec::new();
    // Nodes still to be read, and how far above the leaves they are.
    let mut nodes = vec![(tree, None)];
    while let Some((address, expected)) = nodes.pop() {
        if !file.is_first(address) {
            return Err(Hdf5Error::Cycle { group: path.to_owned() });
        }
        let mut node = file.at(address, NODE)?;
        node.signature(b"TREE")?;
        let (kind, level, count) = (node.byte()?, node.byte()?, node.short()?);
        if kind != 0 || expected.is_some_and(|expected| expected != level) {
            return Err(Hdf5Error::Damaged { what: "a group's table is not a group's" });
        }
        node.take(16)?;
        for _ in 0..count {
            file.step()?;
            node.take(8)?;
            let child = node.address()?;
            match level.checked_sub(1) {
                Some(below) => nodes.push((child, Some(below))),
                None => leaf(file, file.at(child, NODE)?, names, &mut links)?,
            }
        }
    }
    Ok(links)
}

fn leaf(
    file: &File<'_>,
    mut node: Cursor<'_>,
    names: &[u8],
    links: &mut Vec<Link>,
) -> Result<(), Hdf5Error> {
    /// The kind of an entry that links by name.
    const SOFT: u64 = 2;
    node.signature(b"SNOD")?;
    node.take(2)?;
    for _ in 0..node.short()? {
        file.step()?;
        let (at, address, kind) = (node.number(8)?, node.address()?, node.number(4)?);
        node.take(20)?;
        let text = defined(at)
            .and_then(|at| names.get(at..))
            // A name is read only up to its greatest length.
            .map(|rest| &rest[..rest.len().min(MAX_NAME + 1)])
            .and_then(|rest| rest.split(|&byte| byte == 0).next())
            .ok_or(Hdf5Error::Damaged { what: "a member's name is not among its group's" })?;
        if kind != SOFT {
            links.push((name(text)?, address));
        }
    }
    Ok(())
}

/// A member's name, short enough and fit to be printed.
fn name(text: &[u8]) -> Result<String, Hdf5Error> {
    text.get(..text.len().min(MAX_NAME + 1))
        .and_then(|text| str::from_utf8(text).ok())
        .filter(|name| !name.is_empty() && name.len() <= MAX_NAME)
        .filter(|name| !name.contains(|c: char| c.is_control() || c == '/'))
        .map(str::to_owned)
        .ok_or(Hdf5Error::Damaged { what: "a member's name is not text, or is too long" })
}
