use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use anyhow::Context;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::sources::Sample;
#[cfg(feature = "parquet")]
use effnet::unstable::{Replacement, file_name};
use effnet::weights::{NamedTensor, Values, write_safetensors};
use effnet::{EmbeddingOutcome, EmbeddingRecord};
use serde::Serialize;

use super::decoding::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::{Output, complain};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::sinks::npy::Npy;
#[cfg(feature = "parquet")]
use super::sinks::parquet::Embeddings;
use super::sources::{SourceArgs, tell_passed_over};
use super::{NoModel, Status, Usage, settings};

/// Write the pooled features of images: embeddings
///
/// These are the features that the classifier reads (timm's `pre_logits`), one vector per image. An
/// image that fails is reported in its place and the others go on; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Embed {
    #[command(flatten)]
    images: SourceArgs,
    /// Form of the output; if absent, what the ending of FILE says, or jsonl
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Divide each vector by its length, so that products of two are cosines
    #[arg(long)]
    normalize: bool,
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
    /// `embeddings` (N, F) f32, the images' names as JSON in the metadata; with --output
    Safetensors,
    /// NumPy's matrix (N, F) f32, the images' names in FILE.txt; with --output
    Npy,
    /// One row per image: image, model, embedding, error; with --output
    Parquet,
}

/// The endings of files.
const ENDINGS: [(&str, Format); 7] = [
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("ndjson", Format::Jsonl),
    ("csv", Format::Csv),
    ("safetensors", Format::Safetensors),
    ("npy", Format::Npy),
    ("parquet", Format::Parquet),
];

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
        let images = self.images.with_hub_of(&self.model);
        let target = Target::open(self.format, self.output)?;
        let options = self.decode.options();
        let loaded = self.model.load(|b| self.preprocessing.apply(b.decode_options(options)))?;
        loaded.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        let features = loaded.network().num_features;
        let mut writer = target.begin(features)?;
        let mut done = Status::All;
        let mut answer = |image: String, result: Result<Vec<f32>, String>| {
            let result = result.map(|row| if self.normalize { normalized(row) } else { row });
            let result = result.map_err(|error| {
                done = Status::Some;
                complain(&format!("error: {error}"));
                settings::as_options(&error)
            });
            writer.write(Embedded { record: loaded.embedding_record(image, result), features })
        };
        let mut images = images.open();
        loaded.embed_each(&mut images, self.batch_size.into(), |image: Sample, result| {
            answer(image.name, result.map_err(|error| error.to_string()))
        })?;
        tell_passed_over(&images);
        writer.finish(features)?;
        Ok(done)
    }
}

/// A vector of length 1 in the same direction.
fn normalized(mut row: Vec<f32>) -> Vec<f32> {
    let length = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    row
}

/// Where embeddings go.
enum Target {
    Rows(Form, Output),
    File(Format, PathBuf),
}

impl Target {
    fn open(format: Option<Format>, path: Option<PathBuf>) -> Result<Self> {
        let by_ending = |path: &Path| {
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
        };
        let format = format.or_else(|| by_ending(path.as_deref()?)).unwrap_or(Format::Jsonl);
        let form = match (format, path) {
            (Format::Json, path) => (Form::Json, path),
            (Format::Jsonl, path) => (Form::Jsonl, path),
            (Format::Csv, path) => (Form::Csv, path),
            #[cfg(not(feature = "parquet"))]
            (Format::Parquet, _) => {
                bail!(Usage("this program was built without the feature `parquet`".to_owned()))
            }
            (format, Some(path)) => return Ok(Self::File(format, path)),
            (Format::Npy, None) => bail!(Usage("--format npy goes with --output FILE".to_owned())),
            #[cfg(feature = "parquet")]
            (Format::Parquet, None) => {
                bail!(Usage("--format parquet goes with --output FILE".to_owned()))
            }
            (Format::Safetensors, None) => {
                bail!(Usage("--format safetensors goes with --output FILE".to_owned()))
            }
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
            Self::File(Format::Npy, path) => Writer::Npy(Npy::begin(&path, features)?),
            #[cfg(feature = "parquet")]
            Self::File(Format::Parquet, path) => {
                let out = Replacement::begin(&path).with_context(|| file_name(&path))?;
                Writer::Parquet(path, Box::new(Embeddings::begin(out)?))
            }
            Self::File(_, path) => {
                Writer::Safetensors { path, images: Vec::new(), values: Vec::new() }
            }
        })
    }
}

/// Writes embeddings.
enum Writer {
    Rows(Rows<Output>),
    /// Images that fail are left out.
    Npy(Npy),
    #[cfg(feature = "parquet")]
    Parquet(PathBuf, Box<Embeddings<Replacement>>),
    /// Images that fail are left out, and everything is written at the end.
    Safetensors {
        path: PathBuf,
        images: Vec<String>,
        values: Vec<f32>,
    },
}

impl Writer {
    fn write(&mut self, embedded: Embedded) -> Result<()> {
        let record = &embedded.record;
        match (self, &record.outcome) {
            (Self::Rows(rows), _) => rows.write(&embedded)?,
            #[cfg(feature = "parquet")]
            (Self::Parquet(_, writer), _) => writer.write(record)?,
            (_, EmbeddingOutcome::Error(_)) => {}
            (Self::Npy(npy), EmbeddingOutcome::Embedding(row)) => npy.write(&record.image, row)?,
            (Self::Safetensors { images, values, .. }, EmbeddingOutcome::Embedding(row)) => {
                values.extend_from_slice(row);
                images.push(embedded.record.image);
            }
        }
        Ok(())
    }

    fn finish(self, features: usize) -> Result<()> {
        match self {
            Self::Rows(rows) => rows.finish()?.finish(),
            Self::Npy(npy) => npy.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(path, writer) => {
                writer.finish()?.finish().with_context(|| file_name(&path))
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
