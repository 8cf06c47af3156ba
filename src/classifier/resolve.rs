//! From a model's name to what has to be loaded.

use std::path::PathBuf;

use crate::Error;
use crate::arch::{self, Arch};
use crate::convert::{ConvertError, Names, recognize};
#[cfg(feature = "hub")]
use crate::hub::{ConfigFiles, ModelFiles};
use crate::labels::{ClassifierActivation, LabelSet, label_set_for};
use crate::pretrained::{
    self, CfgOrigin, ModelConfig, ModelName, PreprocessingOptions, PretrainedCfg,
    Resolved as Value, ResolvedPreprocessing, ValueSource,
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

/// A model, described: everything but its tensors.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) arch: Arch,
    pub(super) cfg: PretrainedCfg,
    /// What says how images are prepared where `cfg` does not.
    pub(super) base: Option<&'static PretrainedCfg>,
    pub(super) in_chans: usize,
    pub(super) num_classes: usize,
    pub(super) labels: Option<LabelSet>,
    /// What makes probabilities of its outputs, where the model says it.
    pub(super) activation: Option<Value<ClassifierActivation>>,
    /// Whether its images are turned as their EXIF orientation says.
    pub(super) turns_exif: bool,
    pub(super) notes: Vec<String>,
    /// The commit of the hub repository that it comes from.
    pub(super) revision: Option<String>,
}

/// Whether a model's own weights are wanted, or what says how images are prepared is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Weights,
    Description,
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
    /// Where they were wanted.
    weights: Option<PathBuf>,
    commit: String,
    note: Option<String>,
}

impl Resolver {
    /// Finds `model` (the bundled one if `None`), with its own weights or those named by `weights`.
    pub(super) fn resolve(
        &self,
        model: Option<&str>,
        weights: Option<&str>,
    ) -> Result<(Described, Source), Error> {
        let (described, source) = self.find(model, weights, Wanted::Weights)?;
        match source {
            Some(source) => Ok((described, source)),
            None => Err(Error::Untrained { model: described.name }),
        }
    }

    /// Describes `model` by the least that says it: no weights are asked of the hub.
    pub(super) fn describe(
        &self,
        model: Option<&str>,
        weights: Option<&str>,
    ) -> Result<Described, Error> {
        Ok(self.find(model, weights, Wanted::Description)?.0)
    }

    fn find(
        &self,
        model: Option<&str>,
        weights: Option<&str>,
        wanted: Wanted,
    ) -> Result<(Described, Option<Source>), Error> {
        let given = weights.map(named_weights).transpose()?;
        let model = match (model, &given) {
            (None, Some(Source::Checkpoint(checkpoint))) => {
                let (described, source) = recognized(checkpoint)?;
                return Ok((described, Some(source)));
            }
            _ => model.or(default_model()).ok_or(Error::NoModel)?,
        };
        // Weights that are given are all that is wanted.
        let wanted = if given.is_some() { Wanted::Description } else { wanted };
        match ModelName::parse(model)? {
            ModelName::Timm(name) => self.timm(&name, given, wanted),
            ModelName::Folder(folder) => {
                let config = ModelConfig::from_file(&folder.join("config.json"))?;
                let own = (wanted == Wanted::Weights).then(|| Checkpoint::open(&folder));
                let source = given.or(own.transpose()?.map(Source::Checkpoint));
                configured(folder.display().to_string(), config, source)
            }
            ModelName::Hub { repo, revision } => {
                let files = self.fetch(model, &repo, revision.as_deref(), wanted)?;
                let config = ModelConfig::from_file(&files.config)?;
                let own = files.weights.as_ref().map(Checkpoint::open);
                let source = given.or(own.transpose()?.map(Source::Checkpoint));
                let (described, source) = configured(repo, config, source)?;
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
                    let found = self.fetch(&name, repo, None, wanted)?;
                    let checkpoint = found.weights.as_ref().map(Checkpoint::open).transpose()?;
                    files = Some(found);
                    checkpoint.map(Source::Checkpoint)
                }
            },
        };
        let [in_chans, ..] = cfg.resolve(false).input_size.value;
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
            base: None,
            name,
        };
        if let Some(files) = files {
            described = described.with_repo(files);
        }
        match source {
            Some(Source::Checkpoint(checkpoint)) => {
                match Names::find(&checkpoint, described.arch.name)? {
                    Some(names) => {
                        let (described, source) = described.with_names(checkpoint, names)?;
                        Ok((described, Some(source)))
                    }
                    None => Ok((described, Some(Source::Checkpoint(checkpoint)))),
                }
            }
            source => Ok((described, source)),
        }
    }

    #[cfg(feature = "hub")]
    fn fetch(
        &self,
        _: &str,
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
    fn fetch(
        &self,
        model: &str,
        repo: &str,
        _: Option<&str>,
        _: Wanted,
    ) -> Result<RepoFiles, Error> {
        Err(Error::NeedsHub { model: model.to_owned(), repo: repo.to_owned() })
    }
}

