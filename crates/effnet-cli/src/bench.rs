use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use effnet::Model;
use effnet::engine::{Device, Dtype, Images, Isa};
use effnet::summary::Summary;
use effnet::weights::{WeightsFrom, seeded};
use serde::Serialize;

use super::model_args::LoadArgs;
use super::output::{Stdout, complain, stdout};
use super::{Status, in_one, memory};

/// How many passes come before those that count, and how many count at least.
const PASSES: usize = 3;
/// The most values in a batch: 4 GiB.
const MAX_VALUES: usize = 1 << 30;

/// Measure the speed of models, on generated weights and images
///
/// A pass takes one batch from normalized images to logits. The operations are twice the
/// multiply-accumulates that `effnet summary` counts; the peak is what the same threads reach with
/// multiply-adds in registers alone, measured in the same run. The memory is the most that the
/// process held since it began to load the model, including what earlier models left.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Models: names, repositories or folders; the bundled one if absent
    #[arg(value_name = "MODEL")]
    models: Vec<OsString>,
    /// Images that go through the network together
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
    /// Side of the images in pixels; if absent, the size at which the model is tested
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u16).range(1..=16384))]
    img_size: Option<u16>,
    /// How long each model is measured
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    seconds: Duration,
    /// Also print how long each step of the network takes, the longest first
    #[arg(long)]
    profile: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One list of objects
    Json,
}

/// What is known about a model's speed. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
struct Figures {
    model: String,
    batch_size: usize,
    img_size: usize,
    threads: usize,
    engine: &'static str,
    /// The instruction set of the engine's own kernels.
    isa: Option<&'static str>,
    dtype: Dtype,
    /// For one batch, like the other three times.
    median_ms: f64,
    min_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    images_per_s: f64,
    gflops: f64,
    /// Known on a CPU only.
    peak_share: Option<f64>,
    /// In 10^6 bytes, if the system reports it.
    max_rss_mb: Option<f64>,
    /// On a GPU whose engine measures it.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_work: Option<DeviceFigures>,
    /// Present if they were asked for, the longest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepTime>>,
}

/// What the device does for one batch.
#[derive(Debug, Serialize)]
struct DeviceFigures {
    /// By the device's clock, from the images in its memory to the logits there.
    median_ms: f64,
    images_per_s: f64,
    launches: usize,
    /// Traffic of its memory in 10^6 bytes, if each value moves once a kernel.
    mb: f64,
    gflop: f64,
    /// Of what its memory moves at most.
    memory_share: Option<f64>,
    /// Of what its cores compute at most in the network's number type.
    compute_share: Option<f64>,
}

/// A step of the network.
#[derive(Debug, Serialize)]
struct StepTime {
    step: String,
    /// For one batch.
    median_ms: f64,
    /// The share of the time of all steps.
    share: f64,
}

impl Bench {
    pub(super) fn run(mut self) -> Result<Status> {
        self.load.weights.get_or_insert(WeightsFrom::Seeded(0));
        let models = match self.models.is_empty() {
            true => vec![None],
            false => std::mem::take(&mut self.models).into_iter().map(Some).collect(),
        };
        let (mut measured, mut failed) = (Vec::new(), None);
        for model in models {
            match self.measure(model) {
                Ok(figures) => measured.push(figures),
                Err(error) => {
                    if let Some(earlier) = failed.replace(error) {
                        complain(&format!("error: {}", in_one(&earlier)));
                    }
                }
            }
        }
        let done = match failed {
            Some(error) if measured.is_empty() => return Err(error),
            Some(error) => {
                complain(&format!("error: {}", in_one(&error)));
                Status::Some
            }
            None => Status::All,
        };
        let mut out = stdout();
        match self.format {
            Format::Table => table(&measured, &mut out)?,
            Format::Json => {
                out.write_json(&measured)?;
            }
        }
        out.flush()?;
        Ok(done)
    }

