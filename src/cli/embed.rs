use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::images::{DecodeArgs, Image};
use super::model::ModelArgs;
use super::output::{complain, stdout};
use super::preprocessing::PreprocessingArgs;
use super::{Done, found, settings};
use crate::text::file_name;
use crate::weights::{NamedTensor, Values, write_safetensors};

/// Write the pooled features of images: embeddings
///
/// The features are those that the classifier reads (timm's `pre_logits`), one vector an image. An
/// image that fails is reported in its place and the others go on; the exit code is 1 then.
#[derive(Debug, Args)]
pub(super) struct Embed {
    /// Images: files, folders (searched recursively), glob patterns, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<OsString>,
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
    /// One object a line
    Jsonl,
    /// One line an image: image,model,error, then one column a feature
    Csv,
    /// `embeddings` (N, F) f32, the images' names as JSON in the metadata; nothing if an image fails
    Safetensors,
}

/// What became of one image.
#[derive(Debug, Serialize)]
struct Record<'a> {
    image: String,
    model: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Embedding(Vec<f32>),
    Error(String),
}

impl Embed {
    pub(super) fn run(self) -> Result<Done> {
        let out: Box<dyn Write> = match (&self.output, self.format) {
            (None, Format::Safetensors) => bail!("--format safetensors goes with --output FILE"),
            // Written at the end, whole or not at all.
            (Some(_), Format::Safetensors) => Box::new(std::io::sink()),
            (Some(path), _) => {
                Box::new(BufWriter::new(File::create(path).with_context(|| file_name(path))?))
            }
            (None, _) => Box::new(stdout()),
        };
        let found = found::find(&self.images);
        let options = self.decode.options();
        let classifier =
            self.model.load(|b| self.preprocessing.apply(b.decode_options(options)))?;
        let model = &*classifier.provenance().model;
        let features = classifier.network().num_features;
        let mut writer = Writer::new(self.format, out, features)?;
        let mut done = Done::All;
        let mut answer = |image: String, result: Result<Vec<f32>, String>| {
            let outcome = match result {
                Ok(embedding) => Outcome::Embedding(embedding),
                Err(error) => {
                    done = Done::Some;
                    complain(&format!("error: {error}"));
                    Outcome::Error(settings::as_options(&error))
                }
            };
            writer.write(Record { image, model, outcome })
        };
        let mut images = 0;
        let batch_size = self.batch_size.into();
        classifier.embed_each(&found.images, batch_size, |image: &Image, result| {
            for failed in found.failed_before(images) {
                answer(failed.name().to_owned(), Err(failed.error()))?;
            }
            images += 1;
            answer(image.name(), result.map_err(|error| error.to_string()))
        })?;
        for failed in found.failed_before(images) {
            answer(failed.name().to_owned(), Err(failed.error()))?;
        }
        if let Some(path) = self.output.as_deref().filter(|_| self.format == Format::Safetensors)
            && done == Done::Some
        {
            complain(&format!("error: {} is not written", file_name(path)));
            return Ok(done);
        }
        writer.finish(self.output.as_deref(), features)?;
        Ok(done)
    }
}

/// Writes records in one of the formats.
enum Writer<W: Write> {
    Json { out: W, is_first: bool },
    Jsonl { out: W },
    Csv { csv: Box<csv::Writer<W>>, features: usize },
    Safetensors { images: Vec<String>, values: Vec<f32> },
}

impl<W: Write> Writer<W> {
    fn new(format: Format, mut out: W, features: usize) -> Result<Self> {
        Ok(match format {
            Format::Json => {
                out.write_all(b"[")?;
                Self::Json { out, is_first: true }
            }
            Format::Jsonl => Self::Jsonl { out },
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                let columns = ["image", "model", "error"].map(str::to_owned);
                csv.write_record(columns.into_iter().chain((0..features).map(|i| i.to_string())))?;
                Self::Csv { csv: Box::new(csv), features }
            }
            Format::Safetensors => Self::Safetensors { images: Vec::new(), values: Vec::new() },
        })
    }

    fn write(&mut self, record: Record<'_>) -> Result<()> {
        match self {
            Self::Json { out, is_first } => {
                out.write_all(if std::mem::replace(is_first, false) { b"\n" } else { b",\n" })?;
                serde_json::to_writer(out, &record).map_err(std::io::Error::from)?;
            }
            Self::Jsonl { out } => {
                serde_json::to_writer(&mut *out, &record).map_err(std::io::Error::from)?;
                writeln!(out)?;
                out.flush()?;
            }
            Self::Csv { csv, features } => {
                let (error, cells) = match &record.outcome {
                    Outcome::Error(error) => (&**error, vec![String::new(); *features]),
                    Outcome::Embedding(row) => ("", row.iter().map(f32::to_string).collect()),
                };
                let start = [&*record.image, record.model, error];
                csv.write_record(start.into_iter().chain(cells.iter().map(String::as_str)))?;
                csv.flush()?;
            }
            Self::Safetensors { images, values } => {
                if let Outcome::Embedding(row) = &record.outcome {
                    values.extend_from_slice(row);
                }
                images.push(record.image);
            }
        }
        Ok(())
    }

    fn finish(self, path: Option<&Path>, features: usize) -> Result<()> {
        match (self, path) {
            (Self::Json { mut out, .. }, _) => {
                out.write_all(b"\n]\n")?;
                out.flush()?;
            }
            (Self::Jsonl { mut out }, _) => out.flush()?,
            (Self::Csv { mut csv, .. }, _) => csv.flush()?,
            (Self::Safetensors { images, values }, path) => {
                let tensor = NamedTensor {
                    name: "embeddings",
                    shape: &[images.len(), features],
                    values: Values::F32(&values),
                };
                let names = serde_json::to_string(&images)?;
                let metadata = BTreeMap::from([("images".to_owned(), names)]);
                if let Some(path) = path {
                    write_safetensors(path, &[tensor], &metadata)?;
                }
            }
        }
        Ok(())
    }
}
