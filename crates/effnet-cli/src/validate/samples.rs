//! The images of a data set, with what it calls their classes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use effnet::sources::{Sample, SampleImage, SourceOptions, Sources};
use effnet::unstable::file_name;

use super::super::Usage;
use super::super::model_args::ModelArgs;
use super::super::output::complain;
use super::super::sources::{Datasets, tell_passed_over};

/// Which images, and which of their columns say what they show.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Images: a folder with a folder for each class, a CSV or Parquet table with a column of labels,
    /// or tar archives with .cls files (WebDataset); patterns and hf://datasets/... too
    #[arg(required = true, value_name = "DATA")]
    data: Vec<OsString>,
    /// Column of images in Parquet files, or of their paths in CSV files; if absent, the usual one
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    /// Column of labels; `label` if absent
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    #[arg(skip)]
    datasets: Datasets,
}

/// What a data set's labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names of folders.
    Folders,
    /// What a table or an archive says of each image.
    Column,
}

/// What a first look at a data set found.
pub(super) struct Labels {
    /// Every different label.
    pub(super) labels: BTreeSet<String>,
    pub(super) kind: Kind,
}

impl DataArgs {
    /// Takes datasets from the hub that models come from.
    pub(super) fn with_hub_of(self, model: &ModelArgs) -> Self {
        Self { datasets: Datasets::of(model), ..self }
    }

    /// What reports call the data.
    pub(super) fn name(&self) -> String {
        let names: Vec<String> = self.data.iter().map(|data| file_name(Path::new(data))).collect();
        names.join(", ")
    }

    /// The images, which are read as they are asked for.
    pub(super) fn open(&self) -> Sources {
        let mut options = SourceOptions::default();
        options.labels = true;
        options.image_column.clone_from(&self.image_column);
        options.label_column.clone_from(&self.label_column);
        self.datasets.open(&self.data, options)
    }

    /// What the data set calls the class of an image: what it says of it, or the folder that it is in.
    pub(super) fn label(&self, sample: &Sample) -> Option<String> {
        if let Some(label) = &sample.label {
            return label.name.clone().or_else(|| label.index.map(|index| index.to_string()));
        }
        let SampleImage::File(path) = &sample.image else { return None };
        let folder = path.parent().filter(|folder| {
            // An image that lies beside the folders is in none of them.
            !self.data.iter().any(|data| Path::new(data) == *folder)
        })?;
        Some(file_name(Path::new(folder.file_name()?)))
    }

    /// Looks at all labels; `see` is shown the images that have one.
    pub(super) fn labels(&self, mut see: impl FnMut(&Sample) -> Result<()>) -> Result<Labels> {
        let mut sources = self.open().on_note(|note| complain(&format!("note: {note}")));
        let (mut labels, mut kind) = (BTreeSet::new(), Kind::Folders);
        let (mut without, mut unread) = (0, None);
        for sample in &mut sources {
            if sample.label.is_some() {
                kind = Kind::Column;
            }
            match (self.label(&sample), &sample.image) {
                (_, SampleImage::Unreadable { reason }) => {
                    unread.get_or_insert(format!("{}: {reason}", sample.name));
                }
                (Some(label), _) => {
                    labels.insert(label);
                    see(&sample)?;
                }
                (None, _) => without += 1,
            }
        }
        tell_passed_over(&sources);
        if labels.is_empty() {
            let says = unread.unwrap_or_else(|| {
                format!(
                    "{}: no images with labels; expected a folder with a folder for each class, a table with \
                     a column of labels, or an archive with .cls files",
                    self.name()
                )
            });
            return Err(Usage(says).into());
        }
        if without > 0 {
            complain(&format!(
                "note: skipped {without} images without a label: in no folder of a class, or in a row that has none"
            ));
        }
        Ok(Labels { labels, kind })
    }
}
