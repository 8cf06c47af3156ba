//! `effnet doctor`: what effnet finds on a machine, and whether it computes the right numbers there.

mod devices;
mod fact;
mod folder;
#[cfg(feature = "hub")]
mod hub;
mod limits;
mod machine;
mod self_test;
mod text;

use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use self::devices::Devices;
#[cfg(feature = "hub")]
use self::fact::Fact;
use self::limits::Limits;
use self::machine::{Cpu, Memory};
use self::self_test::SelfTest;
use super::Status;
use super::output::stdout;
use super::settings::as_options;

/// Say what effnet finds on this machine, and test every device that it can use
///
/// The test runs a small network on generated weights, in every engine and number type, and compares
/// it with numbers of timm's that are inside the program. Exit code 1 if one is wrong.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    cache: super::hub::CacheArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Sections for people
    Text,
    /// One object
    Json,
}

/// All that is reported. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    found: Found,
    self_test: SelfTest,
    problems: Vec<Problem>,
}

/// What is found without running a network.
#[derive(Debug, Serialize)]
struct Found {
    program: Program,
    cpu: Cpu,
    memory: Memory,
    limits: Limits,
    devices: Devices,
    /// Null without the feature `hub`.
    #[cfg(feature = "hub")]
    hub: Option<Fact<hub::HubFacts>>,
    #[cfg(not(feature = "hub"))]
    hub: Option<()>,
}

/// The program itself.
#[derive(Debug, Serialize)]
struct Program {
    version: &'static str,
    /// The features that it was built with.
    features: Vec<&'static str>,
    os: &'static str,
    arch: &'static str,
    /// `release` or `debug`.
    profile: &'static str,
}

/// Something that keeps effnet from doing its best, and what to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Problem {
    problem: String,
    remedy: String,
}

impl Problem {
    fn new(problem: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self { problem: as_options(problem.as_ref()), remedy: remedy.into() }
    }
}

impl Doctor {
    pub(super) fn run(self) -> Result<Status> {
        let mut problems = Vec::new();
        let found = self.examine(&mut problems);
        let mut out = stdout();
        if self.format == Format::Text {
            text::found(&found, &mut out)?;
            // A device that brings the process down leaves the report up to here.
            out.flush()?;
        }
        let devices = found.devices.usable();
        let self_test = SelfTest::run(&devices, found.cpu.threads, &mut problems);
        let report = Report { found, self_test, problems };
        match self.format {
            Format::Text => text::tested(&report.self_test, &report.problems, &mut out)?,
            Format::Json => out.write_json(&report)?,
        }
        out.flush()?;
        Ok(if report.self_test.ok { Status::All } else { Status::Some })
    }

    fn examine(&self, problems: &mut Vec<Problem>) -> Found {
        Found {
            program: Program::examine(problems),
            cpu: Cpu::examine(problems),
            memory: Memory::examine(),
            limits: Limits::examine(),
            devices: Devices::examine(problems),
            #[cfg(feature = "hub")]
            hub: Some(hub::examine(&self.cache, problems)),
            #[cfg(not(feature = "hub"))]
            hub: None,
        }
    }
}

impl Program {
    fn examine(problems: &mut Vec<Problem>) -> Self {
        let features = [
            ("hub", cfg!(feature = "hub")),
            ("bundled", cfg!(feature = "bundled")),
            ("candle", cfg!(feature = "candle")),
            ("cuda", cfg!(feature = "cuda")),
            ("cudnn", cfg!(feature = "cudnn")),
            ("metal", cfg!(feature = "metal")),
            ("mkl", cfg!(feature = "mkl")),
            ("accelerate", cfg!(feature = "accelerate")),
        ];
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        if cfg!(debug_assertions) {
            problems.push(Problem::new(
                "the program was built without optimizations, so it is slow",
                "build it with --release",
            ));
        }
        Self {
            version: env!("CARGO_PKG_VERSION"),
            features: features.into_iter().filter(|(_, is_on)| *is_on).map(|(n, _)| n).collect(),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            profile,
        }
    }
}
