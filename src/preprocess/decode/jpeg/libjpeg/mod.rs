//! What libjpeg-turbo makes of a stream with faults: the coefficients that it goes on with after a
//! warning, written as a stream without faults.

mod arithmetic;
mod bits;
mod progressive;
mod segments;
mod sequential;
mod smooth;
mod source;

use libjpeg_turbo_rs::common::tables::ZIGZAG_ORDER;
use libjpeg_turbo_rs::{ComponentCoefficients, JpegCoefficients, write_coefficients_optimized};

use self::arithmetic::Coder;
use self::bits::Bits;
use self::segments::{Frame, Member, Scan, Segments};
use self::sequential::Plan;
use self::smooth::{GUESSED, Known};
use self::source::Source;
pub(super) use self::source::next_marker;
use super::FORMAT;
use crate::preprocess::error::DecodeError;

/// Coefficients in zigzag order.
type Block = [i16; 64];

/// More than any encoder writes; each scan of a hostile file costs a pass over the image.
pub(super) const MAX_SCANS: usize = 256;
/// Passes over all blocks that a file may take, whatever its length, and blocks beyond for each of
/// its bytes. Encoders' scripts come to about six passes; an empty scan of a hostile file is free.
const MAX_PASSES: u64 = 32;
const BLOCKS_A_BYTE: u64 = 256;
/// The most blocks of a unit.
const MAX_BLOCKS: usize = 10;

/// Why there is no picture.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes end before it.
    Cut,
    /// libjpeg stops with an error.
    Broken(&'static str),
    /// The bytes end in this row of units, and libjpeg stops.
    Stopped(usize),
    /// The fault is this decoder's.
    Error(DecodeError),
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Error(error)
    }
}

fn unsupported(reason: &'static str) -> Fault {
    Fault::Error(DecodeError::unsupported(FORMAT, &reason))
}

fn broken(reason: &'static str) -> Fault {
    Fault::Broken(reason)
}

/// A component's blocks, row by row, with those that fill up the last units.
struct Plane {
    across: usize,
    down: usize,
    /// Blocks that are part of the picture.
    columns: usize,
    rows: usize,
    stride: usize,
    blocks: Vec<Block>,
    /// The table of quantization of its first scan.
    quantization: Option<[u16; 64]>,
    known: Known,
    /// What was known before the last scan.
    known_before: Known,
}

struct Coefficients {
    planes: Vec<Plane>,
    /// Rows of units that have all components.
    unit_rows: usize,
    unit_columns: usize,
    scans: usize,
    /// The last row of units with bits of its own in the last scan.
    last_good_row: usize,
    /// Blocks that may still be coded.
    blocks_left: u64,
}

/// Whether a decoder that knows no faults gives libjpeg's picture, by the markers of the stream and
/// what their segments say.
pub(super) fn is_in_order(bytes: &[u8]) -> Result<bool, Fault> {
    let mut source = Source::new(bytes, false);
    let mut segments = Segments::default();
    let mut look = || -> Result<bool, Fault> {
        let Some(mut scan) = segments.read(&mut source)? else { return Ok(false) };
        let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        let single = frame.is_single(&scan);
        // Of arithmetic codes nobody can say whether they are right.
        if frame.arithmetic {
            return Ok(false);
        }
        let (progressive, mut image) = (frame.progressive, Coefficients::new(frame, bytes.len())?);
        if !progressive {
            segments.add_standard_codes();
        }
        loop {
            let units = image.begin_scan(&segments, &scan)?;
            scan.codes(&segments, progressive)?;
            if !source.pass_scan(units.restarts(segments.interval)) {
                return Ok(false);
            }
            match segments.read(&mut source)? {
                None => return Ok(true),
                Some(_) if single => return Ok(false),
                Some(next) => scan = next,
            }
        }
    };
    match look() {
        Err(Fault::Cut | Fault::Broken(_)) => Ok(false),
        other => other,
    }
}

/// A stream of one scan with the coefficients that libjpeg finds in another.
pub(super) struct Mended {
    pub(super) stream: Vec<u8>,
    pub(super) height: usize,
    /// Rows of the picture that libjpeg gives.
    pub(super) rows: usize,
}

