use std::ffi::OsString;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use effnet::engine::{DeviceChoice, Dtype, EngineChoice};
use effnet::weights::WeightsFrom;
use effnet::{Description, Model, ModelBuilder, Preprocessor, UnknownName};

use super::NoModel;
use super::output::complain;

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
        let builder = Model::builder().model(&self.model);
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
    #[arg(long, value_name = "FILE|seeded:N", value_parser = OsStringValueParser::new().map(WeightsFrom::from))]
    pub(super) weights: Option<WeightsFrom>,
    /// Number of classes of generated weights, or what the checkpoint is to have; 0 for no classifier
    #[arg(long, value_name = "N")]
    num_classes: Option<usize>,
    /// Engine to run on
    #[arg(long, value_parser = engines(), default_value_t)]
    engine: EngineChoice,
    /// What the CPU engine's products are made of, where the machine can
    #[arg(long, value_parser = dtypes(), default_value_t)]
    dtype: Dtype,
    /// Device: auto, cpu, cuda, cuda:N, metal or wgpu
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Threads for decoding and inference together; if absent, the physical cores for inference and all for
    /// decoding
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    hub: super::hub::HubArgs,
}

/// The names of engines, each with what `--help` says of it.
fn engines() -> impl TypedValueParser<Value = EngineChoice> {
    words(EngineChoice::ALL, EngineChoice::name, |engine| match engine {
        EngineChoice::Cpu => "Fused kernels for the CPU",
        EngineChoice::Candle => "Candle's operations, one by one, on any device",
        EngineChoice::Wgpu => "Own kernels on a GPU by Vulkan, Direct3D 12 or Metal",
        _ => "Fused kernels on a CPU, Candle's operations on any other device",
    })
}

/// The names of data types.
fn dtypes() -> impl TypedValueParser<Value = Dtype> {
    words(Dtype::ALL, Dtype::name, |dtype| match dtype {
        Dtype::Bf16 => "bfloat16, summed in float32: faster, some 3 digits",
        _ => "float32",
    })
}

/// A parser of the names of `all`, of which `help` says more.
fn words<T: Copy + FromStr<Err = UnknownName> + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    help: impl Fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values = all.map(|value| PossibleValue::new(name(value)).help(help(value)));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<T>())
}

impl ModelArgs {
    /// A model as asked for; `configure` adds what the subcommand has to say.
    pub(super) fn load(
        self,
        configure: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Result<Model> {
        self.load.load(self.model, configure)
    }

    /// What prepares the model's images, as [`load`](Self::load) has it.
    pub(super) fn preprocessor(
        self,
        configure: impl FnOnce(ModelBuilder) -> ModelBuilder,
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
        configure: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Result<Model> {
        let model = configure(self.builder(model)).build().map_err(|e| NoModel(e.to_string()))?;
        tell(&model.provenance().notes);
        Ok(model)
    }

    fn builder(self, model: Option<OsString>) -> ModelBuilder {
        let mut builder = Model::builder()
            .on_note(|note| complain(&format!("note: {note}")))
            .device(self.device)
            .engine(self.engine)
            .dtype(self.dtype);
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
