//! A network with known answers, on every engine of every device that can be used.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use effnet::Model;
use effnet::engine::{Capabilities, Device, Dtype, EngineChoice, Images};
use effnet::weights::{WeightsFrom, seeded};
use serde::Serialize;

use super::Problem;

const MODEL: &str = "efficientnet_lite0";
const SEED: u64 = 0;
const SHAPE: [usize; 4] = [1, 3, 64, 64];

/// Logits that timm gives for [`MODEL`] with the weights and the image of [`SEED`], recorded by
/// `tests/parity/doctor`.
struct Golden {
    /// Logits 0, 100, ..., 900.
    logits: [f32; 10],
    /// The largest of all 1000, without its sign.
    largest: f32,
}

const GOLDEN: Golden = Golden {
    logits: [
        0.7002299, -0.3140636, -2.6854, 1.189544, 0.2661716, -0.622735, -1.821124, -0.7399908,
        0.3785663, -1.246263,
    ],
    largest: 4.079404,
};

/// Passes after the first, of which the fastest counts; fewer if they take long.
const PASSES: usize = 3;
/// Another pass begins within this time.
const LONG: Duration = Duration::from_millis(300);

/// An engine on a kind of device, and what it computes in.
struct Suite {
    /// The kind; a GPU of any number is of the same kind.
    device: Device,
    engine: EngineChoice,
    dtypes: &'static [Dtype],
}

/// Everything that is tested where the device can be used. An engine that rounds to another type
/// than it was asked for is reported as not supporting it.
const SUITES: [Suite; 7] = [
    Suite { device: Device::Cpu, engine: EngineChoice::Cpu, dtypes: &[Dtype::F32, Dtype::Bf16] },
    Suite { device: Device::Cpu, engine: EngineChoice::Candle, dtypes: &Dtype::ALL },
    Suite { device: Device::Cuda(0), engine: EngineChoice::Cuda, dtypes: &Dtype::ALL },
    Suite { device: Device::Cuda(0), engine: EngineChoice::Candle, dtypes: &Dtype::ALL },
    Suite { device: Device::Metal, engine: EngineChoice::Metal, dtypes: &Dtype::ALL },
    Suite { device: Device::Metal, engine: EngineChoice::Candle, dtypes: &Dtype::ALL },
    Suite { device: Device::Wgpu, engine: EngineChoice::Wgpu, dtypes: &Dtype::ALL },
];

/// The result of the test. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
pub(super) struct SelfTest {
    pub(super) model: &'static str,
    pub(super) weights: String,
    pub(super) input: [usize; 4],
    /// Whether no row failed.
    pub(super) ok: bool,
    pub(super) rows: Vec<Row>,
}

/// An engine on a device in a number type.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) device: Device,
    pub(super) engine: EngineChoice,
    pub(super) dtype: Dtype,
    /// The instruction set of the engine's own kernels.
    pub(super) isa: Option<&'static str>,
    pub(super) threads: Option<usize>,
    pub(super) result: Outcome,
    /// Why it failed, or why it is not supported.
    pub(super) reason: Option<String>,
    /// The largest difference from timm's logits, over the largest logit.
    pub(super) difference: Option<f64>,
    /// The most that the difference may be.
    pub(super) tolerance: f64,
    /// From weights to an engine that is ready to run.
    pub(super) load_ms: Option<f64>,
    /// From the image to its logits, without the first pass.
    pub(super) ms: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The logits are timm's.
    Ok,
    /// They are not, or there are none.
    Failed,
    /// This machine or engine does not compute in this type.
    Unsupported,
}

/// What an engine gave.
struct Answer {
    engine: Capabilities,
    /// Of the first pass and of the last, which may take another way.
    logits: [Vec<f32>; 2],
    load_ms: f64,
    ms: f64,
}

