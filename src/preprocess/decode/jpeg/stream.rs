//! The markers of a JPEG stream, as Pillow and libjpeg read them.

use std::borrow::Cow;
use std::ops::Range;

use super::restarts;
use super::{FORMAT, TRUNCATED};
use crate::preprocess::error::DecodeError;
use crate::preprocess::exif::Notes;

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const RESTART_INTERVAL: u8 = 0xdd;
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF: &[u8] = b"Exif\0\0";

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// By its marker.
    Marked,
    /// Its only scan is followed by another marker, here, before an end or none.
    OtherMarker(usize),
    /// Within a scan.
    InScan,
    /// Within a segment after a scan.
    InSegment,
}

/// A frame's header.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    progressive: bool,
    /// Name, horizontal and vertical sampling.
    pub(super) components: Vec<[u8; 3]>,
}

impl Frame {
    /// Blocks of 8 x 8 samples in all components, about.
    pub(super) fn blocks(&self) -> u64 {
        self.components.iter().map(|component| self.blocks_of(component)).sum()
    }

    fn blocks_of(&self, component: &[u8; 3]) -> u64 {
        let [columns, rows] = self.sides_of(component);
        columns * rows
    }

    fn most(&self) -> [u64; 2] {
        [1, 2].map(|side| {
            self.components.iter().map(|c| u64::from(c[side])).max().unwrap_or(1).max(1)
        })
    }

    /// Columns and rows of a component's blocks.
    fn sides_of(&self, [_, across, down]: &[u8; 3]) -> [u64; 2] {
        let [most_across, most_down] = self.most();
        let side = |pixels: u32, sampling: u8, most: u64| {
            (u64::from(pixels) * u64::from(sampling)).div_ceil(most * 8)
        };
        [side(self.width, *across, most_across), side(self.height, *down, most_down)]
    }

    /// Units that a scan codes: blocks of its one component, or groups of several components'.
    fn units(&self, scan: &[&[u8; 3]]) -> u64 {
        if let [component] = scan {
            return self.blocks_of(component);
        }
        let [across, down] = self.most();
        u64::from(self.width).div_ceil(across * 8) * u64::from(self.height).div_ceil(down * 8)
    }
}

/// A scan: where its coded bits begin and end, and its intervals of restart, if it has any.
pub(super) struct Scan {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) intervals: Option<u64>,
}

