//! The images of a data set, with what it calls their classes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use effnet::unstable::file_name;
use walkdir::WalkDir;

use super::super::Usage;
use super::super::found::is_image;
use super::super::output::complain;

/// An image, and what its data set calls its class.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) image: PathBuf,
    pub(super) label: String,
}

/// What a data set's labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names of folders.
    Folders,
    /// A column of a table.
    Column,
}

/// Reads a data set: a folder with a folder for each class, as timm's `ImageFolder`, or a CSV file
/// with a header and the columns `path` and `label`.
pub(super) fn read(data: &Path) -> Result<(Vec<Sample>, Kind)> {
    let is_table = data.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let (samples, kind) = match data.is_dir() {
        true => (folder(data)?, Kind::Folders),
        false if is_table => (table(data)?, Kind::Column),
        false => {
            let says = "expected a folder with a folder for each class, or a .csv with the columns \
                        path and label";
            return Err(Usage(format!("{}: {says}", file_name(data))).into());
        }
    };
    if samples.is_empty() {
        return Err(Usage(format!("{}: no images", file_name(data))).into());
    }
    Ok((samples, kind))
}

/// Every different label.
pub(super) fn labels(samples: &[Sample]) -> Vec<&str> {
    let labels: BTreeSet<&str> = samples.iter().map(|sample| sample.label.as_str()).collect();
    labels.into_iter().collect()
}

/// The images below a folder; the folder that an image is in is its class.
fn folder(data: &Path) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let (mut loose, mut passed_over) = (0, 0);
    for entry in WalkDir::new(data).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| file_name(data))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let image = entry.into_path();
        let folder = image.parent().filter(|folder| *folder != data);
        match folder.and_then(Path::file_name) {
            _ if !is_image(&image) => passed_over += 1,
            None => loose += 1,
            Some(name) => samples.push(Sample { label: file_name(name.as_ref()), image }),
        }
    }
    for (files, what) in
        [(passed_over, "whose names are not images'"), (loose, "that are in no folder of a class")]
    {
        if files > 0 {
            complain(&format!("note: skipped {files} files {what}"));
        }
    }
    Ok(samples)
}

/// The rows of a table; paths are relative to it.
fn table(data: &Path) -> Result<Vec<Sample>> {
    let about = || file_name(data);
    let mut csv = csv::Reader::from_path(data).with_context(about)?;
    let headers = csv.headers().with_context(about)?.clone();
    let column = |name: &str| {
        let found = headers.iter().position(|header| header.trim().eq_ignore_ascii_case(name));
        found.ok_or_else(|| Usage(format!("{}: no column {name} in its header", file_name(data))))
    };
    let (path, label) = (column("path")?, column("label")?);
    let folder = data.parent().unwrap_or(Path::new(""));
    let mut samples = Vec::new();
    for row in csv.records() {
        let row = row.with_context(about)?;
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        samples.push(Sample { image: folder.join(cell(path)), label: cell(label).to_owned() });
    }
    Ok(samples)
}
