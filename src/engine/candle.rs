//! The network as Candle modules, run as they are, on any device: the oracle of other engines.

use candle_core::{DType, Device, Tensor};

use super::{Array, Engine, EngineError, Images, Outputs, Wanted};
use crate::models::EfficientNet;

/// Runs the module tree on a Candle device.
#[derive(Debug)]
pub struct CandleEngine {
    model: EfficientNet,
    in_chans: usize,
    device: Device,
    pool: Option<rayon::ThreadPool>,
}

impl CandleEngine {
    /// An engine for `model`, which takes images of `in_chans` channels and lives on `device`.
    ///
    /// `threads` bounds the threads of a CPU; `None` leaves them to Candle, which takes all cores.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started.
    pub fn new(
        model: EfficientNet,
        in_chans: usize,
        device: Device,
        threads: Option<usize>,
    ) -> Result<Self, EngineError> {
        let pool = threads.map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map_err(|source| EngineError::Threads { threads, source })
        });
        Ok(Self { model, in_chans, device, pool: pool.transpose()? })
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
        match &self.pool {
            Some(pool) => pool.install(|| self.forward(images, wanted)),
            None => self.forward(images, wanted),
        }
    }

    fn threads(&self) -> usize {
        let pool = self.pool.as_ref();
        pool.map_or_else(rayon::current_num_threads, rayon::ThreadPool::current_num_threads)
    }
}

fn array(tensor: &Tensor) -> Result<Array, EngineError> {
    let data = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
    Ok(Array { data, shape: tensor.dims().to_vec() })
}
