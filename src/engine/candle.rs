//! The network as Candle modules, run as they are, on any device: the oracle of other engines.

use std::num::NonZero;

use candle_core::{DType, Device, Tensor};

use super::{Array, Engine, EngineError, Images, Outputs, Wanted};
use crate::models::EfficientNet;
use crate::threads;

/// Runs the module tree on a Candle device.
#[derive(Debug)]
pub struct CandleEngine {
    model: EfficientNet,
    in_chans: usize,
    device: Device,
    pool: rayon::ThreadPool,
}

impl CandleEngine {
    /// An engine for `model`, which takes images of `in_chans` channels and lives on `device`.
    ///
    /// `threads` bounds the threads of a CPU; all cores for `None`, and fewer where the system starts
    /// fewer.
    ///
    /// # Errors
    ///
    /// If not one thread can be started.
    pub fn new(
        model: EfficientNet,
        in_chans: usize,
        device: Device,
        threads: Option<usize>,
    ) -> Result<Self, EngineError> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.unwrap_or_else(cores);
        // Of its own in any case: rayon's global pool panics where the system starts fewer threads.
        let pool =
            threads::pool(threads).map_err(|source| EngineError::Threads { threads, source })?;
        Ok(Self { model, in_chans, device, pool })
    }

    fn forward(&self, images: Images<'_>, wanted: Wanted) -> Result<Outputs, EngineError> {
        let xs = Tensor::from_slice(images.data(), &images.shape(), &self.device)?;
        let (features, stages) = if wanted.stages {
            self.model.forward_intermediates(&xs, false, false)?
        } else {
            (self.model.forward_features(&xs, false)?, Vec::new())
        };
        let head = |pre_logits| array(&self.model.forward_head(&features, pre_logits, false)?);
        Ok(Outputs {
            logits: wanted.logits.then(|| head(false)).transpose()?,
            pre_logits: wanted.pre_logits.then(|| head(true)).transpose()?,
            stages: stages.iter().map(array).collect::<Result<_, _>>()?,
            features: wanted.features.then(|| array(&features)).transpose()?,
        })
    }
}

impl Engine for CandleEngine {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn run(&self, images: Images<'_>, wanted: Wanted) -> Result<Outputs, EngineError> {
        let [_, found, ..] = images.shape();
        if found != self.in_chans {
            return Err(EngineError::Channels { expected: self.in_chans, found });
        }
        self.pool.install(|| self.forward(images, wanted))
    }

    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

fn array(tensor: &Tensor) -> Result<Array, EngineError> {
    let data = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
    Ok(Array { data, shape: tensor.dims().to_vec() })
}
