use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::report::{LoadReport, Mismatch, Misshapen, Missing, Unexpected};
use super::{Checkpoint, CheckpointSource, MappedTensor, Renaming, WeightsError};

/// The suffix of a counter that PyTorch's batch norm saves and no inference reads.
pub(super) const COUNTER: &str = ".num_batches_tracked";

/// Builds a model from a checkpoint, strictly.
///
/// `build` asks the [`VarBuilder`] for tensors by timm's names; with `renaming`, each is read
/// under its name in the file and brought from the file's layout into timm's. All tensors come out
/// as `dtype` on `device`.
///
/// # Errors
/// [`WeightsError::Mismatch`] lists every tensor that is missing, unexpected or misshapen; other
/// variants name a tensor that cannot be used or what `build` said.
pub fn load<M>(
    checkpoint: &Checkpoint,
    renaming: Option<&Renaming>,
    dtype: DType,
    device: &Device,
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<M>,
) -> Result<(M, LoadReport), WeightsError> {
    let reader = Reader { checkpoint, renaming, log: Mutex::default() };
    let vb = VarBuilder::from_backend(Box::new(&reader), dtype, device.clone());
    let built = build(vb);
    // A model that stopped half-way has not asked for all that it will use.
    let report = reader.report(built.is_ok())?;
    let model = built.map_err(|source| WeightsError::Build {
        file: checkpoint.file().to_owned(),
        source: Box::new(source),
    })?;
    Ok((model, report))
}

