//! Images in tar archives, as WebDataset has them: files with one name up to the first dot belong
//! together, and `.cls` holds the label.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::entries::Container;
use super::names::is_image;
use super::{Label, Sample, SampleImage};
use crate::text::file_name;

/// The most bytes of the headers of one member, with its name and attributes.
const MAX_HEADER: u64 = 1 << 20;
/// The most bytes of a compressed member, which is held in memory until it is decoded.
const MAX_MEMBER: u64 = 64 << 20;
/// The most bytes of a label.
const MAX_LABEL: u64 = 1 << 16;
/// The most images that are held until their label is known.
const MAX_GROUP: usize = 64;
/// Members begin at multiples of this.
const BLOCK: u64 = 512;

/// The images of an archive.
pub(super) fn open(file: &Container, labels: bool) -> Box<dyn Iterator<Item = Sample> + Send> {
    let members = match Members::open(&file.path) {
        Ok(members) => members,
        Err(error) => return Box::new(std::iter::once(Sample::unreadable(&*file.name, error))),
    };
    let groups = Groups {
        archive: file.name.clone(),
        members: Some(members),
        labels,
        key: None,
        label: None,
        waiting: VecDeque::new(),
        ready: VecDeque::new(),
        is_empty: true,
    };
    Box::new(groups)
}

/// A reader that gives only so many bytes.
struct Limited<R> {
    reader: R,
    /// How many more bytes; `None` for any number.
    left: Option<u64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Some(left) = &mut self.left else { return self.reader.read(to) };
        if *left == 0 && !to.is_empty() {
            return Err(io::Error::other("the header of a member is larger than 1 MiB"));
        }
        let most = to.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let read = self.reader.read(&mut to[..most])?;
        *left -= read as u64;
        Ok(read)
    }
}

enum Bytes {
    /// A plain file: members are read later, where they lie.
    Plain {
        reader: Limited<BufReader<File>>,
        path: PathBuf,
        at: u64,
        len: u64,
    },
    Gzip(Box<Limited<MultiGzDecoder<BufReader<File>>>>),
}

struct Members {
    bytes: Bytes,
}

/// What is in an archive besides folders.
struct Member {
    name: Vec<u8>,
    /// How many bytes follow its headers.
    size: u64,
    /// Why these are not the bytes of a file, if they are not.
    not_a_file: Option<&'static str>,
}

impl Members {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("this is a folder, not an archive"));
        }
        let mut reader = BufReader::new(file);
        // By what the file says, whatever its name does.
        let is_gzip = io::BufRead::fill_buf(&mut reader)?.starts_with(&[0x1F, 0x8B]);
        let bytes = if is_gzip {
            let reader = MultiGzDecoder::new(reader);
            Bytes::Gzip(Box::new(Limited { reader, left: None }))
        } else {
            let reader = Limited { reader, left: None };
            Bytes::Plain { reader, path: path.to_owned(), at: 0, len: metadata.len() }
        };
        Ok(Self { bytes })
    }

    /// The next member, whose bytes are then taken or passed over.
    fn next(&mut self) -> io::Result<Option<Member>> {
        loop {
            let (found, size) = match &mut self.bytes {
                Bytes::Plain { at, len, .. } if *at > *len => return Err(ends_early()),
                Bytes::Plain { reader, at, .. } => {
                    reader.reader.seek(SeekFrom::Start(*at))?;
                    let Some((member, header, size)) = header(reader)? else { return Ok(None) };
                    *at += header;
                    (member, size)
                }
                Bytes::Gzip(reader) => {
                    let Some((member, _, size)) = header(&mut **reader)? else { return Ok(None) };
                    (member, size)
                }
            };
            match found {
                Some(member) => return Ok(Some(member)),
                None => self.pass_over(size)?,
            }
        }
    }

    fn pass_over(&mut self, size: u64) -> io::Result<()> {
        let padded = size.div_ceil(BLOCK).saturating_mul(BLOCK);
        match &mut self.bytes {
            Bytes::Plain { at, .. } => *at = at.saturating_add(padded),
            Bytes::Gzip(reader) => {
                if io::copy(&mut reader.by_ref().take(padded), &mut io::sink())? < padded {
                    return Err(ends_early());
                }
            }
        }
        Ok(())
    }

    /// The bytes of a small member.
    fn read(&mut self, member: &Member, most: u64) -> io::Result<Result<Vec<u8>, String>> {
        let size = member.size;
        if size > most {
            self.pass_over(size)?;
            return Ok(Err(format!(
                "it has {size} bytes, and members like this may have {most}: extract it"
            )));
        }
        let mut data = Vec::new();
        match &mut self.bytes {
            Bytes::Plain { reader, .. } => reader.by_ref().take(size).read_to_end(&mut data)?,
            Bytes::Gzip(reader) => reader.by_ref().take(size).read_to_end(&mut data)?,
        };
        if (data.len() as u64) < size {
            return Err(io::Error::other("the archive ends within it"));
        }
        match &mut self.bytes {
            Bytes::Plain { .. } => self.pass_over(size)?,
            Bytes::Gzip(reader) => {
                let padding = size.div_ceil(BLOCK) * BLOCK - size;
                io::copy(&mut reader.by_ref().take(padding), &mut io::sink())?;
            }
        }
        Ok(Ok(data))
    }

    fn image(&mut self, member: &Member) -> io::Result<SampleImage> {
        if let Bytes::Plain { path, at, len, .. } = &self.bytes {
            if at.checked_add(member.size).is_none_or(|end| end > *len) {
                return Err(io::Error::other("the archive ends within it"));
            }
            let image = SampleImage::Part { path: path.clone(), offset: *at, len: member.size };
            self.pass_over(member.size)?;
            return Ok(image);
        }
        Ok(match self.read(member, MAX_MEMBER)? {
            Ok(bytes) => SampleImage::Encoded(bytes),
            Err(reason) => SampleImage::Unreadable { reason },
        })
    }
}

