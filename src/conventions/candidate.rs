//! A model whose first tensor is in a file, and how its other tensors compare.

use std::collections::{HashMap, HashSet};

use super::ConvertError;
use super::head::{self, Head, LeftOver};
use super::library_model::LibraryModel;
use super::recognize::{MatchedConvention, unknown_model};
use crate::arch::{Network, NetworkOptions};
use crate::pretrained::PretrainedCfg;
use crate::weights::{Checkpoint, Mismatch, Misshapen, Missing, Renaming, Unexpected};

/// The tensor that the search for a model starts from: the first of every network of the family.
pub(super) const STEM: &str = "conv_stem.weight";
/// The layer between the pool and the classifier of a MobileNet V3.
const CONV_HEAD: &str = "conv_head.weight";
pub(super) const CLASSIFIER_WEIGHT: &str = "classifier.weight";
pub(super) const CLASSIFIER_BIAS: &str = "classifier.bias";
/// The classes of ImageNet.
const IMAGENET: usize = 1000;
/// How many prefixes are compared; a hostile file may have one for each tensor.
const PREFIXES: usize = 16;

/// The prefix of a network's names in a file, by the name of its stem.
#[derive(Debug)]
pub(super) struct Prefixes<'a> {
    checkpoint: &'a Checkpoint,
    known: HashMap<String, Option<String>>,
}

impl<'a> Prefixes<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint) -> Self {
        Self { checkpoint, known: HashMap::new() }
    }

    /// How the file's names begin for `model`, whose library calls the stem `stem`; `None` if the
    /// file has no such tensor.
    fn beginning<'m>(&mut self, model: &LibraryModel<'m>, stem: &str) -> Option<Beginning<'m>> {
        if let Some(prefix) = self.of(stem) {
            return Some(Beginning { lacks: "", prefix });
        }
        let lacks = model.family.optional_prefix()?;
        let prefix = self.of(stem.strip_prefix(lacks)?)?;
        Some(Beginning { lacks, prefix })
    }

    /// The prefix of the name `stem` in the file, or of several the one that most tensors share;
    /// `None` if there is no such tensor.
    fn of(&mut self, stem: &str) -> Option<String> {
        if let Some(known) = self.known.get(stem) {
            return known.clone();
        }
        let names = || self.checkpoint.names();
        let before = |name: &'a str| {
            let prefix = name.strip_suffix(stem)?;
            (prefix.is_empty() || prefix.ends_with(['.', '/'])).then_some(prefix)
        };
        let shared = |prefix: &&str| names().filter(|name| name.starts_with(prefix)).count();
        // The first of those that are equally common: `max_by_key` would take the last.
        let prefixes = self.checkpoint.names().filter_map(before).take(PREFIXES);
        let prefix = prefixes.map(|p| (shared(&p), p)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let prefix = prefix.map(|(_, prefix)| prefix.to_owned());
        self.known.insert(stem.to_owned(), prefix.clone());
        prefix
    }
}

/// How the beginnings of a file's names differ from the library's.
struct Beginning<'a> {
    /// What the library's names begin with and the file's lack.
    lacks: &'a str,
    /// What the file's names have in front.
    prefix: String,
}

impl Beginning<'_> {
    fn apply(&self, renaming: Renaming) -> Renaming {
        renaming.without(self.lacks).under(&self.prefix)
    }
}

/// A model whose stem the file names.
pub(super) struct Candidate<'a> {
    pub(super) model: LibraryModel<'a>,
    network: Network,
    renaming: Renaming,
    has_background: bool,
    head: Head,
}