    fn measure(&self, model: Option<OsString>) -> Result<Figures> {
        memory::forget_peak();
        let loaded = self.load.clone().load(model, |builder| builder)?;
        let model = loaded.provenance().model.clone();
        let network = loaded.network();
        let [_, height, width] = loaded.provenance().preprocessing.input_size.value;
        let size = match self.img_size {
            Some(size) => size.into(),
            None if height == width => height,
            None => bail!("{model} takes images of {height}x{width} pixels: give --img-size"),
        };
        let summary = Summary::new(network, size, size).with_context(|| model.clone())?;
        let shape = [usize::from(self.batch_size), network.in_chans, size, size];
        if shape.iter().product::<usize>() > MAX_VALUES {
            bail!("{model}: {} images of {size}x{size} pixels are too many", self.batch_size);
        }
        let input = seeded::images(0, &shape);
        let images = Images::new(&input, shape)?;
        let times = self.time(&loaded, images)?;
        let engine = loaded.engine().capabilities();
        let gflops =
            2e-6 * (summary.total.macs * u64::from(self.batch_size)) as f64 / at(&times, 0.5);
        let peak = match engine.device {
            Device::Cpu => {
                let peak = Isa::choose()?.peak_gflops(engine.threads);
                peak.inspect_err(|e| complain(&format!("note: the peak is unknown: {e}"))).ok()
            }
            _ => None,
        };
        let device_work = self.device_work(&loaded, images)?;
        let steps = if self.profile { Some(self.steps(&loaded, images)?) } else { None };
        Ok(Figures {
            batch_size: shape[0],
            img_size: size,
            threads: engine.threads,
            engine: engine.engine,
            isa: engine.kernels,
            dtype: engine.dtype,
            median_ms: round(at(&times, 0.5), 4),
            min_ms: round(times[0], 4),
            p90_ms: round(at(&times, 0.9), 4),
            p99_ms: round(at(&times, 0.99), 4),
            images_per_s: round(1e3 * shape[0] as f64 / at(&times, 0.5), 2),
            gflops: round(gflops, 2),
            peak_share: peak.map(|peak| round(gflops / peak, 4)),
            max_rss_mb: memory::peak().map(|bytes| round(bytes as f64 / 1e6, 1)),
            device_work,
            model,
            steps,
        })
    }

