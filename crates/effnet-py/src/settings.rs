//! The arguments of `create_model`.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use effnet::hub::{Hub, HubBuilder, HubError, Progress, ProgressEvent};
use effnet::labels::LabelNames;
use effnet::preprocess::{DecodeOptions, Limits};
use effnet::pretrained::{SizeChoice, read_labels};
use effnet::weights::WeightsFrom;
use effnet::{Model, ModelBuilder};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error;
use crate::wait::Notes;

/// The arguments by name; those of the command with the same names.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Settings {
    name: Option<PathBuf>,
    weights: Option<PathBuf>,
    num_classes: Option<usize>,
    engine: String,
    device: String,
    dtype: String,
    threads: Option<usize>,
    labels: Option<Labels>,
    activation: Option<String>,
    train_size: bool,
    img_size: Option<Sides>,
    crop_pct: Option<f64>,
    crop_mode: Option<String>,
    interpolation: Option<String>,
    mean: Option<Numbers>,
    std: Option<Numbers>,
    exif_orientation: bool,
    lenient: bool,
    max_pixels: Option<u64>,
    cache_dir: Option<PathBuf>,
    offline: bool,
}

#[derive(FromPyObject)]
enum Labels {
    File(PathBuf),
    Names(Vec<String>),
}

#[derive(FromPyObject)]
enum Sides {
    Square(usize),
    Both(usize, usize),
}

#[derive(FromPyObject)]
enum Numbers {
    One(f64),
    PerChannel(Vec<f64>),
}

impl From<Numbers> for Vec<f64> {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::One(number) => vec![number],
            Numbers::PerChannel(numbers) => numbers,
        }
    }
}

/// The most threads that can be asked for, as in the command.
const MOST_THREADS: usize = 1024;

impl Settings {
    /// The settings for the library. What may be told later goes to `notes`.
    pub(crate) fn builder(self, py: Python<'_>, notes: &Notes) -> PyResult<ModelBuilder> {
        let listen = notes.clone();
        let size = if self.train_size { SizeChoice::Train } else { SizeChoice::Test };
        let limits = Limits::default();
        let mut builder = Model::builder()
            .on_note(move |note| listen.add(note))
            .engine(parsed("engine", &self.engine)?)
            .device(parsed::<effnet::engine::DeviceChoice>("device", &self.device)?)
            .dtype(parsed("dtype", &self.dtype)?)
            .size(size)
            .decode_options(DecodeOptions {
                limits: Limits {
                    max_pixels: self.max_pixels.unwrap_or(limits.max_pixels),
                    ..limits
                },
                lenient: self.lenient,
                exif_orientation: self.exif_orientation,
            });
        if let Some(name) = self.name {
            builder = builder.model(name);
        }
        if let Some(weights) = self.weights {
            builder = builder.weights(WeightsFrom::from(weights.as_os_str()));
        }
        if let Some(num_classes) = self.num_classes {
            builder = builder.num_classes(num_classes);
        }
        if let Some(threads) = self.threads {
            if !(1..=MOST_THREADS).contains(&threads) {
                return Err(invalid(
                    "threads",
                    &format!("{threads} is not from 1 to {MOST_THREADS}"),
                ));
            }
            builder = builder.threads(threads);
        }
        if let Some(labels) = self.labels {
            builder = builder.labels(match labels {
                Labels::Names(names) => LabelNames::List(names),
                Labels::File(file) => {
                    read_labels(&file).map_err(|error| error::exception(py, &error.into()))?
                }
            });
        }
        if let Some(activation) = self.activation {
            builder = builder.activation(parsed("activation", &activation)?);
        }
        if let Some(sides) = self.img_size {
            let (height, width) = match sides {
                Sides::Square(side) => (side, side),
                Sides::Both(height, width) => (height, width),
            };
            if height == 0 || width == 0 {
                return Err(invalid("img_size", &"a side is at least 1 pixel"));
            }
            builder = builder.img_size(height, width);
        }
        if let Some(crop_pct) = self.crop_pct {
            builder = builder.crop_pct(crop_pct);
        }
        if let Some(crop_mode) = self.crop_mode {
            builder = builder.crop_mode(parsed("crop_mode", &crop_mode)?);
        }
        if let Some(interpolation) = self.interpolation {
            builder = builder.interpolation(parsed("interpolation", &interpolation)?);
        }
        if let Some(mean) = self.mean {
            builder = builder.mean(mean);
        }
        if let Some(std) = self.std {
            builder = builder.std(std);
        }
        // If the hub cannot be opened, a model that needs it meets the same error again.
        Ok(match hub(self.cache_dir, self.offline, notes) {
            Ok(hub) => builder.hub(hub),
            Err(_) => builder,
        })
    }
}

/// The hub of the environment with these changes.
fn hub(cache_dir: Option<PathBuf>, offline: bool, notes: &Notes) -> Result<Hub, HubError> {
    let mut builder = HubBuilder::from_env()?;
    if let Some(dir) = cache_dir {
        builder = builder.cache_dir(dir);
    }
    if offline {
        builder = builder.offline(true);
    }
    builder.progress(Arc::new(Told(notes.clone()))).build()
}

/// Adds what goes wrong in a download to the notes.
struct Told(Notes);

impl Progress for Told {
    fn event(&self, event: &ProgressEvent<'_>) {
        match event {
            ProgressEvent::Retrying { cause, wait } => {
                let wait = wait.as_secs_f32();
                self.0.add(&format!("{cause}; trying again in {wait:.1} s"));
            }
            ProgressEvent::Waiting { lock } => {
                let lock = effnet::unstable::file_name(lock);
                self.0.add(&format!("another process downloads this: waiting for {lock}"));
            }
            _ => {}
        }
    }
}

/// The value that has this name.
fn parsed<T: FromStr<Err: Display>>(argument: &str, name: &str) -> PyResult<T> {
    name.parse().map_err(|error| invalid(argument, &error))
}

fn invalid(argument: &str, reason: &impl Display) -> PyErr {
    PyValueError::new_err(format!("{argument}: {}", error::in_python(&reason.to_string())))
}
