//! The `effnet` command as a function: one file per subcommand. Results go to standard output,
//! everything else to standard error.

mod answers;
mod bench;
#[cfg(feature = "hub")]
mod cache;
mod classify;
mod convert;
mod decoding;
mod doctor;
mod dot;
#[cfg(feature = "hub")]
mod download;
mod embed;
mod explain;
mod forward;
#[cfg(feature = "hub")]
mod hub;
mod journal;
mod long_run;
mod map;
mod memory;
mod merge;
mod model_args;
mod models;
mod output;
mod picture;
mod preprocess;
mod preprocessing;
mod progress;
mod rows;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod sheet;
mod similar;
mod sinks;
mod sources;
mod summary;
mod svg;
mod table;
mod validate;

use std::ffi::OsString;
use std::path::Path;

use clap::{Parser, Subcommand};
use effnet::unstable::file_name;

use self::output::complain;

/// EfficientNet-family image classification with timm's names and timm's answers.
#[derive(Debug, Parser)]
#[command(name = "effnet", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Classify),
    Embed(embed::Embed),
    Explain(explain::Explain),
    Similar(similar::Similar),
    Merge(merge::Merge),
    Validate(validate::Validate),
    Models(models::Models),
    Preprocess(preprocess::Preprocess),
    Forward(forward::Forward),
    Summary(summary::SummaryArgs),
    Convert(convert::Convert),
    Map(map::Map),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    #[cfg(feature = "hub")]
    Download(download::Download),
    #[cfg(feature = "hub")]
    Cache(cache::Cache),
}

/// How a run ended, unless it failed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Every input was answered.
    All,
    /// Some inputs failed; each was named.
    Some,
}

/// Marks an error as one about the model: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoModel(String);

/// Marks an error as one of the arguments, or of a file that they name: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Exit code if every input was answered.
const ALL: u8 = 0;
/// Exit code if some inputs failed, or the output could not be written.
const SOME_FAILED: u8 = 1;
/// Exit code if the arguments, or a file that they name, say what cannot be obeyed.
const USAGE: u8 = 2;
/// Exit code if there is no model, because of its name, files or weights.
const NO_MODEL: u8 = 3;

/// Runs the command. The first of the arguments is the program's name, which is ignored.
///
/// Returns the exit code: 0 all well, 1 some inputs failed, 2 usage, 3 model or weights unavailable.
/// A write to a closed pipe must be an error and not a signal, as in every program of Rust and of
/// Python.
#[must_use]
pub fn run(arguments: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => return not_a_command(&answer, arguments),
    };
    let result = match cli.command {
        Command::Classify(command) => command.run(),
        Command::Embed(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Similar(command) => command.run(),
        Command::Merge(command) => command.run(),
        Command::Validate(command) => command.run(),
        Command::Models(command) => command.run(),
        Command::Preprocess(command) => command.run(),
        Command::Forward(command) => command.run(),
        Command::Summary(command) => command.run(),
        Command::Convert(command) => command.run(),
        Command::Map(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Doctor(command) => command.run(),
        #[cfg(feature = "serve")]
        Command::Serve(command) => command.run(),
        #[cfg(feature = "hub")]
        Command::Download(command) => command.run(),
        #[cfg(feature = "hub")]
        Command::Cache(command) => command.run(),
    };
    match result {
        Ok(Status::All) => ALL,
        Ok(Status::Some) => SOME_FAILED,
        Err(error) if output::is_closed(&error) => ALL,
        Err(error) => {
            complain(&format!("error: {}", in_one(&error)));
            code(&error)
        }
    }
}

/// The exit code of a run that failed as a whole.
fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return USAGE;
    }
    if error.is::<NoModel>() { NO_MODEL } else { SOME_FAILED }
}

/// Answers arguments that are not a command: help, the version, or what is wrong.
fn not_a_command(answer: &clap::Error, arguments: &[OsString]) -> u8 {
    let is_failure = answer.use_stderr();
    let is_obeyed = |argument: &OsString| file_name(Path::new(argument)).as_str() != argument;
    if is_failure && arguments.iter().any(is_obeyed) {
        // The answer may quote an argument that would control the terminal.
        complain(answer.to_string().trim_end());
    } else if let Err(error) = answer.print()
        && !is_failure
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        complain(&format!("error: cannot write to standard output: {error}"));
        return SOME_FAILED;
    }
    u8::try_from(answer.exit_code()).unwrap_or(SOME_FAILED)
}

/// An error and its causes, each said once; an error's own text may include its cause.
fn in_one(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
