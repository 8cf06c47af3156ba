use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use effnet::labels::ClassifierActivation;
use effnet::pretrained::read_labels;
use effnet::{Classifier, Model, Outcome, Prediction, Record};

use super::answers::{self, AnswerArgs};
use super::found::ImageArgs;
use super::images::{DecodeArgs, Image};
use super::model_args::ModelArgs;
use super::output::{complain, is_one_terminal, stdout, width};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::table::{align, bar, printable, widest};
use super::{NoModel, Status, settings};

/// Name what images show
///
/// An image that fails is reported in its place and the others go on; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Classify {
    #[command(flatten)]
    images: ImageArgs,
    /// How many classes to name
    #[arg(short = 'k', long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
    /// File of the classes' names: one per line, an index and a name per line, CSV with a header, a
    /// JSON list or map, PyTorch's class_to_idx, or a config.json; the model's own names if absent
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What turns outputs into probabilities: softmax (one class applies), sigmoid (each class by
    /// itself) or none; if absent, what the model says
    #[arg(long, value_name = "NAME")]
    activation: Option<ClassifierActivation>,
    /// Say on standard error where the results come from
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns with bars
    Table,
    /// One list of objects
    Json,
    /// One object per line
    Jsonl,
    /// One line per prediction: image, model, rank, index, synset, label, probability, logit, error
    Csv,
}

/// The columns of CSV.
const COLUMNS: [&str; 9] =
    ["image", "model", "rank", "index", "synset", "label", "probability", "logit", "error"];

impl Classify {
    pub(super) fn run(self) -> Result<Status> {
        let found = self.images.find();
        let options = self.decode.options();
        let labels = self.labels.as_deref().map(read_labels).transpose();
        let labels = labels.map_err(|e| NoModel(format!("--labels: {e}")))?;
        let answers = self.answers.options()?;
        let model = self.model.load(|builder| {
            let builder = builder.decode_options(options).answers(answers);
            let mut builder = self.preprocessing.apply(builder);
            if let Some(labels) = labels {
                builder = builder.labels(labels);
            }
            match self.activation {
                Some(activation) => builder.activation(activation),
                None => builder,
            }
        })?;
        let classifier = Classifier::new(model).map_err(|e| NoModel(e.to_string()))?;
        classifier.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        if self.verbose {
            explain(&classifier);
        }
        let name = &classifier.provenance().model;
        let mut writer = Writer::begin(self.format, stdout(), self.answers.columns())?;
        let mut done = Status::All;
        let mut answer = |mut record: Record| {
            if let Outcome::Error(error) = &mut record.outcome {
                done = Status::Some;
                *error = settings::as_options(error);
                if !is_one_terminal() {
                    complain(&format!("error: {error}"));
                }
            }
            writer.write(&record)
        };
        let mut images = 0;
        let (batch_size, k) = (self.batch_size.into(), self.top_k as usize);
        classifier.classify_each(&found.images, batch_size, k, |image: &Image, result| {
            for failed in found.failed_before(images) {
                answer(failed.record(name))?;
            }
            images += 1;
            answer(classifier.record(image.name(), result))
        })?;
        for failed in found.failed_before(images) {
            answer(failed.record(name))?;
        }
        writer.finish()?;
        Ok(done)
    }
}

/// Says where everything comes from.
fn explain(model: &Model) {
    let from = model.provenance();
    let values = &from.preprocessing;
    let lines = [
        format!("model         {} (architecture {})", from.model, from.architecture),
        format!("weights       {}", from.weights),
        format!("sha256        {}", model.weights_digest().unwrap_or("none: generated")),
        format!("engine        {} on {}", from.engine.engine, from.engine.device),
        format!("pipeline      {}", values.pipeline),
        format!("input_size    {:?} ({})", values.input_size.value, values.input_size.source),
        format!("interpolation {} ({})", values.interpolation.value, values.interpolation.source),
        format!("crop_pct      {} ({})", values.crop_pct.value, values.crop_pct.source),
        format!("crop_mode     {} ({})", values.crop_mode.value, values.crop_mode.source),
        format!("mean          {:?} ({})", values.mean.value, values.mean.source),
        format!("std           {:?} ({})", values.std.value, values.std.source),
        format!("activation    {} ({})", from.activation.value, from.activation.source),
    ];
    lines.iter().for_each(|line| complain(line));
}

