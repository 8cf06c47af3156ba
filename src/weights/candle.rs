//! Tensors for Candle's modules.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use half::{bf16, f16};

use super::check::compare;
use super::report::LoadReport;
use super::{Checkpoint, Renaming, TensorSource, WeightsError, seeded};
use crate::text::first_line;

/// A [`VarBuilder`] of these tensors of a source, each read once, as `dtype` on `device`.
///
/// `tensors` are timm's names and shapes, as [`Graph::tensors`](crate::arch::Graph::tensors) lists
/// them. Modules share the tensors, so building them takes no more memory.
///
/// ```
/// use candle_core::{DType, Device};
/// use effnet::{arch, models::EfficientNet, weights::{seeded, var_builder}};
///
/// let network = arch::find("efficientnet_lite0").unwrap().network(&Default::default())?;
/// let tensors = network.graph().tensors();
/// let vb = var_builder(&seeded::Source::new(0), &tensors, DType::F32, &Device::Cpu)?;
/// assert!(EfficientNet::new(&network, &vb).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A tensor that the source does not provide; a `dtype` that is not f32, f16, bf16 or f64; a value
/// beyond its range; or a device that refuses.
pub fn var_builder(
    source: &dyn TensorSource,
    tensors: &[(String, Vec<usize>)],
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>, WeightsError> {
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let values = source.get(name, shape)?;
        let tensor = place(&source.name(), (name, values), shape, dtype, device)?;
        Ok((name.clone(), tensor))
    };
    let read = tensors.iter().map(tensor).collect::<Result<HashMap<_, _>, WeightsError>>()?;
    Ok(VarBuilder::from_tensors(read, dtype, device))
}

/// Builds a model from a checkpoint, strictly.
///
/// `build` asks the [`VarBuilder`] for tensors by timm's names: once to learn which, once for their
/// values. With `renaming`, each is read under its name in the file and converted from the file's
/// layout to timm's. All tensors come out as `dtype` on `device`.
///
/// # Errors
/// [`WeightsError::Mismatch`] lists every tensor that is missing, unexpected or misshapen; other
/// variants name a tensor that cannot be used, or give the error of `build`.
pub fn load<M>(
    checkpoint: &Checkpoint,
    renaming: Option<&Renaming>,
    dtype: DType,
    device: &Device,
    build: impl Fn(VarBuilder<'_>) -> candle_core::Result<M>,
) -> Result<(M, LoadReport), WeightsError> {
    let cannot = |source: candle_core::Error| WeightsError::Build {
        file: checkpoint.file().to_owned(),
        source: first_line(&source).into(),
    };
    let (tensors, built) = probe(&build);
    // A model that stopped halfway has not asked for every tensor that it uses.
    let (source, report) = compare(checkpoint, renaming, &tensors, built.is_ok())?;
    built.map_err(cannot)?;
    let vb = var_builder(&source, &tensors, dtype, device)?;
    Ok((build(vb).map_err(cannot)?, report))
}

/// Lists the tensors that `build` asks for: name and shape, in the order asked, each once.
///
/// No weights are needed and none are allocated: every tensor is a broadcast zero.
///
/// ```
/// use effnet::weights::tensor_shapes;
///
/// let tensors = tensor_shapes(|vb| vb.pp("conv_stem").get((32, 3, 3, 3), "weight"))?;
/// assert_eq!(tensors, [("conv_stem.weight".to_owned(), vec![32, 3, 3, 3])]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// The error of `build`.
pub fn tensor_shapes<M>(
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<M>,
) -> candle_core::Result<Vec<(String, Vec<usize>)>> {
    let (tensors, built) = probe(build);
    built.map(|_| tensors)
}

/// The tensors that `build` asked for, and its result.
fn probe<M>(
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<M>,
) -> (Vec<(String, Vec<usize>)>, candle_core::Result<M>) {
    let probe = Probe::default();
    let built = build(VarBuilder::from_backend(Box::new(&probe), DType::F32, Device::Cpu));
    (probe.asked.into_inner().unwrap_or_else(PoisonError::into_inner).tensors, built)
}

/// Tensors that were asked for.
#[derive(Default)]
struct Asked {
    /// In the order asked, each once.
    tensors: Vec<(String, Vec<usize>)>,
    names: HashSet<String>,
}

/// Answers every request with zeros and records it.
#[derive(Default)]
struct Probe {
    asked: Mutex<Asked>,
}

impl SimpleBackend for &Probe {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.names.insert(name.to_owned()) {
            asked.tensors.push((name.to_owned(), shape.dims().to_owned()));
        }
        // It takes the memory of one element.
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("the shape of `{name}` is not known before the weights are")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

impl Checkpoint {
    /// Reads a tensor in its stored shape as `dtype` onto `device`.
    ///
    /// # Errors
    /// Those of [`read_f32`](Self::read_f32), and if `dtype` is not f32, f16, bf16 or f64, a value
    /// is beyond its range, or the device refuses.
    pub fn tensor(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, WeightsError> {
        let values = self.read_f32(name)?;
        let shape = self.shape(name).unwrap_or_default();
        place(self.file(), (name, values), shape, dtype, device)
    }
}

/// The values of the tensor `name` of `file` as `dtype` on `device`.
fn place(
    file: &str,
    (name, values): (&str, Vec<f32>),
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> Result<Tensor, WeightsError> {
    let overflow = match dtype {
        DType::F16 => values.iter().position(|&v| f16::from_f32(v).is_infinite()),
        DType::BF16 => values.iter().position(|&v| bf16::from_f32(v).is_infinite()),
        DType::F32 | DType::F64 => None,
        other => return Err(WeightsError::TargetDtype { dtype: other.as_str() }),
    };
    if let Some(index) = overflow {
        return Err(WeightsError::Overflow {
            file: file.to_owned(),
            tensor: name.to_owned(),
            index,
            value: values[index],
            dtype: dtype.as_str(),
        });
    }
    Tensor::from_vec(values, shape, &Device::Cpu)
        .and_then(|t| t.to_dtype(dtype)?.to_device(device))
        .map_err(|source| WeightsError::Device {
            file: file.to_owned(),
            tensor: name.to_owned(),
            source: first_line(&source).into(),
        })
}

impl TensorSource for VarBuilder<'_> {
    fn name(&self) -> String {
        "the VarBuilder".to_owned()
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let read = || {
            let tensor = VarBuilder::get(self, shape, name)?.to_device(&Device::Cpu)?;
            tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        let error = |source: candle_core::Error| WeightsError::Build {
            file: name.to_owned(),
            source: first_line(&source).into(),
        };
        read().map_err(error)
    }
}

impl SimpleBackend for seeded::Source {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let values = seeded::tensor(self.seed(), name, shape.dims());
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("seeded weights need a shape to make `{name}`")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
