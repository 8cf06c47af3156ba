//! How sure answers have to be.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use effnet::evaluation::Calibration;
use effnet::{Answer, AnswerOptions, Record};

use super::NoModel;
use super::table::printable;

/// Honest answers.
#[derive(Debug, Args)]
#[command(next_help_heading = "How sure answers have to be")]
pub(super) struct AnswerArgs {
    /// Calibration of the model, written by `effnet validate --save-calibration`: its temperature
    /// makes probabilities hold
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Lists as many classes as it takes for the right one to be among them in this share of images,
    /// in place of the K best
    #[arg(long, value_name = "SHARE", requires = "calibration", conflicts_with = "top_k")]
    coverage: Option<f64>,
    /// Answers `unknown` if no class has this probability
    #[arg(long, value_name = "P")]
    min_probability: Option<f32>,
    /// If no class has the probability, answers with the most specific kind of thing that has it,
    /// by WordNet: dog, if the breed is not sure
    #[arg(long, requires = "min_probability")]
    roll_up: bool,
}

/// The columns of CSV that answers add.
pub(super) const COLUMNS: [&str; 2] = ["answer", "answer_probability"];

impl AnswerArgs {
    /// The library's form; the file is read.
    pub(super) fn options(&self) -> Result<AnswerOptions> {
        let read = |file: &PathBuf| Calibration::read(file);
        let calibration = self.calibration.as_ref().map(read).transpose();
        Ok(AnswerOptions {
            calibration: calibration.map_err(|e| NoModel(format!("--calibration: {e}")))?,
            coverage: self.coverage,
            min_probability: self.min_probability,
            roll_up: self.roll_up,
        })
    }

    /// The columns of CSV that these answers add after the others.
    pub(super) fn columns(&self) -> &'static [&'static str] {
        if self.min_probability.is_some() { &COLUMNS } else { &[] }
    }
}

/// The options in a few words, for runs that go on.
pub(super) fn summary(options: &AnswerOptions) -> String {
    let AnswerOptions { calibration, coverage, min_probability, roll_up } = options;
    let calibration = calibration.as_ref().map(|c| (c.temperature, c.images, c.right.len()));
    format!("{calibration:?} {coverage:?} {min_probability:?} {roll_up}")
}

/// The cells of these columns: `unknown`, or a class or a synset with its probability.
pub(super) fn cells(record: &Record) -> Option<[String; 2]> {
    record.answer.as_ref().map(|answer| match answer {
        Answer::Class { index, label, probability, .. } => {
            let name = label.clone().unwrap_or_else(|| index.to_string());
            [name, probability.to_string()]
        }
        Answer::Group { label, probability, .. } => [label.clone(), probability.to_string()],
        Answer::Unknown => ["unknown".to_owned(), String::new()],
    })
}

/// The line that says the answer to a person.
pub(super) fn line(record: &Record) -> Option<String> {
    let line = record.answer.as_ref().map(|answer| match answer {
        Answer::Class { index, label, probability, .. } => {
            let name = label.clone().unwrap_or_else(|| format!("class {index}"));
            format!("{} {:.1}%", printable(&name), probability * 100.0)
        }
        Answer::Group { label, probability, classes, .. } => {
            format!("{label} {:.1}% (one of {classes} kinds)", probability * 100.0)
        }
        Answer::Unknown => "unknown".to_owned(),
    });
    let set = record.coverage.map(|coverage| {
        format!("the right class is one of these for {}% of images", rounded(coverage * 100.0))
    });
    match (line, set) {
        (Some(line), Some(set)) => Some(format!("{line}; {set}")),
        (line, set) => line.or(set),
    }
}

/// A percentage without the noise of its conversion.
fn rounded(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}
