//! Pictures with four components, some of which have fewer samples than others, like Pillow's own
//! CMYK files with `subsampling`. `libjpeg-turbo-rs` assumes that the first and the last have all
//! samples.
//!
//! Components are upsampled as in libjpeg-turbo (`jdsample.c`, with `do_fancy_upsampling`).

use libjpeg_turbo_rs::api::raw_data::RawImage;
use libjpeg_turbo_rs::common::types::FrameHeader;
use libjpeg_turbo_rs::{ColorSpace, DecodeWarning, Decoder, JpegError};

/// Whether a frame is such a picture.
pub(super) fn are_unequal(frame: &FrameHeader) -> bool {
    let sampling = |index: usize| {
        let component = &frame.components[index];
        (component.horizontal_sampling, component.vertical_sampling)
    };
    frame.components.len() == 4 && (1..4).any(|index| sampling(index) != sampling(0))
}

/// The picture in CMYK, as the decoder gives it for four components, and the decoder's warnings.
pub(super) fn decode(decoder: Decoder<'_>) -> Result<(Vec<u8>, Vec<DecodeWarning>), JpegError> {
    let is_ycck = decoder.jpeg_color_space() == ColorSpace::Ycck;
    let header = decoder.header();
    let sampling: Vec<[usize; 2]> = header
        .components
        .iter()
        .map(|c| [c.horizontal_sampling.into(), c.vertical_sampling.into()])
        .collect();
    let most = [0, 1].map(|side| sampling.iter().map(|factors| factors[side]).max().unwrap_or(1));
    let fits = |own: &[usize; 2]| [0, 1].iter().all(|side| most[*side].is_multiple_of(own[*side]));
    if !sampling.iter().all(fits) {
        return Err(JpegError::Unsupported("fractional sampling".to_owned()));
    }
    let (image, warnings) = decoder.decode_raw_with_warnings()?;
    let RawImage { planes, plane_widths, width, height, .. } = image;
    let mut data = vec![0; width * height * 4];
    for (index, (plane, stride)) in planes.iter().zip(plane_widths).enumerate() {
        let [across, down] = [0, 1].map(|side| most[side] / sampling[index][side]);
        let plane = Plane {
            samples: plane,
            stride,
            width: width.div_ceil(across),
            height: height.div_ceil(down),
        };
        let mut row = vec![0; plane.width * across];
        for (y, pixels) in data.chunks_exact_mut(width * 4).enumerate() {
            plane.upsample(y, [across, down], &mut row);
            for (pixel, sample) in pixels.as_chunks_mut::<4>().0.iter_mut().zip(&row) {
                pixel[index] = *sample;
            }
        }
    }
    if is_ycck {
        data.as_chunks_mut::<4>().0.iter_mut().for_each(to_cmyk);
    }
    Ok((data, warnings))
}

/// A component's samples, without the padding of its last blocks.
struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl Plane<'_> {
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y.min(self.height - 1) * self.stride..][..self.width]
    }

    /// A row of the picture, in which a sample covers `across` pixels in each of `down` rows.
    fn upsample(&self, y: usize, [across, down]: [usize; 2], out: &mut [u8]) {
        let (near, lower) = (y / down, !y.is_multiple_of(down));
        let row = self.row(near);
        // The nearer of the two rows counts three times.
        let far = self.row(if lower { near + 1 } else { near.saturating_sub(1) });
        let sums = || row.iter().zip(far).map(|(near, far)| 3 * u32::from(*near) + u32::from(*far));
        match [across, down] {
            [1, 1] => out.copy_from_slice(row),
            [1, 2] => {
                let bias = if lower { 2 } else { 1 };
                out.iter_mut().zip(sums()).for_each(|(out, sum)| *out = ((sum + bias) >> 2) as u8);
            }
            [2, 1] if self.width > 2 => {
                let values: Vec<_> = row.iter().copied().map(u32::from).collect();
                triangle(&values, [1, 2], 2, out);
            }
            [2, 2] if self.width > 2 => triangle(&sums().collect::<Vec<_>>(), [8, 7], 4, out),
            _ => {
                for (out, sample) in out.chunks_exact_mut(across).zip(row) {
                    out.fill(*sample);
                }
            }
        }
    }
}

/// Makes two pixels of each value: three parts of it and one part of its left or right neighbour.
/// `left` and `right` are added for rounding before `shift` bits are cut off.
fn triangle(values: &[u32], [left, right]: [u32; 2], shift: u32, out: &mut [u8]) {
    let last = values.len() - 1;
    for (x, (out, value)) in out.as_chunks_mut::<2>().0.iter_mut().zip(values).enumerate() {
        let before = values[x.saturating_sub(1)];
        let after = values[last.min(x + 1)];
        *out = [(3 * value + before + left) >> shift, (3 * value + after + right) >> shift]
            .map(|value| value as u8);
    }
}

/// YCCK to CMYK as libjpeg does it (`jdcolor.c`): RGB in whole numbers of 1/65536, inverted.
fn to_cmyk(pixel: &mut [u8; 4]) {
    let [y, cb, cr, _] = pixel.map(i32::from);
    let (cb, cr) = (cb - 128, cr - 128);
    let half = 1 << 15;
    let rgb = [
        y + ((91_881 * cr + half) >> 16),
        y + ((-22_554 * cb - 46_802 * cr + half) >> 16),
        y + ((116_130 * cb + half) >> 16),
    ];
    for (ink, colour) in pixel.iter_mut().zip(rgb) {
        *ink = (255 - colour).clamp(0, 255) as u8;
    }
}
