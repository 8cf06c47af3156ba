//! How far a long run is, on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use effnet::sources::{Sample, SampleImage, Sources};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// The line of a run on standard error; nothing if that is not a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    begin: Instant,
    drawn: Instant,
    /// How many files, archives and tables there are, once they are counted.
    entries: Arc<AtomicU64>,
    images: u64,
    failed: u64,
    bytes: u64,
}

impl Progress {
    /// Begins the line. `count` names the same images once more, to be counted in the background.
    pub(super) fn begin(count: Option<Sources>) -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let entries = Arc::new(AtomicU64::new(0));
        if let (Some(sources), false) = (count, bar.is_hidden()) {
            let entries = Arc::clone(&entries);
            std::thread::spawn(move || entries.store(sources.count_entries(), Relaxed));
        }
        let now = Instant::now();
        Self { bar, begin: now, drawn: now, entries, images: 0, failed: 0, bytes: 0 }
    }

    /// Counts an image.
    pub(super) fn image(&mut self, sample: &Sample, failed: bool) {
        if self.bar.is_hidden() {
            return;
        }
        self.images += 1;
        self.failed += u64::from(failed);
        self.bytes += match &sample.image {
            SampleImage::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
            SampleImage::Part { len, .. } => *len,
            SampleImage::Encoded(bytes) => bytes.len() as u64,
            _ => 0,
        };
        let now = Instant::now();
        if now - self.drawn >= EVERY {
            self.drawn = now;
            self.bar.set_message(self.text(sample.entry + 1));
            self.bar.tick();
        }
    }

    fn text(&self, entry: u64) -> String {
        let seconds = self.begin.elapsed().as_secs_f64().max(1e-3);
        let mut text = format!(
            "{} images, {:.0}/s, {} read",
            HumanCount(self.images),
            self.images as f64 / seconds,
            HumanBytes(self.bytes)
        );
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", HumanCount(self.failed)));
        }
        let entries = self.entries.load(Relaxed);
        if entries > entry {
            let left = seconds * (entries - entry) as f64 / entry as f64;
            text.push_str(&format!(", {} left", HumanDuration(Duration::from_secs_f64(left))));
        }
        text
    }

    /// Takes the line away while `say` writes something.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if !self.bar.is_hidden() {
            self.bar.finish_and_clear();
        }
    }
}
