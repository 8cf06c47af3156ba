//! The hub as the command's flags set it, and the progress bar.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use clap::Args;
use effnet::hub::{Hub, HubBuilder, HubError, Progress, ProgressEvent};
use effnet::pretrained::{ModelConfig, PretrainedCfg};
use effnet::unstable::file_name;
use indicatif::{ProgressBar, ProgressStyle};

use super::NoModel;
use super::output::complain;
use super::table::printable;

/// Where the cache is.
#[derive(Debug, Clone, Args)]
pub(super) struct CacheArgs {
    /// Folder of the model cache; if absent, that of Python's huggingface_hub
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// The hub and its cache.
#[derive(Debug, Clone, Args)]
pub(super) struct HubArgs {
    #[command(flatten)]
    cache: CacheArgs,
    /// Use the cache only, never the network
    #[arg(long)]
    offline: bool,
}

/// An error of the hub ends the run with exit code 3.
pub(super) fn no_model(error: impl Into<HubError>) -> anyhow::Error {
    NoModel(error.into().to_string()).into()
}

impl CacheArgs {
    /// The hub's settings, those of the environment included.
    pub(super) fn builder(&self) -> Result<HubBuilder> {
        let mut builder = HubBuilder::from_env().map_err(no_model)?;
        if let Some(dir) = &self.cache_dir {
            builder = builder.cache_dir(dir);
        }
        Ok(builder)
    }

    /// The cache, for commands that need no network.
    pub(super) fn open(&self) -> Result<Hub> {
        self.builder()?.offline(true).build().map_err(no_model)
    }

    /// The models of this family in the cache with matching names: name and configuration.
    pub(super) fn models(&self, pattern: &str) -> Result<Vec<(String, PretrainedCfg)>> {
        let pattern = glob::Pattern::new(pattern)?;
        let mut models = Vec::new();
        for model in self.open()?.cached().map_err(no_model)? {
            let file = |name: &str| model.files.iter().find(|file| file.name == name);
            let weights = file("model.safetensors").or_else(|| file("pytorch_model.bin"));
            let (Some(config), Some(_)) = (file("config.json"), weights) else {
                continue;
            };
            let name = model.repo.strip_prefix("timm/").unwrap_or(&model.repo).to_owned();
            let architecture = name.split('.').next().unwrap_or_default();
            let matches = pattern.matches(&name) || pattern.matches(architecture);
            match ModelConfig::from_file(&config.path) {
                Ok(config) if matches => models.push((name, config.pretrained_cfg)),
                // The cache holds models of all kinds.
                _ => {}
            }
        }
        Ok(models)
    }
}

impl HubArgs {
    /// The hub, with a progress bar if somebody can see it.
    pub(super) fn open(&self) -> Result<Hub> {
        let mut builder = self.cache.builder()?;
        if self.offline {
            builder = builder.offline(true);
        }
        builder.progress(Arc::new(Bar::new())).build().map_err(no_model)
    }
}

/// A progress bar on a terminal; elsewhere it shows only what goes wrong.
struct Bar {
    is_shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    fn new() -> Self {
        let variable = std::env::var("HF_HUB_DISABLE_PROGRESS_BARS").unwrap_or_default();
        let disabled =
            matches!(variable.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
        Self { is_shown: !disabled && std::io::stderr().is_terminal(), bar: Mutex::default() }
    }
}

impl Progress for Bar {
    fn event(&self, event: &ProgressEvent<'_>) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let say = |text: &str| match bar.as_ref() {
            Some(bar) => bar.suspend(|| complain(text)),
            None => complain(text),
        };
        match event {
            ProgressEvent::Started { repo, file, size, from } if self.is_shown => {
                let new = ProgressBar::new(*size).with_position(*from);
                let template = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    new.set_style(style);
                }
                // Bytes of an earlier run would make the first seconds look fast.
                new.reset_eta();
                new.set_message(printable(&format!("{repo} {file}")));
                *bar = Some(new);
            }
            ProgressEvent::Advanced { position } => {
                if let Some(bar) = bar.as_ref() {
                    bar.set_position(*position);
                }
            }
            ProgressEvent::Retrying { cause, wait } => {
                say(&format!("note: {cause}; trying again in {:.1} s", wait.as_secs_f32()));
            }
            ProgressEvent::Waiting { lock } => {
                say(&format!(
                    "note: another process downloads this: waiting for {}",
                    file_name(lock)
                ));
            }
            ProgressEvent::Finished => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}