impl<'a> Candidate<'a> {
    /// `None` if the file lacks the model's stem or, with `stem_fits`, has one of a different
    /// shape.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        prefixes: &mut Prefixes<'_>,
        model: LibraryModel<'a>,
        stem_fits: bool,
    ) -> Result<Option<Self>, ConvertError> {
        let mut options = NetworkOptions::default();
        let mut arch = model.arch()?;
        let network = arch.network(&options)?;
        let stem = stem(&model, &network)?;
        let called = stem.foreign(STEM).unwrap_or_default();
        let Some(beginning) = prefixes.beginning(&model, called) else { return Ok(None) };
        let stem = beginning.apply(stem);
        let stem = stem.mapped(STEM).ok_or_else(|| unknown_model(STEM, &[]))?;
        let found = checkpoint.shape(&stem.foreign).unwrap_or_default();
        match in_chans(found, &stem.foreign_shape) {
            Some(in_chans) => options.in_chans = in_chans,
            None if stem_fits => return Ok(None),
            None => {}
        }
        let renamed_of = |network: &Network, tensors: &[(String, Vec<usize>)]| {
            Ok::<_, ConvertError>(beginning.apply(model.renaming_of(network, tensors)?))
        };
        let renamed = |network: &Network| renamed_of(network, &network.graph().tensors());
        // A name that counts modules needs the modules before it.
        let listed = match model.family.counts_modules() {
            true => network.graph().tensors(),
            false => [(CLASSIFIER_WEIGHT, vec![1, 1]), (CLASSIFIER_BIAS, vec![1])]
                .map(|(name, shape)| (name.to_owned(), shape))
                .into(),
        };
        let own = renamed_of(&network, &listed)?;
        let classes = own.foreign(CLASSIFIER_BIAS).and_then(|bias| checkpoint.shape(bias));
        let classes = classes.and_then(|shape| shape.first()).copied();
        let has_background = model.family.has_background() && classes == Some(IMAGENET + 1);
        options.num_classes = classes.unwrap_or(0) - usize::from(has_background);
        let mut network = arch.network(&options)?;
        let mut renaming = renamed(&network)?;
        if has_background {
            renaming = renaming.with_background_class();
        }
        let mut head = if classes.is_some() { Head::Own } else { Head::None };
        if classes.is_none() {
            let conv = renaming.mapped(CONV_HEAD).filter(|_| network.head.pools_first());
            if conv.is_some_and(|c| checkpoint.shape(&c.foreign) != Some(&*c.foreign_shape)) {
                arch = arch.without_conv_head();
                network = arch.network(&options)?;
                renaming = renamed(&network)?;
            }
            let features = network.num_features;
            if let Some(found) = head::only_linear(checkpoint, &renaming, &own, features) {
                let shaped = |name| (name, checkpoint.shape(name).unwrap_or_default());
                options.num_classes = found.classes;
                network = arch.network(&options)?;
                renaming =
                    renamed(&network)?.with_classifier(shaped(found.weight), shaped(found.bias));
                renaming = found.fold(checkpoint, renaming)?;
                head = Head::Other {
                    module: head::module(found.weight).to_owned(),
                    norm: found.norm.map(|[scale, ..]| head::module(scale).to_owned()),
                };
            }
        }
        Ok(Some(Self { model, network, renaming, has_background, head }))
    }

    /// What differs between the model's tensors and the file's.
    pub(super) fn compare(&self, checkpoint: &Checkpoint) -> Mismatch {
        let mut mismatch = Mismatch::new(checkpoint.file());
        let mut used = HashSet::new();
        for tensor in self.renaming.tensors() {
            used.insert(tensor.foreign.as_str());
            match checkpoint.shape(&tensor.foreign) {
                None => mismatch.missing.push(Missing::new(&tensor.canonical, &tensor.foreign)),
                Some(found) if found != tensor.foreign_shape => {
                    let expected = &tensor.foreign_shape;
                    mismatch.misshapen.push(Misshapen::new(&tensor.canonical, found, expected));
                }
                Some(_) => mismatch.applied += 1,
            }
        }
        let unused = checkpoint.names().filter(|name| !used.contains(name));
        let unexpected = unused.filter(|name| !self.renaming.ignores(name));
        mismatch.unexpected = unexpected.map(Unexpected::new).collect();
        mismatch
    }

    /// What a file has besides all of the model's tensors, if that is the only difference.
    pub(super) fn left_over(
        &self,
        checkpoint: &Checkpoint,
        mismatch: &Mismatch,
    ) -> Option<LeftOver> {
        let body = |m: &Misshapen| !m.name.starts_with("classifier.");
        let whole = mismatch.missing.is_empty() && !mismatch.misshapen.iter().any(body);
        (whole && mismatch.findings() > 0).then(|| {
            let own = self.renaming.foreign(CLASSIFIER_WEIGHT);
            let more = mismatch.unexpected.iter().map(|unexpected| unexpected.name.as_str());
            LeftOver::new(
                checkpoint,
                self.model,
                self.network.num_features,
                own.into_iter().chain(more),
            )
        })
    }

    /// Notes for the user: what was done to the file's names, and which tensors are not used.
    fn notes(&self, checkpoint: &Checkpoint) -> Vec<String> {
        let mut notes = Vec::new();
        let Network { num_classes, num_features, .. } = self.network;
        let prefix = self.renaming.prefix();
        if !prefix.is_empty() {
            let count = self.renaming.tensors().len();
            notes.push(format!("the prefix {prefix} was taken off {count} names"));
        }
        if self.is_without_conv_head() {
            notes.push(format!(
                "the network ends at its {num_features} pooled features, without the layer `conv_head`"
            ));
        }
        if let Head::Other { module, norm } = &self.head {
            notes.push(format!("the classifier is `{module}`, of {num_classes} classes"));
            if let (Some(norm), Some(epsilon)) = (norm, checkpoint.undescribed_eps()) {
                notes.push(format!(
                    "the batch norm `{norm}` was folded into the classifier, with the epsilon \
                     {epsilon:e} and no activation between them: a file of weights alone does not say \
                     otherwise"
                ));
            }
        }
        if let Some(cfg) = self.own_classes() {
            let said = [cfg.crop_mode.as_deref(), cfg.interpolation.as_deref()];
            notes.push(format!(
                "images are resized as {} does for networks with your own classes ({}); \
                 `ModelBuilder::crop_mode`, `ModelBuilder::crop_pct` and \
                 `ModelBuilder::interpolation` change that",
                self.model.family.convention(),
                said.into_iter().flatten().collect::<Vec<_>>().join(", ")
            ));
        }
        let file = checkpoint.file();
        notes.into_iter().map(|note| format!("{file}: {note}")).collect()
    }

    /// How the library's users prepare images for such a network, if it has their own classes.
    fn own_classes(&self) -> Option<&PretrainedCfg> {
        let is_own = !matches!(self.network.num_classes, 0 | IMAGENET);
        self.model.family.own_classes().filter(|_| is_own)
    }

    fn is_without_conv_head(&self) -> bool {
        self.model.arch().is_ok_and(|arch| arch.head != self.network.head)
    }

    pub(super) fn into_recognized(self, checkpoint: &Checkpoint) -> MatchedConvention {
        let notes = self.notes(checkpoint);
        let mut model = self.model.covered.clone();
        if let Some(cfg) = self.own_classes() {
            let mut cfg = cfg.clone();
            cfg.fill_from(&model.preprocessing.unwrap_or_default());
            model.preprocessing = Some(cfg);
        }
        MatchedConvention {
            convention: self.model.family.convention().to_owned(),
            model,
            network: self.network,
            renaming: self.renaming,
            has_background: self.has_background,
            notes,
        }
    }
}

/// The input channels of a stem of the shape `found`. `expected` is the shape of the model's stem
/// for three channels; no other dimension may differ.
fn in_chans(found: &[usize], expected: &[usize]) -> Option<usize> {
    let differing: Vec<_> = found.iter().zip(expected).filter(|(a, b)| a != b).collect();
    match differing[..] {
        _ if found.len() != expected.len() => None,
        [] => Some(NetworkOptions::default().in_chans),
        [(&in_chans, &3)] if in_chans > 0 => Some(in_chans),
        _ => None,
    }
}

/// The stem of a model's network, by the library's name.
fn stem(model: &LibraryModel<'_>, network: &Network) -> Result<Renaming, ConvertError> {
    let k = network.stem_kernel_size;
    let shape = vec![network.stem_chs, network.in_chans, k, k];
    Ok(model.renaming_of(network, &[(STEM.to_owned(), shape)])?)
}
