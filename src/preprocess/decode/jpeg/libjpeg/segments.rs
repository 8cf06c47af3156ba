//! What the segments of a stream say, as libjpeg reads them (`jdmarker.c`).

use libjpeg_turbo_rs::common::tables;

use super::bits::Codes;
use super::progressive::Band;
use super::source::Source;
use super::{Fault, broken};

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
/// The most components in a scan.
const MAX_COMPONENTS: usize = 4;
const WRONG_LENGTH: Fault = Fault::Broken("a segment of the wrong length");

/// The codes of a component's DC values and AC coefficients.
pub(super) type Tables = (Option<Codes>, Option<Codes>);

/// How many Huffman codes have each length, and their symbols.
pub(super) type Huffman = ([u8; 16], [u8; 256]);

pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    /// The number of its quantization table.
    pub(super) table: usize,
}

pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) arithmetic: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
}

/// A component in a scan, and the numbers of its tables.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

pub(super) struct Scan {
    pub(super) members: Vec<Member>,
    pub(super) band: Band,
}

impl Frame {
    /// Whether libjpeg gives rows while it reads, because this first scan holds everything.
    pub(super) fn is_single(&self, scan: &Scan) -> bool {
        !self.progressive && scan.members.len() == self.components.len()
    }
}

impl Scan {
    /// The tables that each component's codes need.
    pub(super) fn codes(
        &self,
        segments: &Segments,
        progressive: bool,
    ) -> Result<Vec<Tables>, Fault> {
        let needed = match (progressive, self.band.is_dc()) {
            (false, _) => (true, true),
            (true, true) => (self.band.high == 0, false),
            (true, false) => (false, true),
        };
        let make = |tables: &[Option<Huffman>; 4], index: usize, of_dc: bool| {
            let table = tables.get(index).and_then(Option::as_ref);
            let (counts, symbols) = table.ok_or(broken("no table of Huffman codes"))?;
            Codes::new(counts, symbols, of_dc)
        };
        let tables = self.members.iter().map(|member| {
            let dc = needed.0.then(|| make(&segments.dc, member.dc, true)).transpose()?;
            let ac = needed.1.then(|| make(&segments.ac, member.ac, false)).transpose()?;
            Ok((dc, ac))
        });
        tables.collect()
    }
}

/// Conditioning of arithmetic codes: bounds for each DC table, and a bound for each AC table.
pub(super) struct Conditioning {
    pub(super) dc: [[u8; 2]; 16],
    pub(super) ac: [u8; 16],
}

impl Default for Conditioning {
    fn default() -> Self {
        Self { dc: [[0, 1]; 16], ac: [5; 16] }
    }
}

/// The tables and the frame that are valid when a scan begins.
#[derive(Default)]
pub(super) struct Segments {
    started: bool,
    /// Bits per sample that the frame must have.
    bits: u8,
    pub(super) frame: Option<Frame>,
    /// In zigzag order.
    pub(super) quantization: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) conditioning: Conditioning,
    pub(super) interval: usize,
    pub(super) jfif: bool,
    /// Adobe's colour transform.
    pub(super) adobe: Option<u8>,
}

impl Segments {
    pub(super) fn new(bits: u8) -> Self {
        Self { bits, ..Self::default() }
    }

    /// Reads up to the next scan and its header; `None` at the end of the image.
    pub(super) fn read(&mut self, source: &mut Source<'_>) -> Result<Option<Scan>, Fault> {
        loop {
            if source.marker == 0 {
                if self.started {
                    source.next_marker()?;
                } else if [source.byte()?, source.byte()?] == [0xff, START_OF_IMAGE] {
                    source.marker = START_OF_IMAGE;
                } else {
                    return Err(broken("it does not begin as a JPEG"));
                }
            }
            let code = source.marker;
            match code {
                START_OF_IMAGE if self.started => return Err(broken("two starts")),
                START_OF_IMAGE => {
                    self.started = true;
                    self.conditioning = Conditioning::default();
                    (self.interval, self.jfif, self.adobe) = (0, false, None);
                }
                END_OF_IMAGE => {
                    source.marker = 0;
                    return Ok(None);
                }
                0x01 | 0xd0..=0xd7 => {}
                0xc0 | 0xc1 | 0xc2 | 0xc9 | 0xca => self.read_frame(source, code)?,
                0xda => {
                    let scan = self.read_scan(source)?;
                    source.marker = 0;
                    return Ok(Some(scan));
                }
                0xc4 => self.read_huffman(source)?,
                0xcc => self.read_conditioning(source)?,
                0xdb => self.read_quantization(source)?,
                0xdd => {
                    if source.number()? != 4 {
                        return Err(WRONG_LENGTH);
                    }
                    self.interval = source.number()?;
                }
                0xe0 | 0xee => self.read_application(source, code)?,
                0xdc | 0xe1..=0xef | 0xfe => {
                    let length = source.number()?;
                    source.at += length.saturating_sub(2);
                }
                _ => return Err(broken("an unknown marker")),
            }
            source.marker = 0;
        }
    }

    /// Begins another stream, for which the tables stay valid.
    pub(super) fn begin_again(&mut self) {
        (self.started, self.frame) = (false, None);
    }

    /// The Huffman tables that are used if a stream has none.
    pub(super) fn add_standard_codes(&mut self) {
        let table = |counts: &[u8; 17], symbols: &[u8]| {
            let mut table = ([0; 16], [0; 256]);
            table.0.copy_from_slice(&counts[1..]);
            table.1[..symbols.len()].copy_from_slice(symbols);
            table
        };
        use tables as t;
        self.dc[0].get_or_insert_with(|| table(&t::DC_LUMINANCE_BITS, &t::DC_LUMINANCE_VALUES));
        self.ac[0].get_or_insert_with(|| table(&t::AC_LUMINANCE_BITS, &t::AC_LUMINANCE_VALUES));
        self.dc[1].get_or_insert_with(|| table(&t::DC_CHROMINANCE_BITS, &t::DC_CHROMINANCE_VALUES));
        self.ac[1].get_or_insert_with(|| table(&t::AC_CHROMINANCE_BITS, &t::AC_CHROMINANCE_VALUES));
    }

