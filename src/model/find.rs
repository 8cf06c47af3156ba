//! From a model's name to what must be loaded.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::described::{Described, configured, configured_with_own, find_arch, of_file};
use crate::Error;
use crate::conventions::MatchedConvention;
#[cfg(feature = "hub")]
use crate::hub::{ConfigFiles, ModelFiles};
use crate::labels::label_set_for;
use crate::pretrained::{self, ModelConfig, ModelName, SizeChoice};
use crate::text::file_name;
use crate::weights::{Checkpoint, WeightsFrom};

/// Where the tensors come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Checkpoint(Checkpoint),
    /// A checkpoint with names other than timm's.
    Foreign(Checkpoint, Box<MatchedConvention>),
    Seeded(u64),
}

/// Whether a model's own weights are wanted, or only how images are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Weights,
    Description,
}

/// The model that is used if none is named.
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

/// Finds models by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Finder {
    /// The hub to ask. If none is given, it is the environment's, as soon as a model needs one.
    #[cfg(feature = "hub")]
    pub(super) hub: Option<crate::hub::Hub>,
}

/// A repository's files, and their commit.
#[derive(Debug)]
pub(super) struct RepoFiles {
    config: PathBuf,
    /// `None` if they were not wanted.
    weights: Option<PathBuf>,
    pub(super) commit: String,
    pub(super) note: Option<String>,
}

impl Finder {
    /// Finds `model` (the bundled one if `None`), with its own weights or those named by `weights`.
    pub(super) fn resolve(
        &self,
        model: Option<&OsStr>,
        weights: Option<&WeightsFrom>,
    ) -> Result<(Described, Source), Error> {
        let (described, source) = self.find(model, weights, Wanted::Weights)?;
        match source {
            Some(source) => Ok((described, source)),
            None => Err(Error::Untrained { model: described.name }),
        }
    }

    /// Describes `model` with as little as possible: the hub is not asked for weights.
    pub(super) fn describe(
        &self,
        model: Option<&OsStr>,
        weights: Option<&WeightsFrom>,
    ) -> Result<Described, Error> {
        Ok(self.find(model, weights, Wanted::Description)?.0)
    }

    fn find(
        &self,
        model: Option<&OsStr>,
        weights: Option<&WeightsFrom>,
        wanted: Wanted,
    ) -> Result<(Described, Option<Source>), Error> {
        let given = weights.map(Source::given).transpose()?;
        let named = model.map(ModelName::parse_os).transpose()?;
        if let (None, Some(WeightsFrom::File(file)), Some(Source::Checkpoint(checkpoint))) =
            (&named, weights, &given)
        {
            return of_file(file, checkpoint);
        }
        let (named, given) = match (named, given) {
            (Some(ModelName::File(file)), given @ (None | Some(Source::Seeded(_)))) => {
                let (described, source) = of_file(&file, &Checkpoint::open(&file)?)?;
                return Ok((described, given.or(source)));
            }
            (Some(named), given) => (named, given),
            (None, given) => (ModelName::parse(default_model().ok_or(Error::NoModel)?)?, given),
        };
        // Given weights replace the model's own.
        let wanted = if given.is_some() { Wanted::Description } else { wanted };
        match named {
            ModelName::File(file) => Err(Error::TwoCheckpoints { model: file }),
            ModelName::Timm(name) => self.timm(&name, given, wanted),
            ModelName::Folder(folder) => {
                let file = folder.join("config.json");
                if given.is_none() && !file.exists() {
                    // Tensors without a configuration, as Accelerate saves a model.
                    return of_file(&folder, &Checkpoint::open(&folder)?);
                }
                let config = ModelConfig::from_file(&file)?;
                let name = file_name(&folder);
                if given.is_some() {
                    return configured(name, config, given);
                }
                let own = match wanted {
                    Wanted::Weights => Some(Checkpoint::open(&folder)?),
                    // The tensors' names say how images are prepared if the configuration does not.
                    Wanted::Description => Checkpoint::open(&folder).ok(),
                };
                configured_with_own(name, config, own)
            }
            ModelName::Hub { repo, revision } => {
                let files = self.fetch(&repo, revision.as_deref(), wanted)?;
                let config = ModelConfig::from_file(&files.config)?;
                let own = files.weights.as_ref().map(Checkpoint::open).transpose()?;
                let (described, source) = match given {
                    None => configured_with_own(repo, config, own)?,
                    given => configured(repo, config, given)?,
                };
                Ok((described.with_repo(files), source))
            }
        }
    }

