//! From scans to coefficients (`jdcoefct.c`, and the start of each pass in the entropy decoders).

use super::arithmetic::Coder;
use super::bits::Bits;
use super::segments::{Member, Scan, Segments};
use super::sequential::{self, Plan};
use super::smooth::GUESSED;
use super::source::Source;
use super::units::{Restarts, Units};
use super::{Coefficients, FORMAT, Fault, MAX_SCANS, broken, progressive};
use crate::preprocess::error::DecodeError;

impl Coefficients {
    /// Checks a scan's header, and records what it changes.
    pub(super) fn begin_scan(&mut self, segments: &Segments, scan: &Scan) -> Result<Units, Fault> {
        let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        self.scans += 1;
        let units = Units::new(self, &scan.members)?;
        match self.blocks_left.checked_sub(units.blocks()) {
            Some(left) if self.scans <= MAX_SCANS => self.blocks_left = left,
            _ => {
                let reason = "more scans than its length allows";
                return Err(Fault::Error(DecodeError::corrupt(FORMAT, &reason)));
            }
        }
        for Member { component, .. } in &scan.members {
            let plane = &mut self.planes[*component];
            if plane.quantization.is_none() {
                let table = segments.quantization.get(frame.components[*component].table);
                let table = table.copied().flatten();
                plane.quantization = Some(table.ok_or(broken("no quantization table"))?);
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

    pub(super) fn read_scan<'a>(
        &mut self,
        source: &mut Source<'a>,
        segments: &Segments,
        scan: &Scan,
        ended: &[u8],
    ) -> Result<(), Fault> {
        let frame = segments.frame.as_ref().ok_or(broken("a scan before its frame"))?;
        let (arithmetic, progressive) = (frame.arithmetic, frame.progressive);
        let units = self.begin_scan(segments, scan)?;
        if arithmetic {
            return self.read_arithmetic(source, segments, scan, &units, ended);
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
        ended: &[u8],
    ) -> Result<(), Fault> {
        let progressive = segments.frame.as_ref().is_some_and(|frame| frame.progressive);
        let mut coder = Coder::new(ended, source, &segments.conditioning);
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
}