impl Described {
    /// How images are prepared, and what a user may want to know of that.
    pub(super) fn preprocessing(
        &self,
        options: &PreprocessingOptions,
    ) -> Result<(ResolvedPreprocessing, Vec<String>), Error> {
        let own = self.cfg.resolve(options.train_size);
        let values = match self.base {
            Some(base) => own.or(base.resolve(options.train_size)),
            None => own,
        };
        Ok(values.with(options, self.in_chans)?)
    }

    /// The same with a library's arithmetic and preprocessing, for its checkpoint.
    fn with_names(mut self, checkpoint: Checkpoint, names: Names) -> Result<(Self, Source), Error> {
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
        Ok((self, Source::Foreign(checkpoint, Box::new(names))))
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
fn recognized(checkpoint: &Checkpoint) -> Result<(Described, Source), Error> {
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
    let mut described = Described {
        name: found.model.timm.clone(),
        arch: find_arch(&found.model.timm)?,
        cfg: PretrainedCfg { tag: None, ..row.clone() },
        base: None,
        in_chans: found.network.in_chans,
        num_classes,
        labels: label_set_for(num_classes, None, None)?,
        activation: None,
        turns_exif: false,
        notes: Vec::new(),
        revision: None,
    };
    let names = found.names();
    if names.is_timm() {
        described.notes.push(format!("{}: recognised as {}", checkpoint.file(), described.name));
        return Ok((described, Source::Checkpoint(checkpoint.clone())));
    }
    described.with_names(checkpoint.clone(), names)
}

/// The model that a `config.json` describes.
fn configured(
    name: String,
    config: ModelConfig,
    source: Option<Source>,
) -> Result<(Described, Option<Source>), Error> {
    let mut arch = find_arch(config.architecture)?;
    config.model_args.apply(&mut arch).map_err(|(key, value)| Error::ModelArg {
        file: config.file.clone(),
        key,
        value,
    })?;
    if let Some(channel_multiplier) = config.channel_multiplier {
        arch.channel_multiplier = channel_multiplier;
    }
    let mut notes = config.notes.clone();
    if !config.ignored_keys.is_empty() {
        let keys = config.ignored_keys.join(", ");
        notes.push(format!("{}: ignored what is not known: {keys}", config.file.display()));
    }
    // The configuration says how the network computes; only the names are the library's.
    let names = match &source {
        Some(Source::Checkpoint(checkpoint)) => Names::find(checkpoint, config.architecture)?,
        _ => None,
    };
    let source = match (source, names) {
        (Some(Source::Checkpoint(checkpoint)), Some(names)) => {
            Some(Source::Foreign(checkpoint, Box::new(names)))
        }
        (source, _) => source,
    };
    let described = Described {
        name,
        arch,
        in_chans: config.in_chans,
        num_classes: config.num_classes,
        labels: config.labels()?,
        activation: config.activation.map(|activation| Value {
            value: activation.value,
            source: ValueSource::ConfigJson(activation.key),
        }),
        turns_exif: config.turns_exif,
        notes,
        revision: None,
        cfg: config.pretrained_cfg,
        base: None,
    };
    Ok((described, source))
}

fn find_arch(name: &str) -> Result<Arch, Error> {
    arch::find(name).copied().ok_or_else(|| Error::Unbuilt { architecture: name.to_owned() })
}
