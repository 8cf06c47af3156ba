use std::collections::{BTreeSet, HashSet};

use super::ConvertError;
use super::conversion::{CONVENTION, MODEL};
use super::model::{LibraryModel, TIMM, shapes};
use crate::arch::{Arch, Network, NetworkOptions};
use crate::pretrained;
use crate::weights::{
    Checkpoint, Convention, Covered, MappedTensor, Mismatch, Misshapen, Missing, Renaming,
    Unexpected, nearest,
};

/// The tensor by which a model is looked for: the first of every network of the family.
const STEM: &str = "conv_stem.weight";
const CLASSIFIER_BIAS: &str = "classifier.bias";
/// The classes of a classifier of ImageNet's with a background class.
const IMAGENET_WITH_BACKGROUND: usize = 1001;
/// How many names of a file are shown when none is known.
const SHOWN: usize = 3;

/// The library's model whose names a checkpoint has.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) convention: String,
    pub(crate) model: Covered,
}

/// What a checkpoint was recognised as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recognized {
    /// The convention of its names.
    pub convention: String,
    /// The library's model, and timm's row.
    pub model: Covered,
    /// The network, with the library's arithmetic and the file's number of classes and input channels.
    pub network: Network,
    /// Its tensors by timm's names and by the file's.
    pub renaming: Renaming,
    /// Whether the file's classifier has a background class, which `network` does not have.
    pub has_background: bool,
}

