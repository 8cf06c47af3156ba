//! A dataset: its shape, its type and where its values are.

use std::collections::HashSet;
use std::ops::Range;

use safetensors::Dtype;

use super::Hdf5Error;
use super::chunks::{Chunk, Chunks, Filter, MAX_TENSOR};
use super::cursor::{Cursor, File, defined};
use super::object::{DATASPACE, DATATYPE, FILTERS, LAYOUT, Message, find};
use crate::weights::tensor_table::Body;

/// The most dimensions that the format allows.
const MAX_DIMS: usize = 32;
/// How large a chunk may be if its tensor is smaller.
const MAX_CHUNK_BEYOND: usize = 1 << 20;
/// The smallest size of a chunk's entry in its table, in bytes.
const ENTRY: usize = 24;
const CHUNKS: &str = "a table of chunks";

pub(in crate::weights) struct Dataset {
    pub(in crate::weights) dtype: Dtype,
    pub(in crate::weights) shape: Vec<usize>,
    pub(in crate::weights) body: Body,
}

/// The dataset of the object with these messages, or `None` if it is not a dataset or holds no
/// numbers.
pub(super) fn dataset(
    file: &File<'_>,
    messages: &[Message<'_>],
    path: &str,
) -> Result<Option<Dataset>, Hdf5Error> {
    let of = |kind| find(messages, kind);
    let (Some(space), Some(kind), Some(layout)) = (of(DATASPACE), of(DATATYPE), of(LAYOUT)) else {
        return Ok(None);
    };
    let Some(dtype) = datatype(kind.body("a datatype message is too short")?, path)? else {
        return Ok(None);
    };
    let refuse = |reason: String| Hdf5Error::Tensor { tensor: path.to_owned(), reason };
    let shape = dataspace(space.body("a dataspace message is too short")?)?;
    let width = dtype.bitsize() / 8;
    let needed = shape
        .iter()
        .try_fold(width, |bytes, &size| bytes.checked_mul(size))
        .ok_or_else(|| refuse(format!("has the impossible shape {shape:?}")))?;

    let mut layout = layout.body("a layout message is too short")?;
    let version = layout.byte()?;
    if !(3..=4).contains(&version) {
        return Err(unsupported(format!("a layout of version {version}")));
    }
    let body = match layout.byte()? {
        0 => {
            let size = layout.short()?;
            let data = layout.take(size)?;
            Body::Plain(sized(position(file, data), needed, path)?)
        }
        1 => {
            let (address, size) = (layout.address()?, layout.number(8)?);
            Body::Plain(contiguous(file, address, size, needed, path)?)
        }
        2 if version == 3 => {
            let filters = match of(FILTERS) {
                Some(filters) => pipeline(filters.body("a filter message is too short")?)?,
                None => Vec::new(),
            };
            Body::Chunked(chunked(file, layout, &shape, needed, width, filters, path)?)
        }
        2 => return Err(unsupported("a newer kind of chunks".to_owned())),
        class => return Err(unsupported(format!("a layout of class {class}"))),
    };
    Ok(Some(Dataset { dtype, shape, body }))
}

fn unsupported(what: String) -> Hdf5Error {
    Hdf5Error::Unsupported { what }
}

fn dataspace(mut body: Cursor<'_>) -> Result<Vec<usize>, Hdf5Error> {
    let version = body.byte()?;
    let rank = usize::from(body.byte()?);
    body.take(1)?;
    match version {
        1 => body.take(5)?,
        2 => body.take(1)?,
        _ => return Err(unsupported(format!("a dataspace of version {version}"))),
    };
    if rank > MAX_DIMS {
        return Err(Hdf5Error::Limit { what: "dimensions", limit: MAX_DIMS });
    }
    let size = |_| Ok(usize::try_from(body.number(8)?).unwrap_or(usize::MAX));
    (0..rank).map(size).collect()
}

/// The type of numbers, or `None` for anything else.
fn datatype(mut body: Cursor<'_>, path: &str) -> Result<Option<Dtype>, Hdf5Error> {
    const INTEGER: u8 = 0;
    const FLOAT: u8 = 1;
    let class = body.byte()? & 15;
    let bits = body.take(3)?;
    let size = body.number(4)?;
    if !matches!(class, INTEGER | FLOAT) {
        return Ok(None);
    }
    let refuse = |what: &str| Hdf5Error::Tensor {
        tensor: path.to_owned(),
        reason: format!("is stored as {what}: store it as little-endian IEEE floats"),
    };
    if bits[0] & 1 != 0 {
        return Err(refuse("big-endian numbers"));
    }
    if class == INTEGER {
        let signed = bits[0] & 8 != 0;
        return match (size, signed) {
            (1, true) => Ok(Some(Dtype::I8)),
            (1, false) => Ok(Some(Dtype::U8)),
            (2, true) => Ok(Some(Dtype::I16)),
            (2, false) => Ok(Some(Dtype::U16)),
            (4, true) => Ok(Some(Dtype::I32)),
            (4, false) => Ok(Some(Dtype::U32)),
            (8, true) => Ok(Some(Dtype::I64)),
            (8, false) => Ok(Some(Dtype::U64)),
            _ => Err(refuse("integers of an odd size")),
        };
    }
    // Offset and precision in bits; place and size of exponent and mantissa; exponent's bias.
    let (offset, precision) = (body.short()?, body.short()?);
    let fields = body.take(4)?;
    let bias = body.number(4)?;
    match (size, offset, precision, fields, bias) {
        (2, 0, 16, [10, 5, 0, 10], 15) => Ok(Some(Dtype::F16)),
        (2, 0, 16, [7, 8, 0, 7], 127) => Ok(Some(Dtype::BF16)),
        (4, 0, 32, [23, 8, 0, 23], 127) => Ok(Some(Dtype::F32)),
        (8, 0, 64, [52, 11, 0, 52], 1023) => Ok(Some(Dtype::F64)),
        _ => Err(refuse("floats of a kind that is not known")),
    }
}

/// The position of a part of the file.
fn position(file: &File<'_>, part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - file.bytes.as_ptr().addr();
    start..start + part.len()
}

fn sized(bytes: Range<usize>, needed: usize, path: &str) -> Result<Range<usize>, Hdf5Error> {
    match bytes.len() == needed {
        true => Ok(bytes),
        false => Err(Hdf5Error::Tensor {
            tensor: path.to_owned(),
            reason: format!("has {} bytes, but its shape and type need {needed}", bytes.len()),
        }),
    }
}

fn contiguous(
    file: &File<'_>,
    address: u64,
    size: u64,
    needed: usize,
    path: &str,
) -> Result<Range<usize>, Hdf5Error> {
    let refuse = |reason: String| Hdf5Error::Tensor { tensor: path.to_owned(), reason };
    if needed == 0 {
        return Ok(0..0);
    }
    let start = defined(address).ok_or_else(|| refuse("was never given values".to_owned()))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let end = start.checked_add(size).filter(|&end| end <= file.bytes.len()).ok_or_else(|| {
        let found = file.bytes.len().saturating_sub(start);
        refuse(format!("needs {needed} bytes, only {found} are there: fetch the file again"))
    })?;
    sized(start..end, needed, path)
}

fn pipeline(mut body: Cursor<'_>) -> Result<Vec<Filter>, Hdf5Error> {
    let version = body.byte()?;
    let count = body.byte()?;
    body.take(if version == 1 { 6 } else { 0 })?;
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = body.short()?;
        // In the second version the format's own filters have no name.
        let name = if version == 1 || id >= 256 { body.short()? } else { 0 };
        body.take(2)?;
        let values = body.short()?;
        body.take(if version == 1 { name.next_multiple_of(8) } else { name })?;
        body.take(4 * values)?;
        body.take(if version == 1 && values % 2 == 1 { 4 } else { 0 })?;
        let filter = match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle,
            3 => Filter::Checksum,
            _ => return Err(unsupported(format!("the compression filter {id}"))),
        };
        if filters.contains(&filter) {
            return Err(unsupported(format!("the filter {id} twice")));
        }
        filters.push(filter);
    }
    Ok(filters)
}

