//! Tensors on the device: in as few buffers as its limits allow, a layer's always in the same.

use crate::engine::Dtype;
use crate::engine::fuse::Fused;
use crate::engine::gpu::{GpuError, Layer, Tensor, pack};
use crate::weights::{TensorSource, WeightsError};

/// Tensors begin at multiples of it.
const ALIGN: usize = 256;

/// Where a tensor is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Whether it is in the type of the maps; otherwise it is float32.
    pub(crate) of_maps: bool,
    /// Which of the buffers of its type.
    pub(crate) buffer: usize,
    /// Where it begins in it, in bytes.
    pub(crate) offset: usize,
}

/// Tensors on their way to the device, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Loading {
    tensors: Vec<(String, bool, Vec<u8>)>,
}

/// Packs a network for maps of `dtype`.
///
/// # Errors
///
/// Those of [`pack`], or a weight that `dtype` cannot hold.
pub(crate) fn load(
    fused: &Fused,
    source: &dyn TensorSource,
    dtype: Dtype,
) -> Result<(Vec<Layer>, Loading), GpuError> {
    let mut tensors = Vec::new();
    let layers = pack(fused, source, &mut |path, tensor| {
        let bytes = tensor.bytes(dtype).map_err(|value| {
            GpuError::Weights(WeightsError::Overflow {
                file: source.name(),
                tensor: path.to_owned(),
                index: 0,
                value,
                dtype: dtype.name(),
            })
        })?;
        tensors.push((path.to_owned(), matches!(tensor, Tensor::Maps(_)), bytes));
        Ok(tensors.len() - 1)
    })?;
    Ok((layers, Loading { tensors }))
}

/// A layer whose tensors are too large for a buffer.
#[derive(Debug)]
pub(crate) struct TooLarge {
    pub(crate) at: String,
    pub(crate) bytes: usize,
}

/// Tensors with their places.
#[derive(Debug)]
pub(crate) struct Laid {
    /// A tensor's bytes and its place, in the order of their numbers.
    pub(crate) tensors: Vec<(Vec<u8>, Place)>,
    /// Bytes of the buffers of float32, and of those of the maps' type; each has at least one.
    pub(crate) sizes: [Vec<usize>; 2],
}

impl Loading {
    /// Places all in buffers of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// A layer whose tensors are too large for one.
    pub(crate) fn lay_out(self, most: usize) -> Result<Laid, TooLarge> {
        let mut places = Vec::with_capacity(self.tensors.len());
        let mut sizes = [vec![0], vec![0]];
        for layer in self.tensors.chunk_by(|a, b| a.0 == b.0) {
            for of_maps in [false, true] {
                let own = layer.iter().filter(|tensor| tensor.1 == of_maps);
                let bytes: usize = own.map(|tensor| tensor.2.len().next_multiple_of(ALIGN)).sum();
                if bytes > most {
                    return Err(TooLarge { at: layer[0].0.clone(), bytes });
                }
                let sizes = &mut sizes[usize::from(of_maps)];
                if sizes[sizes.len() - 1] + bytes > most {
                    sizes.push(0);
                }
            }
            for (_, of_maps, bytes) in layer {
                let sizes = &mut sizes[usize::from(*of_maps)];
                let buffer = sizes.len() - 1;
                places.push(Place { of_maps: *of_maps, buffer, offset: sizes[buffer] });
                sizes[buffer] += bytes.len().next_multiple_of(ALIGN);
            }
        }
        let bytes = self.tensors.into_iter().map(|(.., bytes)| bytes);
        Ok(Laid { tensors: bytes.zip(places).collect(), sizes })
    }
}