    /// The milliseconds of each pass, the shortest first.
    fn time(&self, model: &Model, images: Images<'_>) -> Result<Vec<f64>> {
        let passes = |time: Duration| -> Result<Vec<f64>> {
            let mut times = Vec::new();
            let end = Instant::now() + time;
            while times.len() < PASSES || Instant::now() < end {
                let start = Instant::now();
                // An output may stay on the device until it is asked for.
                model.run(images, &["logits"])?.take("logits")?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok(times)
        };
        passes(self.seconds / 10)?;
        let mut times = passes(self.seconds)?;
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// What the device does for a batch, if the engine measures it.
    fn device_work(&self, model: &Model, images: Images<'_>) -> Result<Option<DeviceFigures>> {
        let (mut passes, end) = (Vec::new(), Instant::now() + self.seconds);
        while passes.len() < PASSES || Instant::now() < end {
            match model.engine().device_work(images)? {
                Some(work) => passes.push(work),
                None => return Ok(None),
            }
        }
        passes.sort_by_key(|work| work.time);
        let work = passes[passes.len() / 2];
        let seconds = work.time.as_secs_f64();
        let share = |amount: usize, most: Option<f64>| {
            most.map(|most| round(amount as f64 / seconds / most, 4))
        };
        Ok(Some(DeviceFigures {
            median_ms: round(1e3 * seconds, 4),
            images_per_s: round(images.shape()[0] as f64 / seconds, 1),
            launches: work.launches,
            mb: round(work.bytes as f64 / 1e6, 2),
            gflop: round(work.flops as f64 / 1e9, 3),
            memory_share: share(work.bytes, work.most_bytes),
            compute_share: share(work.flops, work.most_flops),
        }))
    }

    /// The network's steps, the longest first.
    fn steps(&self, model: &Model, images: Images<'_>) -> Result<Vec<StepTime>> {
        let engine = model.engine();
        let mut passes = Vec::new();
        let end = Instant::now() + self.seconds;
        while passes.len() < PASSES || Instant::now() < end {
            passes.push(engine.profile(images)?);
        }
        let median = |step: usize| {
            let mut times: Vec<f64> =
                passes.iter().map(|pass| pass[step].1.as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            at(&times, 0.5)
        };
        let medians: Vec<f64> = (0..passes[0].len()).map(median).collect();
        if medians.is_empty() {
            bail!("the engine `{}` has no steps to profile", engine.capabilities().engine);
        }
        let total: f64 = medians.iter().sum();
        let step = |(step, median): (&(String, Duration), f64)| StepTime {
            step: step.0.clone(),
            median_ms: round(median, 4),
            share: round(median / total, 4),
        };
        let mut steps: Vec<StepTime> = passes[0].iter().zip(medians).map(step).collect();
        steps.sort_by(|a, b| b.median_ms.total_cmp(&a.median_ms));
        Ok(steps)
    }
}

/// The value that a `share` of the sorted `values` is at or below, by nearest rank.
fn at(values: &[f64], share: f64) -> f64 {
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

/// Parses a time in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let most = 3600.0;
    if seconds > 0.0 && seconds <= most {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("more than 0 and at most {most} seconds"))
    }
}

fn table(measured: &[Figures], out: &mut Stdout) -> std::io::Result<()> {
    let header = [
        "MODEL",
        "BATCH",
        "SIZE",
        "THREADS",
        "ENGINE",
        "ISA",
        "DTYPE",
        "MEDIAN MS",
        "MIN",
        "P90",
        "P99",
        "IMAGES/S",
        "GFLOP/S",
        "OF PEAK",
        "MEMORY MB",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let unknown = || "-".to_owned();
    rows.extend(measured.iter().map(|f| {
        [
            f.model.clone(),
            f.batch_size.to_string(),
            f.img_size.to_string(),
            f.threads.to_string(),
            f.engine.to_owned(),
            f.isa.map_or_else(unknown, str::to_owned),
            f.dtype.to_string(),
            format!("{:.2}", f.median_ms),
            format!("{:.2}", f.min_ms),
            format!("{:.2}", f.p90_ms),
            format!("{:.2}", f.p99_ms),
            format!("{:.1}", f.images_per_s),
            format!("{:.1}", f.gflops),
            f.peak_share.map_or_else(unknown, |share| format!("{:.0}%", share * 100.0)),
            f.max_rss_mb.map_or_else(unknown, |mb| format!("{mb:.0}")),
        ]
    }));
    out.write_table(&rows, &[1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14])?;
    let on_device = |f: &Figures| f.device_work.as_ref().map(|work| device_row(&f.model, work));
    let on_device: Vec<_> = measured.iter().filter_map(on_device).collect();
    if !on_device.is_empty() {
        let header = [
            "ON THE DEVICE",
            "MEDIAN MS",
            "IMAGES/S",
            "LAUNCHES",
            "MB",
            "OF MEMORY",
            "GFLOP",
            "OF CORES",
        ];
        writeln!(out)?;
        let rows: Vec<_> = std::iter::once(header.map(str::to_owned)).chain(on_device).collect();
        out.write_table(&rows, &[1, 2, 3, 4, 5, 6, 7])?;
    }
    for figures in measured {
        let Some(steps) = &figures.steps else { continue };
        writeln!(out, "\n{}", figures.model)?;
        let header = ["STEP", "MEDIAN MS", "SHARE"].map(str::to_owned);
        let row = |s: &StepTime| {
            [s.step.clone(), format!("{:.3}", s.median_ms), format!("{:.1}%", s.share * 100.0)]
        };
        let rows: Vec<_> = std::iter::once(header).chain(steps.iter().map(row)).collect();
        out.write_table(&rows, &[1, 2])?;
    }
    Ok(())
}

fn device_row(model: &str, work: &DeviceFigures) -> [String; 8] {
    let share = |share: Option<f64>| match share {
        Some(share) => format!("{:.0}%", share * 100.0),
        None => "-".to_owned(),
    };
    [
        model.to_owned(),
        format!("{:.3}", work.median_ms),
        format!("{:.0}", work.images_per_s),
        work.launches.to_string(),
        format!("{:.1}", work.mb),
        share(work.memory_share),
        format!("{:.2}", work.gflop),
        share(work.compute_share),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!([0.5, 0.9, 0.99].map(|share| at(&values, share)), [5.0, 9.0, 10.0]);
        assert_eq!(at(&[7.0], 0.5), 7.0);
    }

    #[test]
    fn times_are_positive() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "3601", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
