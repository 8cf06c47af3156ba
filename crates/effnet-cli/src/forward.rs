use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use effnet::engine::{EngineError, Images};
use effnet::unstable::file_name;
use effnet::weights::{Checkpoint, NamedTensor, Values, write_safetensors};

use super::Status;
use super::model_args::ModelArgs;

/// Run a network on a tensor, and write its outputs
///
/// Reads `input` (N, C, H, W) f32, normalized, of any size. Writes the requested ones of `logits`
/// (N, classes), `pre_logits` (N, F), `features` (N, F, h, w), `stages.0`, `stages.1`, ... at the
/// end of each resolution and `blocks.0.0`, ... after each block.
#[derive(Debug, Args)]
pub(super) struct Forward {
    /// File to read
    #[arg(short, long, value_name = "FILE.safetensors")]
    input: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// What to compute: logits, pre_logits, features, stages, or single ones: stages.N, blocks.N.M
    #[arg(long, value_name = "NAME", value_parser = output, value_delimiter = ',', default_value = "logits")]
    outputs: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Parses the name of an output, or `stages` for all stages.
fn output(text: &str) -> Result<String, String> {
    let number = |text: &str| text.parse::<usize>().is_ok();
    let is_known = match text.split_once('.') {
        None => ["logits", "pre_logits", "features", "stages"].contains(&text),
        Some(("stages", stage)) => number(stage),
        Some(("blocks", block)) => {
            block.split_once('.').is_some_and(|(stage, block)| number(stage) && number(block))
        }
        Some(_) => false,
    };
    let known = "logits, pre_logits, features, stages, stages.N or blocks.N.M";
    is_known.then(|| text.to_owned()).ok_or_else(|| format!("expected {known}"))
}

impl Forward {
    pub(super) fn run(self) -> Result<Status> {
        let model = self.model.load(|builder| builder)?;
        let file = Checkpoint::open(&self.input)?;
        let Some(shape) = file.shape("input") else {
            bail!("{}: no tensor `input`", file_name(&self.input));
        };
        let Ok(shape) = <[usize; 4]>::try_from(shape) else {
            bail!("{}: `input` is {shape:?}, not (N, C, H, W)", file_name(&self.input));
        };
        let data = file.read_f32("input")?;
        let images = Images::new(&data, shape).with_context(|| file_name(&self.input))?;
        let taps = model.network().graph().outputs();
        let mut wanted: Vec<&str> = Vec::new();
        for asked in &self.outputs {
            match asked.as_str() {
                "stages" => {
                    let taps = taps.iter().map(String::as_str);
                    wanted.extend(taps.filter(|tap| tap.starts_with("stages.")));
                }
                one => wanted.push(one),
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let outputs = model
            .run(images, &wanted)
            .with_context(|| format!("{}: `input`", file_name(&self.input)))?;
        let arrays = outputs
            .into_iter()
            .map(|(name, output)| Ok((name, output.into_array()?)))
            .collect::<Result<Vec<_>, EngineError>>()?;
        let tensors: Vec<NamedTensor<'_>> = arrays
            .iter()
            .map(|(name, array)| NamedTensor {
                name,
                shape: &array.shape,
                values: Values::F32(&array.data),
            })
            .collect();
        write_safetensors(&self.output, &tensors, &BTreeMap::new())?;
        Ok(Status::All)
    }
}
