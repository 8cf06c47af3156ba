//! From a model's name to what has to be loaded.

use std::path::PathBuf;

use crate::Error;
use crate::arch::{self, Activation, Arch, PadType};
use crate::labels::{LabelSet, label_set_for};
use crate::pretrained::{self, ModelConfig, ModelName, PretrainedCfg};
use crate::weights::Checkpoint;

/// Where the tensors come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Checkpoint(Checkpoint),
    Seeded(u64),
}

/// A model, found: everything but its tensors' values.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) name: String,
    pub(super) arch: Arch,
    pub(super) cfg: PretrainedCfg,
    pub(super) in_chans: usize,
    pub(super) num_classes: usize,
    pub(super) labels: Option<LabelSet>,
    pub(super) notes: Vec<String>,
    /// The commit of the hub repository that the weights come from.
    pub(super) revision: Option<String>,
    pub(super) source: Source,
}

/// The model that is meant where none is named.
#[cfg(feature = "bundled")]
fn default_model() -> Option<&'static str> {
    Some(crate::weights::BUNDLED_MODEL)
}

#[cfg(not(feature = "bundled"))]
fn default_model() -> Option<&'static str> {
    None
}

#[cfg(feature = "bundled")]
fn bundled(name: &str) -> Result<Option<Checkpoint>, Error> {
    (name == crate::weights::BUNDLED_MODEL)
        .then(crate::weights::bundled)
        .transpose()
        .map_err(Error::from)
}

#[cfg(not(feature = "bundled"))]
fn bundled(_: &str) -> Result<Option<Checkpoint>, Error> {
    Ok(None)
}

/// Finds models where their names say they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolver {
    /// The hub to ask; the environment's, if none is given, once a model needs one.
    #[cfg(feature = "hub")]
    pub(super) hub: Option<crate::hub::Hub>,
}

/// A repository's files, and the commit they are of.
#[derive(Debug)]
struct RepoFiles {
    config: PathBuf,
    weights: PathBuf,
    commit: String,
    note: Option<String>,
}

impl Resolver {
    /// Finds `model` (the bundled one if `None`), with its own weights or those named by `weights`.
    pub(super) fn resolve(
        &self,
        model: Option<&str>,
        weights: Option<&str>,
    ) -> Result<Resolved, Error> {
        let model = model.or(default_model()).ok_or(Error::NoModel)?;
        let weights = weights.map(named_weights).transpose()?;
        match ModelName::parse(model)? {
            ModelName::Timm(name) => self.timm(&name, weights),
            ModelName::Folder(folder) => {
                let config = ModelConfig::from_file(&folder.join("config.json"))?;
                let weights = match weights {
                    Some(source) => source,
                    None => Source::Checkpoint(Checkpoint::open(&folder)?),
                };
                configured(folder.display().to_string(), config, weights)
            }
            ModelName::Hub { repo, revision } => {
                let files = self.fetch(model, &repo, revision.as_deref())?;
                let config = ModelConfig::from_file(&files.config)?;
                let weights = match weights {
                    Some(source) => source,
                    None => Source::Checkpoint(Checkpoint::open(&files.weights)?),
                };
                let resolved = configured(repo, config, weights)?;
                Ok(resolved.with_repo(files))
            }
        }
    }

    fn timm(&self, name: &str, weights: Option<Source>) -> Result<Resolved, Error> {
        let found = pretrained::find(name)?;
        let cfg = found.cfg;
        let name = cfg.name();
        let mut files = None;
        let source = match (weights, bundled(&name)?, &cfg.hf_hub_id) {
            (Some(source), ..) => source,
            (None, Some(checkpoint), _) => Source::Checkpoint(checkpoint),
            (None, None, None) => return Err(Error::Untrained { model: name }),
            (None, None, Some(repo)) => {
                let found = self.fetch(&name, repo, None)?;
                let checkpoint = Checkpoint::open(&found.weights)?;
                files = Some(found);
                Source::Checkpoint(checkpoint)
            }
        };
        let [in_chans, ..] = cfg.resolve(false)?.input_size.value;
        let num_classes = cfg.num_classes();
        let resolved = Resolved {
            arch: find_arch(cfg.architecture.as_deref().unwrap_or_default())?,
            in_chans,
            num_classes,
            labels: label_set_for(num_classes, None, None)?,
            notes: found.note.into_iter().collect(),
            revision: None,
            source,
            cfg: cfg.clone(),
            name,
        };
        Ok(match files {
            Some(files) => resolved.with_repo(files),
            None => resolved,
        })
    }

    #[cfg(feature = "hub")]
    fn fetch(&self, _: &str, repo: &str, revision: Option<&str>) -> Result<RepoFiles, Error> {
        let hub = match &self.hub {
            Some(hub) => hub.clone(),
            None => crate::hub::Hub::from_env()?,
        };
        let files = hub.model_files(repo, revision)?;
        Ok(RepoFiles {
            config: files.config,
            weights: files.weights,
            commit: files.commit,
            note: files.note,
        })
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(&self, model: &str, repo: &str, _: Option<&str>) -> Result<RepoFiles, Error> {
        Err(Error::NeedsHub { model: model.to_owned(), repo: repo.to_owned() })
    }
}

impl Resolved {
    fn with_repo(mut self, files: RepoFiles) -> Self {
        self.revision = Some(files.commit);
        self.notes.extend(files.note);
        self
    }
}

fn named_weights(weights: &str) -> Result<Source, Error> {
    match weights.strip_prefix("seeded:") {
        Some(seed) => match seed.parse() {
            Ok(seed) => Ok(Source::Seeded(seed)),
            Err(_) => Err(Error::Seed(weights.to_owned())),
        },
        None => Ok(Source::Checkpoint(Checkpoint::open(weights)?)),
    }
}

/// The model that a `config.json` describes.
fn configured(name: String, config: ModelConfig, source: Source) -> Result<Resolved, Error> {
    let mut arch = find_arch(config.architecture)?;
    apply_model_args(&mut arch, &config)?;
    let mut notes: Vec<String> = config.note.clone().into_iter().collect();
    if !config.ignored_keys.is_empty() {
        let keys = config.ignored_keys.join(", ");
        notes.push(format!("{}: ignored what is not known: {keys}", config.file.display()));
    }
    Ok(Resolved {
        name,
        arch,
        in_chans: config.in_chans,
        num_classes: config.num_classes,
        labels: config.labels()?,
        notes,
        revision: None,
        source,
        cfg: config.pretrained_cfg,
    })
}

fn find_arch(name: &str) -> Result<Arch, Error> {
    arch::find(name).copied().ok_or_else(|| Error::Unbuilt { architecture: name.to_owned() })
}

/// Changes the architecture's row as the model's own arguments say.
fn apply_model_args(arch: &mut Arch, config: &ModelConfig) -> Result<(), Error> {
    let args = &config.model_args;
    if let Some(bn_eps) = args.bn_eps {
        arch.bn_eps = bn_eps;
    }
    if let Some(pad_type) = &args.pad_type {
        arch.pad_type = if pad_type.is_empty() { PadType::Symmetric } else { PadType::Same };
    }
    if let Some(name) = &args.act_layer {
        arch.act_layer = Activation::from_name(name).ok_or_else(|| Error::ModelArg {
            file: config.file.clone(),
            key: "act_layer",
            value: name.clone(),
        })?;
    }
    Ok(())
}
