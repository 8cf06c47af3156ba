//! Candle's tensors from the engine's memory and back. Candle makes tensors of a device's memory by
//! operations alone.

use std::sync::Mutex;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DriverError};
use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, DType, Device, InplaceOp1, Layout, Result,
    Shape, Tensor, bail,
};

/// A tensor of `shape` that owns `values`.
pub(super) fn of(values: CudaSlice<f32>, shape: &[usize], device: &CudaDevice) -> Result<Tensor> {
    let like = Tensor::zeros((), DType::U8, &Device::Cuda(device.clone()))?;
    like.apply_op1_no_bwd(&Given { values: Mutex::new(Some(values)), shape: shape.to_vec() })
}

/// An operation whose result is there already.
struct Given {
    values: Mutex<Option<CudaSlice<f32>>>,
    shape: Vec<usize>,
}

impl CustomOp1 for Given {
    fn name(&self) -> &'static str {
        "effnet"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("the engine `cuda` runs on CUDA devices")
    }

    fn cuda_fwd(&self, like: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let values = self.values.lock().ok().and_then(|mut values| values.take());
        match values {
            Some(values) => Ok((
                CudaStorage::wrap_cuda_slice(values, like.device().clone()),
                self.shape.clone().into(),
            )),
            None => bail!("the values were taken before"),
        }
    }
}

/// Calls `read` with the elements of a contiguous tensor in float32.
pub(super) fn with_floats(
    xs: &Tensor,
    read: impl FnMut(&CudaView<'_, f32>) -> std::result::Result<(), DriverError>,
) -> Result<()> {
    xs.inplace_op1(&Reads(Mutex::new(read)))
}

/// An operation that only reads.
struct Reads<F>(Mutex<F>);

impl<F: FnMut(&CudaView<'_, f32>) -> std::result::Result<(), DriverError>> InplaceOp1 for Reads<F> {
    fn name(&self) -> &'static str {
        "effnet"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("the engine `cuda` takes tensors of CUDA devices")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("the tensor is not contiguous")
        };
        let view = storage.as_cuda_slice::<f32>()?.slice(start..end);
        match self.0.lock() {
            Ok(mut read) => read(&view).w(),
            Err(_) => bail!("a reader panicked"),
        }
    }
}
