//! Images whose paths are in a column of a CSV file.

use std::fs::File;
use std::path::Path;

use csv::{Reader, StringRecord};

use super::entries::Container;
use super::{Label, Sample, SampleImage, SourceOptions};
use crate::text::file_name;

/// Usual names of a column of paths, the usual one first.
const PATHS: [&str; 8] =
    ["path", "file_name", "filename", "image", "file", "filepath", "image_path", "img"];
/// The usual name of a column of labels.
const LABEL: &str = "label";

/// The images of a CSV file with a header.
pub(super) fn open(
    file: &Container,
    options: &SourceOptions,
) -> Box<dyn Iterator<Item = Sample> + Send> {
    match Rows::open(file, options) {
        Ok(rows) => Box::new(rows),
        Err(reason) => Box::new(std::iter::once(Sample::unreadable(&*file.name, reason))),
    }
}

struct Rows {
    table: Container,
    reader: Option<Reader<File>>,
    image: usize,
    label: Option<usize>,
    row: u64,
}

impl Rows {
    fn open(file: &Container, options: &SourceOptions) -> Result<Self, String> {
        let opened = File::open(&file.path).map_err(|error| error.to_string())?;
        let mut reader = Reader::from_reader(opened);
        let header = reader.headers().map_err(|error| error.to_string())?;
        let columns: Vec<&str> = header.iter().map(str::trim).collect();
        let image = column(
            &columns,
            options.image_column.as_deref(),
            &PATHS,
            "`SourceOptions::image_column`",
        )?
        .ok_or_else(|| {
            format!(
                "none of its columns ({}) has a usual name for paths ({}): set \
                 `SourceOptions::image_column`",
                columns.join(", "),
                PATHS.join(", ")
            )
        })?;
        let label = match options.labels {
            true => Some(label_column(&columns, options)?),
            false => None,
        };
        Ok(Self { table: file.clone(), reader: Some(reader), image, label, row: 0 })
    }

    fn sample(&self, record: &StringRecord) -> Sample {
        let cell = record.get(self.image).unwrap_or_default();
        if cell.is_empty() {
            let name = format!("{}#{}", self.table.name, self.row);
            return Sample::unreadable(name, "this row has no path");
        }
        let path = self.table.path.parent().unwrap_or(Path::new("")).join(cell);
        let label = self.label.and_then(|label| Label::from_text(record.get(label)?));
        let image = SampleImage::File(path.clone());
        Sample { label, ..Sample::new(file_name(&path), image) }
    }
}

impl Iterator for Rows {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let mut record = StringRecord::new();
        let read = self.reader.as_mut()?.read_record(&mut record);
        let sample = match read {
            Ok(false) => return None,
            Ok(true) => self.sample(&record),
            Err(error) => {
                // What follows a row that is not text, or has too many cells, can still be read.
                if error.is_io_error() {
                    self.reader = None;
                }
                let name = format!("{}#{}", self.table.name, self.row);
                Sample::unreadable(name, error)
            }
        };
        self.row += 1;
        Some(sample)
    }
}

/// The column with this name, or else with the first of the usual names.
pub(super) fn column(
    columns: &[&str],
    asked: Option<&str>,
    usual: &[&str],
    setting: &str,
) -> Result<Option<usize>, String> {
    let find = |name: &str| columns.iter().position(|column| *column == name);
    match asked {
        Some(name) => match find(name) {
            None => {
                Err(format!("it has no column `{name}` ({setting}), but {}", columns.join(", ")))
            }
            found => Ok(found),
        },
        None => Ok(usual.iter().find_map(|name| find(name))),
    }
}

/// The column of labels, which must be there if labels are asked for.
pub(super) fn label_column(columns: &[&str], options: &SourceOptions) -> Result<usize, String> {
    let found = column(
        columns,
        options.label_column.as_deref(),
        &[LABEL],
        "`SourceOptions::label_column`",
    )?;
    found.ok_or_else(|| {
        format!(
            "it has no column `{LABEL}`, but {}: set `SourceOptions::label_column`",
            columns.join(", ")
        )
    })
}
