//! Tensors on the device: in as few buffers as its limits allow, a layer's always in the same.

use crate::engine::Dtype;
use crate::engine::fuse::Fused;
use crate::engine::gpu::{GpuError, Layer, Tensor, pack};
use crate::weights::TensorSource;

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
#[derive(Debug, Default)]
pub(crate) struct Loading {
    tensors: Vec<(String, bool, Vec<u8>)>,
}

/// A weight that its type cannot hold, or a layer whose tensors are too large for a buffer.
#[derive(Debug)]
pub(crate) enum Refused {
    Value { at: String, value: f32 },
    TooLarge { at: String, bytes: usize },
}

/// Packs a network for maps of `dtype`; or, inside, says which weight the type cannot hold.
///
/// # Errors
///
/// Those of [`pack`].
pub(crate) fn load(
    fused: &Fused,
    source: &dyn TensorSource,
    dtype: Dtype,
) -> Result<Result<(Vec<Layer>, Loading), Refused>, GpuError> {
    let mut loading = Loading::default();
    let mut refused = None;
    let layers = pack(fused, source, &mut |path, tensor| {
        loading.push(path, &tensor, dtype).map_err(|why| {
            refused = Some(why);
            GpuError::Device(format!("a weight of `{path}`"))
        })
    });
    match refused {
        Some(why) => Ok(Err(why)),
        None => Ok(Ok((layers?, loading))),
    }
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
    /// Takes a tensor of a layer, and gives its number.
    ///
    /// # Errors
    ///
    /// A value that its type cannot hold.
    pub(crate) fn push(
        &mut self,
        path: &str,
        tensor: &Tensor,
        dtype: Dtype,
    ) -> Result<usize, Refused> {
        let at = || path.to_owned();
        let bytes = tensor.bytes(dtype).map_err(|value| Refused::Value { at: at(), value })?;
        self.tensors.push((at(), matches!(tensor, Tensor::Maps(_)), bytes));
        Ok(self.tensors.len() - 1)
    }

    /// Places all in buffers of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// A layer whose tensors are too large for one.
    pub(crate) fn lay_out(self, most: usize) -> Result<Laid, Refused> {
        let mut places = Vec::with_capacity(self.tensors.len());
        let mut sizes = [vec![0], vec![0]];
        for layer in self.tensors.chunk_by(|a, b| a.0 == b.0) {
            for of_maps in [false, true] {
                let own = layer.iter().filter(|tensor| tensor.1 == of_maps);
                let bytes: usize = own.map(|tensor| tensor.2.len().next_multiple_of(ALIGN)).sum();
                if bytes > most {
                    return Err(Refused::TooLarge { at: layer[0].0.clone(), bytes });
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
