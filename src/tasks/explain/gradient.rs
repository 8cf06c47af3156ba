//! Grad-CAM's gradients, by Candle's modules.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use rayon::ThreadPool;

use crate::Error;
use crate::engine::{Array, EngineError};
use crate::models::EfficientNet;
use crate::tasks::Classifier;
use crate::text::first_line;
use crate::threads;
use crate::weights::{WeightsError, var_builder};

/// A network whose gradients can be taken, on the CPU in float32.
#[derive(Debug, Clone)]
pub(super) struct Gradients {
    modules: Arc<EfficientNet>,
    pool: Arc<ThreadPool>,
}

impl Gradients {
    pub(super) fn new(classifier: &Classifier) -> Result<Self, Error> {
        let network = classifier.network();
        let modules = classifier.with_tensors(|source| {
            let build = |error: candle_core::Error| WeightsError::Build {
                file: source.name(),
                source: first_line(&error).into(),
            };
            let tensors = network.graph().tensors();
            let vb = var_builder(source, &tensors, DType::F32, &Device::Cpu)?;
            Ok(EfficientNet::new(network, &vb).map_err(build)?)
        })?;
        let threads = classifier.engine().capabilities().threads;
        let pool =
            threads::pool(threads).map_err(|source| EngineError::Threads { threads, source })?;
        Ok(Self { modules: Arc::new(modules), pool: Arc::new(pool) })
    }

    /// The maps of this name, weighted by the means of the score's gradients, summed up, without what
    /// is negative; and the logits. `input` is one image (1, C, H, W); `factors` gives the score's
    /// factor of each output for its logits.
    pub(super) fn grad_cam<T>(
        &self,
        map: &str,
        input: Vec<f32>,
        shape: [usize; 4],
        factors: impl FnOnce(&[f32]) -> Result<(Vec<f32>, T), Error> + Send,
    ) -> Result<(Array, Vec<f32>, T), Error>
    where
        T: Send,
    {
        let failed = |error: candle_core::Error| EngineError::from(error);
        self.pool.install(|| {
            let xs = Tensor::from_vec(input, &shape, &Device::Cpu).map_err(failed)?;
            let forward = || {
                let maps = Var::from_tensor(&self.modules.forward_to(map, &xs, false)?)?;
                let logits = self.modules.forward_from(map, &maps, false)?;
                let values = logits.flatten_all()?.to_vec1::<f32>()?;
                Ok((maps, logits, values))
            };
            let (maps, logits, values) = forward().map_err(failed)?;
            let (factors, made) = factors(&values)?;
            let weighted = || {
                let factors = Tensor::from_vec(factors, logits.shape(), &Device::Cpu)?;
                let gradients = (logits * factors)?.sum_all()?.backward()?;
                let Some(gradient) = gradients.get(&maps) else {
                    candle_core::bail!("the score does not depend on {map}")
                };
                let weights = gradient.mean_keepdim(3)?.mean_keepdim(2)?;
                let cam = maps.broadcast_mul(&weights)?.sum(1)?.relu()?;
                Ok(Array { shape: cam.dims().to_vec(), data: cam.flatten_all()?.to_vec1()? })
            };
            Ok((weighted().map_err(failed)?, values, made))
        })
    }
}
