use std::io::Write;

use anyhow::Result;
use clap::Args;
use effnet_serve::command::{CommandError, check, run};
use effnet_serve::settings::Flags;

use super::output::Output;
use super::{NoModel, Status, Usage};

/// Serve models over HTTP and gRPC
///
/// Requests are images, answers are JSON: effnet's own API, and the Open Inference Protocol (KServe
/// v2). SIGTERM and Ctrl-C end the server when it has answered what has come; SIGHUP has it read the
/// keys again and open the log again.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub(super) fn run(&self) -> Result<Status> {
        if self.flags.print_config() {
            let text = self.flags.print().map_err(|error| Usage(error.to_string()))?;
            let mut out = Output::open(None)?;
            out.write_all(text.as_bytes())?;
            out.finish()?;
            return Ok(Status::All);
        }
        let settings = self.flags.settings().map_err(|error| Usage(error.to_string()))?;
        let done = if self.flags.check() { check(&settings) } else { run(&settings) };
        done.map(|()| Status::All).map_err(|error| match error {
            CommandError::Settings(_) | CommandError::Keys(_) | CommandError::Tls(_) => {
                Usage(error.to_string()).into()
            }
            CommandError::Model(_) => NoModel(error.to_string()).into(),
            error => error.into(),
        })
    }
}
