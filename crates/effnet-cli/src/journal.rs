//! The journal of a run: its rows as they come, in a file beside the output that only grows. A run that
//! was killed goes on where the journal ends, and the output is made of the whole journal.
//!
//! The first line says which run it is, then there is a line for each image, and the last line says
//! that all are there. A line that is not whole, and what follows it, counts for nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use effnet::unstable::file_name;
use effnet::{Answer, Outcome, Prediction, Record};
use serde::{Deserialize, Serialize};

use super::Usage;

/// How long rows may stay in this program's memory, and in the system's.
const FLUSH: Duration = Duration::from_secs(1);
const SYNC: Duration = Duration::from_secs(10);
/// What the first line begins with.
const HEAD: &[u8] = b"{\"head\":";
/// The most bytes of a line.
const MAX_LINE: u64 = 1 << 26;

/// Which run a journal is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The model's name, which all rows share.
    pub(super) model: String,
    /// How many classes a row names.
    pub(super) top_k: usize,
    /// timm's descriptions of the classes; none if the model has no labels.
    pub(super) labels: Vec<String>,
    /// Whether rows say how sure the answer is.
    #[serde(default)]
    pub(super) answers: bool,
    /// The folder, if the images are those of one.
    pub(super) folder: Option<String>,
    /// What else the rows depend on, by its name: a run goes on only if all of it is the same.
    pub(super) settings: BTreeMap<String, String>,
    /// Which part of the images, from 1, of how many.
    pub(super) shard: (u64, u64),
}

impl Head {
    /// What all shards of a run have in common.
    pub(super) fn run(&self) -> BTreeMap<String, String> {
        let mut run = self.settings.clone();
        run.insert("model".to_owned(), self.model.clone());
        run.insert("top_k".to_owned(), self.top_k.to_string());
        run.insert("labels".to_owned(), self.labels.join("\n"));
        run
    }
}

/// How a whole run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) rows: u64,
    /// Files, archives and tables of all shards, and the digest of their names.
    pub(super) entries: u64,
    pub(super) digest: String,
}

/// The row of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The number of the file, archive or table that it is in, from 0.
    pub(super) entry: u64,
    pub(super) image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Prediction>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Head(Head),
    Row(Line),
    End(End),
}

impl Line {
    pub(super) fn new(entry: u64, record: Record) -> Self {
        let (predictions, error) = match record.outcome {
            Outcome::Predictions(predictions) => (Some(predictions), None),
            Outcome::Error(error) => (None, Some(error)),
        };
        let Record { image, answer, coverage, .. } = record;
        Self { entry, image, predictions, error, answer, coverage }
    }

    pub(super) fn record(self, model: &str) -> Record {
        let outcome = match (self.predictions, self.error) {
            (Some(predictions), _) => Outcome::Predictions(predictions),
            (None, error) => Outcome::Error(error.unwrap_or_default()),
        };
        let (answer, coverage) = (self.answer, self.coverage);
        Record { answer, coverage, ..Record::new(self.image, model, outcome) }
    }

    pub(super) fn is_error(&self) -> bool {
        self.predictions.is_none()
    }
}

/// The journal of an output.
pub(super) fn path_of(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".journal");
    name.into()
}

/// A journal that is being written.
pub(super) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Instant,
    synced: Instant,
    rows: u64,
}

/// What a run begins with.
pub(super) enum Begun {
    /// The rest of the rows, after those that the reader gives.
    Unfinished(Journal, Reader),
    /// Nothing is left to do but to write the output.
    Whole(PathBuf),
}

