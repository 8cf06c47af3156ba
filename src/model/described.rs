//! What a model is, from its configuration and from what its checkpoint says and shows.

use std::path::Path;

use super::find::{RepoFiles, Source};
use crate::Error;
use crate::arch::{self, Arch};
use crate::conventions::{Identified, MatchedConvention, identify, recognize};
use crate::labels::{ClassifierActivation, LabelSet, label_set_for};
use crate::pretrained::{
    self, CfgOrigin, ModelConfig, PreprocessingOptions, PretrainedCfg, Resolved as Value,
    ResolvedPreprocessing, ValueSource,
};
use crate::text::file_name;
use crate::weights::{Checkpoint, Normalization};

/// What a model is, without its network.
///
/// ```
/// let b1 = effnet::Model::builder().model("efficientnet_b1.ft_in1k").describe()?;
/// assert_eq!((b1.arch.name, b1.num_classes), ("efficientnet_b1", 1000));
/// assert_eq!(b1.preprocessing.input_size.value, [3, 256, 256]);
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Description {
    /// The model's full name.
    pub model: String,
    /// Its architecture, with what its configuration or its weights change in timm's row.
    pub arch: Arch,
    /// The number of input channels.
    pub in_chans: usize,
    /// The number of the classifier's outputs; 0 without a classifier.
    pub num_classes: usize,
    /// How its images are prepared, and where each value comes from.
    pub preprocessing: ResolvedPreprocessing,
    /// What the user may want to know.
    pub notes: Vec<String>,
}

/// A model, described: everything but its tensors.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) arch: Arch,
    pub(super) cfg: PretrainedCfg,
    /// What the checkpoint says about images besides its tensors.
    pub(super) said: Option<PretrainedCfg>,
    /// Where preprocessing values come from if neither says them, in this order.
    pub(super) bases: Vec<PretrainedCfg>,
    pub(super) in_chans: usize,
    pub(super) num_classes: usize,
    pub(super) labels: Option<LabelSet>,
    /// What turns its outputs into probabilities, if the model says it.
    pub(super) activation: Option<Value<ClassifierActivation>>,
    /// Whether its images are turned as their EXIF orientation says.
    pub(super) turns_exif: bool,
    pub(super) notes: Vec<String>,
    /// The commit of its hub repository.
    pub(super) revision: Option<String>,
}

impl Described {
    /// How images are prepared, and what a user may want to know about it.
    pub(super) fn preprocessing(
        &self,
        options: &PreprocessingOptions,
    ) -> Result<(ResolvedPreprocessing, Vec<String>), Error> {
        let resolve = |cfg: &PretrainedCfg| cfg.resolve(options.size);
        let (own, said) = (resolve(&self.cfg), self.said.as_ref().map(resolve));
        let values = match said {
            None => own,
            // A configuration describes this model; a row of the table describes the model that
            // training began with.
            Some(said) if self.is_configured() => own.or(said),
            Some(said) => said.or(own),
        };
        let values = self.bases.iter().map(resolve).fold(values, ResolvedPreprocessing::or);
        Ok(values.with(options, self.in_chans)?)
    }

    /// The same, with what a checkpoint's tensors decide: classes, channels, and which library's
    /// arithmetic is used.
    pub(super) fn identified(
        mut self,
        source: Option<Source>,
    ) -> Result<(Self, Option<Source>), Error> {
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

    /// The same for a recognised checkpoint, with its library's arithmetic and preprocessing.
    fn recognized(
        mut self,
        checkpoint: Checkpoint,
        found: Box<MatchedConvention>,
    ) -> Result<(Self, Source), Error> {
        let is_configured = self.is_configured();
        self.set_shape(found.network.in_chans, found.network.num_classes)?;
        self.arch = found.arch()?;
        self.set_declared(&checkpoint)?;
        if let Some(preprocessing) = &found.model.preprocessing {
            let architecture = Some(found.model.timm.clone());
            let origin = CfgOrigin::Convention;
            let convention = PretrainedCfg { architecture, origin, ..preprocessing.clone() };
            let row = pretrained::find(&found.model.timm)?.cfg.clone();
            // A configuration was written for this model.
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

    pub(super) fn is_configured(&self) -> bool {
        matches!(self.cfg.origin, CfgOrigin::ConfigJson | CfgOrigin::PreprocessorConfig)
    }

    /// Sets the channels and classes of a file's tensors. The names of other classes would be
    /// wrong.
    fn set_shape(&mut self, in_chans: usize, num_classes: usize) -> Result<(), Error> {
        if num_classes != self.num_classes {
            self.labels = label_set_for(num_classes, None, None)?;
        }
        (self.in_chans, self.num_classes) = (in_chans, num_classes);
        Ok(())
    }

    pub(super) fn with_repo(mut self, files: RepoFiles) -> Self {
        self.revision = Some(files.commit);
        self.notes.extend(files.note);
        self
    }
}

/// The model of a checkpoint: what the configuration beside it describes, or what its tensors and
/// its own statements show.
pub(super) fn of_file(
    file: &Path,
    checkpoint: &Checkpoint,
) -> Result<(Described, Option<Source>), Error> {
    let beside = match file.is_dir() {
        true => file.join("config.json"),
        false => file.with_file_name("config.json"),
    };
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
    described.notes.push(format!("{} beside the weights {note}", file_name(&beside)));
    Ok((described, source))
}

/// The model of a checkpoint, by its tensors and by what it says about itself.
fn recognized(checkpoint: &Checkpoint) -> Result<(Described, Option<Source>), Error> {
    let found = recognize(checkpoint, None, None)?;
    let row = pretrained::find(&found.model.timm)?.cfg;
    let num_classes = found.network.num_classes;
    let mut described = Described {
        name: found.model.timm.clone(),
        arch: find_arch(&found.model.timm)?,
        cfg: PretrainedCfg { tag: None, ..row.clone() },
        said: None,
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

/// The model that a `config.json` describes, with the weights that it was written for. Its number
/// of classes must match: files that contradict each other are not a model.
pub(super) fn configured_with_own(
    name: String,
    config: ModelConfig,
    own: Option<Checkpoint>,
) -> Result<(Described, Option<Source>), Error> {
    let said = config.pretrained_cfg.num_classes.map(|_| (config.num_classes, config.labels()));
    let (mut described, source) = configured(name, config, own.map(Source::Checkpoint))?;
    if let Some((num_classes, labels)) = said
        && num_classes != described.num_classes
    {
        (described.num_classes, described.labels) = (num_classes, labels?);
    }
    Ok((described, source))
}

/// The model that a `config.json` describes, with any weights of its architecture.
pub(super) fn configured(
    name: String,
    config: ModelConfig,
    source: Option<Source>,
) -> Result<(Described, Option<Source>), Error> {
    let mut notes = config.notes.clone();
    if !config.ignored_keys.is_empty() {
        let keys = config.ignored_keys.join(", ");
        notes.push(format!("{}: unknown keys were ignored: {keys}", file_name(&config.file)));
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
        said: None,
        bases: Vec::new(),
    };
    let (mut described, source) = described.identified(source)?;
    // The configuration takes precedence over the tensors' names.
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

pub(super) fn find_arch(name: &str) -> Result<Arch, Error> {
    arch::find(name).copied().ok_or_else(|| Error::Unbuilt { architecture: name.to_owned() })
}
