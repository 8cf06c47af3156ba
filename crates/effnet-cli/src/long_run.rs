//! A run whose results go to a file, and which can be continued.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use effnet::Outcome;
use effnet::sources::{Sample, Sources};
use effnet::unstable::{Replacement, file_name};

use super::classify::{Run, Shard};
use super::journal::{Begun, Head, Journal, Line, Reader, path_of};
use super::output::complain;
use super::progress::Progress;
use super::sinks::{FileForm, LayoutArgs, records};
use super::sources::SourceArgs;
use super::{Status, Usage};

/// Where the results go, and which part of the images they are of.
pub(super) struct LongRun {
    pub(super) output: PathBuf,
    pub(super) form: FileForm,
    pub(super) layout: LayoutArgs,
    pub(super) resume: bool,
    pub(super) shard: Shard,
    /// What the rows depend on, by its name.
    pub(super) settings: BTreeMap<String, String>,
}

impl LongRun {
    pub(super) fn run(self, run: &Run<'_>, images: &SourceArgs) -> Result<Status> {
        let Shard { index, count } = self.shard;
        let journal = path_of(&self.output);
        if self.resume && self.output.exists() && !journal.exists() {
            let output = file_name(&self.output);
            complain(&format!("note: {output} is whole: remove it to make it again"));
            return Ok(Status::All);
        }
        // What cannot be written in the end is told before any work.
        let output = || file_name(&self.output);
        Replacement::begin(&self.output).map(drop).with_context(output)?;
        let head = Head {
            model: run.classifier.provenance().model.clone(),
            top_k: run.top_k(),
            labels: run.descriptions(),
            folder: images.folder(),
            answers: !run.columns.is_empty(),
            settings: self.settings.clone(),
            shard: (index, count),
        };
        let journal = match Journal::begin(&self.output, &head, self.resume)? {
            Begun::Whole(journal) => journal,
            Begun::Unfinished(journal, done) => self.rest(run, images, journal, done)?,
        };
        let mut done = Status::All;
        let rows = records(&journal)?.inspect(|record| {
            if let Ok(record) = record
                && matches!(record.outcome, Outcome::Error(_))
            {
                done = Status::Some;
            }
        });
        self.layout.write(self.form, &self.output, rows, &head)?;
        // The journals of shards are what `merge` reads.
        if count == 1 {
            std::fs::remove_file(&journal)?;
        }
        Ok(done)
    }

    /// Does the images that the journal has no rows of; gives the journal's path.
    fn rest(
        &self,
        run: &Run<'_>,
        images: &SourceArgs,
        mut journal: Journal,
        mut done: Reader,
    ) -> Result<PathBuf> {
        let mut sources = images.open().shard(self.shard.index - 1, self.shard.count);
        pass_over(&mut sources, &mut done)?;
        let count = (!images.reads_stdin()).then(|| images.open());
        let mut progress = Progress::begin(count);
        let ended = run.each(&mut sources, |sample: Sample, record| {
            let failed = match &record.outcome {
                Outcome::Error(error) => {
                    progress.suspend(|| complain(&format!("error: {error}")));
                    true
                }
                Outcome::Predictions(_) => false,
            };
            progress.image(&sample, failed);
            journal.row(Line::new(sample.entry, record))
        });
        progress.end();
        ended?;
        journal.end(sources.entries(), sources.digest())
    }
}

/// Passes over the images that have rows, which must be the same as then.
fn pass_over(sources: &mut Sources, done: &mut Reader) -> Result<()> {
    let mut rows: u64 = 0;
    while let Some(line) = done.next_row()? {
        let Some(sample) = sources.next() else {
            bail!("the journal has more rows than there are images now")
        };
        if (&sample.name, sample.entry) != (&line.image, line.entry) {
            let message = format!(
                "the images are not those of the run before: image {rows} was {}, and is {} now. Remove the \
                 journal to begin again",
                line.image, sample.name
            );
            return Err(Usage(message).into());
        }
        rows += 1;
    }
    if rows > 0 {
        complain(&format!("note: {rows} images have rows already"));
    }
    Ok(())
}