/// Writes records in one of the formats.
enum Writer<W: Write> {
    Table { out: W, is_first: bool, width: usize },
    Rows(Rows<W>),
}

impl<W: Write> Writer<W> {
    fn begin(format: Format, out: W, answers: &[&str]) -> Result<Self> {
        let form = match format {
            Format::Table => return Ok(Self::Table { out, is_first: true, width: width() }),
            Format::Json => Form::Json,
            Format::Jsonl => Form::Jsonl,
            Format::Csv => Form::Csv,
        };
        let columns: Vec<_> = COLUMNS.iter().chain(answers).map(|&c| c.to_owned()).collect();
        Ok(Self::Rows(Rows::begin(form, out, &columns)?))
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        match self {
            Self::Table { out, is_first, width } => {
                if !std::mem::replace(is_first, false) {
                    writeln!(out)?;
                }
                write_table(out, record, *width)?;
                Ok(out.flush()?)
            }
            Self::Rows(rows) => rows.write(record),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Table { .. } => Ok(()),
            Self::Rows(rows) => Ok(rows.finish()?.flush()?),
        }
    }
}

fn write_table(out: &mut impl Write, record: &Record, width: usize) -> Result<()> {
    /// The bar's width in columns if there is room, and the width below which it would say nothing.
    const BAR: (usize, usize) = (20, 5);
    let title = [[printable(&record.image), format!("({})", printable(&record.model))]];
    for line in align(&title, &[], width) {
        writeln!(out, "{line}")?;
    }
    if let Some(line) = answers::line(record) {
        writeln!(out, "  {line}")?;
    }
    match &record.outcome {
        Outcome::Error(error) => writeln!(out, "  error: {}", printable(error))?,
        Outcome::Predictions(predictions) => {
            let row = |(i, p): (usize, &Prediction)| {
                vec![
                    format!("  {}", i + 1),
                    p.index.to_string(),
                    p.synset.clone().unwrap_or_default(),
                    printable(p.label.as_deref().unwrap_or_default()),
                    match p.probability {
                        Some(probability) => format!("{:.1}%", probability * 100.0),
                        None => format!("{:.4}", p.logit),
                    },
                ]
            };
            let right = [0, 1, 4];
            let mut rows: Vec<_> = predictions.iter().enumerate().map(row).collect();
            let room = width.saturating_sub(widest(&align(&rows, &right, width)) + 2);
            if room >= BAR.1 {
                let bars =
                    predictions.iter().map(|p| bar(p.probability.unwrap_or(0.0), room.min(BAR.0)));
                rows.iter_mut().zip(bars).for_each(|(row, bar)| row.push(bar));
            }
            for line in align(&rows, &right, width) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

impl Row for Record {
    fn csv(&self) -> Vec<Vec<String>> {
        let (image, model) = (&*self.image, &*self.model);
        let line = |cells: [&str; COLUMNS.len()]| {
            let answer = answers::cells(self).into_iter().flatten();
            cells.map(str::to_owned).into_iter().chain(answer).collect()
        };
        match &self.outcome {
            Outcome::Error(error) => vec![line([image, model, "", "", "", "", "", "", error])],
            Outcome::Predictions(predictions) => {
                let row = |(i, p): (usize, &Prediction)| {
                    line([
                        image,
                        model,
                        &(i + 1).to_string(),
                        &p.index.to_string(),
                        p.synset.as_deref().unwrap_or_default(),
                        p.label.as_deref().unwrap_or_default(),
                        &p.probability.map(|p| p.to_string()).unwrap_or_default(),
                        &p.logit.to_string(),
                        "",
                    ])
                };
                predictions.iter().enumerate().map(row).collect()
            }
        }
    }
}