fn chunked(
    file: &File<'_>,
    mut layout: Cursor<'_>,
    shape: &[usize],
    needed: usize,
    width: usize,
    filters: Vec<Filter>,
    path: &str,
) -> Result<Chunks, Hdf5Error> {
    let refuse = |reason: String| Hdf5Error::Tensor { tensor: path.to_owned(), reason };
    if needed > MAX_TENSOR {
        return Err(refuse(format!(
            "of shape {shape:?} is in chunks and needs {needed} bytes; more than {MAX_TENSOR} are refused"
        )));
    }
    let rank = usize::from(layout.byte()?);
    let tree = layout.address()?;
    if rank != shape.len() + 1 {
        return Err(refuse("has chunks whose rank is not its own".to_owned()));
    }
    let mut chunk = Vec::new();
    for _ in shape {
        chunk.push(usize::try_from(layout.number(4)?).unwrap_or(usize::MAX));
    }
    let of_value = layout.number(4)?;
    let of_chunk = chunk.iter().try_fold(width, |bytes, &size| bytes.checked_mul(size));
    let of_chunk = of_chunk
        .filter(|&bytes| bytes > 0 && of_value == width as u64)
        // A tensor that grows may have chunks larger than itself, but not by much.
        .filter(|&bytes| bytes <= needed.max(MAX_CHUNK_BEYOND))
        .ok_or_else(|| refuse(format!("has chunks of the impossible shape {chunk:?}")))?;
    let expected =
        shape.iter().zip(&chunk).map(|(size, chunk)| size.div_ceil(*chunk)).product::<usize>();
    // Each chunk has an entry in a table in the file.
    let chunks = match defined(tree) {
        Some(_) if needed > 0 && expected <= file.bytes.len() / ENTRY => {
            index(file, tree, shape.len(), expected, path)?
        }
        _ => Vec::new(),
    };
    if chunks.len() != expected {
        return Err(refuse(format!("has {} chunks of {expected}", chunks.len())));
    }
    // If there are as many as grid cells, each on the grid and none twice, they fill the tensor.
    let mut starts = HashSet::new();
    let on_grid = |(&at, (&size, &chunk)): (&usize, (&usize, &usize))| at < size && at % chunk == 0;
    for found in &chunks {
        let is_inside = found.start.iter().zip(shape.iter().zip(&chunk)).all(on_grid);
        if !is_inside || !starts.insert(&found.start) {
            return Err(refuse("has chunks that overlap or leave a gap".to_owned()));
        }
        // Deflate lengthens its input only a little, and a checksum has four bytes.
        if found.bytes.len() > of_chunk + of_chunk / 8 + 1024 {
            return Err(refuse("has a chunk that is longer packed than unpacked".to_owned()));
        }
    }
    Ok(Chunks { chunk, of_chunk, width, filters, chunks })
}

