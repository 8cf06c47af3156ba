use std::ffi::OsString;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::NoModel;
use super::output::complain;
use crate::engine::{Dtype, EngineChoice};
use crate::{Classifier, ClassifierBuilder, Description, Preprocessor};

/// Which model, and what runs it.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Model: a timm name (`effnet models` lists them), a hub repository ORG/REPO[@REVISION], a folder
    /// with config.json, or a checkpoint file; the bundled one if absent
    #[arg(short, long, value_name = "MODEL")]
    model: Option<OsString>,
    #[command(flatten)]
    load: LoadArgs,
}

/// Which model, where its network is not needed.
#[derive(Debug, Args)]
pub(super) struct NamedModel {
    /// Model: a timm name (`effnet models` lists them), a hub repository ORG/REPO[@REVISION], a folder
    /// with config.json, or a checkpoint file
    #[arg(value_name = "MODEL")]
    model: OsString,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    hub: super::hub::HubArgs,
}

impl NamedModel {
    /// What it is; its notes are told.
    pub(super) fn describe(&self) -> Result<Description> {
        let builder = Classifier::builder().model(&self.model);
        // Where the hub cannot be opened, a model that needs it meets the same error again.
        #[cfg(feature = "hub")]
        let builder = match self.hub.open() {
            Ok(hub) => builder.hub(hub),
            Err(_) => builder,
        };
        let description = builder.describe().map_err(|e| NoModel(e.to_string()))?;
        tell(&description.notes);
        Ok(description)
    }
}

/// How a model is loaded, and what runs it.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// Checkpoint to load instead of the model's own weights, or seeded:N for generated ones
    #[arg(long, value_name = "FILE|seeded:N")]
    pub(super) weights: Option<OsString>,
    /// Number of classes of generated weights, or what the checkpoint is to have; 0 for no classifier
    #[arg(long, value_name = "N")]
    num_classes: Option<usize>,
    /// Engine to run on
    #[arg(long, value_enum, default_value_t = EngineName::Auto)]
    engine: EngineName,
    /// What the CPU engine's products are made of, where the machine can
    #[arg(long, value_enum, default_value_t = DtypeName::F32)]
    dtype: DtypeName,
    /// Device: auto, cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads for inference; all cores if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    hub: super::hub::HubArgs,
}

/// Engines by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum EngineName {
    /// Fused kernels on a CPU, Candle's operations on any other device
    Auto,
    /// Fused kernels for the CPU
    Cpu,
    /// Candle's operations, one by one, on any device
    Candle,
}

/// Data types by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum DtypeName {
    /// float32
    F32,
    /// bfloat16, summed in float32: faster, some 3 digits
    Bf16,
}

impl From<DtypeName> for Dtype {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => Self::F32,
            DtypeName::Bf16 => Self::Bf16,
        }
    }
}

impl From<EngineName> for EngineChoice {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::Cpu => Self::Cpu,
            EngineName::Candle => Self::Candle,
        }
    }
}

impl ModelArgs {
    /// A classifier as asked for; `configure` adds what the subcommand has to say.
    pub(super) fn load(
        self,
        configure: impl FnOnce(ClassifierBuilder) -> ClassifierBuilder,
    ) -> Result<Classifier> {
        self.load.load(self.model, configure)
    }

    /// What prepares the model's images, as [`load`](Self::load) has it.
    pub(super) fn preprocessor(
        self,
        configure: impl FnOnce(ClassifierBuilder) -> ClassifierBuilder,
    ) -> Result<Preprocessor> {
        let builder = configure(self.load.builder(self.model));
        let preprocessor = builder.build_preprocessor().map_err(|e| NoModel(e.to_string()))?;
        tell(preprocessor.notes());
        Ok(preprocessor)
    }
}

impl LoadArgs {
    /// `model`, or the bundled one, as [`ModelArgs::load`] does.
    pub(super) fn load(
        self,
        model: Option<OsString>,
        configure: impl FnOnce(ClassifierBuilder) -> ClassifierBuilder,
    ) -> Result<Classifier> {
        let classifier =
            configure(self.builder(model)).build().map_err(|e| NoModel(e.to_string()))?;
        tell(&classifier.provenance().notes);
        Ok(classifier)
    }

    fn builder(self, model: Option<OsString>) -> ClassifierBuilder {
        let mut builder = Classifier::builder()
            .on_note(|note| complain(&format!("note: {note}")))
            .device(self.device)
            .engine(self.engine.into())
            .dtype(self.dtype.into());
        if let Some(model) = model {
            builder = builder.model(model);
        }
        if let Some(weights) = self.weights {
            builder = builder.weights(weights);
        }
        if let Some(num_classes) = self.num_classes {
            builder = builder.num_classes(num_classes);
        }
        if let Some(threads) = self.threads {
            builder = builder.threads(threads.into());
        }
        // Where the hub cannot be opened, a model that needs it meets the same error again.
        #[cfg(feature = "hub")]
        if let Ok(hub) = self.hub.open() {
            builder = builder.hub(hub);
        }
        builder
    }
}

fn tell(notes: &[String]) {
    for note in notes {
        complain(&format!("note: {note}"));
    }
}
