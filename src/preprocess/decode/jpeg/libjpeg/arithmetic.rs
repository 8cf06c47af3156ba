//! Units of arithmetic codes, as libjpeg's decoder reads them (`jdarith.c`).

use libjpeg_turbo_rs::common::quant_table::ZIGZAG_ORDER;
use libjpeg_turbo_rs::decode::arithmetic::ArithDecoder;

use super::progressive::Band;
use super::segments::{Conditioning, Member};
use super::source::Source;
use super::{Block, Fault, broken};

/// The decoder of one restart interval.
pub(super) struct Coder<'a> {
    /// The file and an end marker, which replaces missing bytes.
    bytes: &'a [u8],
    conditioning: &'a Conditioning,
    decoder: ArithDecoder<'a>,
    start: usize,
}

impl<'a> Coder<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        source: &Source<'_>,
        conditioning: &'a Conditioning,
    ) -> Self {
        // At a marker there is nothing to read.
        let start = if source.marker == 0 { source.at } else { source.at - 2 };
        let mut decoder = ArithDecoder::new(bytes, start);
        for (index, [low, high]) in conditioning.dc.iter().enumerate() {
            decoder.set_dc_conditioning(index, *low, *high);
        }
        for (index, bound) in conditioning.ac.iter().enumerate() {
            decoder.set_ac_conditioning(index, *bound);
        }
        Self { bytes, conditioning, decoder, start }
    }

    /// Whether it has read beyond the end of the file.
    pub(super) fn is_beyond(&self) -> bool {
        self.decoder.position() + 1 >= self.bytes.len()
    }

    /// Moves the source to where the decoder stopped.
    pub(super) fn end(&self, source: &mut Source<'_>) {
        source.at = self.decoder.position();
        let before = &self.bytes[self.start..source.at];
        source.marker = match before {
            [.., 0xff, code] if !matches!(code, 0 | 0xff) => *code,
            _ => 0,
        };
    }

    pub(super) fn restart(&mut self, source: &mut Source<'_>) -> Result<(), Fault> {
        self.end(source);
        source.restart()?;
        *self = Self::new(self.bytes, source, self.conditioning);
        Ok(())
    }

    /// Reads a block, or a band of it.
    pub(super) fn block(
        &mut self,
        component: usize,
        Member { dc, ac, .. }: Member,
        band: Option<Band>,
        block: &mut Block,
    ) -> Result<(), Fault> {
        let mut natural = [0; 64];
        ZIGZAG_ORDER.iter().zip(&*block).for_each(|(place, value)| natural[*place] = *value);
        let (decoder, values) = (&mut self.decoder, &mut natural);
        let result = match band {
            None => decoder
                .decode_dc_sequential(values, component, dc)
                .and_then(|()| decoder.decode_ac_sequential(values, ac)),
            Some(Band { first, last, high, low }) => {
                let [start, end] = [first as u8, last as u8];
                match (first, high) {
                    (0, 0) => decoder.decode_dc_first_progressive(values, component, dc, low),
                    (0, _) => decoder.decode_dc_refine_progressive(values, low),
                    (_, 0) => decoder.decode_ac_first_progressive(values, ac, start, end, low),
                    _ => decoder.decode_ac_refine_progressive(values, ac, start, end, low),
                }
            }
        };
        result.map_err(|_| broken("invalid arithmetic codes"))?;
        ZIGZAG_ORDER.iter().zip(block).for_each(|(place, value)| *value = natural[*place]);
        Ok(())
    }
}
