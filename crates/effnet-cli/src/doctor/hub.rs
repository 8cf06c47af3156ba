//! The hub: its cache, and the settings that the environment gives.

use effnet::hub::{CachedModel, Hub};
use effnet::unstable::hub_settings;
use serde::Serialize;

use super::Problem;
use super::fact::Fact;
use super::folder::Folder;
use crate::hub::{CacheArgs, no_model};
use crate::in_one;
use crate::settings::as_options;

/// The hub, without its token. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
pub(super) struct HubFacts {
    pub(super) endpoint: String,
    /// Whether only the cache is used.
    pub(super) offline: bool,
    pub(super) token_is_set: bool,
    pub(super) cache: Folder,
    pub(super) contents: Fact<Contents>,
}

/// What is in the cache.
#[derive(Debug, Serialize)]
pub(super) struct Contents {
    pub(super) models: usize,
    pub(super) bytes: u64,
    pub(super) unfinished_downloads: usize,
    /// Files whose content is gone.
    pub(super) missing_files: usize,
}

/// The hub, or why it cannot be set up.
pub(super) fn examine(cache: &CacheArgs, problems: &mut Vec<Problem>) -> Fact<HubFacts> {
    facts(cache, problems).map_or_else(
        |error| {
            let reason = as_options(&in_one(&error));
            problems.push(Problem::new(
                format!("the hub cannot be used: {reason}"),
                "correct the variable that is named; docs/hub.md lists all",
            ));
            Fact::unknown(reason)
        },
        Fact::Known,
    )
}

fn facts(cache: &CacheArgs, problems: &mut Vec<Problem>) -> anyhow::Result<HubFacts> {
    let builder = cache.builder()?;
    let settings = hub_settings(&builder);
    let hub = builder.build().map_err(no_model)?;
    let folder = Folder::examine(hub.cache_dir());
    let contents = contents(&hub);
    if let Fact::Unknown { unknown } = &contents {
        problems.push(Problem::new(
            format!("the cache of models cannot be read: {unknown}"),
            "make it a folder that you can read, or choose another with --cache-dir or HF_HUB_CACHE",
        ));
    } else if let Some(reason) = &folder.reason {
        problems.push(Problem::new(
            format!("the cache of models cannot be written: {}: {reason}", folder.path),
            "make it writable, or choose another with --cache-dir or HF_HUB_CACHE",
        ));
    }
    if let Some(missing @ 1..) = contents.known().map(|contents| contents.missing_files) {
        problems.push(Problem::new(
            format!("the cache of models names {missing} files whose content is gone"),
            "run `effnet cache verify`, which names them; then `effnet cache rm` and download again",
        ));
    }
    Ok(HubFacts {
        endpoint: settings.endpoint,
        offline: settings.offline,
        token_is_set: settings.has_token,
        cache: folder,
        contents,
    })
}

fn contents(hub: &Hub) -> Fact<Contents> {
    hub.cached().map(|models| of_models(&models)).into()
}

fn of_models(models: &[CachedModel]) -> Contents {
    let is_unfinished = |entry: &std::fs::DirEntry| {
        entry.path().extension().is_some_and(|ending| ending == "incomplete")
    };
    let unfinished = |model: &CachedModel| {
        let blobs = model.folder.join("blobs").read_dir().into_iter().flatten().flatten();
        blobs.filter(is_unfinished).count()
    };
    let missing =
        |model: &CachedModel| model.files.iter().filter(|file| !file.path.exists()).count();
    Contents {
        models: models.len(),
        bytes: models.iter().map(|model| model.size).sum(),
        unfinished_downloads: models.iter().map(unfinished).sum(),
        missing_files: models.iter().map(missing).sum(),
    }
}