pub(super) struct Stream<'a> {
    pub(super) frame: Frame,
    pub(super) notes: Notes<'a>,
    pub(super) scans: Vec<Scan>,
    /// Blocks that all scans code.
    pub(super) blocks: u64,
    pub(super) end: End,
    /// The tables of streams without an image before the one with it, and where that begins.
    tables: Vec<Range<usize>>,
    start: usize,
    /// Whether the first scan has all components.
    complete: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut notes = Notes::default();
        let mut exif: Option<Cow<'a, [u8]>> = None;
        let mut frame = None;
        let mut interval = 0;
        let (mut tables, mut kept, mut start) = (Vec::new(), Vec::new(), 0);
        let mut at = 2;
        let header = loop {
            let (code, place) = marker(bytes, at).ok_or(TRUNCATED)?;
            match code {
                END_OF_IMAGE => {
                    // Only tables so far: they hold on for the image, which must follow.
                    if bytes.get(place + 2..place + 4) != Some(&[0xff, START_OF_IMAGE]) {
                        return Err(DecodeError::corrupt(FORMAT, &"it ends before its image"));
                    }
                    tables.append(&mut kept);
                    (start, interval, frame) = (place + 2, 0, None);
                    at = place + 4;
                    continue;
                }
                START_OF_IMAGE => return Err(DecodeError::corrupt(FORMAT, &"two starts")),
                0x01 | 0xd0..=0xd7 => {
                    at = place + 2;
                    continue;
                }
                _ => {}
            }
            let segment = segment(bytes, place).ok_or(TRUNCATED)?;
            let body = &bytes[segment.clone()];
            at = segment.end;
            match code {
                START_OF_SCAN => break segment,
                0xc4 | 0xdb => kept.push(place..at),
                RESTART_INTERVAL => interval = number(body, 0).unwrap_or(0),
                0xc0..=0xcf if !matches!(code, 0xc8 | 0xcc) => {
                    frame = Some(read_frame(code, body)?);
                }
                0xe1 if body.starts_with(EXIF) => match &mut exif {
                    Some(exif) => exif.to_mut().extend_from_slice(&body[EXIF.len()..]),
                    None => exif = Some(Cow::Borrowed(body)),
                },
                0xe1 if body.starts_with(XMP) => {
                    notes.xmp = Some(Cow::Borrowed(&body[XMP.len()..]));
                }
                _ => {}
            }
        };
        notes.exif = exif;
        let frame =
            frame.ok_or_else(|| DecodeError::corrupt(FORMAT, &"a scan before its frame"))?;
        let (scans, blocks, end) = (Vec::new(), 0, End::Marked);
        let mut stream = Self { frame, notes, scans, blocks, end, tables, start, complete: true };
        stream.read_scans(bytes, header, interval);
        Ok(stream)
    }

    /// Walks over the scans from the first one's header on.
    fn read_scans(&mut self, bytes: &[u8], mut header: Range<usize>, mut interval: u16) {
        let mut other = None;
        loop {
            let names = &bytes[header.clone()];
            let count = names.first().map_or(0, |count| usize::from(*count));
            let in_scan = |component: &&[u8; 3]| {
                (0..count).any(|index| names.get(1 + index * 2) == Some(&component[0]))
            };
            let components: Vec<_> = self.frame.components.iter().filter(in_scan).collect();
            if self.scans.is_empty() {
                self.complete = components.len() == self.frame.components.len();
            }
            self.blocks += components.iter().map(|c| self.frame.blocks_of(c)).sum::<u64>();
            let intervals =
                (interval > 0).then(|| self.frame.units(&components).div_ceil(u64::from(interval)));
            let start = header.end;
            // The usual picture: one scan up to the end of the file.
            let usual = self.is_single() && intervals.is_none() && other.is_none();
            if usual && bytes.len() >= start + 2 && bytes.ends_with(&[0xff, END_OF_IMAGE]) {
                self.scans.push(Scan { start, end: bytes.len() - 2, intervals });
                self.end = End::Marked;
                return;
            }
            let mut found = scan_end(bytes, start);
            let end = found.map_or(bytes.len(), |(_, place)| place);
            self.scans.push(Scan { start, end, intervals });
            // Segments up to the next scan.
            loop {
                let Some((code, place)) = found else {
                    self.end = other.map_or(End::InScan, End::OtherMarker);
                    return;
                };
                if code == END_OF_IMAGE {
                    self.end = other.map_or(End::Marked, End::OtherMarker);
                    return;
                }
                if self.is_single() {
                    other = other.or(Some(place));
                }
                let next = if matches!(code, 0x01 | 0xd0..=0xd8) {
                    place + 2
                } else if let Some(segment) = segment(bytes, place) {
                    let next = segment.end;
                    if code == RESTART_INTERVAL {
                        interval = number(&bytes[segment.clone()], 0).unwrap_or(0);
                    } else if code == START_OF_SCAN {
                        header = segment;
                        break;
                    }
                    next
                } else {
                    self.end = other.map_or(End::InSegment, End::OtherMarker);
                    return;
                };
                found = marker(bytes, next);
            }
        }
    }

    /// Whether libjpeg gives rows while it reads: one scan has everything.
    pub(super) fn is_single(&self) -> bool {
        self.complete && !self.frame.progressive
    }

    /// The stream as one that a decoder takes: tables before the image, and the restart markers
    /// of each scan where they should be.
    /// A scan that is cut short by a stray marker is refused where its intervals are not all there
    /// and the caller is `strict`.
    pub(super) fn in_order<'b>(
        &self,
        bytes: &'b [u8],
        strict: bool,
    ) -> Result<Cow<'b, [u8]>, DecodeError> {
        let stray = strict && matches!(self.end, End::OtherMarker(_));
        let mut changed: Option<Vec<u8>> = None;
        let mut done = self.start;
        if self.start > 0 {
            let mut stream = vec![0xff, START_OF_IMAGE];
            for table in &self.tables {
                stream.extend_from_slice(&bytes[table.clone()]);
            }
            changed = Some(stream);
            done += 2;
        }
        for Scan { start, end, intervals } in &self.scans {
            let Some(intervals) = intervals else { continue };
            let end = (*end).min(bytes.len());
            let Some(bits) = bytes.get(*start..end) else { break };
            if let Some(bits) = restarts::in_order(bits, *intervals, stray)? {
                let stream = changed.get_or_insert_default();
                stream.extend_from_slice(&bytes[done..*start]);
                stream.extend_from_slice(&bits);
                done = end;
            }
        }
        Ok(match changed {
            Some(mut stream) => {
                stream.extend_from_slice(&bytes[done..]);
                Cow::Owned(stream)
            }
            None => Cow::Borrowed(bytes),
        })
    }
}

fn read_frame(code: u8, body: &[u8]) -> Result<Frame, DecodeError> {
    let (Some(height), Some(width), [bits, _, _, _, _, count, ..]) =
        (number(body, 1), number(body, 3), body)
    else {
        return Err(TRUNCATED);
    };
    if *bits != 8 || !matches!(count, 1 | 3 | 4) {
        let kind = format!("{count} components of {bits} bits");
        return Err(DecodeError::unsupported(FORMAT, &kind));
    }
    if width == 0 || height == 0 {
        return Err(DecodeError::corrupt(FORMAT, &format!("{width}x{height} pixels")));
    }
    let components = body[6..].as_chunks::<3>().0.iter().take((*count).into());
    let components: Vec<_> =
        components.map(|[name, sampling, _]| [*name, sampling >> 4, sampling & 15]).collect();
    if components.len() < usize::from(*count) {
        return Err(TRUNCATED);
    }
    let progressive = matches!(code, 0xc2 | 0xc6 | 0xca | 0xce);
    Ok(Frame { width: width.into(), height: height.into(), progressive, components })
}

/// A big-endian number of 16 bits.
fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The next marker at or after a place, past what is none, and its place.
fn marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match bytes.get(at + 1)? {
            0 => at += 2,
            0xff => at += 1,
            code => return Some((*code, at)),
        }
    }
}

/// The next marker that ends a scan: none of its restarts.
fn scan_end(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        match marker(bytes, at)? {
            (0xd0..=0xd7, place) => at = place + 2,
            found => return Some(found),
        }
    }
}

/// The bytes of the segment whose marker is at a place, after its length.
fn segment(bytes: &[u8], place: usize) -> Option<Range<usize>> {
    let length = usize::from(number(bytes, place + 2)?);
    let range = place + 4..place + 2 + length.max(2);
    (range.end <= bytes.len()).then_some(range)
}
