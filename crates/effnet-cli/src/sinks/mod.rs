//! Files of results, made of a whole journal or written as rows come.

pub(super) mod npy;
mod numpy;
#[cfg(feature = "parquet")]
pub(super) mod parquet;
mod timm;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use effnet::Record;
use effnet::unstable::{Replacement, file_name};

use self::timm::TimmArgs;
use super::journal::{Head, Reader};
use super::rows::{Form, Rows};
use super::{Usage, answers};

/// The columns of CSV and Parquet.
pub(super) const COLUMNS: [&str; 9] =
    ["image", "model", "rank", "index", "synset", "label", "probability", "logit", "error"];

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    Rows(Form),
    Parquet,
}

/// The endings of files.
const ENDINGS: [(&str, FileForm); 5] = [
    ("csv", FileForm::Rows(Form::Csv)),
    ("json", FileForm::Rows(Form::Json)),
    ("jsonl", FileForm::Rows(Form::Jsonl)),
    ("ndjson", FileForm::Rows(Form::Jsonl)),
    ("parquet", FileForm::Parquet),
];

impl FileForm {
    /// What the ending of a file's name says.
    pub(super) fn of(path: &Path) -> Result<Self, Usage> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let known = ENDINGS.iter().find(|(known, _)| *known == ending);
        known.map(|(_, form)| *form).ok_or_else(|| {
            let known = ENDINGS.map(|(known, _)| known).join(", ");
            let name = file_name(path);
            Usage(format!("{name}: its ending is none of {known}: name the form with --format"))
        })
    }
}

/// What a row looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// One line or object per prediction or image, with everything that is known
    #[default]
    Effnet,
    /// As timm's inference.py writes it, in CSV and JSON
    Timm,
}

/// How results are laid out in a file.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LayoutArgs {
    /// Columns of the file
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    layout: Layout,
    #[command(flatten)]
    timm: TimmArgs,
}

impl LayoutArgs {
    /// Whether the layout can have this form.
    pub(super) fn check(&self, form: FileForm) -> Result<(), Usage> {
        match (self.layout, form) {
            (Layout::Timm, FileForm::Rows(Form::Jsonl) | FileForm::Parquet) => {
                Err(Usage("--layout timm makes .csv and .json files".to_owned()))
            }
            (Layout::Effnet, _) if self.timm.is_given() => Err(Usage(
                "--fullname, --include-index, --results-separate-col and --output-type go with \
                     --layout timm"
                    .to_owned(),
            )),
            #[cfg(not(feature = "parquet"))]
            (_, FileForm::Parquet) => Err(no_parquet()),
            _ => Ok(()),
        }
    }

    /// Whether results on standard output can be laid out like this.
    pub(super) fn check_stdout(&self) -> Result<(), Usage> {
        match self.layout {
            Layout::Timm => Err(Usage("--layout timm goes with --output FILE".to_owned())),
            Layout::Effnet => self.check(FileForm::Rows(Form::Csv)),
        }
    }

    /// Writes the rows of a whole journal to `path`, which appears when it is complete.
    pub(super) fn write(
        &self,
        form: FileForm,
        path: &Path,
        records: impl Iterator<Item = Result<Record>>,
        head: &Head,
    ) -> Result<()> {
        let shown = || file_name(path);
        let out = Replacement::begin(path).with_context(shown)?;
        let out = match (self.layout, form) {
            (Layout::Timm, FileForm::Rows(Form::Json)) => self.timm.json(out, records, head)?,
            (Layout::Timm, _) => self.timm.csv(out, records, head)?,
            (Layout::Effnet, FileForm::Rows(form)) => rows(form, out, records, head.answers)?,
            #[cfg(feature = "parquet")]
            (Layout::Effnet, FileForm::Parquet) => parquet::write(out, records, head.answers)?,
            #[cfg(not(feature = "parquet"))]
            (Layout::Effnet, FileForm::Parquet) => return Err(no_parquet().into()),
        };
        out.finish().with_context(shown)
    }
}

#[cfg(not(feature = "parquet"))]
fn no_parquet() -> Usage {
    Usage("this program was built without the feature `parquet`".to_owned())
}

fn rows<W: Write>(
    form: Form,
    out: W,
    records: impl Iterator<Item = Result<Record>>,
    answers: bool,
) -> Result<W> {
    let more: &[&str] = if answers { &answers::COLUMNS } else { &[] };
    let columns: Vec<String> = COLUMNS.iter().chain(more).map(|&c| c.to_owned()).collect();
    let mut rows = Rows::begin(form, out, &columns)?;
    for record in records {
        rows.add(&record?)?;
    }
    rows.finish()
}

/// The records of a journal, from its first row.
pub(super) fn records(path: &Path) -> Result<impl Iterator<Item = Result<Record>>> {
    let mut reader = Reader::open(path)?;
    let model = reader.head()?.map(|head| head.model).unwrap_or_default();
    let next = move || match reader.next_row() {
        Ok(line) => line.map(|line| Ok(line.record(&model))),
        Err(error) => Some(Err(error)),
    };
    Ok(std::iter::from_fn(next))
}