/// Compares a checkpoint's tensors with those of a network, strictly, and gives them one by one. None
/// is read before it is asked for.
///
/// `tensors` are timm's names and shapes, as [`Graph::tensors`](crate::arch::Graph::tensors) lists them.
///
/// # Errors
/// [`WeightsError::Mismatch`] lists every tensor that is missing, unexpected or misshapen.
pub fn check<'a>(
    checkpoint: &'a Checkpoint,
    renaming: Option<&'a Renaming>,
    tensors: &[(String, Vec<usize>)],
) -> Result<(CheckpointSource<'a>, LoadReport), WeightsError> {
    let reader = Reader { checkpoint, renaming, log: Mutex::default() };
    for (name, shape) in tensors {
        reader.ask(name, shape);
    }
    Ok((CheckpointSource { checkpoint, renaming }, reader.report(true)?))
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
/// What `build` says.
pub fn tensor_shapes<M>(
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<M>,
) -> candle_core::Result<Vec<(String, Vec<usize>)>> {
    let probe = Probe::default();
    build(VarBuilder::from_backend(Box::new(&probe), DType::F32, Device::Cpu))?;
    Ok(probe.asked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A tensor of zeros that occupies one element.
fn placeholder(shape: &Shape, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(shape)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers a model's requests from a checkpoint and writes down what does not fit.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    renaming: Option<&'a Renaming>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// timm's names of the tensors that fit, in the order asked.
    applied: Vec<String>,
    missing: Vec<Missing>,
    misshapen: Vec<Misshapen>,
    /// The file's names of the tensors asked for, fitting or not.
    used: HashSet<String>,
    /// The names answered so far: a tensor that is asked for again is not listed again.
    seen: HashSet<String>,
    /// The first tensor that fits and cannot be used.
    unusable: Option<WeightsError>,
}

/// Where a tensor that was asked for is in the file.
struct Found<'a> {
    in_file: &'a str,
    stored: &'a [usize],
    mapped: Option<&'a MappedTensor>,
}

impl Found<'_> {
    /// Whether the stored tensor has the model's shape, or the one that the convention stores it in.
    fn fits(&self, shape: &[usize]) -> bool {
        match self.mapped {
            Some(mapped) => mapped.shape == shape && mapped.foreign_shape == self.stored,
            None => self.stored == shape,
        }
    }
}

impl Reader<'_> {
    /// What was asked for against what is there; of a model that asked for all that it needs if
    /// `is_whole`.
    fn report(self, is_whole: bool) -> Result<LoadReport, WeightsError> {
        let Self { checkpoint, renaming, log } = self;
        let log = log.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = log.unusable {
            return Err(error);
        }
        let mut mismatch = Mismatch {
            applied: log.applied.len(),
            missing: log.missing,
            misshapen: log.misshapen,
            ..Mismatch::new(checkpoint.file())
        };
        let mut ignored = Vec::new();
        for name in checkpoint.names().filter(|name| is_whole && !log.used.contains(*name)) {
            let is_ignored = match renaming {
                Some(renaming) => renaming.ignores(name),
                None => name.ends_with(COUNTER),
            };
            if is_ignored {
                ignored.push(name.to_owned());
            } else {
                mismatch.unexpected.push(Unexpected::new(name));
            }
        }
        if mismatch.findings() > 0 {
            mismatch.find_nearest();
            return Err(WeightsError::Mismatch(Box::new(mismatch)));
        }
        Ok(LoadReport {
            file: mismatch.file,
            convention: renaming.map(|r| r.convention().to_owned()),
            applied: log.applied,
            ignored,
        })
    }

    /// Writes down a request for a tensor of a shape; its place in the file, if it is there and fits.
    fn ask<'n>(&'n self, name: &'n str, shape: &[usize]) -> Option<Found<'n>> {
        let mut log = locked(&self.log);
        let found = self.look_up(name, &mut log);
        let first_time = log.seen.insert(name.to_owned());
        let found = found?;
        if found.fits(shape) {
            if first_time {
                log.applied.push(name.to_owned());
            }
            return Some(found);
        }
        if first_time {
            let mapped = found.mapped.filter(|m| m.shape == shape);
            let expected = mapped.map_or(shape, |m| &m.foreign_shape);
            log.misshapen.push(Misshapen::new(name, found.stored, expected));
        }
        None
    }

    /// The tensor's name in the file, or its own if the convention has none for it.
    fn name_in_file<'n>(&'n self, name: &'n str) -> (&'n str, Option<&'n MappedTensor>) {
        let mapped = self.renaming.and_then(|renaming| renaming.mapped(name));
        (mapped.map_or(name, |mapped| mapped.foreign.as_str()), mapped)
    }

    fn find<'n>(&'n self, name: &'n str) -> Option<Found<'n>> {
        let (in_file, mapped) = self.name_in_file(name);
        if self.renaming.is_some() && mapped.is_none() {
            return None;
        }
        let stored = self.checkpoint.shape(in_file)?;
        Some(Found { in_file, stored, mapped })
    }

    /// Writes down a request and gives the tensor's place in the file, if it is there.
    fn look_up<'n>(&'n self, name: &'n str, log: &mut Log) -> Option<Found<'n>> {
        let found = self.find(name);
        match &found {
            Some(found) => {
                log.used.insert(found.in_file.to_owned());
            }
            None if !log.seen.contains(name) => {
                let in_file = self.name_in_file(name).0;
                log.missing.push(Missing::new(name, in_file));
                if log.unusable.is_none() {
                    log.unusable = self.checkpoint.unreadable(in_file);
                }
            }
            None => {}
        }
        found
    }

    fn read(
        &self,
        name: &str,
        found: &Found<'_>,
        dtype: DType,
        device: &Device,
        log: &mut Log,
    ) -> candle_core::Result<Tensor> {
        let read = match found.mapped {
            Some(mapped) => self.checkpoint.mapped_tensor(mapped, dtype, device),
            None => self.checkpoint.tensor(found.in_file, dtype, device),
        };
        read.map_err(|error| {
            let message = error.to_string();
            log.unusable.get_or_insert(error);
            candle_core::Error::Msg(format!("{name}: {message}"))
        })
    }
}

impl SimpleBackend for &Reader<'_> {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.ask(name, shape.dims()) {
            None => placeholder(&shape, dtype, device),
            Some(found) => self.read(name, &found, dtype, device, &mut locked(&self.log)),
        }
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut log = locked(&self.log);
        let found = self.look_up(name, &mut log);
        let first_time = log.seen.insert(name.to_owned());
        let Some(found) = found.filter(|f| f.mapped.is_none_or(|m| m.foreign_shape == f.stored))
        else {
            return Err(candle_core::Error::CannotFindTensor { path: name.to_owned() });
        };
        if first_time {
            log.applied.push(name.to_owned());
        }
        self.read(name, &found, dtype, device, &mut log)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Answers every request with zeros and writes it down.
#[derive(Default)]
struct Probe {
    asked: Mutex<Vec<(String, Vec<usize>)>>,
    seen: Mutex<HashSet<String>>,
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
        if locked(&self.seen).insert(name.to_owned()) {
            locked(&self.asked).push((name.to_owned(), shape.dims().to_owned()));
        }
        placeholder(&shape, dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        Err(candle_core::Error::Msg(format!(
            "the shape of `{name}` is not known before the weights are"
        )))
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