/// Mends a stream. What follows the picture is an error only where it is `strict`. Width, height
/// and samples must be admitted.
pub(super) fn mend(
    bytes: &[u8],
    strict: bool,
    admit: impl FnOnce(u64, u64, u64) -> Result<(), DecodeError>,
) -> Result<Mended, Fault> {
    let mut source = Source::new(bytes, !strict);
    let mut segments = Segments::default();
    let mut scan = loop {
        match segments.read(&mut source)? {
            Some(scan) => break scan,
            None if segments.frame.is_some() => return Err(broken("it ends before its image")),
            // Only tables so far: they hold on for the image, which must follow.
            None => segments.begin_again(),
        }
    };
    let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
    let mut image = Coefficients::new(frame, bytes.len())?;
    let (width, height) = (frame.width, frame.height);
    let blocks = image.planes.iter().map(|plane| plane.stride * image.unit_rows * plane.down);
    admit(width as u64, height as u64, 64 * blocks.sum::<usize>() as u64)?;
    for plane in &mut image.planes {
        plane.blocks = vec![[0; 64]; plane.stride * image.unit_rows * plane.down];
    }
    // What comes behind the first scan's header has no say in the colours.
    let (jfif, adobe) = (segments.jfif, segments.adobe);
    let single = frame.is_single(&scan);
    let mut rows = height;
    if !frame.arithmetic && !frame.progressive {
        segments.add_standard_codes();
    }
    loop {
        match image.read_scan(&mut source, &segments, &scan) {
            Err(Fault::Stopped(unit_rows)) if single && !strict => {
                rows = image.rows_given(unit_rows, width);
                break;
            }
            Err(Fault::Stopped(_)) => return Err(Fault::Cut),
            other => other?,
        }
        match segments.read(&mut source) {
            Ok(Some(_)) if single && strict => return Err(broken("another scan behind its last")),
            Ok(Some(next)) if !single => scan = next,
            Err(fault @ Fault::Broken(_)) if strict => return Err(fault),
            Err(fault) if !single => return Err(fault),
            _ => break,
        }
    }
    let frame = segments.frame.take().ok_or(broken("a scan before its frame"))?;
    if frame.progressive {
        smooth::smooth(&mut image);
    }
    Ok(Mended { stream: image.write(&frame, jfif, adobe)?, height, rows })
}

impl Coefficients {
    fn new(frame: &Frame, length: usize) -> Result<Self, Fault> {
        let sides = frame.components.iter().map(|c| [c.across, c.down]);
        let most =
            sides.clone().fold([1, 1], |[x, y], [across, down]| [x.max(across), y.max(down)]);
        let right = |sides: [usize; 2]| {
            let mut sides = sides.into_iter().zip(most);
            sides.all(|(side, most)| (1..=4).contains(&side) && most % side == 0)
        };
        if !sides.clone().all(right) {
            return Err(broken("samples of an impossible size"));
        }
        let [unit_columns, unit_rows] =
            [frame.width.div_ceil(most[0] * 8), frame.height.div_ceil(most[1] * 8)];
        let planes = frame.components.iter().map(|component| {
            let (across, down) = (component.across, component.down);
            let stride = unit_columns * across;
            Plane {
                across,
                down,
                columns: (frame.width * across).div_ceil(most[0] * 8),
                rows: (frame.height * down).div_ceil(most[1] * 8),
                stride,
                blocks: Vec::new(),
                quantization: None,
                known: [-1; 64],
                known_before: [-1; 64],
            }
        });
        let planes: Vec<Plane> = planes.collect();
        let blocks: usize = planes.iter().map(|plane| plane.columns * plane.rows).sum();
        let blocks_left = blocks as u64 * MAX_PASSES + length as u64 * BLOCKS_A_BYTE;
        Ok(Self { planes, unit_rows, unit_columns, scans: 0, last_good_row: 0, blocks_left })
    }

    /// Checks what a scan's header says, and takes down what it changes.
    fn begin_scan(&mut self, segments: &Segments, scan: &Scan) -> Result<Units, Fault> {
        let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        self.scans += 1;
        let units = Units::new(self, &scan.members)?;
        match self.blocks_left.checked_sub(units.blocks()) {
            Some(left) if self.scans <= MAX_SCANS => self.blocks_left = left,
            _ => {
                let reason = "more scans than its length is good for";
                return Err(Fault::Error(DecodeError::corrupt(FORMAT, &reason)));
            }
        }
        for Member { component, .. } in &scan.members {
            let plane = &mut self.planes[*component];
            if plane.quantization.is_none() {
                let table = segments.quantization.get(frame.components[*component].table);
                let table = table.copied().flatten();
                plane.quantization = Some(table.ok_or(broken("no table of quantization"))?);
            }
        }
        if frame.progressive {
            self.begin_band(scan)?;
        }
        Ok(units)
    }

    fn begin_band(&mut self, Scan { members, band }: &Scan) -> Result<(), Fault> {
        let right = if band.is_dc() {
            band.last == 0
        } else {
            band.first <= band.last && band.last < 64 && members.len() == 1
        };
        if !right || (band.high != 0 && band.low + 1 != band.high) || band.low > 13 {
            return Err(broken("a scan of impossible coefficients"));
        }
        for Member { component, .. } in members {
            let plane = &mut self.planes[*component];
            for index in band.first.min(1)..=band.last.max(GUESSED - 1) {
                plane.known_before[index] = if self.scans > 1 { plane.known[index] } else { 0 };
            }
            plane.known[band.first..=band.last].fill(band.low as i8);
        }
        Ok(())
    }