/// Recognises a checkpoint by its names and shapes.
///
/// `convention` and `architecture` narrow the search; an architecture goes by timm's name or by the
/// library's.
///
/// # Errors
/// Names of no known convention; tensors of no covered model, with what differs from the nearest
/// one; tensors of several models.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// let checkpoint = effnet::weights::bundled()?;
/// let found = effnet::convert::recognize(&checkpoint, None, None)?;
/// assert_eq!((found.convention.as_str(), found.model.timm.as_str()), ("timm", "tf_efficientnet_lite0"));
/// assert_eq!(found.network.num_classes, 1000);
/// # }
/// # Ok::<(), effnet::convert::ConvertError>(())
/// ```
pub fn recognize(
    checkpoint: &Checkpoint,
    convention: Option<&str>,
    architecture: Option<&str>,
) -> Result<Recognized, ConvertError> {
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
    let has_stem = |fits: bool| {
        models.iter().filter_map(move |&model| Candidate::new(checkpoint, model, fits).transpose())
    };
    let mut candidates = has_stem(true).collect::<Result<Vec<_>, _>>()?;
    if candidates.is_empty() {
        // A stem that is no model's is told of by its shape.
        candidates = has_stem(false).collect::<Result<_, _>>()?;
    }
    let tried = candidates.len();
    let mut exact = Vec::new();
    let mut near: Option<(LibraryModel<'_>, Mismatch)> = None;
    for candidate in candidates {
        let model = candidate.model;
        let mismatch = candidate.compare(checkpoint);
        if mismatch.findings() == 0 {
            exact.push(candidate);
        } else if near.as_ref().is_none_or(|(_, best)| mismatch.findings() < best.findings()) {
            near = Some((model, mismatch));
        }
    }
    choose(checkpoint, &mut exact);
    match (exact.pop(), near) {
        (Some(only), _) if exact.is_empty() => Ok(only.into_recognized()),
        (Some(last), _) => Err(ConvertError::Ambiguous {
            file: checkpoint.file().to_owned(),
            candidates: exact.iter().chain([&last]).map(|c| c.model.describe()).collect(),
        }),
        (None, Some((model, mut mismatch))) => {
            mismatch.find_nearest();
            Err(ConvertError::NoModel {
                convention: model.family.convention().to_owned(),
                model: model.covered.name.clone(),
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

impl Names {
    /// The model whose names a checkpoint has, of those that compute as timm's `architecture` does;
    /// `None` if they are timm's own names. Whether the tensors fit, loading says.
    ///
    /// # Errors
    /// If they are nobody's, or those of a model that computes otherwise.
    pub(crate) fn find(
        checkpoint: &Checkpoint,
        architecture: &str,
    ) -> Result<Option<Self>, ConvertError> {
        // The names of timm alone; a start without a foreign file reads no convention.
        if checkpoint.shape(STEM).is_some() {
            return Ok(None);
        }
        for name in Convention::names().filter(|name| *name != TIMM) {
            let convention = Convention::named(name)?;
            let mut models =
                super::library_models(&convention).filter(|m| is_named(m, architecture));
            let has_names = |model: &LibraryModel<'_>| {
                let network = model.network(&NetworkOptions::default());
                let stem = network.and_then(|network| stem(model, &network));
                stem.is_ok_and(|stem| checkpoint.shape(&stem.foreign).is_some())
            };
            if let Some(model) = models.find(has_names) {
                return Ok(Some(Self {
                    convention: name.to_owned(),
                    model: model.covered.clone(),
                }));
            }
        }
        let found = recognize(checkpoint, None, None)?;
        Err(ConvertError::OtherModel {
            file: checkpoint.file().to_owned(),
            model: format!("{} of {}", found.model.name, found.convention),
            timm: found.model.timm,
            asked: architecture.to_owned(),
        })
    }

    /// Whether they are timm's own.
    pub(crate) fn is_timm(&self) -> bool {
        self.convention == TIMM
    }

    /// timm's row with what the library has otherwise.
    pub(crate) fn arch(&self) -> Result<Arch, ConvertError> {
        super::model::arch(&self.model)
    }

    /// What the library does otherwise than timm does for the row; a line for the user.
    pub(crate) fn note(&self, file: &str) -> String {
        let Covered { name, timm, model_args, channel_multiplier, preprocessing, .. } = &self.model;
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

    /// The names of the tensors of `network` in the file.
    pub(crate) fn renaming(
        &self,
        checkpoint: &Checkpoint,
        network: &Network,
    ) -> Result<Renaming, ConvertError> {
        let convention = Convention::named(&self.convention)?;
        let mut models = super::library_models(&convention);
        let model = models.find(|model| *model.covered == self.model);
        let model = model.ok_or_else(|| unknown_model(&self.model.name, &[]))?;
        let renaming = model.renaming(network)?;
        let bias = renaming.foreign(CLASSIFIER_BIAS).and_then(|name| checkpoint.shape(name));
        let has_background =
            model.family.has_background() && bias == Some(&[network.num_classes + 1]);
        Ok(if has_background { renaming.with_background_class() } else { renaming })
    }
}

impl Recognized {
    pub(crate) fn names(&self) -> Names {
        Names { convention: self.convention.clone(), model: self.model.clone() }
    }
}

fn is_named(model: &LibraryModel<'_>, name: &str) -> bool {
    model.covered.timm == name || model.covered.name == name
}

fn unknown_model(name: &str, conventions: &[Convention]) -> ConvertError {
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

/// Leaves one of several models where the file itself, written by this program, says which.
fn choose(checkpoint: &Checkpoint, exact: &mut Vec<Candidate<'_>>) {
    let said = |key: &str| checkpoint.metadata().get(key).map(String::as_str);
    let Some(name) = said(MODEL) else { return };
    let convention = said(CONVENTION).unwrap_or(TIMM);
    let is_said = |candidate: &Candidate<'_>| {
        let LibraryModel { family, covered } = candidate.model;
        let without_tag = name.split('.').next() == Some(&covered.name);
        let is_name = covered.name == name || (convention == TIMM && without_tag);
        family.convention() == convention && is_name
    };
    if exact.iter().any(is_said) {
        exact.retain(is_said);
    }
}

/// A model whose stem the file names.
struct Candidate<'a> {
    model: LibraryModel<'a>,
    network: Network,
    renaming: Renaming,
    has_background: bool,
}

impl<'a> Candidate<'a> {
    /// `None` if the file lacks the model's stem or, where it has to fit, has one of another shape.
    fn new(
        checkpoint: &Checkpoint,
        model: LibraryModel<'a>,
        stem_fits: bool,
    ) -> Result<Option<Self>, ConvertError> {
        let mut options = NetworkOptions::default();
        let network = model.network(&options)?;
        let stem = stem(&model, &network)?;
        let Some(found) = checkpoint.shape(&stem.foreign) else { return Ok(None) };
        match in_chans(found, &stem.foreign_shape) {
            Some(in_chans) => options.in_chans = in_chans,
            None if stem_fits => return Ok(None),
            None => {}
        }
        // A name that counts modules needs those before it.
        let listed = match model.family.counts_modules() {
            true => shapes(&network)?,
            false => vec![(CLASSIFIER_BIAS.to_owned(), vec![options.num_classes])],
        };
        let renaming = model.renaming_of(&network, &listed)?;
        let bias = renaming.foreign(CLASSIFIER_BIAS);
        let classes = bias.and_then(|bias| checkpoint.shape(bias));
        let classes = classes.and_then(|shape| shape.first()).copied().unwrap_or(0);
        let has_background = model.family.has_background() && classes == IMAGENET_WITH_BACKGROUND;
        options.num_classes = classes - usize::from(has_background);
        let network = model.network(&options)?;
        let renaming = model.renaming_of(&network, &shapes(&network)?)?;
        let renaming = if has_background { renaming.with_background_class() } else { renaming };
        Ok(Some(Self { model, network, renaming, has_background }))
    }

    /// What differs between the model's tensors and the file's.
    fn compare(&self, checkpoint: &Checkpoint) -> Mismatch {
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

    fn into_recognized(self) -> Recognized {
        Recognized {
            convention: self.model.family.convention().to_owned(),
            model: self.model.covered.clone(),
            network: self.network,
            renaming: self.renaming,
            has_background: self.has_background,
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
