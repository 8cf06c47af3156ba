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

/// Which model, and which engine runs it.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Model: a timm name (`effnet models` lists them), a hub repository ORG/REPO[@REVISION], a folder
    /// with config.json, or a checkpoint file; the bundled one if absent
    #[arg(short, long, value_name = "MODEL")]
    model: Option<OsString>,
    #[command(flatten)]
    load: LoadArgs,
}

/// Which model, for commands that do not need its network.
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
    /// Describes the model, and prints its notes.
    pub(super) fn describe(&self) -> Result<Description> {
        let builder = Model::builder().model(&self.model);
        // If the hub cannot be opened, a model that needs it meets the same error again.
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

/// How a model is loaded, and which engine runs it.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// Checkpoint to load instead of the model's own weights, or seeded:N for generated weights
    #[arg(long, value_name = "FILE|seeded:N", value_parser = OsStringValueParser::new().map(WeightsFrom::from))]
    pub(super) weights: Option<WeightsFrom>,
    /// Number of classes that generated weights get or the checkpoint must have; 0 for no
    /// classifier
    #[arg(long, value_name = "N")]
    num_classes: Option<usize>,
    /// Engine to run on
    #[arg(long, value_parser = engines(), default_value_t)]
    engine: EngineChoice,
    /// Numbers that the CPU engine multiplies; bf16 if the machine can
    #[arg(long, value_parser = dtypes(), default_value_t)]
    dtype: Dtype,
    /// Device: auto, cpu, cuda, cuda:N, metal or wgpu
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Threads for decoding and inference together; if absent, inference uses the physical cores
    /// and decoding all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    hub: super::hub::HubArgs,
}

/// The names of engines, each with its text for `--help`.
fn engines() -> impl TypedValueParser<Value = EngineChoice> {
    words(EngineChoice::ALL, EngineChoice::name, |engine| match engine {
        EngineChoice::Cpu => "Fused kernels for the CPU",
        EngineChoice::Cuda => "Fused kernels for NVIDIA GPUs",
        EngineChoice::Metal => "Fused kernels for Apple's GPU",
        EngineChoice::Candle => "Candle's operations, one by one, on any device",
        EngineChoice::Wgpu => "Fused kernels for GPUs by Vulkan, Direct3D 12 or Metal",
        _ => "The fused kernels of the device, or else Candle's operations",
    })
}

/// The names of data types.
fn dtypes() -> impl TypedValueParser<Value = Dtype> {
    words(Dtype::ALL, Dtype::name, |dtype| match dtype {
        Dtype::Bf16 => "bfloat16, summed in float32: faster, about 3 digits",
        Dtype::F16 => "float16, summed in float32: on GPUs, about 3 digits",
        _ => "float32",
    })
}

/// A parser for the names of `all`; `help` gives each name's text.
fn words<T: Copy + FromStr<Err = UnknownName> + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    help: impl Fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values = all.map(|value| PossibleValue::new(name(value)).help(help(value)));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<T>())
}

impl ModelArgs {
    /// Loads the requested model; `configure` adds the subcommand's settings.
    pub(super) fn load(
        self,
        configure: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Result<Model> {
        self.load.load(self.model, configure)
    }

    /// The hub; none if it cannot be opened.
    #[cfg(feature = "hub")]
    pub(super) fn hub(&self) -> Option<effnet::hub::Hub> {
        self.load.hub.open().ok()
    }

    /// The model's preprocessor, with the settings of [`load`](Self::load).
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
    /// Loads `model`, or the bundled model, like [`ModelArgs::load`].
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
        // If the hub cannot be opened, a model that needs it meets the same error again.
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