    fn read_scan<'a>(
        &mut self,
        source: &mut Source<'a>,
        segments: &Segments,
        scan: &Scan,
    ) -> Result<(), Fault> {
        let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        let (arithmetic, progressive) = (frame.arithmetic, frame.progressive);
        let units = self.begin_scan(segments, scan)?;
        if arithmetic {
            return self.read_arithmetic(source, segments, scan, &units);
        }
        let bits = Bits::new(source.clone(), !progressive);
        let bits = if progressive {
            self.read_progressive(bits, segments, scan, &units)?
        } else {
            self.read_sequential(bits, segments, scan, &units)?
        };
        *source = bits.source;
        Ok(())
    }

    fn read_arithmetic(
        &mut self,
        source: &mut Source<'_>,
        segments: &Segments,
        Scan { members, band }: &Scan,
        units: &Units,
    ) -> Result<(), Fault> {
        let progressive = segments.frame.as_ref().is_some_and(|frame| frame.progressive);
        let bytes = source.to_end();
        let mut coder = Coder::new(&bytes, source, &segments.conditioning);
        let mut restarts = Restarts::new(segments.interval);
        for unit in units.all() {
            let row = unit.row / units.rows_of_unit;
            if restarts.due() {
                coder.restart(source).map_err(|_| Fault::Stopped(row))?;
            }
            self.last_good_row = row;
            for (index, place) in units.order.iter().enumerate() {
                let block = units.block(&mut self.planes, unit, index);
                let band = progressive.then_some(*band);
                coder.block(place.member, members[place.member], band, block)?;
            }
            // libjpeg cannot wait for bytes here.
            if coder.is_beyond() {
                return Err(Fault::Stopped(row));
            }
        }
        coder.end(source);
        Ok(())
    }

    /// How many rows of the picture libjpeg gives when it stops in a row of units.
    fn rows_given(&self, unit_row: usize, width: usize) -> usize {
        let most = |side: fn(&Plane) -> usize| self.planes.iter().map(side).max().unwrap_or(1);
        let (across, down) = (most(|plane| plane.across), most(|plane| plane.down));
        // Where rows are blended with those below, the last waits for them.
        let is_blended = |plane: &Plane| {
            2 * plane.down == down
                && (plane.across == across || (2 * plane.across == across && width > 4))
        };
        let waiting = if self.planes.iter().any(is_blended) { down } else { 0 };
        (unit_row * down * 8).saturating_sub(waiting)
    }

    fn read_sequential<'a>(
        &mut self,
        mut bits: Bits<'a>,
        segments: &Segments,
        scan: &Scan,
        units: &Units,
    ) -> Result<Bits<'a>, Fault> {
        let tables = scan.codes(segments, false)?;
        let plans = units.order.iter().map(|place| {
            let (dc, ac) = &tables[place.member];
            Some(Plan { component: place.member, dc: dc.as_ref()?, ac: ac.as_ref()? })
        });
        let plans: Option<Vec<_>> = plans.collect();
        let plans = plans.ok_or(broken("no table of Huffman codes"))?;
        let mut levels = [0; 4];
        let mut restarts = Restarts::new(segments.interval);
        for unit in units.all() {
            if restarts.due() {
                bits.restart()?;
                levels = [0; 4];
            }
            if !bits.short {
                let restarting = segments.interval > 0;
                sequential::unit(&mut bits, &mut levels, &plans, restarting, |index, write| {
                    write(units.block(&mut self.planes, unit, index));
                })?;
            }
        }
        Ok(bits)
    }

    fn read_progressive<'a>(
        &mut self,
        mut bits: Bits<'a>,
        segments: &Segments,
        scan: &Scan,
        units: &Units,
    ) -> Result<Bits<'a>, Fault> {
        let band = scan.band;
        let tables = scan.codes(segments, true)?;
        let mut levels = [0; 4];
        let mut empty = 0;
        let mut restarts = Restarts::new(segments.interval);
        for unit in units.all() {
            if restarts.due() {
                bits.restart()?;
                (levels, empty) = ([0; 4], 0);
            }
            if bits.short {
                continue;
            }
            self.last_good_row = unit.row / units.rows_of_unit;
            for (index, place) in units.order.iter().enumerate() {
                let block = units.block(&mut self.planes, unit, index);
                match &tables[place.member] {
                    (Some(codes), _) => {
                        let level = &mut levels[place.member];
                        progressive::dc_first(&mut bits, level, codes, band.low, block)?;
                    }
                    (None, None) => progressive::dc_refine(&mut bits, band.low, block)?,
                    (None, Some(codes)) if band.high == 0 => {
                        progressive::ac_first(&mut bits, &mut empty, codes, band, block)?;
                    }
                    (None, Some(codes)) => {
                        progressive::ac_refine(&mut bits, &mut empty, codes, band, block)?;
                    }
                }
            }
        }
        Ok(bits)
    }

    fn write(self, frame: &Frame, jfif: bool, adobe: Option<u8>) -> Result<Vec<u8>, Fault> {
        let mut quant_tables = Vec::new();
        let mut components = Vec::new();
        for (index, (plane, component)) in
            self.planes.into_iter().zip(&frame.components).enumerate()
        {
            let mut natural = [1; 64];
            // A component without a scan is grey by any table.
            if let Some(table) = plane.quantization {
                ZIGZAG_ORDER.iter().zip(table).for_each(|(place, step)| natural[*place] = step);
            }
            quant_tables.push(natural);
            components.push(ComponentCoefficients {
                blocks: plane.blocks,
                blocks_x: plane.stride,
                blocks_y: self.unit_rows * plane.down,
                h_sampling: plane.across as u8,
                v_sampling: plane.down as u8,
                quant_table_index: index as u8,
                component_id: component.id,
            });
        }
        let coefficients = JpegCoefficients {
            width: frame.width as u16,
            height: frame.height as u16,
            data_precision: 8,
            components,
            quant_tables,
            restart_interval: 0,
            density_unit: 0,
            x_density: 1,
            y_density: 1,
            saw_jfif_marker: jfif,
            adobe_transform: adobe,
        };
        // Of the coefficients, only the smallest number of 16 bits has no code.
        write_coefficients_optimized(&coefficients)
            .map_err(|_| unsupported("coefficients beyond those of an encoder"))
    }
}

