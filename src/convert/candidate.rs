//! A model whose first tensor a file has, and how the others compare.

use std::collections::{HashMap, HashSet};

use super::ConvertError;
use super::head::{self, Head, LeftOver};
use super::model::{LibraryModel, shapes};
use super::recognize::{Recognized, unknown_model};
use crate::arch::{Network, NetworkOptions};
use crate::weights::{
    Checkpoint, MappedTensor, Mismatch, Misshapen, Missing, Renaming, Unexpected,
};

/// The tensor by which a model is looked for: the first of every network of the family.
pub(super) const STEM: &str = "conv_stem.weight";
pub(super) const CLASSIFIER_WEIGHT: &str = "classifier.weight";
pub(super) const CLASSIFIER_BIAS: &str = "classifier.bias";
/// The classes of a classifier of ImageNet's with a background class.
const IMAGENET_WITH_BACKGROUND: usize = 1001;
/// How many prefixes are compared; a hostile file may have as many as it has tensors.
const PREFIXES: usize = 16;

/// What stands before the names of a network in a file, by its stem's name.
#[derive(Debug)]
pub(super) struct Prefixes<'a> {
    checkpoint: &'a Checkpoint,
    known: HashMap<String, Option<String>>,
}

impl<'a> Prefixes<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint) -> Self {
        Self { checkpoint, known: HashMap::new() }
    }

    /// What the file has before the name `stem`, the beginning that most tensors share where it has
    /// several; `None` if it has no such tensor.
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
        // Of equally many the first: `max_by_key` would take the last.
        let prefixes = self.checkpoint.names().filter_map(before).take(PREFIXES);
        let prefix = prefixes.map(|p| (shared(&p), p)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let prefix = prefix.map(|(_, prefix)| prefix.to_owned());
        self.known.insert(stem.to_owned(), prefix.clone());
        prefix
    }
}

/// A model whose stem the file names.
pub(super) struct Candidate<'a> {
    pub(super) model: LibraryModel<'a>,
    network: Network,
    renaming: Renaming,
    has_background: bool,
    prefix: String,
    head: Head,
}

impl<'a> Candidate<'a> {
    /// `None` if the file lacks the model's stem or, where it has to fit, has one of another shape.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        prefixes: &mut Prefixes<'_>,
        model: LibraryModel<'a>,
        stem_fits: bool,
    ) -> Result<Option<Self>, ConvertError> {
        let mut options = NetworkOptions::default();
        let network = model.network(&options)?;
        let stem = stem(&model, &network)?;
        let Some(prefix) = prefixes.of(&stem.foreign) else { return Ok(None) };
        let found = checkpoint.shape(&format!("{prefix}{}", stem.foreign)).unwrap_or_default();
        match in_chans(found, &stem.foreign_shape) {
            Some(in_chans) => options.in_chans = in_chans,
            None if stem_fits => return Ok(None),
            None => {}
        }
        // A name that counts modules needs those before it.
        let listed = match model.family.counts_modules() {
            true => shapes(&network)?,
            false => [(CLASSIFIER_WEIGHT, vec![1, 1]), (CLASSIFIER_BIAS, vec![1])]
                .map(|(name, shape)| (name.to_owned(), shape))
                .into(),
        };
        let own = model.renaming_of(&network, &listed)?.under(&prefix);
        let classes = own.foreign(CLASSIFIER_BIAS).and_then(|bias| checkpoint.shape(bias));
        let classes = classes.and_then(|shape| shape.first()).copied();
        let has_background =
            model.family.has_background() && classes == Some(IMAGENET_WITH_BACKGROUND);
        options.num_classes = classes.unwrap_or(0) - usize::from(has_background);
        let network = model.network(&options)?;
        let renaming = model.renaming_of(&network, &shapes(&network)?)?.under(&prefix);
        let renaming = if has_background { renaming.with_background_class() } else { renaming };
        let mut candidate = Self {
            model,
            network,
            renaming,
            has_background,
            prefix,
            head: if classes.is_some() { Head::Own } else { Head::None },
        };
        if classes.is_none()
            && let Some((weight, bias, classes)) =
                head::only_linear(checkpoint, &candidate.renaming, &own)
        {
            let shaped = |name| (name, checkpoint.shape(name).unwrap_or_default());
            options.num_classes = classes;
            candidate.network = model.network(&options)?;
            candidate.renaming = model
                .renaming_of(&candidate.network, &shapes(&candidate.network)?)?
                .under(&candidate.prefix)
                .with_classifier(shaped(weight), shaped(bias));
            candidate.head = Head::Other(head::module(weight).to_owned());
        }
        candidate.renaming = candidate.renaming.beside(head::of_training(checkpoint));
        Ok(Some(candidate))
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

    /// What a file has beside all of the model's tensors, if that is its difference.
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

    /// What was done to the file's names, and what it has that is not used; for the user.
    fn notes(&self, checkpoint: &Checkpoint) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.prefix.is_empty() {
            let count = self.renaming.tensors().len();
            notes.push(format!("the prefix {} was taken off {count} names", self.prefix));
        }
        if let Head::Other(module) = &self.head {
            notes.push(format!(
                "the classifier is `{module}`, of {} classes",
                self.network.num_classes
            ));
        }
        let beside: Vec<_> = self.renaming.names_beside().map(|name| format!("`{name}`")).collect();
        if !beside.is_empty() {
            notes.push(format!("inference does not use {}", beside.join(", ")));
        }
        let file = checkpoint.file();
        notes.into_iter().map(|note| format!("{file}: {note}")).collect()
    }

    pub(super) fn into_recognized(self, checkpoint: &Checkpoint) -> Recognized {
        let notes = self.notes(checkpoint);
        Recognized {
            convention: self.model.family.convention().to_owned(),
            model: self.model.covered.clone(),
            network: self.network,
            renaming: self.renaming,
            has_background: self.has_background,
            notes,
        }
    }
}

/// The input channels of a stem of the shape `found`: of its shape only they depend on more than the
/// model, whose stem for three has the shape `expected`.
fn in_chans(found: &[usize], expected: &[usize]) -> Option<usize> {
    let differing: Vec<_> = found.iter().zip(expected).filter(|(a, b)| a != b).collect();
    match differing[..] {
        _ if found.len() != expected.len() => None,
        [] => Some(NetworkOptions::default().in_chans),
        [(&in_chans, &3)] if in_chans > 0 => Some(in_chans),
        _ => None,
    }
}

/// The stem of a model's network by the library's name.
fn stem(model: &LibraryModel<'_>, network: &Network) -> Result<MappedTensor, ConvertError> {
    let k = network.stem_kernel_size;
    let shape = vec![network.stem_chs, network.in_chans, k, k];
    let renaming = model.renaming_of(network, &[(STEM.to_owned(), shape)])?;
    let tensor = renaming.tensors().first().cloned();
    tensor.ok_or_else(|| unknown_model(STEM, &[]))
}
