use std::collections::BTreeSet;

use super::candidate::{CLASSIFIER_BIAS, CLASSIFIER_WEIGHT, Candidate, Prefixes, STEM};
use super::library_model::{LibraryModel, TIMM};
use super::{ConvertError, telltale};
use crate::arch::{Arch, Network, NetworkOptions};
use crate::conventions::{Convention, Covered};
use crate::pretrained;
use crate::weights::{Checkpoint, Mismatch, Renaming, nearest};

/// How many names of a file are shown when none is known.
const SHOWN: usize = 3;
/// What timm's names of a network's tensors start with.
const ROOTS: [&str; 7] =
    ["conv_stem", "bn1", "blocks", "conv_head", "norm_head", "bn2", "classifier"];

/// What a checkpoint was recognised as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchedConvention {
    /// The convention of its names.
    pub convention: String,
    /// The library's model, and timm's row.
    pub model: Covered,
    /// The network, with the library's arithmetic and the file's number of classes and input channels.
    pub network: Network,
    /// Its tensors, by timm's names and by the file's.
    pub renaming: Renaming,
    /// Whether the file's classifier has a background class, which `network` does not have.
    pub has_background: bool,
    /// What the user may want to know, one line each: a prefix of all names, a classifier by
    /// another name, tensors that are not used, and what was chosen because the file says so.
    pub notes: Vec<String>,
}

/// A checkpoint of a known architecture.
#[derive(Debug)]
pub(crate) enum Identified {
    /// By timm's own names, with nothing else in the file.
    Timm {
        /// Channels of the input.
        in_chans: usize,
        /// Outputs of the classifier; 0 without one.
        num_classes: usize,
    },
    /// By names that have to be mapped.
    Mapped(Box<MatchedConvention>),
}

/// Finds how a checkpoint names the tensors of timm's `architecture`, and what the file decides
/// about the network. It does not check that all tensors are there; loading does.
///
/// # Errors
/// Those of [`recognize`], and if the tensors belong to a model that computes differently.
pub(crate) fn identify(
    checkpoint: &Checkpoint,
    architecture: &str,
) -> Result<Identified, ConvertError> {
    // For timm's own files no convention is read.
    if let Some(plain) = plain(checkpoint) {
        return Ok(plain);
    }
    let asked = match recognize(checkpoint, None, Some(architecture)) {
        Ok(found) => return Ok(Identified::Mapped(Box::new(found))),
        Err(error) => error,
    };
    // What the file is instead says more than what it lacks.
    match recognize(checkpoint, None, None) {
        Ok(found) => Err(ConvertError::OtherModel {
            file: checkpoint.file().to_owned(),
            model: format!("{} of {}", found.model.name, found.convention),
            timm: found.model.timm,
            asked: architecture.to_owned(),
        }),
        Err(_) => Err(asked),
    }
}

/// A checkpoint in which all names are timm's, with no prefix, and with timm's classifier or none.
fn plain(checkpoint: &Checkpoint) -> Option<Identified> {
    let &[_, in_chans, ..] = checkpoint.shape(STEM)? else { return None };
    let root = |name: &str| name.split_once('.').is_some_and(|(root, _)| ROOTS.contains(&root));
    if !checkpoint.names().all(root) {
        return None;
    }
    let of_classifier = checkpoint.names().filter(|name| name.starts_with("classifier."));
    let num_classes = match of_classifier.count() {
        0 => 0,
        2 => {
            checkpoint.shape(CLASSIFIER_WEIGHT)?;
            *checkpoint.shape(CLASSIFIER_BIAS)?.first()?
        }
        _ => return None,
    };
    Some(Identified::Timm { in_chans, num_classes })
}

