//! Rewrites a faulty stream as a sound one, with the coefficients that libjpeg-turbo goes on with
//! after a warning.

mod arithmetic;
mod bits;
mod progressive;
mod scans;
mod segments;
mod sequential;
mod smooth;
mod source;
mod units;

use libjpeg_turbo_rs::common::tables::ZIGZAG_ORDER;
use libjpeg_turbo_rs::{ComponentCoefficients, JpegCoefficients, write_coefficients_optimized};

use self::bits::Codes;
use self::segments::{Frame, Segments};
use self::smooth::Known;
use self::source::Source;
pub(super) use self::source::next_marker;
use super::FORMAT;
use crate::preprocess::error::DecodeError;

/// Coefficients in zigzag order.
type Block = [i16; 64];

/// More than any encoder writes; each scan of a hostile file costs a pass over the image.
pub(super) const MAX_SCANS: usize = 256;
const MAX_SIDE: usize = 65_500;
/// How many passes over all blocks any file may take, and how many further blocks for each of its
/// bytes. Encoders' scripts need about six passes; in a hostile file, an empty scan costs no bytes.
const MAX_PASSES: u64 = 32;
const BLOCKS_A_BYTE: u64 = 256;
/// Bits of an AC coefficient for 8-bit samples; a step between DC values has one more. With codes
/// for more bits, coefficients may be so large that the arithmetic exceeds 16 bits.
const MAX_BITS: u8 = 10;
/// Zigzag positions of the coefficients in a block's first row.
const FIRST_ROW: [usize; 8] = [0, 1, 5, 6, 14, 15, 27, 28];
const BEYOND: &str = "coefficients larger than any encoder writes";

/// Whether a block has coefficients in its first row only, and such large ones that libjpeg's short
/// cut for these blocks exceeds 16 bits, in a value or a sum of two. The decoder used here computes
/// such blocks in another way.
fn wraps(block: &Block, table: &[u16; 64]) -> bool {
    let size = |at: &usize| (i64::from(block[*at]) * i64::from(table[*at])).abs();
    FIRST_ROW.iter().map(size).sum::<i64>() >= 1 << 13
        && FIRST_ROW[1..].iter().any(|at| block[*at] != 0)
        && (0..64).all(|at| block[at] == 0 || FIRST_ROW.contains(&at))
}

