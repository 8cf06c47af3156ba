//! From a model's name to what has to be loaded.

use std::path::PathBuf;

use crate::Error;
use crate::arch::{self, Arch};
use crate::convert::{ConvertError, Names, recognize};
use crate::labels::{LabelSet, label_set_for};
use crate::pretrained::{
    self, CfgOrigin, ModelConfig, ModelName, PretrainedCfg, ResolvedPreprocessing,
};
use crate::weights::{Checkpoint, Normalization};

/// Where the tensors come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Checkpoint(Checkpoint),
    /// A checkpoint by another library's names.
    Foreign(Checkpoint, Box<Names>),
    Seeded(u64),
}

/// A model, found: everything but its tensors' values.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) name: String,
    pub(super) arch: Arch,
    pub(super) cfg: PretrainedCfg,
    /// What says how images are prepared where `cfg` does not.
    pub(super) base: Option<&'static PretrainedCfg>,
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
        let weights = weights.map(named_weights).transpose()?;
        let model = match (model, &weights) {
            (None, Some(Source::Checkpoint(checkpoint))) => return recognized(checkpoint),
            _ => model.or(default_model()).ok_or(Error::NoModel)?,
        };
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
        let mut resolved = Resolved {
            arch: find_arch(cfg.architecture.as_deref().unwrap_or_default())?,
            in_chans,
            num_classes,
            labels: label_set_for(num_classes, None, None)?,
            notes: found.note.into_iter().collect(),
            revision: None,
            source,
            cfg: cfg.clone(),
            base: None,
            name,
        };
        if let Source::Checkpoint(checkpoint) = &resolved.source
            && let Some(names) = Names::find(checkpoint, resolved.arch.name)?
        {
            let checkpoint = checkpoint.clone();
            resolved = resolved.with_names(checkpoint, names)?;
        }
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
    /// How images are prepared, at the size of training or of testing.
    pub(super) fn preprocessing(&self, train_size: bool) -> Result<ResolvedPreprocessing, Error> {
        let own = self.cfg.resolve(train_size)?;
        Ok(match self.base {
            Some(base) => own.or(base.resolve(train_size)?),
            None => own,
        })
    }

    /// The same with a library's arithmetic and preprocessing, for its checkpoint.
    fn with_names(mut self, checkpoint: Checkpoint, names: Names) -> Result<Self, Error> {
        self.arch = names.arch()?;
        if let Some(preprocessing) = &names.model.preprocessing {
            let architecture = Some(names.model.timm.clone());
            let origin = CfgOrigin::Convention;
            self.cfg = PretrainedCfg { architecture, origin, ..preprocessing.clone() };
            self.base = Some(pretrained::find(&names.model.timm)?.cfg);
        }
        if let Some(Normalization { mean, std, .. }) = checkpoint.normalization()
            && self.in_chans == mean.len()
        {
            // The file's own layers say more than a convention does.
            (self.cfg.mean, self.cfg.std) = (Some(mean.to_vec()), Some(std.to_vec()));
            self.notes.push(format!(
                "{}: images are normalized as its layers do, with mean {mean:.4?} and std {std:.4?}",
                checkpoint.file()
            ));
        }
        self.name.clone_from(&names.model.timm);
        self.notes.push(names.note(checkpoint.file()));
        self.source = Source::Foreign(checkpoint, Box::new(names));
        Ok(self)
    }

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

/// The model that a checkpoint is of, by its names and shapes.
fn recognized(checkpoint: &Checkpoint) -> Result<Resolved, Error> {
    let found = match recognize(checkpoint, None, None) {
        // Of several the default model.
        Err(error @ ConvertError::Ambiguous { .. }) => {
            let name = default_model().and_then(|name| name.split('.').next());
            recognize(checkpoint, None, name).ok().ok_or(error)?
        }
        other => other?,
    };
    let row = pretrained::find(&found.model.timm)?.cfg;
    let num_classes = found.network.num_classes;
    let resolved = Resolved {
        name: found.model.timm.clone(),
        arch: find_arch(&found.model.timm)?,
        cfg: PretrainedCfg { tag: None, ..row.clone() },
        base: None,
        in_chans: found.network.in_chans,
        num_classes,
        labels: label_set_for(num_classes, None, None)?,
        notes: Vec::new(),
        revision: None,
        source: Source::Checkpoint(checkpoint.clone()),
    };
    let names = found.names();
    if names.is_timm() {
        let mut resolved = resolved;
        resolved.notes.push(format!("{}: recognised as {}", checkpoint.file(), resolved.name));
        return Ok(resolved);
    }
    resolved.with_names(checkpoint.clone(), names)
}

/// The model that a `config.json` describes.
fn configured(name: String, config: ModelConfig, source: Source) -> Result<Resolved, Error> {
    let mut arch = find_arch(config.architecture)?;
    config.model_args.apply(&mut arch).map_err(|(key, value)| Error::ModelArg {
        file: config.file.clone(),
        key,
        value,
    })?;
    let mut notes: Vec<String> = config.note.clone().into_iter().collect();
    if !config.ignored_keys.is_empty() {
        let keys = config.ignored_keys.join(", ");
        notes.push(format!("{}: ignored what is not known: {keys}", config.file.display()));
    }
    // The configuration says how the network computes; only the names are the library's.
    let names = match &source {
        Source::Checkpoint(checkpoint) => Names::find(checkpoint, config.architecture)?,
        _ => None,
    };
    let source = match (source, names) {
        (Source::Checkpoint(checkpoint), Some(names)) => {
            Source::Foreign(checkpoint, Box::new(names))
        }
        (source, _) => source,
    };
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
        base: None,
    })
}

fn find_arch(name: &str) -> Result<Arch, Error> {
    arch::find(name).copied().ok_or_else(|| Error::Unbuilt { architecture: name.to_owned() })
}
