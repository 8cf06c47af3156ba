use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use half::{bf16, f16};

use super::library_model::LibraryModel;
use super::{ConvertError, MatchedConvention, folder};
use crate::arch::{Network, NetworkOptions, PadType};
use crate::conventions::{Convention, Covered};
use crate::labels::LabelNames;
use crate::pretrained::ModelConfig;
use crate::weights::{Checkpoint, NamedTensor, Renaming, Values, WeightsError, write_safetensors};

/// Keys of a written file's metadata: the convention of its names, and the name of the library's
/// model.
pub(super) const CONVENTION: &str = "convention";
pub(super) const MODEL: &str = "model";

/// The type that values are stored in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, with an 11-bit significand.
    F16,
    /// 16 bits, with an 8-bit significand.
    Bf16,
}

/// A tensor's move from one file to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Its name in the file that was read.
    pub from: String,
    /// Its shape there.
    pub from_shape: Vec<usize>,
    /// timm's name.
    pub canonical: String,
    /// Its name in the file that is written.
    pub to: String,
    /// Its shape there.
    pub to_shape: Vec<usize>,
}

/// A checkpoint on its way to another convention.
#[derive(Clone, Debug)]
pub struct Conversion<'a> {
    checkpoint: &'a Checkpoint,
    source: &'a MatchedConvention,
    convention: String,
    target: Covered,
    renaming: Renaming,
    differences: Vec<String>,
    config: Option<&'a ModelConfig>,
    labels: Option<LabelNames>,
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!(
                "{text:?} is not a type to store weights in: expected f32, f16 or bf16"
            )),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl<'a> Conversion<'a> {
    /// Pairs the tensors of a recognised checkpoint with the names of the convention `to`.
    ///
    /// The target is the library's model that computes the same. If there is none, it is one with
    /// the same tensors, and [`differences`](Self::differences) lists how its computation differs.
    ///
    /// # Errors
    /// If there is no such convention, or it covers no model with these tensors.
    pub fn new(
        checkpoint: &'a Checkpoint,
        source: &'a MatchedConvention,
        to: &str,
    ) -> Result<Self, ConvertError> {
        let convention = Convention::named(to)?;
        let network = &source.network;
        if super::library_model::arch(&source.model)?.head != network.head {
            let model = source.model.name.clone();
            return Err(ConvertError::NoConvHead { model, convention: to.to_owned() });
        }
        let tensors = network.graph().tensors();
        let options = NetworkOptions {
            in_chans: network.in_chans,
            num_classes: network.num_classes,
            ..NetworkOptions::default()
        };
        let mut best: Option<(usize, LibraryModel<'_>, Vec<String>)> = None;
        for model in super::library_models(&convention) {
            let candidate = model.network(&options)?;
            if candidate.stem_chs != network.stem_chs || candidate.graph().tensors() != tensors {
                continue;
            }
            let differences = differences(network, &candidate);
            // The same row is the model itself, even if other models have the same tensors.
            let rank = 2 * differences.len() + usize::from(model.covered.timm != source.model.timm);
            if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                best = Some((rank, model, differences));
            }
        }
        // A width that no model of the convention has takes the names of its row.
        let row = || {
            let mut models = super::library_models(&convention);
            let model = models.find(|model| model.covered.timm == source.model.timm)?;
            let width = source.model.channel_multiplier?;
            Some((0, model, vec![format!("a width other than {width}")]))
        };
        let (_, model, differences) = best.or_else(row).ok_or_else(|| {
            let covered = convention.covered().map(|(_, c)| c.timm.clone());
            let covered: BTreeSet<_> = covered.collect();
            ConvertError::NotCovered {
                convention: to.to_owned(),
                architecture: source.model.timm.clone(),
                covered: covered.into_iter().collect(),
            }
        })?;
        let renaming = model.renaming_of(network, &tensors)?;
        let target = model.covered.clone();
        Ok(Self {
            checkpoint,
            source,
            convention: to.to_owned(),
            target,
            renaming,
            differences,
            config: None,
            labels: None,
        })
    }

    /// Keeps what the checkpoint's `config.json` says: preprocessing, labels, arguments.
    #[must_use]
    pub fn with_config(mut self, config: &'a ModelConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Writes these class names into `config.json`, in place of those in the checkpoint's own.
    #[must_use]
    pub fn with_labels(mut self, labels: LabelNames) -> Self {
        self.labels = Some(labels);
        self
    }

    /// The model in the target library.
    pub fn target(&self) -> &Covered {
        &self.target
    }

    /// How the target library's computation differs from the source's; empty if the models are the
    /// same. Despite any difference, a folder's `config.json` makes timm compute what the source
    /// does.
    pub fn differences(&self) -> &[String] {
        &self.differences
    }

    /// Every tensor's move, in the network's order.
    pub fn moved(&self) -> impl Iterator<Item = Moved> {
        let pairs = self.source.renaming.tensors().iter().zip(self.renaming.tensors());
        pairs.map(|(from, to)| Moved {
            from: from.foreign.clone(),
            from_shape: from.foreign_shape.clone(),
            canonical: from.canonical.clone(),
            to: to.foreign.clone(),
            to_shape: to.foreign_shape.clone(),
        })
    }

    /// Tensors of the file that inference does not need and that are not written.
    pub fn ignored(&self) -> Vec<&str> {
        let is_ignored = |name: &&str| self.source.renaming.ignores(name);
        self.checkpoint.names().filter(is_ignored).collect()
    }

    /// Writes the tensors as a safetensors file: whole, or not at all.
    ///
    /// # Errors
    /// A tensor that cannot be read, a value beyond the range of `dtype`, or the system's error.
    pub fn write(&self, path: impl AsRef<Path>, dtype: Dtype) -> Result<(), ConvertError> {
        let mut stored = Vec::with_capacity(self.renaming.tensors().len());
        for (from, to) in self.source.renaming.tensors().iter().zip(self.renaming.tensors()) {
            let values = to.to_foreign(self.checkpoint.read_canonical(from)?);
            stored.push(self.stored(&from.foreign, values, dtype)?);
        }
        let named: Vec<_> = self
            .renaming
            .tensors()
            .iter()
            .zip(&stored)
            .map(|(tensor, stored)| NamedTensor {
                name: &tensor.foreign,
                shape: &tensor.foreign_shape,
                values: stored.values(),
            })
            .collect();
        let metadata = [
            ("format", "pt"),
            (CONVENTION, self.convention.as_str()),
            (MODEL, self.target.name.as_str()),
        ];
        let metadata: BTreeMap<_, _> =
            metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Ok(write_safetensors(path, &named, &metadata)?)
    }

    /// Writes a folder that timm loads with `local-dir:` and this library by its path:
    /// `config.json` and `model.safetensors`. For conversions to timm's names.
    ///
    /// # Errors
    /// Those of [`write`](Self::write), and a model that timm cannot build.
    pub fn write_folder(&self, path: impl AsRef<Path>, dtype: Dtype) -> Result<(), ConvertError> {
        let path = path.as_ref();
        let config =
            folder::config(self.checkpoint, self.source, self.config, self.labels.as_ref())?;
        std::fs::create_dir_all(path)
            .map_err(|source| ConvertError::Write { path: path.to_owned(), source })?;
        self.write(path.join("model.safetensors"), dtype)?;
        folder::write(&path.join("config.json"), &config)
    }

    fn stored(&self, name: &str, values: Vec<f32>, dtype: Dtype) -> Result<Stored, WeightsError> {
        let beyond = |index: Option<usize>, dtype| match index {
            None => Ok(()),
            Some(index) => Err(WeightsError::Overflow {
                file: self.checkpoint.file().to_owned(),
                tensor: name.to_owned(),
                index,
                value: values[index],
                dtype,
            }),
        };
        match dtype {
            Dtype::F32 => Ok(Stored::F32(values)),
            Dtype::F16 => {
                let halves: Vec<_> = values.iter().map(|&v| f16::from_f32(v)).collect();
                beyond(halves.iter().position(|v| v.is_infinite()), "f16")?;
                Ok(Stored::F16(halves))
            }
            Dtype::Bf16 => {
                let halves: Vec<_> = values.iter().map(|&v| bf16::from_f32(v)).collect();
                beyond(halves.iter().position(|v| v.is_infinite()), "bf16")?;
                Ok(Stored::Bf16(halves))
            }
        }
    }
}

/// Values in the type that is written.
enum Stored {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Stored {
    fn values(&self) -> Values<'_> {
        match self {
            Self::F32(values) => Values::F32(values),
            Self::F16(values) => Values::F16(values),
            Self::Bf16(values) => Values::Bf16(values),
        }
    }
}

/// How two networks of the same tensors compute differently.
fn differences(ours: &Network, theirs: &Network) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{what} {theirs} for {ours}"));
        }
    };
    let padding = |network: &Network| match network.pad_type {
        PadType::Same => "padding SAME".to_owned(),
        PadType::Symmetric => "symmetric padding".to_owned(),
    };
    differ("", padding(ours), padding(theirs));
    differ("bn_eps", format!("{:e}", ours.bn_eps), format!("{:e}", theirs.bn_eps));
    differ("activation", format!("{:?}", ours.act), format!("{:?}", theirs.act));
    if ours.stages != theirs.stages {
        differences.push("different blocks".to_owned());
    }
    differences.iter().map(|text| text.trim_start().to_owned()).collect()
}
