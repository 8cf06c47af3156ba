//! A convention file, as parsed from TOML.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::pretrained::{ModelArgs, PretrainedCfg};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Convention {
    pub(super) name: String,
    /// Which library and version the names were read from; for the file's reader.
    #[serde(rename = "source")]
    _source: String,
    /// Shell patterns of the library's tensors that inference does not read.
    #[serde(default)]
    pub(super) ignored: Vec<String>,
    #[serde(default)]
    pub(super) own_classes: Option<PretrainedCfg>,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, BTreeMap<String, Name>>,
    pub(super) families: BTreeMap<String, Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Family {
    #[serde(default)]
    pub(super) background: bool,
    #[serde(default)]
    pub(super) optional_prefix: Option<String>,
    #[serde(default)]
    pub(super) preprocessing: Option<PretrainedCfg>,
    pub(super) architectures: BTreeMap<String, Covered>,
    pub(super) network: BTreeMap<String, Name>,
    pub(super) blocks: BTreeMap<String, BTreeMap<String, Name>>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Covered {
    pub(super) timm: Option<String>,
    pub(super) model_args: ModelArgs,
    pub(super) channel_multiplier: Option<f64>,
    pub(super) preprocessing: Option<PretrainedCfg>,
}

/// A foreign name, with or without the tensor's layout.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Name {
    Bare(String),
    LaidOut(LaidOut),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaidOut {
    pub(super) name: String,
    pub(super) layout: String,
}

impl Name {
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Bare(name) => (name, None),
            Self::LaidOut(LaidOut { name, layout }) => (name, Some(layout)),
        }
    }
}