fn ends_early() -> io::Error {
    io::Error::other("it ends within a member")
}

/// Reads the headers of a member. Gives the member unless it is a folder, the bytes of the headers, and
/// the bytes of its contents.
fn header<R: Read>(reader: &mut Limited<R>) -> io::Result<Option<(Option<Member>, u64, u64)>> {
    reader.left = Some(MAX_HEADER);
    let mut archive = Archive::new(&mut *reader);
    let found = match archive.entries()?.next().transpose()? {
        Some(entry) => {
            let (kind, position) = (entry.header().entry_type(), entry.raw_file_position());
            let (size, not_a_file) = match kind {
                // What it stands for is larger than what is there.
                EntryType::GNUSparse => {
                    (entry.header().entry_size()?, Some("a sparse file in an archive: extract it"))
                }
                EntryType::Link | EntryType::Symlink => {
                    (entry.size(), Some("a link in an archive: extract it"))
                }
                _ if kind.is_file() => (entry.size(), None),
                _ => (entry.size(), Some("not a regular file")),
            };
            let name = entry.path_bytes().into_owned();
            let member = (!kind.is_dir()).then_some(Member { name, size, not_a_file });
            Some((member, position, size))
        }
        None => None,
    };
    reader.left = None;
    Ok(found)
}

/// The images of an archive, each with the label of its group if labels are asked for.
struct Groups {
    archive: String,
    members: Option<Members>,
    labels: bool,
    /// What the files of the present group have in common.
    key: Option<Vec<u8>>,
    label: Option<Label>,
    /// Images of the group, which may yet have a label.
    waiting: VecDeque<Sample>,
    ready: VecDeque<Sample>,
    is_empty: bool,
}

impl Iterator for Groups {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        while self.ready.is_empty() && self.members.is_some() {
            self.advance();
        }
        self.ready.pop_front()
    }
}

impl Groups {
    /// Reads a member.
    fn advance(&mut self) {
        let Some(members) = &mut self.members else { return };
        let member = match members.next() {
            Ok(Some(member)) => member,
            Ok(None) => return self.end(None),
            Err(error) => return self.end(Some(error.to_string())),
        };
        let shown = file_name(&path_of(&member.name));
        let name = format!("{}/{shown}", self.archive);
        let is_image = is_image(Path::new(&shown)) && !shown.split('/').any(|p| p == "__MACOSX");
        let is_label = self.labels && ending(&member.name) == b"cls";
        if self.labels {
            let key = key(&member.name);
            if self.key.as_deref() != Some(key) || self.waiting.len() >= MAX_GROUP {
                self.key = Some(key.to_vec());
                self.end_group();
            }
        }
        let Some(members) = &mut self.members else { return };
        let read = if let (true, Some(reason)) = (is_image, member.not_a_file) {
            self.is_empty = false;
            self.waiting.push_back(Sample::unreadable(name.clone(), reason));
            members.pass_over(member.size)
        } else if is_image {
            members.image(&member).map(|image| {
                self.is_empty = false;
                self.waiting.push_back(Sample::new(name.clone(), image));
            })
        } else if is_label {
            members.read(&member, MAX_LABEL).map(|label| {
                let text = label.ok().and_then(|bytes| String::from_utf8(bytes).ok());
                self.label = text.and_then(|text| Label::from_text(&text));
            })
        } else {
            members.pass_over(member.size)
        };
        if let Err(error) = read {
            self.waiting.push_back(Sample::unreadable(name, error));
            self.is_empty = false;
            self.members = None;
        }
        if !self.labels || self.members.is_none() {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        let label = self.label.take();
        for mut sample in self.waiting.drain(..) {
            sample.label.clone_from(&label);
            self.ready.push_back(sample);
        }
    }

    fn end(&mut self, error: Option<String>) {
        self.members = None;
        self.end_group();
        if let Some(error) = error {
            let reason = format!("the archive cannot be read further: {error}");
            self.ready.push_back(Sample::unreadable(self.archive.clone(), reason));
        } else if self.is_empty {
            let reason = "no images in this archive";
            self.ready.push_back(Sample::unreadable(self.archive.clone(), reason));
        }
    }
}

/// A member's path up to the first dot of its last segment.
fn key(name: &[u8]) -> &[u8] {
    let base = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let dot = name[base..].iter().position(|byte| *byte == b'.');
    &name[..dot.map_or(name.len(), |dot| base + dot)]
}

/// What follows the last dot.
fn ending(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b'.').next().unwrap_or_default()
}

#[cfg(unix)]
fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

#[cfg(not(unix))]
fn path_of(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}