/// Recognises a checkpoint by its names and shapes.
///
/// `convention` and `architecture` narrow the search; an architecture is given by timm's name or by
/// the library's. All names may share any prefix, and the classifier may be any single linear
/// layer. If no architecture is given and the tensors match several models, what the file says
/// about itself decides.
///
/// # Errors
/// Names of no known convention; tensors of no covered model, with the differences from the nearest
/// one; tensors of several models; layers besides the network's that are not such a classifier.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// let checkpoint = effnet::weights::bundled()?;
/// let found = effnet::conventions::recognize(&checkpoint, None, None)?;
/// assert_eq!((found.convention.as_str(), found.model.timm.as_str()), ("timm", "tf_efficientnet_lite0"));
/// assert_eq!(found.network.num_classes, 1000);
/// # }
/// # Ok::<(), effnet::conventions::ConvertError>(())
/// ```
pub fn recognize(
    checkpoint: &Checkpoint,
    convention: Option<&str>,
    architecture: Option<&str>,
) -> Result<MatchedConvention, ConvertError> {
    let found = search(checkpoint, convention, architecture);
    let is_doubtful = match &found {
        Ok(found) => found.network.num_classes == 0,
        Err(error) => matches!(
            error,
            ConvertError::Unrecognized { .. }
                | ConvertError::NoModel { .. }
                | ConvertError::LeftOver { .. }
        ),
    };
    match is_doubtful.then(|| telltale::find(checkpoint)).flatten() {
        Some(error) => Err(error),
        None => found,
    }
}

