//! Results as rows: JSON, one JSON object per line, or CSV. Each row is written when it is ready.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

/// A result, which is one object in JSON.
pub(super) trait Row: Serialize {
    /// The result's lines of CSV, with a cell for each column; the last ones may be left out.
    fn csv(&self) -> Vec<Vec<String>>;
}

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Jsonl,
    Csv,
}

/// Writes rows in one format.
pub(super) enum Rows<W: Write> {
    Json { out: W, is_first: bool },
    Jsonl { out: W },
    Csv { csv: Box<csv::Writer<W>>, columns: usize },
}

impl<W: Write> Rows<W> {
    /// Begins the output; `columns` are the header of CSV.
    pub(super) fn begin(form: Form, mut out: W, columns: &[String]) -> Result<Self> {
        Ok(match form {
            Form::Json => {
                out.write_all(b"[")?;
                Self::Json { out, is_first: true }
            }
            Form::Jsonl => Self::Jsonl { out },
            Form::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(columns)?;
                Self::Csv { csv: Box::new(csv), columns: columns.len() }
            }
        })
    }

    /// Writes a row at once, so that it can be seen, and a reader that went away is noticed.
    pub(super) fn write(&mut self, row: &impl Row) -> Result<()> {
        self.add(row)?;
        match self {
            Self::Json { out, .. } | Self::Jsonl { out } => out.flush()?,
            Self::Csv { csv, .. } => csv.flush()?,
        }
        Ok(())
    }

    /// Adds a row, which may be written later.
    pub(super) fn add(&mut self, row: &impl Row) -> Result<()> {
        match self {
            Self::Json { out, is_first } => {
                out.write_all(if std::mem::replace(is_first, false) { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
            }
            Self::Jsonl { out } => {
                serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            Self::Csv { csv, columns } => {
                for mut line in row.csv() {
                    line.resize(*columns, String::new());
                    csv.write_record(line)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the output, and returns what it was written to.
    pub(super) fn finish(self) -> Result<W> {
        Ok(match self {
            Self::Json { mut out, .. } => {
                out.write_all(b"\n]\n")?;
                out.flush()?;
                out
            }
            Self::Jsonl { out } => out,
            Self::Csv { csv, .. } => csv.into_inner().map_err(csv::IntoInnerError::into_error)?,
        })
    }
}
