//! HDF5 files as h5py writes them for Keras: groups of datasets, and attributes that are names.
//!
//! Written here to keep it small. The readers on crates.io are whole libraries (hdf5-pure 0.47:
//! 127,000 lines, with breaking releases days apart; hdf5-reader 0.12: threads and `unsafe`), while
//! Keras needs a thousand lines, and here every tensor stays a range of the mapped file. It reads
//! all versions of superblocks, both versions of object headers, groups with symbol tables or
//! compact links, contiguous, compact and chunked layouts, deflate and shuffle; everything else is
//! refused by name. Format: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

mod attribute;
mod chunks;
mod cursor;
mod dataset;
mod error;
mod group;
mod object;

use self::cursor::File;
use self::object::Message;
use super::tensor_table::MAX_NAME;

pub(super) use self::chunks::Chunks;
pub(super) use self::dataset::Dataset;
pub use self::error::Hdf5Error;

/// The first bytes of a file.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// The most groups and datasets. Networks of this family make up to 8000.
const MAX_OBJECTS: usize = 1 << 16;
/// The longest path, and the most groups in a path.
const MAX_PATH: usize = 4 * MAX_NAME;
const MAX_DEPTH: usize = 32;

/// A file's groups and datasets, found and checked; no value has been read.
pub(super) struct Tree<'a> {
    file: File<'a>,
    pub(super) groups: Vec<Group<'a>>,
    /// By their paths from the root, in the order of the groups' tables.
    pub(super) datasets: Vec<(String, Dataset)>,
}

pub(super) struct Group<'a> {
    /// From the root, whose path is empty.
    pub(super) path: String,
    messages: Vec<Message<'a>>,
}

impl<'a> Tree<'a> {
    /// Finds everything that the root leads to.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Hdf5Error> {
        let file = File::new(bytes);
        let mut tree = Self { groups: Vec::new(), datasets: Vec::new(), file };
        let mut objects = vec![(String::new(), root(&tree.file)?, 0)];
        let mut count = 0;
        while let Some((path, address, depth)) = objects.pop() {
            let messages = object::messages(&tree.file, address)?;
            let Some(links) = group::links(&tree.file, &messages, &path)? else {
                if let Some(found) = dataset::dataset(&tree.file, &messages, &path)? {
                    tree.datasets.push((path, found));
                }
                continue;
            };
            if !tree.file.is_first(address) {
                return Err(Hdf5Error::Cycle { group: path });
            }
            if depth == MAX_DEPTH {
                return Err(Hdf5Error::Limit { what: "groups in groups", limit: MAX_DEPTH });
            }
            count += links.len();
            if count > MAX_OBJECTS {
                return Err(Hdf5Error::Limit { what: "groups and datasets", limit: MAX_OBJECTS });
            }
            for (name, address) in links.into_iter().rev() {
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                if path.len() > MAX_PATH {
                    return Err(Hdf5Error::Limit { what: "bytes in a path", limit: MAX_PATH });
                }
                objects.push((path, address, depth + 1));
            }
            tree.groups.push(Group { path, messages });
        }
        Ok(tree)
    }

    /// The short text of a group's attribute, or `None` if it has no attribute of that name.
    pub(super) fn text(
        &self,
        group: &Group<'_>,
        attribute: &str,
    ) -> Result<Option<String>, Hdf5Error> {
        attribute::name(&self.file, &group.messages, attribute)
    }

    /// The text of an attribute of the root, or `None` if it has no attribute of that name.
    pub(super) fn root_bytes(&self, attribute: &str) -> Result<Option<&'a [u8]>, Hdf5Error> {
        match self.groups.first() {
            Some(root) => attribute::bytes(&self.file, &root.messages, attribute),
            None => Ok(None),
        }
    }
}

impl Group<'_> {
    /// Whether the group has an attribute of that name.
    pub(super) fn has(&self, attribute: &str) -> Result<bool, Hdf5Error> {
        attribute::has(&self.messages, attribute)
    }
}

/// The address of the root group.
fn root(file: &File<'_>) -> Result<u64, Hdf5Error> {
    const SHORT: &str = "its superblock";
    let mut start = file.at(0, SHORT)?;
    start.take(MAGIC.len())?;
    let version = start.byte()?;
    // What differs between versions: the sizes of addresses and lengths, where the first address
    // is, and how many bytes lie between it and the root's.
    let (sizes, between) = match version {
        0 | 1 => {
            start.take(4)?;
            let sizes = [start.byte()?, start.byte()?];
            start.take(if version == 0 { 9 } else { 13 })?;
            (sizes, 32)
        }
        2 | 3 => {
            let sizes = [start.byte()?, start.byte()?];
            start.take(1)?;
            (sizes, 16)
        }
        _ => {
            let what = format!("a superblock of version {version}");
            return Err(Hdf5Error::Unsupported { what });
        }
    };
    if sizes != [8, 8] {
        let what = format!("addresses and lengths of {} and {} bytes", sizes[0], sizes[1]);
        return Err(Hdf5Error::Unsupported { what });
    }
    if start.address()? != 0 {
        return Err(Hdf5Error::Unsupported { what: "other data before its own".to_owned() });
    }
    start.take(between)?;
    start.address()
}