impl SelfTest {
    /// Tests these devices. `threads` are those that the engine `cpu` asks for.
    pub(super) fn run(devices: &[Device], threads: usize, problems: &mut Vec<Problem>) -> Self {
        let mut rows = Vec::new();
        for &device in devices {
            let kind = std::mem::discriminant(&device);
            let is_in_program =
                |suite: &&Suite| suite.engine != EngineChoice::Candle || cfg!(feature = "candle");
            let suites = SUITES.iter().filter(|s| std::mem::discriminant(&s.device) == kind);
            for suite in suites.filter(is_in_program) {
                rows.extend(suite.dtypes.iter().map(|&dtype| Row::of(device, suite.engine, dtype)));
            }
        }
        for row in rows.iter().filter(|row| row.result == Outcome::Failed) {
            let reason = row.reason.as_deref().unwrap_or_default();
            if problems.iter().any(|known| known.problem == reason) {
                continue;
            }
            problems.push(Problem::new(
                format!("{} on {} in {}: {reason}", row.engine, row.device, row.dtype),
                "if no other problem explains it, report it with the output of this command; \
                 meanwhile use another --engine, --device or --dtype",
            ));
        }
        let cpu = rows.iter().filter(|row| row.engine == EngineChoice::Cpu);
        if let Some(started) = cpu.filter_map(|row| row.threads).min().filter(|&n| n < threads) {
            problems.push(Problem::new(
                format!("the system started {started} of {threads} threads"),
                "raise `ulimit -u`, or the control group's limit of processes",
            ));
        }
        Self {
            model: MODEL,
            weights: WeightsFrom::Seeded(SEED).to_string(),
            input: SHAPE,
            ok: rows.iter().all(|row| row.result != Outcome::Failed),
            rows,
        }
    }
}

impl Row {
    fn of(device: Device, engine: EngineChoice, dtype: Dtype) -> Self {
        let answer = without_panic(|| answer(device, engine, dtype));
        Self::judged(device, engine, dtype, answer, &GOLDEN)
    }

    fn judged(
        device: Device,
        engine: EngineChoice,
        dtype: Dtype,
        answer: Result<Answer, String>,
        golden: &Golden,
    ) -> Self {
        let tolerance = match dtype {
            Dtype::F32 => 1e-4,
            _ => 0.05,
        };
        let mut row = Self {
            device,
            engine,
            dtype,
            isa: None,
            threads: None,
            result: Outcome::Failed,
            reason: None,
            difference: None,
            tolerance,
            load_ms: None,
            ms: None,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                // Candle has no products of some types on some devices, and says it in these words.
                if engine == EngineChoice::Candle && reason.contains("unsupported dtype") {
                    row.result = Outcome::Unsupported;
                }
                return Self { reason: Some(reason), ..row };
            }
        };
        row.isa = answer.engine.kernels;
        row.threads = Some(answer.engine.threads);
        if answer.engine.dtype != dtype {
            let what = answer.engine.kernels.unwrap_or(answer.engine.engine);
            row.reason = Some(format!("{what} does not multiply {dtype} here"));
            return Self { result: Outcome::Unsupported, ..row };
        }
        (row.load_ms, row.ms) = (Some(round(answer.load_ms)), Some(round(answer.ms)));
        let differences = answer.logits.each_ref().map(|logits| golden.difference(logits));
        match differences {
            [Ok(first), Ok(last)] => {
                let difference = first.max(last);
                row.difference = Some(difference);
                if difference <= tolerance {
                    row.result = Outcome::Ok;
                } else {
                    row.reason = Some(format!(
                        "the logits differ from timm's by {difference:.1e} of the largest, which is \
                         more than {tolerance:.0e}"
                    ));
                }
            }
            [Err(reason), _] | [_, Err(reason)] => row.reason = Some(reason),
        }
        row
    }
}

impl Golden {
    /// The largest difference over the largest logit.
    ///
    /// # Errors
    ///
    /// Logits that cannot be compared.
    fn difference(&self, logits: &[f32]) -> Result<f64, String> {
        if logits.len() != 1000 {
            return Err(format!("{} logits in place of 1000", logits.len()));
        }
        if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(format!("logit {at} is {}", logits[at]));
        }
        let pairs = logits.iter().step_by(100).zip(self.logits);
        let differences = pairs.map(|(&logit, golden)| f64::from((logit - golden).abs()));
        Ok(differences.fold(0.0, f64::max) / f64::from(self.largest))
    }
}

/// Loads the network and runs it.
fn answer(device: Device, engine: EngineChoice, dtype: Dtype) -> Result<Answer, String> {
    let start = Instant::now();
    let builder = Model::builder().model(MODEL).weights(WeightsFrom::Seeded(SEED));
    let model = builder.device(device).engine(engine).dtype(dtype).build();
    let model = model.map_err(|error| error.to_string())?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let image = seeded::images(SEED, &SHAPE);
    let pass = || -> Result<(Vec<f32>, f64), String> {
        let images = Images::new(&image, SHAPE).map_err(|error| error.to_string())?;
        let start = Instant::now();
        let outputs = model.run(images, &["logits"]);
        let logits = outputs.map_err(|error| error.to_string())?.take("logits");
        let logits = logits.map_err(|error| error.to_string())?.data;
        Ok((logits, start.elapsed().as_secs_f64() * 1e3))
    };
    let (first, _) = pass()?;
    let begun = Instant::now();
    let (mut last, mut ms) = pass()?;
    for _ in 1..PASSES {
        if begun.elapsed() < LONG {
            let (logits, time) = pass()?;
            (last, ms) = (logits, ms.min(time));
        }
    }
    Ok(Answer { engine: model.engine().capabilities(), logits: [first, last], load_ms, ms })
}