    fn read_frame(&mut self, source: &mut Source<'_>, code: u8) -> Result<(), Fault> {
        let length = source.number()?;
        let bits = source.byte()?;
        let (height, width) = (source.number()?, source.number()?);
        let count = usize::from(source.byte()?);
        if self.frame.is_some() {
            return Err(broken("two frames"));
        }
        if height == 0 || width == 0 || count == 0 || length != 8 + 3 * count || bits != self.bits {
            return Err(broken("a frame of the wrong kind"));
        }
        let mut components = Vec::new();
        for _ in 0..count {
            let [id, sampling, table] = [source.byte()?, source.byte()?, source.byte()?];
            let [across, down] = [sampling >> 4, sampling & 15].map(usize::from);
            components.push(Component { id, across, down, table: table.into() });
        }
        let progressive = matches!(code, 0xc2 | 0xca);
        let arithmetic = matches!(code, 0xc9 | 0xca);
        self.frame = Some(Frame { progressive, arithmetic, width, height, components });
        Ok(())
    }

    fn read_scan(&self, source: &mut Source<'_>) -> Result<Scan, Fault> {
        let frame = self.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        let length = source.number()?;
        let count = usize::from(source.byte()?);
        if length != 6 + 2 * count || !(1..=MAX_COMPONENTS).contains(&count) {
            return Err(broken("a scan's header of the wrong length"));
        }
        let mut members: Vec<Member> = Vec::new();
        for _ in 0..count {
            let [id, tables] = [source.byte()?, source.byte()?];
            // libjpeg looks for components in their order.
            let free = frame.components.iter().enumerate().skip(members.len());
            let component = free.take(MAX_COMPONENTS).find(|(_, component)| component.id == id);
            let (component, _) = component.ok_or(broken("a scan of no component"))?;
            if members.iter().any(|member| member.component == component) {
                return Err(broken("a scan with a component twice"));
            }
            let [dc, ac] = [tables >> 4, tables & 15].map(usize::from);
            members.push(Member { component, dc, ac });
        }
        let [first, last, bits] = [source.byte()?, source.byte()?, source.byte()?];
        source.next_restart = 0;
        let [first, last] = [first, last].map(usize::from);
        Ok(Scan { members, band: Band { first, last, high: bits >> 4, low: bits & 15 } })
    }

    fn read_huffman(&mut self, source: &mut Source<'_>) -> Result<(), Fault> {
        let mut left = source.number()?.checked_sub(2).ok_or(WRONG_LENGTH)?;
        while left > 16 {
            let class = source.byte()?;
            let (mut counts, mut symbols) = ([0; 16], [0; 256]);
            for count in &mut counts {
                *count = source.byte()?;
            }
            left -= 17;
            let all = counts.iter().map(|count| usize::from(*count)).sum();
            if all > 256 || all > left {
                return Err(broken("an invalid Huffman table"));
            }
            for symbol in &mut symbols[..all] {
                *symbol = source.byte()?;
            }
            left -= all;
            let tables = if class & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(usize::from(class & !0x10));
            *table.ok_or(broken("a table of an unknown number"))? = Some((counts, symbols));
        }
        if left > 0 { Err(WRONG_LENGTH) } else { Ok(()) }
    }

    fn read_conditioning(&mut self, source: &mut Source<'_>) -> Result<(), Fault> {
        let left = source.number()?.checked_sub(2).ok_or(WRONG_LENGTH)?;
        for _ in 0..left.div_ceil(2) {
            let [index, value] = [source.byte()?, source.byte()?];
            let bounds = [value & 15, value >> 4];
            match usize::from(index) {
                index @ 0..16 if bounds[0] <= bounds[1] => self.conditioning.dc[index] = bounds,
                index @ 16..32 => self.conditioning.ac[index - 16] = value,
                _ => return Err(broken("conditioning of no table")),
            }
        }
        if left % 2 > 0 { Err(WRONG_LENGTH) } else { Ok(()) }
    }

    fn read_quantization(&mut self, source: &mut Source<'_>) -> Result<(), Fault> {
        let mut left = source.number()? as isize - 2;
        while left > 0 {
            let index = source.byte()?;
            let table = self.quantization.get_mut(usize::from(index & 15));
            let table = table.ok_or(broken("a table of an unknown number"))?;
            let wide = index >> 4 != 0;
            let mut values = [0; 64];
            for value in &mut values {
                *value = if wide { source.number()? as u16 } else { source.byte()?.into() };
            }
            *table = Some(values);
            left -= if wide { 129 } else { 65 };
        }
        if left < 0 { Err(WRONG_LENGTH) } else { Ok(()) }
    }

    fn read_application(&mut self, source: &mut Source<'_>, code: u8) -> Result<(), Fault> {
        let left = source.number()?.saturating_sub(2);
        let mut head = Vec::new();
        for _ in 0..left.min(14) {
            head.push(source.byte()?);
        }
        source.at += left - head.len();
        if code == 0xe0 && head.len() == 14 && head.starts_with(b"JFIF\0") {
            self.jfif = true;
        } else if code == 0xee && head.len() >= 12 && head.starts_with(b"Adobe") {
            self.adobe = Some(head[11]);
        }
        Ok(())
    }
}