    fn timm(
        &self,
        name: &str,
        given: Option<Source>,
        wanted: Wanted,
    ) -> Result<(Described, Option<Source>), Error> {
        let found = pretrained::find(name)?;
        let cfg = found.cfg;
        let name = cfg.name();
        let mut files = None;
        let source = match (given, wanted, &cfg.hf_hub_id) {
            (given, Wanted::Description, _) => given,
            (_, Wanted::Weights, repo) => match (bundled(&name)?, repo) {
                (Some(checkpoint), _) => Some(Source::Checkpoint(checkpoint)),
                (None, None) => None,
                (None, Some(repo)) => {
                    let found = self.fetch(repo, None, wanted)?;
                    let checkpoint = found.weights.as_ref().map(Checkpoint::open).transpose()?;
                    files = Some(found);
                    checkpoint.map(Source::Checkpoint)
                }
            },
        };
        let [in_chans, ..] = cfg.resolve(SizeChoice::Test).input_size.value;
        let num_classes = cfg.num_classes();
        let mut described = Described {
            arch: find_arch(cfg.architecture.as_deref().unwrap_or_default())?,
            in_chans,
            num_classes,
            labels: label_set_for(num_classes, None, None)?,
            activation: None,
            turns_exif: false,
            notes: found.note.into_iter().collect(),
            revision: None,
            cfg: cfg.clone(),
            said: None,
            bases: Vec::new(),
            name,
        };
        if let Some(files) = files {
            described = described.with_repo(files);
        }
        described.identified(source)
    }

    #[cfg(feature = "hub")]
    fn fetch(
        &self,
        repo: &str,
        revision: Option<&str>,
        wanted: Wanted,
    ) -> Result<RepoFiles, Error> {
        let hub = match &self.hub {
            Some(hub) => hub.clone(),
            None => crate::hub::Hub::from_env()?,
        };
        Ok(match wanted {
            Wanted::Weights => {
                let ModelFiles { config, weights, commit, note, .. } =
                    hub.model_files(repo, revision)?;
                RepoFiles { config, weights: Some(weights), commit, note }
            }
            Wanted::Description => {
                let ConfigFiles { config, commit, note, .. } = hub.config_files(repo, revision)?;
                RepoFiles { config, weights: None, commit, note }
            }
        })
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(&self, repo: &str, _: Option<&str>, _: Wanted) -> Result<RepoFiles, Error> {
        Err(Error::NeedsHub { repo: repo.to_owned() })
    }
}

impl Source {
    fn given(weights: &WeightsFrom) -> Result<Self, Error> {
        match weights {
            WeightsFrom::Seeded(seed) => Ok(Self::Seeded(*seed)),
            WeightsFrom::File(file) => match file.to_str() {
                Some(text) if text.starts_with("seeded:") => Err(Error::Seed(text.to_owned())),
                _ => Ok(Self::Checkpoint(Checkpoint::open(file)?)),
            },
        }
    }

    /// The file of weights; `None` for generated ones.
    pub(super) fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::Checkpoint(checkpoint) | Self::Foreign(checkpoint, _) => Some(checkpoint),
            Self::Seeded(_) => None,
        }
    }

    /// The same, for a network with this number of classes.
    pub(super) fn with_classes(mut self, num_classes: usize) -> Result<Self, Error> {
        if let Self::Foreign(checkpoint, found) = &mut self {
            **found = found.clone().with_classes(num_classes)?;
            let found = found.network.num_classes;
            if found != num_classes {
                let file = checkpoint.file().to_owned();
                return Err(Error::NumClasses { file, found, asked: num_classes });
            }
        }
        Ok(self)
    }
}
