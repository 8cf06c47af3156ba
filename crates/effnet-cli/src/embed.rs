use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::unstable::file_name;
use effnet::weights::{NamedTensor, Values, write_safetensors};
use effnet::{EmbeddingOutcome, EmbeddingRecord};
use serde::Serialize;

use super::found::ImageArgs;
use super::images::{DecodeArgs, Image};
use super::model_args::ModelArgs;
use super::output::{Output, complain};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::{NoModel, Status, settings};

/// Write the pooled features of images: embeddings
///
/// These are the features that the classifier reads (timm's `pre_logits`), one vector per image. An
/// image that fails is reported in its place and the others go on; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Embed {
    #[command(flatten)]
    images: ImageArgs,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// File to write; standard output if absent
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One list of objects
    Json,
    /// One object per line
    Jsonl,
    /// One line per image: image,model,error, then one column per feature
    Csv,
    /// `embeddings` (N, F) f32, the images' names as JSON in the metadata; nothing if an image fails
    Safetensors,
}

/// The result of one image.
#[derive(Debug, Serialize)]
struct Embedded {
    #[serde(flatten)]
    record: EmbeddingRecord,
    /// The columns of CSV that an error leaves empty.
    #[serde(skip)]
    features: usize,
}

impl Row for Embedded {
    fn csv(&self) -> Vec<Vec<String>> {
        let EmbeddingRecord { image, model, outcome } = &self.record;
        let (error, values) = match outcome {
            EmbeddingOutcome::Error(error) => (&**error, vec![String::new(); self.features]),
            EmbeddingOutcome::Embedding(row) => ("", row.iter().map(f32::to_string).collect()),
        };
        let start = [&**image, &**model, error].map(str::to_owned);
        vec![start.into_iter().chain(values).collect()]
    }
}

impl Embed {
    pub(super) fn run(self) -> Result<Status> {
        let target = Target::open(self.format, self.output)?;
        let found = self.images.find();
        let options = self.decode.options();
        let loaded = self.model.load(|b| self.preprocessing.apply(b.decode_options(options)))?;
        loaded.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        let features = loaded.network().num_features;
        let mut writer = target.begin(features)?;
        let mut done = Status::All;
        let mut answer = |image: String, result: Result<Vec<f32>, String>| {
            let result = result.map_err(|error| {
                done = Status::Some;
                complain(&format!("error: {error}"));
                settings::as_options(&error)
            });
            writer.write(Embedded { record: loaded.embedding_record(image, result), features })
        };
        let mut images = 0;
        let batch_size = self.batch_size.into();
        loaded.embed_each(&found.images, batch_size, |image: &Image, result| {
            for failed in found.failed_before(images) {
                answer(failed.name().to_owned(), Err(failed.error()))?;
            }
            images += 1;
            answer(image.name(), result.map_err(|error| error.to_string()))
        })?;
        for failed in found.failed_before(images) {
            answer(failed.name().to_owned(), Err(failed.error()))?;
        }
        writer.finish(done, features)?;
        Ok(done)
    }
}

/// Where embeddings go.
enum Target {
    Rows(Form, Output),
    Safetensors(PathBuf),
}

impl Target {
    fn open(format: Format, path: Option<PathBuf>) -> Result<Self> {
        let form = match (format, path) {
            (Format::Safetensors, Some(path)) => return Ok(Self::Safetensors(path)),
            (Format::Safetensors, None) => bail!("--format safetensors goes with --output FILE"),
            (Format::Json, path) => (Form::Json, path),
            (Format::Jsonl, path) => (Form::Jsonl, path),
            (Format::Csv, path) => (Form::Csv, path),
        };
        Ok(Self::Rows(form.0, Output::open(form.1.as_deref())?))
    }

    fn begin(self, features: usize) -> Result<Writer> {
        Ok(match self {
            Self::Rows(form, out) => {
                let columns = ["image", "model", "error"].map(str::to_owned).into_iter();
                let columns: Vec<_> = columns.chain((0..features).map(|i| i.to_string())).collect();
                Writer::Rows(Rows::begin(form, out, &columns)?)
            }
            Self::Safetensors(path) => {
                Writer::Safetensors { path, images: Vec::new(), values: Vec::new() }
            }
        })
    }
}

/// Writes embeddings.
enum Writer {
    Rows(Rows<Output>),
    /// Everything is written at the end.
    Safetensors {
        path: PathBuf,
        images: Vec<String>,
        values: Vec<f32>,
    },
}

impl Writer {
    fn write(&mut self, embedded: Embedded) -> Result<()> {
        match self {
            Self::Rows(rows) => rows.write(&embedded)?,
            Self::Safetensors { images, values, .. } => {
                if let EmbeddingOutcome::Embedding(row) = &embedded.record.outcome {
                    values.extend_from_slice(row);
                }
                images.push(embedded.record.image);
            }
        }
        Ok(())
    }

    fn finish(self, done: Status, features: usize) -> Result<()> {
        match self {
            Self::Rows(rows) => rows.finish()?.finish(),
            Self::Safetensors { path, .. } if done == Status::Some => {
                complain(&format!("error: {} is not written", file_name(&path)));
                Ok(())
            }
            Self::Safetensors { path, images, values } => {
                let tensor = NamedTensor {
                    name: "embeddings",
                    shape: &[images.len(), features],
                    values: Values::F32(&values),
                };
                let names = serde_json::to_string(&images)?;
                let metadata = BTreeMap::from([("images".to_owned(), names)]);
                Ok(write_safetensors(&path, &[tensor], &metadata)?)
            }
        }
    }
}
