use candle_core::{DType, Device};
use candle_nn::VarBuilder;

/// Gives tensors by timm's names.
pub(crate) trait TensorSource {
    /// Why a tensor is not given.
    type Error;

    /// The values of a tensor, row-major.
    ///
    /// # Errors
    ///
    /// A tensor that is not there, has another shape or cannot be read.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error>;
}

impl TensorSource for VarBuilder<'_> {
    type Error = candle_core::Error;

    fn get(&self, name: &str, shape: &[usize]) -> candle_core::Result<Vec<f32>> {
        let tensor = VarBuilder::get(self, shape, name)?;
        tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}
