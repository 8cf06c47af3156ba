//! The images that a command's arguments name.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
#[cfg(feature = "hub")]
use effnet::hub::Hub;
use effnet::sources::{SourceOptions, Sources};
use effnet::unstable::file_name;

use super::model_args::ModelArgs;
use super::output::complain;

/// Which images.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Images: files, folders (searched recursively), glob patterns, lists (@FILE, or @- for standard
    /// input), .tar archives, .csv or .parquet tables, hf://datasets/ORG/NAME/PATH, or - for one image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<OsString>,
    /// Names in lists end with a NUL, as `find -print0` writes them
    #[arg(short = '0', long)]
    null: bool,
    /// Column of images in Parquet files, or of their paths in CSV files; if absent, the usual one
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    #[arg(skip)]
    datasets: Datasets,
}

impl SourceArgs {
    /// Takes datasets from the hub that models come from.
    pub(super) fn with_hub_of(self, model: &ModelArgs) -> Self {
        Self { datasets: Datasets::of(model), ..self }
    }

    /// The images, which are looked for as they are asked for. What is passed over on the way is
    /// told on standard error.
    pub(super) fn open(&self) -> Sources {
        let mut options = SourceOptions::default();
        options.null = self.null;
        options.image_column.clone_from(&self.image_column);
        let sources = self.datasets.open(&self.images, options);
        sources.on_note(|note| complain(&format!("note: {note}")))
    }

    /// The folder, if there is one argument and it names one.
    pub(super) fn folder(&self) -> Option<String> {
        match &self.images[..] {
            [one] if Path::new(one).is_dir() => Some(file_name(Path::new(one))),
            _ => None,
        }
    }

    /// Whether standard input is among the images, or names them.
    pub(super) fn reads_stdin(&self) -> bool {
        self.images.iter().any(|image| image == "-" || image == "@-")
    }
}

/// Where datasets of the hub are: none if it cannot be opened.
#[derive(Debug, Default)]
pub(super) struct Datasets {
    #[cfg(feature = "hub")]
    hub: Option<Hub>,
}

impl Datasets {
    /// The hub that models come from.
    #[cfg_attr(not(feature = "hub"), allow(unused_variables, reason = "there is no hub"))]
    pub(super) fn of(model: &ModelArgs) -> Self {
        Self {
            #[cfg(feature = "hub")]
            hub: model.hub(),
        }
    }

    /// The images that these arguments name.
    pub(super) fn open(&self, arguments: &[OsString], options: SourceOptions) -> Sources {
        let sources = Sources::new(arguments).options(options);
        #[cfg(feature = "hub")]
        let sources = match &self.hub {
            Some(hub) => sources.hub(hub.clone()),
            None => sources,
        };
        sources
    }
}

/// Says how many files were passed over.
pub(super) fn tell_passed_over(sources: &Sources) {
    match sources.passed_over() {
        0 => {}
        1 => complain("note: skipped 1 file whose name is not an image's"),
        n => complain(&format!("note: skipped {n} files whose names are not images'")),
    }
}
