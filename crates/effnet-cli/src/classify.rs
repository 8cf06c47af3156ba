use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::{Args, ValueEnum};
use effnet::labels::ClassifierActivation;
use effnet::preprocess::DecodeOptions;
use effnet::pretrained::read_labels;
use effnet::sources::{Sample, Sources};
use effnet::{Classifier, Model, Outcome, Prediction, Record};

use super::answers::{self, AnswerArgs};
use super::decoding::DecodeArgs;
use super::long_run::LongRun;
use super::model_args::ModelArgs;
use super::output::{Output, complain, is_one_terminal, stdout, width};
use super::picture::{Pictures, thumbnail};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::sheet::{Card, Sheet};
use super::sinks::{COLUMNS, FileForm, LayoutArgs};
use super::sources::{SourceArgs, tell_passed_over};
use super::table::{align, bar, printable, widest};
use super::{NoModel, Status, Usage, settings};

/// Name what images show
///
/// An image that fails is reported in its place and the others go on; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Classify {
    #[command(flatten)]
    images: SourceArgs,
    /// How many classes to name
    #[arg(short = 'k', long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Form of the output; if absent, a table, or what the ending of FILE says
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write, when all images are done; until then, the rows are in FILE.journal
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the run that FILE.journal is of, if there is one
    #[arg(long, requires = "output")]
    resume: bool,
    /// Do part I of N of the images, I from 1: `effnet merge` joins the files
    #[arg(long, value_name = "I/N", requires = "output")]
    shard: Option<Shard>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Folder for a picture of each image with its answer on it
    #[arg(long, value_name = "DIR")]
    save_images: Option<PathBuf>,
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
    /// The columns of CSV, compressed; with --output
    Parquet,
    /// A contact sheet: one file, with the images in it
    Html,
}

impl Format {
    /// The form of a file.
    fn of_file(self) -> Option<FileForm> {
        Some(match self {
            Self::Table | Self::Html => return None,
            Self::Json => FileForm::Rows(Form::Json),
            Self::Jsonl => FileForm::Rows(Form::Jsonl),
            Self::Csv => FileForm::Rows(Form::Csv),
            Self::Parquet => FileForm::Parquet,
        })
    }
}

/// Part `index` of `count`, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shard {
    pub(super) index: u64,
    pub(super) count: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        match numbers {
            Some(shard) if (1..=shard.count).contains(&shard.index) => Ok(shard),
            _ => Err(format!("`{text}` is not I/N with I from 1 to N, such as 2/8")),
        }
    }
}

impl Classify {
    pub(super) fn run(self) -> Result<Status> {
        let images = self.images.with_hub_of(&self.model);
        let form = match (&self.output, self.format) {
            (None, None) => Ok(Format::Table),
            (None, Some(Format::Parquet)) => {
                return Err(Usage("--format parquet goes with --output FILE".to_owned()).into());
            }
            (None, Some(format)) => Ok(format),
            (_, Some(Format::Html)) => Ok(Format::Html),
            (Some(path), None) if is_html(path) => Ok(Format::Html),
            (Some(path), None) => Err(FileForm::of(path)?),
            (Some(_), Some(format)) => Err(format.of_file().ok_or_else(|| {
                Usage("--format table is for standard output: leave out --output".to_owned())
            })?),
        };
        if matches!(form, Ok(Format::Html)) && (self.resume || self.shard.is_some()) {
            return Err(Usage("a contact sheet cannot be resumed or split".to_owned()).into());
        }
        match form {
            Ok(_) => self.layout.check_stdout()?,
            Err(form) => self.layout.check(form)?,
        }
        let options = self.decode.options();
        let labels = self.labels.as_deref().map(read_labels).transpose();
        let labels = labels.map_err(|e| NoModel(format!("--labels: {e}")))?;
        let answers = self.answers.options()?;
        let how_sure = answers::summary(&answers);
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
        let preprocessor = classifier.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        if self.verbose {
            explain(&classifier);
        }
        let folder = self.save_images.as_deref();
        let pictures = folder.map(|folder| Pictures { folder, preprocessor });
        let (batch_size, k, columns) = (self.batch_size, self.top_k, self.answers.columns());
        let run = Run { classifier: &classifier, batch_size, k, columns, pictures };
        match (form, self.output) {
            (Err(form), Some(output)) => LongRun {
                output,
                form,
                layout: self.layout,
                resume: self.resume,
                shard: self.shard.unwrap_or(Shard { index: 1, count: 1 }),
                settings: settings_of(&classifier, &options, how_sure),
            }
            .run(&run, &images),
            (Err(_), None) => Ok(Status::All),
            (Ok(Format::Html), output) => run.to_sheet(output.as_deref(), &images),
            (Ok(format), _) => run.to_stdout(format, &images),
        }
    }
}

