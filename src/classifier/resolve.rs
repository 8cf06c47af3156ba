//! From a model's name to what has to be loaded.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::arch::{self, Arch};
use crate::convert::{Identified, Recognized, identify, recognize};
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
    /// A checkpoint whose names are not simply timm's.
    Foreign(Checkpoint, Box<Recognized>),
    Seeded(u64),
}

/// A model, described: everything but its tensors.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) arch: Arch,
    pub(super) cfg: PretrainedCfg,
    /// What says how images are prepared where `cfg` does not, in this order.
    pub(super) bases: Vec<PretrainedCfg>,
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
        let named = model.map(ModelName::parse).transpose()?;
        let (named, given) = match (named, given) {
            (None, Some(Source::Checkpoint(checkpoint))) => return of_file(&checkpoint),
            (Some(ModelName::File(file)), None) => return of_file(&Checkpoint::open(file)?),
            (Some(named), given) => (named, given),
            (None, given) => (ModelName::parse(default_model().ok_or(Error::NoModel)?)?, given),
        };
        // Weights that are given are all that is wanted.
        let wanted = if given.is_some() { Wanted::Description } else { wanted };
        match named {
            ModelName::File(file) => Err(Error::TwoCheckpoints { model: file }),
            ModelName::Timm(name) => self.timm(&name, given, wanted),
            ModelName::Folder(folder) => {
                let config = ModelConfig::from_file(&folder.join("config.json"))?;
                let name = folder.display().to_string();
                if given.is_some() {
                    return configured(name, config, given);
                }
                let own = match wanted {
                    Wanted::Weights => Some(Checkpoint::open(&folder)?),
                    // The names of the tensors say how images are prepared where the configuration does not.
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

impl Described {
    /// How images are prepared, and what a user may want to know of that.
    pub(super) fn preprocessing(
        &self,
        options: &PreprocessingOptions,
    ) -> Result<(ResolvedPreprocessing, Vec<String>), Error> {
        let own = self.cfg.resolve(options.train_size);
        let bases = self.bases.iter().map(|base| base.resolve(options.train_size));
        let values = bases.fold(own, ResolvedPreprocessing::or);
        Ok(values.with(options, self.in_chans)?)
    }

    /// The same with what a checkpoint's tensors decide: classes and channels, and whose arithmetic it is.
    fn identified(mut self, source: Option<Source>) -> Result<(Self, Option<Source>), Error> {
        let Some(Source::Checkpoint(checkpoint)) = source else { return Ok((self, source)) };
        match identify(&checkpoint, self.arch.name)? {
            Identified::Timm { in_chans, num_classes } => {
                self.set_shape(in_chans, num_classes)?;
                self.set_declared(&checkpoint)?;
                Ok((self, Some(Source::Checkpoint(checkpoint))))
            }
            Identified::Mapped(found) => {
                let (described, source) = self.recognized(checkpoint, found)?;
                Ok((described, Some(source)))
            }
        }
    }

    /// The same with a checkpoint that was recognised: with its library's arithmetic and preprocessing.
    fn recognized(
        mut self,
        checkpoint: Checkpoint,
        found: Box<Recognized>,
    ) -> Result<(Self, Source), Error> {
        let is_configured =
            matches!(self.cfg.origin, CfgOrigin::ConfigJson | CfgOrigin::PreprocessorConfig);
        self.set_shape(found.network.in_chans, found.network.num_classes)?;
        self.set_declared(&checkpoint)?;
        self.arch = found.arch()?;
        if let Some(preprocessing) = &found.model.preprocessing {
            let architecture = Some(found.model.timm.clone());
            let origin = CfgOrigin::Convention;
            let convention = PretrainedCfg { architecture, origin, ..preprocessing.clone() };
            let row = pretrained::find(&found.model.timm)?.cfg.clone();
            // A configuration is the model's own.
            if is_configured {
                self.bases = vec![convention, row];
            } else {
                (self.cfg, self.bases) = (convention, vec![row]);
            }
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
        if !found.is_timm() {
            if !is_configured {
                self.name.clone_from(&found.model.timm);
            }
            self.notes.push(found.describe(checkpoint.file()));
        }
        self.notes.extend(found.notes.iter().cloned());
        Ok((self, Source::Foreign(checkpoint, found)))
    }

    /// The channels and classes that a file's tensors have. Names of other classes would be wrong names.
    fn set_shape(&mut self, in_chans: usize, num_classes: usize) -> Result<(), Error> {
        if num_classes != self.num_classes {
            self.labels = label_set_for(num_classes, None, None)?;
        }
        (self.in_chans, self.num_classes) = (in_chans, num_classes);
        Ok(())
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

/// The model that a checkpoint is of: what the configuration beside it describes, or what its tensors and
/// what it says of itself show.
fn of_file(checkpoint: &Checkpoint) -> Result<(Described, Option<Source>), Error> {
    let beside = Path::new(checkpoint.file()).with_file_name("config.json");
    if !beside.is_file() {
        return recognized(checkpoint);
    }
    let source = Some(Source::Checkpoint(checkpoint.clone()));
    let described = ModelConfig::from_file(&beside)
        .map_err(Error::from)
        .and_then(|config| configured(config.architecture.to_owned(), config, source));
    let (note, (mut described, source)) = match described {
        Ok(found) => ("describes the model".to_owned(), found),
        Err(error) => (format!("is not used: {error}"), recognized(checkpoint)?),
    };
    described.notes.push(format!("{} beside the weights {note}", beside.display()));
    Ok((described, source))
}

/// The model that a checkpoint is of, by its tensors and by what it says of itself.
fn recognized(checkpoint: &Checkpoint) -> Result<(Described, Option<Source>), Error> {
    let found = recognize(checkpoint, None, None)?;
    let row = pretrained::find(&found.model.timm)?.cfg;
    let num_classes = found.network.num_classes;
    let mut described = Described {
        name: found.model.timm.clone(),
        arch: find_arch(&found.model.timm)?,
        cfg: PretrainedCfg { tag: None, ..row.clone() },
        bases: Vec::new(),
        in_chans: found.network.in_chans,
        num_classes,
        labels: label_set_for(num_classes, None, None)?,
        activation: None,
        turns_exif: false,
        notes: Vec::new(),
        revision: None,
    };
    if found.is_timm() {
        described.notes.push(found.describe(checkpoint.file()));
    }
    let (described, source) = described.recognized(checkpoint.clone(), Box::new(found))?;
    Ok((described, Some(source)))
}

/// The model that a `config.json` describes, with the weights that it was written for. What it says of the
/// number of classes holds: files that contradict each other are not a model.
fn configured_with_own(
    name: String,
    config: ModelConfig,
    own: Option<Checkpoint>,
) -> Result<(Described, Option<Source>), Error> {
    let said = config.pretrained_cfg.num_classes.map(|_| (config.num_classes, config.labels()));
    let (mut described, source) = configured(name, config, own.map(Source::Checkpoint))?;
    if let Some((num_classes, labels)) = said {
        (described.num_classes, described.labels) = (num_classes, labels?);
    }
    Ok((described, source))
}

/// The model that a `config.json` describes, with any weights of its architecture.
fn configured(
    name: String,
    config: ModelConfig,
    source: Option<Source>,
) -> Result<(Described, Option<Source>), Error> {
    let mut notes = config.notes.clone();
    if !config.ignored_keys.is_empty() {
        let keys = config.ignored_keys.join(", ");
        notes.push(format!("{}: ignored what is not known: {keys}", config.file.display()));
    }
    let described = Described {
        name,
        arch: find_arch(config.architecture)?,
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
        bases: Vec::new(),
    };
    let (mut described, source) = described.identified(source)?;
    // What the configuration says goes before what the tensors' names do.
    if let Some(channel_multiplier) = config.channel_multiplier {
        described.arch.channel_multiplier = channel_multiplier;
    }
    config.model_args.apply(&mut described.arch).map_err(|(key, value)| Error::ModelArg {
        file: config.file.clone(),
        key,
        value,
    })?;
    Ok((described, source))
}

fn find_arch(name: &str) -> Result<Arch, Error> {
    arch::find(name).copied().ok_or_else(|| Error::Unbuilt { architecture: name.to_owned() })
}
