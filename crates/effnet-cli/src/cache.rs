use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};
use effnet::hub::{CachedModel, FileState, Hub};
use effnet::unstable::file_name;
use indicatif::HumanBytes;

use super::download::repository;
use super::hub::{CacheArgs, no_model};
use super::output::{Stdout, complain, stdout};
use super::table::printable;
use super::{NoModel, Status};

/// List, check or remove downloaded models
///
/// The cache is shared with Python's huggingface_hub, so it may hold models of other kinds.
#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the models in the cache
    Ls {
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Read whole files and compare them with their checksums; exit code 1 if one is damaged
    Verify {
        /// Models; all if absent
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Remove models from the cache
    Rm {
        /// Models
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        cache: CacheArgs,
    },
}

impl Cache {
    pub(super) fn run(self) -> Result<Status> {
        match self.action {
            Action::Ls { cache } => ls(&cache.open()?),
            Action::Verify { models, cache } => verify(&cache.open()?, &models),
            Action::Rm { models, cache } => rm(&cache.open()?, &models),
        }
    }
}

fn ls(hub: &Hub) -> Result<Status> {
    let mut rows = vec![["MODEL", "SIZE", "COMMIT", "FILES"].map(str::to_owned)];
    for model in hub.cached().map_err(no_model)? {
        let mut commits: Vec<&str> = model.files.iter().map(|file| &*file.commit).collect();
        commits.dedup();
        let short: Vec<_> = commits.iter().filter_map(|commit| commit.get(..8)).collect();
        rows.push([
            printable(&model.repo),
            HumanBytes(model.size).to_string(),
            short.join(" "),
            model.files.len().to_string(),
        ]);
    }
    let mut out = stdout();
    out.write_table(&rows, &[1, 3])?;
    out.flush()?;
    Ok(Status::All)
}

fn verify(hub: &Hub, names: &[String]) -> Result<Status> {
    let mut models = hub.cached().map_err(no_model)?;
    if !names.is_empty() {
        let repos = names.iter().map(|name| Ok(repository(name)?.0)).collect::<Result<Vec<_>>>()?;
        if let Some(repo) = repos.iter().find(|repo| models.iter().all(|m| m.repo != **repo)) {
            let place = file_name(hub.cache_dir());
            return Err(NoModel(format!("{repo}: not in the cache {place}")).into());
        }
        models.retain(|model| repos.contains(&model.repo));
    }
    let mut done = Status::All;
    let mut out = stdout();
    for model in &models {
        if !verify_model(hub, model, &mut out)? {
            done = Status::Some;
        }
    }
    Ok(done)
}

/// Whether all files of a model are intact.
fn verify_model(hub: &Hub, model: &CachedModel, out: &mut Stdout) -> Result<bool> {
    let mut all_sound = true;
    for file in &model.files {
        let state = hub.verify(file).map_err(no_model)?;
        writeln!(out, "{state:<12}{} {}", printable(&model.repo), printable(&file.name))?;
        // A file takes long to read, so each result is shown at once.
        out.flush()?;
        if matches!(state, FileState::Corrupt | FileState::Missing) {
            all_sound = false;
            complain(&format!(
                "error: {} is {state}: run `effnet cache rm {}` and download it again",
                file_name(&file.path),
                model.repo,
            ));
        }
    }
    Ok(all_sound)
}

fn rm(hub: &Hub, names: &[String]) -> Result<Status> {
    for name in names {
        let (repo, _) = repository(name)?;
        let freed = hub.remove(&repo).map_err(no_model)?;
        complain(&format!("{repo}: removed, {} freed", HumanBytes(freed)));
    }
    Ok(Status::All)
}
