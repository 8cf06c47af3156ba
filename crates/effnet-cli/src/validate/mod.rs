//! `effnet validate`: how good a model is.

mod page;
mod plots;
mod samples;
mod targets;
mod text;
mod thumbnails;

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use effnet::evaluation::{EvaluationReport, TemperatureReport};
use effnet::labels::ClassifierActivation;
use effnet::pretrained::read_labels;
use effnet::sources::{Sample, SampleImage};
use effnet::unstable::{Replacement, file_name};
use effnet::{Classifier, Labelled, Validation};
use serde::Serialize;

use self::samples::DataArgs;
use self::targets::TargetArgs;
use self::thumbnails::Thumbnails;
use super::decoding::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::{complain, stdout};
use super::preprocessing::PreprocessingArgs;
use super::{NoModel, Status, Usage};

/// Measure how good a model is on images whose classes are known
///
/// The figures are those of timm's `validate.py`, and more: each class, what is confused, how far
/// probabilities can be believed. An image that fails is named and not counted; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    data: DataArgs,
    /// Form of the figures on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write a page with all figures, plots and the worst mistakes: one HTML file
    #[arg(short = 'o', long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write a calibration, for `effnet classify --calibration FILE`
    #[arg(long, value_name = "FILE")]
    save_calibration: Option<PathBuf>,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
    /// File of the classes' names, in place of the model's: see `effnet classify`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What turns outputs into probabilities, if the model says something else than softmax
    #[arg(long, value_name = "NAME")]
    activation: Option<ClassifierActivation>,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The figures that matter most
    Table,
    /// All of them
    Json,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Measured {
    model: String,
    /// The SHA-256 of the weights, or what they are.
    weights: String,
    data: String,
    /// Images that could not be read.
    failed: u64,
    #[serde(flatten)]
    report: EvaluationReport,
}

impl Validate {
    pub(super) fn run(self) -> Result<Status> {
        if self.save_calibration.is_some() && self.targets.is_partial() {
            let says =
                "--save-calibration goes with all classes: leave out --valid-labels and --subset";
            return Err(Usage(says.to_owned()).into());
        }
        let data = self.data.with_hub_of(&self.model);
        let options = self.decode.options();
        let labels = self.labels.as_deref().map(read_labels).transpose();
        let labels = labels.map_err(|e| NoModel(format!("--labels: {e}")))?;
        let model = self.model.load(|builder| {
            let mut builder = self.preprocessing.apply(builder.decode_options(options));
            if let Some(labels) = labels {
                builder = builder.labels(labels);
            }
            match self.activation {
                Some(activation) => builder.activation(activation),
                None => builder,
            }
        })?;
        let no_model = |e: effnet::Error| NoModel(e.to_string());
        let classifier = Classifier::new(model).map_err(no_model)?;
        let preprocessor = classifier.preprocessor().map_err(no_model)?;
        let valid = self.targets.valid(&classifier)?;
        let mut validation = Validation::new(&classifier, valid).map_err(no_model)?;
        let mut targets = self.targets.targets(&data, validation.classes())?;

        let failed = Cell::new(0);
        let fails = |error: &dyn std::fmt::Display| {
            failed.set(failed.get() + 1);
            complain(&format!("error: {error}"));
        };
        let images = data.open().filter_map(|sample| {
            if let SampleImage::Unreadable { reason } = &sample.image {
                fails(&format!("{}: {reason}", sample.name));
                return None;
            }
            let label = data.label(&sample)?;
            targets.labelled(sample, label)
        });
        let mut thumbnails = self.report.is_some().then(|| Thumbnails::new(preprocessor));
        let each = |image: &Labelled<Sample>, result| -> Result<()> {
            match (result, &mut thumbnails) {
                (Ok(true), Some(thumbnails)) => thumbnails.add(image),
                (Ok(_), _) => {}
                (Err(error), _) => fails(&error),
            }
            Ok(())
        };
        classifier.validate_each(images, self.batch_size.into(), &mut validation, each)?;
        targets.tell_left_out();

        let mut report = validation.report();
        let fit = validation.fit();
        report.calibration = fit.as_ref().ok().map(TemperatureReport::from);
        let from = classifier.provenance();
        let measured = Measured {
            model: from.model.clone(),
            weights: classifier.weights_digest().unwrap_or(&from.weights).to_owned(),
            data: data.name(),
            failed: failed.get(),
            report,
        };
        match self.format {
            Format::Table => text::write(&measured, &mut stdout())?,
            Format::Json => {
                let mut out = stdout();
                out.write_json(&measured)?;
                out.flush()?;
            }
        }
        if let Some(path) = &self.report {
            let mut file = Replacement::begin(path).with_context(|| file_name(path))?;
            let page = page::page(&measured, &thumbnails.unwrap_or_default());
            file.write_all(page.as_bytes())
                .and_then(|()| file.finish())
                .with_context(|| file_name(path))?;
        }
        if let Some(path) = &self.save_calibration {
            let fit = fit?;
            classifier.calibration(&fit).write(path)?;
            let file = file_name(path);
            let (images, others) = (fit.images, fit.right.len());
            complain(&format!(
                "note: {file}: temperature {:.4} from {images} images, measured on {others} others",
                fit.temperature
            ));
            if !TemperatureReport::from(&fit).helps() {
                complain(&format!("note: on the {others} it does not help: validate more images"));
            }
        }
        Ok(if failed.get() > 0 { Status::Some } else { Status::All })
    }
}
