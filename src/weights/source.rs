use super::report::{Mismatch, Misshapen};
use super::{Checkpoint, Renaming, WeightsError};

/// Provides the tensors of a network, by timm's names.
///
/// ```
/// use effnet::weights::{TensorSource, seeded};
/// let bias = seeded::Source::new(0).get("bn1.bias", &[3])?;
/// assert_eq!(bias, seeded::tensor(0, "bn1.bias", &[3]));
/// # Ok::<(), effnet::weights::WeightsError>(())
/// ```
pub trait TensorSource {
    /// What errors call it: the file, or `seeded:N`.
    fn name(&self) -> String;

    /// The values of a tensor of this shape, row-major.
    ///
    /// # Errors
    ///
    /// A tensor that is not there, has another shape or cannot be read.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError>;
}

/// The tensors of a checkpoint that [`check`](super::check) has compared with a network's.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointSource<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    /// The file's own names and layouts, if it has them.
    pub(super) renaming: Option<&'a Renaming>,
}

impl TensorSource for CheckpointSource<'_> {
    fn name(&self) -> String {
        self.checkpoint.file().to_owned()
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let checkpoint = self.checkpoint;
        let (values, stored) = match self.renaming.and_then(|renaming| renaming.mapped(name)) {
            Some(mapped) => (checkpoint.read_canonical(mapped)?, &mapped.shape[..]),
            None => (checkpoint.read_f32(name)?, checkpoint.shape(name).unwrap_or_default()),
        };
        if stored != shape {
            let misshapen = vec![Misshapen::new(name, stored, shape)];
            let mismatch = Mismatch { misshapen, ..Mismatch::new(checkpoint.file()) };
            return Err(WeightsError::Mismatch(Box::new(mismatch)));
        }
        Ok(values)
    }
}
