//! Images from where they are: files, folders, patterns, lists, archives and tables.
//!
//! [`Sources`] turns arguments into [`Sample`]s, one after the other: what a run holds does not grow
//! with the number of images. What cannot be read takes its place among the samples and fails there,
//! so that no image is lost without a word.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use effnet::sources::Sources;
//! let classifier = effnet::Model::builder().build_classifier()?;
//! let mut rows = Vec::new();
//! classifier.classify_each(Sources::new(["examples/images"]), 8, 1, |sample, result| {
//!     rows.push((sample.name, result?[0].label.clone()));
//!     Ok::<(), effnet::Error>(())
//! })?;
//! assert_eq!(rows[0], ("examples/images/astronaut.png".into(), Some("football helmet".into())));
//! # }
//! # Ok::<(), effnet::Error>(())
//! ```

mod archive;
mod csv;
#[cfg(feature = "hub")]
mod dataset;
mod entries;
mod names;
#[cfg(feature = "parquet")]
mod parquet;
mod sample;

use std::ffi::OsString;
use std::sync::Arc;

pub use sample::{Label, Sample, SampleImage};

use self::entries::{Entries, Entry};

/// What a caller is told besides the samples.
type OnNote = Arc<dyn Fn(&str) + Send + Sync>;

/// How arguments are read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SourceOptions {
    /// The names of a list end with a NUL, as `find -print0` writes them, not with a line.
    pub null: bool,
    /// The column of images in a Parquet file, or of their paths in a CSV file. By default the column
    /// with a usual name (`image`, `path`, `file_name`, ...), or the only one that can be meant.
    pub image_column: Option<String>,
    /// The column of labels in a Parquet or CSV file. By default `label`, if there is one.
    pub label_column: Option<String>,
    /// Whether samples of archives and tables have labels.
    pub labels: bool,
}

/// The images that arguments name, in the order of the arguments:
///
/// - a folder: all images below it, by name; links are followed;
/// - a glob pattern, as in a shell;
/// - `@FILE`: a list of files and folders, one per line; `@-` reads it from standard input;
/// - `-`: one image from standard input;
/// - a file that ends in `.tar`, `.tar.gz` or `.tgz`: the images in it, as WebDataset has them;
/// - a file that ends in `.csv`: the files in its column of paths, relative to its folder;
/// - a file that ends in `.parquet` (with the feature `parquet`): the images in its column;
/// - `hf://datasets/ORG/NAME[@REVISION]/PATH`, where PATH may be a pattern (with the feature `hub`): files
///   of a dataset of the Hugging Face hub, downloaded when their turn comes;
/// - a `file://` URL;
/// - any other file: an image.
///
/// What exists under the argument's name is read as that. Archives and tables are read where they
/// are named or match a pattern, not where a folder contains them.
pub struct Sources {
    entries: Entries,
    options: SourceOptions,
    open: Option<Box<dyn Iterator<Item = Sample> + Send>>,
    shard: (u64, u64),
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Sources {
    /// The images of `arguments`. Nothing is read before the first sample is asked for.
    pub fn new<I>(arguments: I) -> Self
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let options = SourceOptions::default();
        Self { entries: Entries::new(arguments), options, open: None, shard: (0, 1) }
    }

    /// Reads the arguments as `options` say.
    #[must_use]
    pub fn options(mut self, options: SourceOptions) -> Self {
        self.entries.null = options.null;
        self.options = options;
        self
    }

    /// Calls `listen` with what is passed over, such as a folder that links to one around it.
    #[must_use]
    pub fn on_note(mut self, listen: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.entries.on_note = Some(Arc::new(listen));
        self
    }

    /// Where files of datasets are downloaded from.
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn hub(mut self, hub: crate::hub::Hub) -> Self {
        self.entries.hub = Some(hub);
        self
    }

    /// Keeps part `index` (from 0) of `count` parts of equal size, give or take one: every `count`th
    /// of the files, archives and tables that the arguments name. Archives and tables are not
    /// divided.
    ///
    /// # Panics
    ///
    /// `index` is not less than `count`.
    #[must_use]
    pub fn shard(mut self, index: u64, count: u64) -> Self {
        assert!(index < count, "part {index} of {count}");
        self.shard = (index, count);
        self
    }

    /// How many files, archives and tables the arguments name. All folders and lists are read for it.
    #[must_use]
    pub fn count_entries(self) -> u64 {
        self.entries.count() as u64
    }

    /// How many files in folders were passed over so far, since their names are not those of images.
    #[must_use]
    pub fn passed_over(&self) -> usize {
        self.entries.passed_over
    }

    /// How many files, archives and tables were named so far, those of other shards too.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.count
    }

    /// The SHA-256 of the names so far of all files, archives and tables, in hexadecimal. Shards of
    /// one list have the same in the end.
    #[must_use]
    pub fn digest(&self) -> String {
        self.entries.digest()
    }

    /// The samples of an entry.
    fn samples(&self, entry: Entry, number: u64) -> Box<dyn Iterator<Item = Sample> + Send> {
        let numbered = move |mut sample: Sample| {
            sample.entry = number;
            sample
        };
        match entry {
            Entry::Sample(sample) => Box::new(std::iter::once(numbered(sample))),
            Entry::Archive(file) => {
                Box::new(archive::open(&file, self.options.labels).map(numbered))
            }
            Entry::Csv(file) => Box::new(csv::open(&file, &self.options).map(numbered)),
            #[cfg(feature = "parquet")]
            Entry::Parquet(file) => Box::new(parquet::open(&file, &self.options).map(numbered)),
            #[cfg(feature = "hub")]
            Entry::Remote(dataset) => {
                let hub = self.entries.hub.as_ref().ok_or(dataset::NO_HUB.to_owned());
                let entry = hub.and_then(|hub| dataset.entry(hub)).unwrap_or_else(|reason| {
                    Entry::Sample(Sample::unreadable(dataset.name(), reason))
                });
                self.samples(entry, number)
            }
        }
    }
}

impl Iterator for Sources {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        loop {
            if let Some(sample) = self.open.as_mut().and_then(Iterator::next) {
                return Some(sample);
            }
            let entry = self.entries.next()?;
            let number = self.entries.count - 1;
            let (index, count) = self.shard;
            self.open = (number % count == index).then(|| self.samples(entry, number));
        }
    }
}