/// A classifier at work.
pub(super) struct Run<'a> {
    pub(super) classifier: &'a Classifier,
    batch_size: u16,
    k: u32,
    /// The columns that answers add.
    pub(super) columns: &'static [&'static str],
    /// Where each image is drawn with its answer.
    pictures: Option<Pictures<'a>>,
}

impl Run<'_> {
    /// How many classes a row names.
    pub(super) fn top_k(&self) -> usize {
        (self.k as usize).min(self.classifier.num_classes().max(2))
    }

    /// timm's descriptions of the classes; none if the model has no labels.
    pub(super) fn descriptions(&self) -> Vec<String> {
        let Some(labels) = self.classifier.labels() else { return Vec::new() };
        let labels = (0..).map_while(|index| labels.get(index));
        labels.map(|label| label.lemmas.to_owned()).collect()
    }

    /// Hands over the record of each image.
    pub(super) fn each(
        &self,
        sources: &mut Sources,
        mut answer: impl FnMut(Sample, Record) -> Result<()>,
    ) -> Result<Status> {
        let mut done = Status::All;
        let (batch_size, k) = (self.batch_size.into(), self.k as usize);
        self.classifier.classify_each(&mut *sources, batch_size, k, |sample: Sample, result| {
            let mut record = self.classifier.record(&*sample.name, result);
            if let Outcome::Error(error) = &mut record.outcome {
                done = Status::Some;
                *error = settings::as_options(error);
            }
            if let (Some(pictures), Outcome::Predictions(predictions)) =
                (&self.pictures, &record.outcome)
            {
                pictures.save(&sample, predictions)?;
            }
            answer(sample, record)
        })?;
        tell_passed_over(sources);
        Ok(done)
    }

    fn to_stdout(&self, format: Format, images: &SourceArgs) -> Result<Status> {
        let mut writer = Writer::begin(format, stdout(), self.columns)?;
        let done = self.each(&mut images.open(), |_, record| {
            if let Outcome::Error(error) = &record.outcome
                && !is_one_terminal()
            {
                complain(&format!("error: {error}"));
            }
            writer.write(&record)
        })?;
        writer.finish()?;
        Ok(done)
    }

    fn to_sheet(&self, output: Option<&Path>, images: &SourceArgs) -> Result<Status> {
        let model = &self.classifier.provenance().model;
        let about = match self.top_k() {
            1 => "The most probable class of each image.".to_owned(),
            k => format!("The {k} most probable classes of each image."),
        };
        let mut sheet = Sheet::begin(Output::open(output)?, model, &about, false)?;
        let done = self.each(&mut images.open(), |sample, record| {
            let image = || thumbnail(self.classifier.preprocessor()?.decode(&sample)?);
            let (pictures, answer) = match &record.outcome {
                Outcome::Predictions(predictions) => (vec![image()?], Ok(&predictions[..])),
                Outcome::Error(error) => {
                    complain(&format!("error: {error}"));
                    (Vec::new(), Err(&**error))
                }
            };
            let name = &record.image;
            sheet.add(&Card { name, pictures: &pictures, answer, how: None })
        })?;
        sheet.finish()?.finish()?;
        Ok(done)
    }
}

/// Whether a file's name is that of a contact sheet.
fn is_html(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("html") || e.eq_ignore_ascii_case("htm"))
}

/// What rows depend on besides the model's name and the images: a run goes on only with the same.
fn settings_of(
    classifier: &Classifier,
    decode: &DecodeOptions,
    answers: String,
) -> BTreeMap<String, String> {
    let from = classifier.provenance();
    let values = &from.preprocessing;
    let settings = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("weights", classifier.weights_digest().map_or(from.weights.to_string(), str::to_owned)),
        ("engine", format!("{} on {}", from.engine.engine, from.engine.device)),
        ("dtype", format!("{:?}", classifier.engine().capabilities().dtype)),
        ("pipeline", values.pipeline.to_string()),
        ("input_size", format!("{:?}", values.input_size.value)),
        ("interpolation", values.interpolation.value.to_string()),
        ("crop_pct", values.crop_pct.value.to_string()),
        ("crop_mode", values.crop_mode.value.to_string()),
        ("mean", format!("{:?}", values.mean.value)),
        ("std", format!("{:?}", values.std.value)),
        ("activation", from.activation.value.to_string()),
        ("decode", format!("{decode:?}")),
        ("answers", answers),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
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
            Format::Csv | Format::Parquet | Format::Html => Form::Csv,
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
