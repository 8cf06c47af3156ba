use std::io::Write;

use anyhow::Result;
use clap::Args;
use effnet::pretrained::{self, ModelName};
use effnet::unstable::file_name;

use super::hub::{HubArgs, no_model};
use super::output::{complain, stdout};
use super::{NoModel, Status};

/// Download models from the Hugging Face hub
///
/// Prints the folder of each. Files that are already in the cache are not downloaded again.
#[derive(Debug, Args)]
pub(super) struct Download {
    /// Models: timm names, ORG/REPO or ORG/REPO@REVISION
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// Branch, tag or commit; the main branch if absent
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

impl Download {
    pub(super) fn run(self) -> Result<Status> {
        let hub = self.hub.open()?;
        let mut out = stdout();
        for model in &self.models {
            let (repo, revision) = repository(model)?;
            let revision = match (revision, &self.revision) {
                (Some(own), Some(flag)) if own != *flag => {
                    let text = format!("{model}: --revision {flag} contradicts it");
                    return Err(NoModel(text).into());
                }
                (own, flag) => own.or_else(|| flag.clone()),
            };
            let files = hub.model_files(&repo, revision.as_deref()).map_err(no_model)?;
            if let Some(note) = &files.note {
                complain(&format!("note: {note}"));
            }
            let folder = files.config.parent().unwrap_or(&files.config);
            writeln!(out, "{}", file_name(folder))?;
            out.flush()?;
        }
        Ok(Status::All)
    }
}

/// Repository and revision of a model's name.
pub(super) fn repository(model: &str) -> Result<(String, Option<String>)> {
    match ModelName::parse(model).map_err(no_model)? {
        ModelName::Hub { repo, revision } => Ok((repo, revision)),
        ModelName::Timm(name) => {
            let found = pretrained::find(&name).map_err(no_model)?;
            if let Some(note) = found.note {
                complain(&format!("note: {note}"));
            }
            let repo = found.cfg.hf_hub_id.clone();
            let untrained = || NoModel(format!("{model}: nobody has published weights for it"));
            Ok((repo.ok_or_else(untrained)?, None))
        }
        ModelName::Folder(path) | ModelName::File(path) => {
            let text =
                format!("{}: it is on this machine already, not on the hub", file_name(&path));
            Err(NoModel(text).into())
        }
    }
}
