use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use super::decoders::Decoders;
use super::resolve::{Resolved, Resolver, Source};
use super::{Classifier, Inner, Provenance};
use crate::Error;
use crate::arch::{Network, NetworkOptions};
use crate::engine::{
    CandleEngine, CpuEngine, CpuError, CpuOptions, Dtype, Engine, EngineChoice, EngineError,
};
use crate::models::EfficientNet;
use crate::preprocess::{DecodeOptions, EvalTransform, PreprocessConfig};
use crate::pretrained::ResolvedPreprocessing;
use crate::weights::{WeightsError, load, seeded};

/// What a [`Classifier`] is made from; every setting has a default.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Classifier;
/// let classifier = Classifier::builder().threads(1).build()?;
/// assert_eq!(classifier.provenance().model, "tf_efficientnet_lite0.in1k");
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClassifierBuilder {
    model: Option<String>,
    weights: Option<String>,
    num_classes: Option<usize>,
    threads: Option<usize>,
    engine: EngineChoice,
    dtype: Dtype,
    device: Option<String>,
    train_size: bool,
    decode: DecodeOptions,
    resolver: Resolver,
}

impl ClassifierBuilder {
    /// The model: a timm name with or without tag, a hub repository (`org/name`, with `@revision` if
    /// need be), or a folder with `config.json`. By default the one whose weights are inside the
    /// program. What is not in the hub's cache is downloaded by [`build`](Self::build), which blocks.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// A checkpoint file to load instead of the model's own weights, or `seeded:N` for generated
    /// ones.
    #[must_use]
    pub fn weights(mut self, weights: impl Into<String>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// The number of classes, where the checkpoint's differs from the model's; 0 for a network
    /// without classifier, whose output is the pooled features.
    #[must_use]
    pub fn num_classes(mut self, num_classes: usize) -> Self {
        self.num_classes = Some(num_classes);
        self
    }

    /// What runs the network; by default the fastest engine that can.
    #[must_use]
    pub fn engine(mut self, engine: EngineChoice) -> Self {
        self.engine = engine;
        self
    }

    /// What products are made of on the fused CPU engine; float32 by default. Where the machine has no
    /// instructions for another, or another engine runs the network, it is float32 with a note.
    #[must_use]
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// The most threads that work at once, on decoding or on inference on a CPU; the two take turns
    /// then. By default inference has all cores, and decoding goes on beside it. Where the system starts
    /// fewer threads, fewer are used.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// `cpu`, `cuda`, `cuda:N`, `metal`, or `auto` (the default): the first that this program was
    /// built for and that the machine has, the CPU last.
    #[must_use]
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Uses the image size that the model was trained at, instead of the (often larger) one that
    /// its published accuracy was measured at.
    #[must_use]
    pub fn train_size(mut self, train_size: bool) -> Self {
        self.train_size = train_size;
        self
    }

    /// How images are decoded: limits, leniency, EXIF orientation.
    #[must_use]
    pub fn decode_options(mut self, options: DecodeOptions) -> Self {
        self.decode = options;
        self
    }

    /// The hub that models come from; by default the one that the environment describes.
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn hub(mut self, hub: crate::hub::Hub) -> Self {
        self.resolver.hub = Some(hub);
        self
    }

    /// Finds the model, loads its weights strictly, and makes it ready to run.
    ///
    /// # Errors
    ///
    /// A model, checkpoint or device that is not there or does not fit; a missing, unexpected or
    /// misshapen tensor, all of them listed; preprocessing values that make no image.
    pub fn build(self) -> Result<Classifier, Error> {
        let resolved = self.resolver.resolve(self.model.as_deref(), self.weights.as_deref())?;
        let num_classes = self.num_classes.unwrap_or(resolved.num_classes);
        let options =
            NetworkOptions { in_chans: resolved.in_chans, num_classes, ..Default::default() };
        let network = resolved.arch.network(&options)?;
        let device = device(self.device.as_deref().unwrap_or("auto"))?;
        let preprocessing = resolved.preprocessing(self.train_size)?;
        let transform = transform(&preprocessing)
            .map_err(|source| Error::Preprocessing { model: resolved.name.clone(), source })?;
        let Resolved { name, cfg, labels, mut notes, revision, source, .. } = resolved;
        let (engine, note) = self.load_engine(&source, &network, &device)?;
        notes.extend(note);
        if self.dtype != engine.dtype() {
            let (asked, used) = (self.dtype.name(), engine.dtype().name());
            let reason = match engine.isa() {
                Some(isa) => format!("the instruction set {} of this machine", isa.name()),
                None => format!("the engine {}", engine.name()),
            };
            notes.push(format!("{reason} does not multiply {asked}: {used} is used"));
        }
        let (weights, checkpoint) = match source {
            Source::Checkpoint(checkpoint) | Source::Foreign(checkpoint, _) => {
                let file = checkpoint.file().to_owned();
                notes.extend(checkpoint.note().map(|note| format!("{file}: {note}")));
                (file, Some(checkpoint))
            }
            Source::Seeded(seed) => (format!("seeded:{seed}"), None),
        };
        let provenance = Provenance {
            model: name,
            architecture: network.name.clone(),
            tag: cfg.tag,
            revision,
            weights,
            engine: engine.name(),
            device: format!("{:?}", device.location()),
            preprocessing,
            notes,
        };
        Ok(Classifier(Arc::new(Inner {
            network,
            engine,
            transform,
            // Names of other classes would be wrong names.
            labels: labels.filter(|labels| labels.len() == num_classes),
            decode: self.decode,
            decoders: Decoders::new(self.threads),
            provenance,
            checkpoint,
        })))
    }

    /// The engine, and a note where it is not the one that a user would expect.
    fn load_engine(
        &self,
        source: &Source,
        network: &Network,
        device: &Device,
    ) -> Result<(Box<dyn Engine>, Option<String>), Error> {
        let mut note = None;
        match self.engine {
            EngineChoice::Cpu if !device.is_cpu() => {
                let reason = "the engine `cpu` runs on the CPU".to_owned();
                let device = self.device.clone().unwrap_or_default();
                return Err(Error::Device { device, reason });
            }
            EngineChoice::Auto | EngineChoice::Cpu if device.is_cpu() => {
                let options = CpuOptions {
                    threads: self.threads,
                    dtype: self.dtype,
                    ..CpuOptions::default()
                };
                // Candle's error type cannot carry the engine's, which says more.
                let mut refusal = None;
                let lowered = load_tensors(source, network, device, |vb| {
                    CpuEngine::new(network, &vb, options).map_err(|error| {
                        let text = error.to_string();
                        refusal = Some(error);
                        candle_core::Error::Msg(text)
                    })
                });
                match (lowered, refusal) {
                    (Ok(engine), _) => return Ok((Box::new(engine), None)),
                    (Err(_), Some(error @ CpuError::CannotLower { .. }))
                        if self.engine == EngineChoice::Auto =>
                    {
                        note = Some(error.to_string());
                    }
                    (Err(Error::Weights(WeightsError::Build { .. })), Some(error)) => {
                        return Err(EngineError::from(error).into());
                    }
                    (Err(error), _) => return Err(error),
                }
            }
            _ => {}
        }
        let build = |vb: VarBuilder<'_>| EfficientNet::new(network, &vb);
        let model = load_tensors(source, network, device, build)?;
        let in_chans = network.in_chans;
        let engine = CandleEngine::new(model, in_chans, device.clone(), self.threads)?;
        Ok((Box::new(engine), note))
    }
}

/// The preprocessing's values as the transform takes them.
fn transform(
    values: &ResolvedPreprocessing,
) -> Result<EvalTransform, crate::preprocess::TransformError> {
    let [channels, height, width] = values.input_size.value;
    EvalTransform::new(PreprocessConfig {
        input_size: (channels, height, width),
        interpolation: values.interpolation.value.parse()?,
        crop_pct: values.crop_pct.value,
        crop_mode: values.crop_mode.value.parse()?,
        mean: values.mean.value,
        std: values.std.value,
    })
}

/// Hands the source's tensors to `build`, strictly.
fn load_tensors<M>(
    source: &Source,
    network: &Network,
    device: &Device,
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<M>,
) -> Result<M, Error> {
    match source {
        Source::Seeded(seed) => {
            let built = build(seeded::var_builder(*seed, DType::F32, device));
            Ok(built.map_err(|source| WeightsError::Build {
                file: format!("seeded:{seed}"),
                source: Box::new(source),
            })?)
        }
        Source::Checkpoint(checkpoint) => Ok(load(checkpoint, None, DType::F32, device, build)?.0),
        Source::Foreign(checkpoint, names) => {
            let renaming = names.renaming(checkpoint, network)?;
            Ok(load(checkpoint, Some(&renaming), DType::F32, device, build)?.0)
        }
    }
}

/// The Candle device of that name.
fn device(name: &str) -> Result<Device, Error> {
    let error = |reason: String| Error::Device { device: name.to_owned(), reason };
    let from =
        |e: candle_core::Error| error(e.to_string().lines().next().unwrap_or_default().to_owned());
    let (kind, ordinal) = match name.split_once(':') {
        Some((kind, ordinal)) => {
            let ordinal = ordinal.parse().map_err(|_| error(format!("no number: {ordinal:?}")))?;
            (kind, ordinal)
        }
        None => (name, 0),
    };
    match kind {
        "auto" if candle_core::utils::cuda_is_available() => {
            Ok(Device::new_cuda(0).unwrap_or(Device::Cpu))
        }
        "auto" if candle_core::utils::metal_is_available() => {
            Ok(Device::new_metal(0).unwrap_or(Device::Cpu))
        }
        "auto" | "cpu" => Ok(Device::Cpu),
        "cuda" if !candle_core::utils::cuda_is_available() => {
            Err(error("build effnet with the feature `cuda`".to_owned()))
        }
        "metal" if !candle_core::utils::metal_is_available() => {
            Err(error("build effnet with the feature `metal`".to_owned()))
        }
        "cuda" => Device::new_cuda(ordinal).map_err(from),
        "metal" => Device::new_metal(ordinal).map_err(from),
        _ => Err(error("the devices are auto, cpu, cuda, cuda:N and metal".to_owned())),
    }
}