/// Why a stream gives no picture.
#[derive(Debug)]
pub(in crate::preprocess::decode) enum Fault {
    /// The bytes end before the picture is complete.
    Cut,
    /// libjpeg stops with an error.
    Broken(&'static str),
    /// The bytes end in this row of units, and libjpeg stops there.
    Stopped(usize),
    /// Another error of this decoder.
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

/// A component's blocks, row by row, including the padding of the last units.
struct Plane {
    across: usize,
    down: usize,
    /// Columns and rows of blocks that are part of the picture.
    columns: usize,
    rows: usize,
    stride: usize,
    blocks: Vec<Block>,
    /// The quantization table of the component's first scan.
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
    /// The last row of units for which the last scan has bits.
    last_good_row: usize,
    /// How many more blocks the scans may code.
    blocks_left: u64,
}

/// Whether a decoder without libjpeg's error recovery gives libjpeg's picture. Judges a stream with
/// samples of `bits` bits by its markers and segments.
///
/// # Errors
/// A fault at the beginning of a scan for which libjpeg gives no picture.
pub(in crate::preprocess::decode) fn is_in_order(bytes: &[u8], bits: u8) -> Result<bool, Fault> {
    let mut source = Source::new(bytes, false);
    let mut segments = Segments::new(bits);
    let Some(mut scan) = segments.read(&mut source)? else { return Ok(false) };
    let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
    let single = frame.is_single(&scan);
    // No check can tell whether arithmetic codes are right.
    let arithmetic = frame.arithmetic;
    let (progressive, mut image) = (frame.progressive, Coefficients::new(frame, bytes.len())?);
    if !progressive {
        segments.add_standard_codes();
    }
    loop {
        let units = image.begin_scan(&segments, &scan)?;
        if !arithmetic {
            let tables = scan.codes(&segments, progressive)?;
            let is_beyond = |codes: &Option<Codes>, most| {
                codes.as_ref().is_some_and(|codes| codes.most_bits() > most)
            };
            if bits == 8
                && tables
                    .iter()
                    .any(|(dc, ac)| is_beyond(dc, MAX_BITS + 1) || is_beyond(ac, MAX_BITS))
            {
                return Ok(false);
            }
        }
        // The usual picture is one scan up to the end of the file. If its bits end earlier, the
        // 8-bit decoder gives a warning; the 12-bit decoder does not.
        if single && bits == 8 && segments.interval == 0 && bytes.ends_with(&[0xff, 0xd9]) {
            return Ok(!arithmetic);
        }
        if !source.pass_scan(units.restarts(segments.interval)) {
            return Ok(false);
        }
        match segments.read(&mut source)? {
            None => return Ok(!arithmetic),
            Some(_) if single => return Ok(false),
            Some(next) => scan = next,
        }
    }
}

/// A stream with one scan, which has the coefficients that libjpeg finds in the original stream.
pub(super) struct Mended {
    pub(super) stream: Vec<u8>,
    pub(super) height: usize,
    /// How many rows of the picture libjpeg gives.
    pub(super) rows: usize,
}

/// Mends a stream. Faults after the picture are errors only if `strict`. `admit` is called with
/// width, height and the number of samples.
pub(super) fn mend(
    bytes: &[u8],
    strict: bool,
    admit: impl FnOnce(u64, u64, u64) -> Result<(), DecodeError>,
) -> Result<Mended, Fault> {
    let mut source = Source::new(bytes, !strict);
    let mut segments = Segments::new(8);
    let mut scan = loop {
        match segments.read(&mut source)? {
            Some(scan) => break scan,
            None if segments.frame.is_some() => return Err(broken("it ends before its image")),
            // Only tables so far: they stay valid for the image, which must follow.
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
    // Segments after the first scan's header do not change the colours.
    let (jfif, adobe) = (segments.jfif, segments.adobe);
    let single = frame.is_single(&scan);
    let mut rows = height;
    // If bytes are missing, arithmetic codes end at an end marker.
    let ended = if frame.arithmetic { [bytes, &[0xff, 0xd9]].concat() } else { Vec::new() };
    if !frame.arithmetic && !frame.progressive {
        segments.add_standard_codes();
    }
    loop {
        match image.read_scan(&mut source, &segments, &scan, &ended) {
            Err(Fault::Stopped(unit_rows)) if single && !strict => {
                rows = image.rows_given(unit_rows, width);
                break;
            }
            Err(Fault::Stopped(_)) => return Err(Fault::Cut),
            other => other?,
        }
        if single {
            // Pillow does not look beyond the bytes that it has read by now.
            source.stop();
        }
        match segments.read(&mut source) {
            Ok(Some(_)) if single && strict => return Err(broken("another scan after its last")),
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
        if frame.width.max(frame.height) > MAX_SIDE {
            return Err(broken("a side of more than 65500 pixels"));
        }
        let sides = frame.components.iter().map(|c| [c.across, c.down]);
        let most =
            sides.clone().fold([1, 1], |[x, y], [across, down]| [x.max(across), y.max(down)]);
        let right = |sides: [usize; 2]| {
            let mut sides = sides.into_iter().zip(most);
            sides.all(|(side, most)| (1..=4).contains(&side) && most % side == 0)
        };
        if !sides.clone().all(right) {
            return Err(broken("impossible sampling factors"));
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

    /// How many rows of the picture libjpeg gives when it stops in a row of units.
    fn rows_given(&self, unit_row: usize, width: usize) -> usize {
        let most = |side: fn(&Plane) -> usize| self.planes.iter().map(side).max().unwrap_or(1);
        let (across, down) = (most(|plane| plane.across), most(|plane| plane.down));
        // If rows are blended with the rows below, the last row waits for those.
        let is_blended = |plane: &Plane| {
            2 * plane.down == down
                && (plane.across == across || (2 * plane.across == across && width > 4))
        };
        let waiting = if self.planes.iter().any(is_blended) { down } else { 0 };
        (unit_row * down * 8).saturating_sub(waiting)
    }

    fn write(self, frame: &Frame, jfif: bool, adobe: Option<u8>) -> Result<Vec<u8>, Fault> {
        let mut quant_tables = Vec::new();
        let mut components = Vec::new();
        for (index, (plane, component)) in
            self.planes.into_iter().zip(&frame.components).enumerate()
        {
            let mut natural = [1; 64];
            // A component without a scan is grey with any table.
            if let Some(table) = plane.quantization {
                if plane.blocks.iter().any(|block| wraps(block, &table)) {
                    return Err(unsupported(BEYOND));
                }
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
        // The only coefficient without a code is the smallest 16-bit number.
        write_coefficients_optimized(&coefficients).map_err(|_| unsupported(BEYOND))
    }
}