/// What `run` gives; a panic is an error with its message.
fn without_panic<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // The message goes into the report, not to standard error.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    panic::set_hook(hook);
    result.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(format!("it panicked: {}", text.unwrap_or_else(|| "no message".to_owned())))
    })
}

fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine that answers with these logits in float32.
    fn answer_of(logits: Vec<f32>) -> Result<Answer, String> {
        let engine = Capabilities::new("mock");
        Ok(Answer { engine, logits: [logits.clone(), logits], load_ms: 1.0, ms: 1.0 })
    }

    fn judged(dtype: Dtype, logits: Vec<f32>, golden: &Golden) -> Row {
        let mut answer = answer_of(logits);
        answer.as_mut().unwrap().engine.dtype = dtype;
        Row::judged(Device::Cpu, EngineChoice::Cpu, dtype, answer, golden)
    }

    /// What the engine `cpu` gives.
    fn logits() -> Vec<f32> {
        let [first, _] = answer(Device::Cpu, EngineChoice::Cpu, Dtype::F32).unwrap().logits;
        first
    }

    #[test]
    fn a_wrong_constant_is_noticed() {
        let logits = logits();
        let right = judged(Dtype::F32, logits.clone(), &GOLDEN);
        assert_eq!((right.result, right.reason), (Outcome::Ok, None));
        assert!(right.difference.unwrap() < 1e-5, "{:?}", right.difference);
        for at in 0..10 {
            for (dtype, factor) in [(Dtype::F32, 2e-4), (Dtype::Bf16, 0.06), (Dtype::F16, 0.06)] {
                let mut wrong = Golden { ..GOLDEN };
                wrong.logits[at] += factor * wrong.largest;
                let row = judged(dtype, logits.clone(), &wrong);
                assert_eq!(row.result, Outcome::Failed, "{at} {dtype}");
                assert!(row.reason.unwrap().contains("differ from timm's"));
            }
        }
    }

    #[test]
    fn logits_that_are_no_numbers_fail() {
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut logits = logits();
            // Not one of those that are compared.
            logits[7] = wrong;
            let row = judged(Dtype::F32, logits, &GOLDEN);
            assert_eq!(row.result, Outcome::Failed);
            assert!(row.reason.unwrap().starts_with("logit 7 is "));
        }
        let row = judged(Dtype::F32, vec![0.0; 10], &GOLDEN);
        assert_eq!(row.reason.as_deref(), Some("10 logits in place of 1000"));
    }

    #[test]
    fn only_the_last_pass_is_wrong_and_that_fails() {
        let mut answer = answer_of(logits()).unwrap();
        answer.logits[1][500] += 1.0;
        let row = Row::judged(Device::Cpu, EngineChoice::Cpu, Dtype::F32, Ok(answer), &GOLDEN);
        assert_eq!(row.result, Outcome::Failed);
    }

    #[test]
    fn another_type_than_was_asked_for_is_no_failure() {
        let answer = answer_of(logits());
        let row = Row::judged(Device::Cpu, EngineChoice::Cpu, Dtype::Bf16, answer, &GOLDEN);
        assert_eq!((row.result, row.ms), (Outcome::Unsupported, None));
        assert_eq!(row.reason.as_deref(), Some("mock does not multiply bf16 here"));

        let refused = |engine| {
            let answer = Err("the network failed to run: unsupported dtype BF16".to_owned());
            Row::judged(Device::Cpu, engine, Dtype::Bf16, answer, &GOLDEN).result
        };
        assert_eq!(refused(EngineChoice::Candle), Outcome::Unsupported);
        assert_eq!(refused(EngineChoice::Cpu), Outcome::Failed);
    }

    #[test]
    fn a_panic_is_a_reason() {
        let panics = || -> Result<(), String> { panic!("out of {}", "tea") };
        assert_eq!(without_panic(panics), Err("it panicked: out of tea".to_owned()));
        assert_eq!(without_panic(|| Ok(3)), Ok(3));
    }
}