impl Journal {
    /// Begins the journal of `output`, or goes on with it.
    pub(super) fn begin(output: &Path, head: &Head, resume: bool) -> Result<Begun> {
        let path = path_of(output);
        let shown = file_name(&path);
        if !resume && path.exists() {
            let message = format!(
                "{shown} is there: a run that did not end, or a shard. Add --resume to go on with it, or \
                 remove it"
            );
            return Err(Usage(message).into());
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| shown.clone())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{shown}: another run is writing it"),
            Err(TryLockError::Error(error)) => return Err(error).context(shown),
        }
        let now = Instant::now();
        let mut journal =
            Self { path, file: BufWriter::new(file), flushed: now, synced: now, rows: 0 };
        match Reader::open(&journal.path)?.head()? {
            Some(found) => {
                same(&found, head).map_err(|reason| Usage(format!("{shown}: {reason}")))?;
            }
            None => {
                journal.cut(0)?;
                journal.append(&Entry::Head(head.clone()))?;
                journal.file.flush().with_context(|| journal.failed())?;
            }
        }
        let mut whole = Reader::open(&journal.path)?;
        whole.head()?;
        let mut end = whole.position()?;
        while whole.next_row()?.is_some() {
            journal.rows += 1;
            end = whole.position()?;
        }
        if whole.end.is_some() {
            return Ok(Begun::Whole(journal.path));
        }
        journal.cut(end)?;
        let mut again = Reader::open(&journal.path)?;
        again.head()?;
        Ok(Begun::Unfinished(journal, again))
    }

    /// Leaves this many bytes.
    fn cut(&mut self, at: u64) -> Result<()> {
        let file = self.file.get_mut();
        let cut = file.set_len(at).and_then(|()| file.seek(SeekFrom::Start(at)));
        cut.map(drop).with_context(|| file_name(&self.path))
    }

    /// Adds the row of an image.
    pub(super) fn row(&mut self, line: Line) -> Result<()> {
        self.append(&Entry::Row(line))?;
        self.rows += 1;
        Ok(())
    }

    /// Ends the journal; gives its path.
    pub(super) fn end(mut self, entries: u64, digest: String) -> Result<PathBuf> {
        self.append(&Entry::End(End { rows: self.rows, entries, digest }))?;
        self.file.flush().with_context(|| self.failed())?;
        Ok(self.path)
    }

    fn append(&mut self, entry: &Entry) -> Result<()> {
        self.write(entry).with_context(|| self.failed())
    }

    fn write(&mut self, entry: &Entry) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.file, entry)?;
        self.file.write_all(b"\n")?;
        let now = Instant::now();
        if now - self.flushed >= FLUSH {
            self.file.flush()?;
            self.flushed = now;
        }
        if now - self.synced >= SYNC {
            self.file.get_ref().sync_data()?;
            self.synced = now;
        }
        Ok(())
    }

    fn failed(&self) -> String {
        format!("{}: what is written stays, and --resume goes on with it", file_name(&self.path))
    }
}

/// Why a run cannot go on with the journal of another.
fn same(found: &Head, wanted: &Head) -> Result<(), String> {
    let all = |head: &Head| {
        let mut all = head.run();
        all.insert("shard".to_owned(), format!("{}/{}", head.shard.0, head.shard.1));
        all
    };
    let (found, wanted) = (all(found), all(wanted));
    for name in found.keys().chain(wanted.keys()) {
        let [then, now] = [&found, &wanted].map(|all| all.get(name).map_or("absent", |v| &**v));
        if then != now && name == "labels" {
            return Err("it is of another run: the labels were others".to_owned());
        }
        if then != now {
            return Err(format!(
                "it is of another run: {name} was {then}, and is {now} now. Give the same options, or \
                 remove it"
            ));
        }
    }
    Ok(())
}

/// Reads a journal.
pub(super) struct Reader {
    shown: String,
    file: BufReader<File>,
    pub(super) end: Option<End>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = file_name(path);
        let file = File::open(path).with_context(|| shown.clone())?;
        Ok(Self { shown, file: BufReader::new(file), end: None })
    }

    /// The first line; `None` if it is not there whole.
    pub(super) fn head(&mut self) -> Result<Option<Head>> {
        let line = self.line()?;
        match serde_json::from_slice(&line) {
            Ok(Entry::Head(head)) if line.ends_with(b"\n") => Ok(Some(head)),
            _ if HEAD.starts_with(&line) || (line.starts_with(HEAD) && !line.ends_with(b"\n")) => {
                Ok(None)
            }
            _ => bail!("{}: this is not a journal of `effnet classify`", self.shown),
        }
    }

    /// The next row; `None` after the last.
    pub(super) fn next_row(&mut self) -> Result<Option<Line>> {
        Ok(match self.entry()? {
            Some(Entry::Row(line)) => Some(line),
            Some(Entry::End(end)) => {
                self.end = Some(end);
                None
            }
            Some(Entry::Head(_)) => bail!("{}: it begins twice", self.shown),
            None => None,
        })
    }

    /// How many bytes are read.
    fn position(&mut self) -> Result<u64> {
        self.file.stream_position().with_context(|| self.shown.clone())
    }

    /// The next line, if it is whole and says something.
    fn entry(&mut self) -> Result<Option<Entry>> {
        let line = self.line()?;
        Ok(if line.ends_with(b"\n") { serde_json::from_slice(&line).ok() } else { None })
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.file).take(MAX_LINE);
        limited.read_until(b'\n', &mut line).with_context(|| self.shown.clone())?;
        Ok(line)
    }
}
