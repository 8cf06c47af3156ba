use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::Done;
use super::model::ModelArgs;
use crate::engine::{Array, Images, Wanted};
use crate::text::file_name;
use crate::weights::{Checkpoint, NamedTensor, Values, write_safetensors};

/// Run a network on a tensor, and write its outputs
///
/// Reads `input` (N, C, H, W) f32, normalized, of any size. Writes `logits` (N, classes),
/// `pre_logits` (N, F), `features` (N, F, h, w), and `stages.0`, `stages.1`, ... as asked for.
#[derive(Debug, Args)]
pub(super) struct Forward {
    /// File to read
    #[arg(short, long, value_name = "FILE.safetensors")]
    input: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// What to compute
    #[arg(long, value_enum, value_delimiter = ',', default_value = "logits")]
    outputs: Vec<OutputName>,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum OutputName {
    Logits,
    PreLogits,
    Features,
    Stages,
}

impl Forward {
    pub(super) fn run(self) -> Result<Done> {
        let classifier = self.model.load(|builder| builder)?;
        let file = Checkpoint::open(&self.input)?;
        let Some(shape) = file.shape("input") else {
            bail!("{}: no tensor `input`", file_name(&self.input));
        };
        let Ok(shape) = <[usize; 4]>::try_from(shape) else {
            bail!("{}: `input` is {shape:?}, not (N, C, H, W)", file_name(&self.input));
        };
        let data = file.read_f32("input")?;
        let wants = |name| self.outputs.contains(&name);
        let wanted = Wanted {
            logits: wants(OutputName::Logits),
            pre_logits: wants(OutputName::PreLogits),
            features: wants(OutputName::Features),
            stages: wants(OutputName::Stages),
        };
        let images = Images::new(&data, shape).with_context(|| file_name(&self.input))?;
        let outputs = classifier
            .run(images, wanted)
            .with_context(|| format!("{}: `input`", file_name(&self.input)))?;
        let named = [
            ("logits", &outputs.logits),
            ("pre_logits", &outputs.pre_logits),
            ("features", &outputs.features),
        ];
        let mut arrays: Vec<(String, &Array)> = named
            .into_iter()
            .filter_map(|(name, array)| Some((name.to_owned(), array.as_ref()?)))
            .collect();
        arrays.extend(outputs.stages.iter().enumerate().map(|(i, a)| (format!("stages.{i}"), a)));
        let tensors: Vec<NamedTensor<'_>> = arrays
            .iter()
            .map(|(name, array)| NamedTensor {
                name,
                shape: &array.shape,
                values: Values::F32(&array.data),
            })
            .collect();
        write_safetensors(&self.output, &tensors, &BTreeMap::new())?;
        Ok(Done::All)
    }
}