/// The chunks that a B-tree lists.
fn index(
    file: &File<'_>,
    tree: u64,
    rank: usize,
    expected: usize,
    path: &str,
) -> Result<Vec<Chunk>, Hdf5Error> {
    let mut chunks = Vec::new();
    let mut nodes = vec![(tree, None)];
    while let Some((address, above)) = nodes.pop() {
        if !file.is_first(address) {
            return Err(Hdf5Error::Cycle { group: path.to_owned() });
        }
        let mut node = file.at(address, CHUNKS)?;
        node.signature(b"TREE")?;
        let (kind, level, count) = (node.byte()?, node.byte()?, node.short()?);
        if kind != 1 || above.is_some_and(|above| above != level) {
            return Err(Hdf5Error::Damaged { what: "a table of chunks is not one" });
        }
        node.take(16)?;
        for _ in 0..count {
            file.step()?;
            let (size, skipped) = (node.number(4)?, node.number(4)? as u32);
            let mut start = Vec::with_capacity(rank);
            for _ in 0..rank {
                start.push(usize::try_from(node.number(8)?).unwrap_or(usize::MAX));
            }
            node.take(8)?;
            let child = node.address()?;
            match level.checked_sub(1) {
                Some(below) => nodes.push((child, Some(below))),
                None if chunks.len() == expected => {
                    let reason = format!("has more than its {expected} chunks");
                    return Err(Hdf5Error::Tensor { tensor: path.to_owned(), reason });
                }
                None => {
                    let bytes = file.at(child, "a chunk")?.take_long(size)?;
                    chunks.push(Chunk { start, bytes: position(file, bytes), skipped });
                }
            }
        }
    }
    Ok(chunks)
}
