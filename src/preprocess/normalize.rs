use super::error::TransformError;

/// Turns an image into a network's input: `(byte / 255 - mean) / std`, in f32, equal to torch's to
/// the last bit.
///
/// ```
/// use effnet::preprocess::Normalize;
/// let normalize = Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])?;
/// let mut input = [0.0; 3];
/// normalize.bytes(&[255, 0, 128], &mut input);
/// assert_eq!(input, [2.2489083, -2.0357141, 0.42649257]);
/// # Ok::<(), effnet::preprocess::TransformError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// The normalized value of each byte, one table per channel.
    tables: Vec<[f32; 256]>,
}

impl Normalize {
    /// Takes one mean and one standard deviation per channel, for values from 0 to 1.
    ///
    /// # Errors
    /// [`TransformError::MeanStd`] if the two numbers of values differ, a value is not finite in
    /// f32, or a standard deviation is 0.
    pub fn new(mean: &[f64], std: &[f64]) -> Result<Self, TransformError> {
        let numbers = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let (means, stds) = (numbers(mean), numbers(std));
        let finite = means.iter().chain(&stds).all(|v| v.is_finite());
        if mean.is_empty() || means.len() != stds.len() || !finite || stds.contains(&0.0) {
            let (mean, std) = (mean.to_vec(), std.to_vec());
            return Err(TransformError::MeanStd { channels: mean.len(), mean, std });
        }
        // torch divides, subtracts and divides in f32, in this order.
        let table = |(mean, std): (&f32, &f32)| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
        };
        let tables = means.iter().zip(&stds).map(table).collect();
        Ok(Self { mean: means, std: stds, tables })
    }

    /// The number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.tables.len()
    }

    /// The normalized value of each byte, one table per channel.
    #[must_use]
    pub fn tables(&self) -> &[[f32; 256]] {
        &self.tables
    }

    /// From an image's bytes (H, W, C) to `input` (C, H, W). If one of the two is longer, its rest
    /// is ignored.
    pub fn bytes(&self, pixels: &[u8], input: &mut [f32]) {
        match self.channels() {
            1 => self.look_up::<1>(pixels, input),
            3 => self.look_up::<3>(pixels, input),
            4 => self.look_up::<4>(pixels, input),
            channels => {
                for (c, (plane, table)) in self.planes(input).enumerate() {
                    let pixels = pixels.iter().skip(c).step_by(channels);
                    for (value, byte) in plane.iter_mut().zip(pixels) {
                        *value = table[usize::from(*byte)];
                    }
                }
            }
        }
    }

    /// From unrounded values (H, W, C), 0 to 255, to `input` (C, H, W).
    pub(super) fn values(&self, values: &[f32], input: &mut [f32]) {
        let channels = self.channels();
        let plane = input.len() / channels;
        let numbers = self.mean.iter().zip(&self.std);
        for (c, (plane, (mean, std))) in
            input.chunks_exact_mut(plane.max(1)).zip(numbers).enumerate()
        {
            let values = values.iter().skip(c).step_by(channels);
            for (out, value) in plane.iter_mut().zip(values) {
                *out = (value / 255.0 - mean) / std;
            }
        }
    }

    /// From pixels with `C` channels to planes.
    fn look_up<const C: usize>(&self, pixels: &[u8], input: &mut [f32]) {
        for (c, (plane, table)) in self.planes(input).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(pixels.as_chunks::<C>().0) {
                *value = table[usize::from(pixel[c])];
            }
        }
    }

    /// The planes of `input`, each with its channel's table.
    fn planes<'a>(
        &'a self,
        input: &'a mut [f32],
    ) -> impl Iterator<Item = (&'a mut [f32], &'a [f32; 256])> {
        let plane = input.len() / self.channels();
        input.chunks_exact_mut(plane.max(1)).zip(&self.tables)
    }
}