fn search(
    checkpoint: &Checkpoint,
    convention: Option<&str>,
    architecture: Option<&str>,
) -> Result<MatchedConvention, ConvertError> {
    let conventions = match convention {
        Some(name) => vec![Convention::named(name)?],
        None => Convention::names().map(Convention::named).collect::<Result<_, _>>()?,
    };
    let models: Vec<_> = conventions
        .iter()
        .flat_map(super::library_models)
        .filter(|model| architecture.is_none_or(|name| is_named(model, name)))
        .collect();
    if models.is_empty() {
        return Err(unknown_model(architecture.unwrap_or_default(), &conventions));
    }
    let mut prefixes = Prefixes::new(checkpoint);
    let mut with_stem = |fits: bool| {
        let new = |&model| Candidate::new(checkpoint, &mut prefixes, model, fits).transpose();
        models.iter().filter_map(new).collect::<Result<Vec<_>, _>>()
    };
    let mut candidates = with_stem(true)?;
    if candidates.is_empty() {
        // A stem that fits no model is reported by its shape.
        candidates = with_stem(false)?;
    }
    let tried = candidates.len();
    let mut exact = Vec::new();
    let mut near: Option<(Candidate<'_>, Mismatch)> = None;
    for candidate in candidates {
        let mismatch = candidate.compare(checkpoint);
        if mismatch.findings() == 0 {
            exact.push(candidate);
        } else if near.as_ref().is_none_or(|(_, best)| mismatch.findings() < best.findings()) {
            near = Some((candidate, mismatch));
        }
    }
    let note = choose(checkpoint, &mut exact);
    match (exact.pop(), near) {
        (Some(only), _) if exact.is_empty() => {
            let mut recognized = only.into_recognized(checkpoint);
            recognized.notes.extend(note);
            Ok(recognized)
        }
        (Some(last), _) => Err(ConvertError::Ambiguous {
            file: checkpoint.file().to_owned(),
            candidates: exact.iter().chain([&last]).map(|c| c.model.describe()).collect(),
        }),
        (None, Some((candidate, mut mismatch))) => {
            if let Some(left_over) = candidate.left_over(checkpoint, &mismatch) {
                let file = checkpoint.file().to_owned();
                return Err(ConvertError::LeftOver { file, left_over });
            }
            mismatch.find_nearest();
            Err(ConvertError::NoModel {
                convention: candidate.model.family.convention().to_owned(),
                model: candidate.model.covered.name.clone(),
                tried,
                mismatch: Box::new(mismatch),
            })
        }
        (None, None) => Err(ConvertError::Unrecognized {
            file: checkpoint.file().to_owned(),
            conventions: conventions.iter().map(|c| c.name().to_owned()).collect(),
            names: checkpoint.names().take(SHOWN).map(str::to_owned).collect(),
        }),
    }
}

impl MatchedConvention {
    /// Whether the names are timm's own.
    pub(crate) fn is_timm(&self) -> bool {
        self.convention == TIMM
    }

    /// timm's row, with the differences of the library and the file applied.
    pub(crate) fn arch(&self) -> Result<Arch, ConvertError> {
        let arch = super::library_model::arch(&self.model)?;
        Ok(if arch.head == self.network.head { arch } else { arch.without_conv_head() })
    }

    /// The same, for the `num_classes` that the caller asks for. If the library's classifiers may
    /// have a background class and this one has exactly one class more, the first class is left
    /// out.
    pub(crate) fn with_classes(mut self, num_classes: usize) -> Result<Self, ConvertError> {
        if self.has_background || self.network.num_classes != num_classes + 1 {
            return Ok(self);
        }
        let convention = Convention::named(&self.convention)?;
        let model = super::library_models(&convention).find(|m| *m.covered == self.model);
        if model.is_some_and(|model| model.family.has_background()) {
            self.network = self.arch()?.network(&NetworkOptions {
                in_chans: self.network.in_chans,
                num_classes,
                ..NetworkOptions::default()
            })?;
            self.renaming = self.renaming.without_first_class();
            self.has_background = true;
        }
        Ok(self)
    }

    /// What the library does differently from timm's row; a line for the user.
    pub(crate) fn describe(&self, file: &str) -> String {
        let Covered { name, timm, model_args, channel_multiplier, preprocessing, .. } = &self.model;
        if self.is_timm() {
            return format!("{file}: recognised as {timm}");
        }
        let mut note = format!("{file}: {name} of {}, which computes as {timm}", self.convention);
        let mut differences = model_args.describe();
        differences.extend(channel_multiplier.map(|width| format!("width {width}")));
        if !differences.is_empty() {
            note.push_str(&format!(" with {}", differences.join(", ")));
        }
        if preprocessing.is_some() {
            note.push_str(&format!("; images are prepared as {} does", self.convention));
        }
        note
    }
}

fn is_named(model: &LibraryModel<'_>, name: &str) -> bool {
    model.covered.timm == name || model.covered.name == name
}

pub(super) fn unknown_model(name: &str, conventions: &[Convention]) -> ConvertError {
    if let ([convention], Ok(found)) = (conventions, pretrained::find(name)) {
        let covered: BTreeSet<_> = convention.covered().map(|(_, c)| c.timm.clone()).collect();
        return ConvertError::NotCovered {
            convention: convention.name().to_owned(),
            architecture: found.cfg.architecture.clone().unwrap_or_default(),
            covered: covered.into_iter().collect(),
        };
    }
    let known = conventions.iter().flat_map(Convention::covered);
    let names = known.flat_map(|(_, covered)| [covered.timm.as_str(), covered.name.as_str()]);
    ConvertError::UnknownModel { name: name.to_owned(), nearest: nearest(name, names) }
}

/// Keeps only one of several models if the file itself says which, and returns a note of it.
fn choose(checkpoint: &Checkpoint, exact: &mut Vec<Candidate<'_>>) -> Option<String> {
    if exact.len() < 2 {
        return None;
    }
    let declared = checkpoint.declared();
    let convention = declared.convention.as_ref().map(|said| said.value.as_str());
    declared.architectures.iter().find_map(|said| {
        // A name that timm has retired means its successor, and a tag does not change the tensors.
        let current =
            pretrained::find(&said.value).ok().and_then(|f| f.cfg.architecture.as_deref());
        let is_said = |candidate: &Candidate<'_>| {
            let LibraryModel { family, covered } = candidate.model;
            let named = [Some(said.value.as_str()), current];
            convention.is_none_or(|name| name == family.convention())
                && named.contains(&Some(covered.name.as_str()))
        };
        if !exact.iter().any(is_said) {
            return None;
        }
        exact.retain(is_said);
        let (file, place, name) = (checkpoint.file(), &said.place, &said.value);
        Some(format!("{file}: its `{place}` says that it is {name}"))
    })
}
