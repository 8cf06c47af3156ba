use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use effnet::Record;
use effnet::unstable::file_name;

use super::journal::{Head, Line, Reader, path_of};
use super::sinks::{FileForm, LayoutArgs};
use super::{Status, Usage};

/// Join the shards of `classify --shard`
///
/// The result is the file that one run over all images makes. Shards that are missing, given twice,
/// not at their end, or of other runs or lists are refused.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Files of all shards; the journal of each must lie beside it
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<OsString>,
    /// File to write; its ending says its form: csv, json, jsonl or parquet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    layout: LayoutArgs,
}

/// The rows of a shard.
struct Shard {
    name: String,
    reader: Reader,
    head: Head,
    next: Option<Line>,
}

impl Merge {
    pub(super) fn run(self) -> Result<Status> {
        let form = FileForm::of(&self.output)?;
        self.layout.check(form)?;
        let mut shards = Vec::new();
        for shard in &self.shards {
            shards.push(Shard::open(Path::new(shard))?);
        }
        check(&shards)?;
        shards.sort_by_key(|shard| shard.head.shard.0);
        for shard in &mut shards {
            shard.next = shard.reader.next_row()?;
        }
        let head = shards[0].head.clone();
        let mut done = Status::All;
        let rows = std::iter::from_fn(|| {
            let first = shards
                .iter_mut()
                .filter(|shard| shard.next.is_some())
                .min_by_key(|shard| shard.next.as_ref().map(|line| line.entry));
            match first {
                Some(shard) => Some(shard.take().map(|line| {
                    if line.is_error() {
                        done = Status::Some;
                    }
                    line.record(&head.model)
                })),
                // After its last row, a journal has said how its run ended.
                None => check_ends(&shards).err().map(Err::<Record, _>),
            }
        });
        self.layout.write(form, &self.output, rows, &head)?;
        Ok(done)
    }
}

impl Shard {
    fn open(output: &Path) -> Result<Self> {
        let journal = path_of(output);
        let name = file_name(output);
        if !journal.exists() {
            let message = format!(
                "{name}: {} is missing: a shard's journal lies beside its file, and is moved with it",
                file_name(&journal)
            );
            return Err(Usage(message).into());
        }
        let mut reader = Reader::open(&journal)?;
        let Some(head) = reader.head()? else { bail!("{name}: its journal is empty") };
        Ok(Self { name, reader, head, next: None })
    }

    /// The row that is next, which must be one of this shard's.
    fn take(&mut self) -> Result<Line> {
        let (index, count) = self.head.shard;
        let Some(line) = self.next.take() else { bail!("{}: it has no more rows", self.name) };
        if line.entry % count != index - 1 {
            bail!("{}: the row of {} is not of shard {index}/{count}", self.name, line.image);
        }
        self.next = self.reader.next_row()?;
        Ok(line)
    }
}

/// Whether these are all the shards of one run, each once.
fn check(shards: &[Shard]) -> Result<(), Usage> {
    let (first, count) = (&shards[0], shards[0].head.shard.1);
    for shard in shards {
        if shard.head.shard.1 != count || shard.head.run() != first.head.run() {
            let message = format!("{} and {} are not of one run", first.name, shard.name);
            return Err(Usage(message));
        }
    }
    for number in 1..=count {
        let names: Vec<&str> = shards
            .iter()
            .filter(|shard| shard.head.shard.0 == number)
            .map(|shard| &*shard.name)
            .collect();
        match names[..] {
            [_] => {}
            [] => return Err(Usage(format!("shard {number}/{count} is missing"))),
            [one, other, ..] => {
                return Err(Usage(format!("{one} and {other} are both shard {number}/{count}")));
            }
        }
    }
    Ok(())
}

/// Whether all shards are whole and were made of one list.
fn check_ends(shards: &[Shard]) -> Result<()> {
    let mut first = None;
    for shard in shards {
        let Some(end) = &shard.reader.end else {
            bail!("{}: its run did not end: finish it with --resume", shard.name)
        };
        let list = (end.entries, &end.digest);
        if *first.get_or_insert(list) != list {
            let one = &shards[0].name;
            bail!("{one} and {} were made of different lists of images", shard.name);
        }
    }
    Ok(())
}