/// Counts the units between restarts.
struct Restarts {
    interval: usize,
    left: usize,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self { interval, left: interval }
    }

    /// Whether an interval ends before the next unit.
    fn due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        let due = self.left == 0;
        if due {
            self.left = self.interval;
        }
        self.left -= 1;
        due
    }
}

/// A block's place in a unit.
struct Place {
    /// The component, among those of the scan, and of the frame.
    member: usize,
    plane: usize,
    column: usize,
    row: usize,
}

#[derive(Clone, Copy)]
struct Unit {
    row: usize,
    column: usize,
}

/// The units of a scan: blocks of one component, or as many blocks of several as their sampling
/// says.
struct Units {
    rows: usize,
    columns: usize,
    order: Vec<Place>,
    /// Blocks of a plane from unit to unit; for each place.
    steps: Vec<[usize; 2]>,
    /// How many rows of these units are one of units with all components.
    rows_of_unit: usize,
}

impl Units {
    fn new(image: &Coefficients, members: &[Member]) -> Result<Self, Fault> {
        if let [Member { component, .. }] = members {
            let plane = &image.planes[*component];
            let order = vec![Place { member: 0, plane: *component, column: 0, row: 0 }];
            return Ok(Self {
                rows: plane.rows,
                columns: plane.columns,
                order,
                steps: vec![[1, 1]],
                rows_of_unit: plane.down,
            });
        }
        let (mut order, mut steps) = (Vec::new(), Vec::new());
        for (member, Member { component, .. }) in members.iter().enumerate() {
            let plane = &image.planes[*component];
            for row in 0..plane.down {
                for column in 0..plane.across {
                    order.push(Place { member, plane: *component, column, row });
                    steps.push([plane.across, plane.down]);
                }
            }
        }
        if order.len() > MAX_BLOCKS {
            return Err(broken("too many blocks in a unit"));
        }
        let (rows, columns) = (image.unit_rows, image.unit_columns);
        Ok(Self { rows, columns, order, steps, rows_of_unit: 1 })
    }

    /// The restart markers between them.
    fn restarts(&self, interval: usize) -> usize {
        if interval == 0 { 0 } else { (self.rows * self.columns).div_ceil(interval) - 1 }
    }

    fn blocks(&self) -> u64 {
        (self.rows * self.columns * self.order.len()) as u64
    }

    fn all(&self) -> impl Iterator<Item = Unit> + use<> {
        let columns = self.columns;
        (0..self.rows).flat_map(move |row| (0..columns).map(move |column| Unit { row, column }))
    }

    fn block<'p>(&self, planes: &'p mut [Plane], unit: Unit, index: usize) -> &'p mut Block {
        let (place, [across, down]) = (&self.order[index], self.steps[index]);
        let plane = &mut planes[place.plane];
        let row = unit.row * down + place.row;
        &mut plane.blocks[row * plane.stride + unit.column * across + place.column]
    }
}
