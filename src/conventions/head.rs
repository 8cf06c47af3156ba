//! Which tensors of a file are the classifier.

use std::collections::HashSet;
use std::fmt;

use super::candidate::{CLASSIFIER_BIAS, CLASSIFIER_WEIGHT};
use super::library_model::LibraryModel;
use crate::weights::{Checkpoint, Renaming, WeightsError, into_linear};

/// Scale, shift, mean and variance of a batch norm.
const NORM: [&str; 4] = ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"];
/// The most tensors that a classifier has: those of a linear layer and a norm.
const MOST: usize = 6;
/// How many tensors an error lists.
const LISTED: usize = 8;

/// The classifier of a file.
#[derive(Debug)]
pub(super) enum Head {
    /// None: the network's last outputs are its features.
    None,
    /// By the names of the convention.
    Own,
    /// A linear layer by another name, perhaps with a batch norm before it.
    Other { module: String, norm: Option<String> },
}

/// Tensors besides those of a whole network that are not a single linear classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    model: String,
    num_features: usize,
    tensors: Vec<String>,
    more: usize,
    /// Whether another file of the same model says what the layers do.
    is_undescribed: bool,
}

impl LeftOver {
    pub(super) fn new<'a>(
        checkpoint: &Checkpoint,
        model: LibraryModel<'_>,
        num_features: usize,
        names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut tensors: Vec<_> = names
            .filter_map(|name| Some(format!("`{name}` {:?}", checkpoint.shape(name)?)))
            .collect();
        let more = tensors.len().saturating_sub(LISTED);
        tensors.truncate(LISTED);
        let is_undescribed = checkpoint.undescribed_eps().is_some();
        Self { model: model.describe(), num_features, tensors, more, is_undescribed }
    }
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, num_features, tensors, more, is_undescribed } = self;
        write!(f, "it has all tensors of {model}, and besides them {}", tensors.join(", "))?;
        if *more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(
            f,
            ": a classifier is one linear layer (weight and bias) on the network's {num_features} \
             features; "
        )?;
        f.write_str(match is_undescribed {
            true => {
                "a file of Keras's weights alone does not say what its layers do: save the whole model, as \
                 .keras"
            }
            false => {
                "save the network with such a layer, or without a classifier to take its features"
            }
        })
    }
}

/// A linear layer by a name that the convention does not have.
#[derive(Clone, Copy)]
pub(super) struct Linear<'a> {
    pub(super) weight: &'a str,
    pub(super) bias: &'a str,
    pub(super) classes: usize,
    /// Scale, shift, mean and variance of a batch norm on its inputs.
    pub(super) norm: Option<[&'a str; 4]>,
}

/// The only linear layer besides the tensors of `body`, by any name; `own` has the convention's
/// names for weight and bias. In a file that does not say what its layers do, there may also be a
/// batch norm. It is taken as a norm of the layer's inputs if the layer does not have as many
/// outputs as inputs.
pub(super) fn only_linear<'a>(
    checkpoint: &'a Checkpoint,
    body: &Renaming,
    own: &Renaming,
    num_features: usize,
) -> Option<Linear<'a>> {
    let used: HashSet<_> = body.tensors().iter().map(|tensor| tensor.foreign.as_str()).collect();
    let is_beside = |name: &&str| !used.contains(name) && !body.ignores(name);
    let beside: Vec<_> = checkpoint.names().filter(is_beside).take(MOST + 1).collect();
    let find = |foreign: Option<&str>| -> Option<&'a str> {
        let wanted = parameter(foreign?);
        beside.iter().copied().find(|name| parameter(name) == wanted)
    };
    let [weight, bias] = [CLASSIFIER_WEIGHT, CLASSIFIER_BIAS].map(|name| find(own.foreign(name)));
    let (weight, bias) = (weight?, bias?);
    let &[classes] = checkpoint.shape(bias)? else { return None };
    let norm = match beside.len() {
        2 => None,
        MOST if checkpoint.undescribed_eps().is_some() && classes != num_features => {
            let norm = NORM.map(|name| find(body.foreign(name)).unwrap_or_default());
            let is_norm = |name: &&str| {
                module(name) == module(norm[0]) && checkpoint.shape(name) == Some(&[num_features])
            };
            Some(norm).filter(|norm| norm.iter().all(is_norm))
        }
        _ => return None,
    };
    let is_alone = beside.len() == 2 || norm.is_some();
    (is_alone && module(weight) == module(bias) && classes > 0).then_some(Linear {
        weight,
        bias,
        classes,
        norm,
    })
}

impl Linear<'_> {
    /// The layer's values in timm's layout, with the batch norm of its inputs folded in; in
    /// `renaming` the layer is the classifier.
    pub(super) fn fold(
        &self,
        checkpoint: &Checkpoint,
        renaming: Renaming,
    ) -> Result<Renaming, WeightsError> {
        let (Some(names), Some(epsilon)) = (self.norm, checkpoint.undescribed_eps()) else {
            return Ok(renaming);
        };
        let read = |canonical| renaming.mapped(canonical).map(|m| checkpoint.read_canonical(m));
        let (Some(weight), Some(bias)) = (read(CLASSIFIER_WEIGHT), read(CLASSIFIER_BIAS)) else {
            return Ok(renaming);
        };
        let (mut weight, mut bias) = (weight?, bias?);
        let mut norm = [const { Vec::new() }; 4];
        for (values, name) in norm.iter_mut().zip(names) {
            *values = checkpoint.read_f32(name)?;
        }
        let inputs = norm[0].len();
        // A wrong shape is reported where shapes are compared.
        if weight.len() == inputs * bias.len() {
            let [scale, shift, mean, variance] = &norm;
            let norm = [scale, shift, mean, variance].map(Vec::as_slice);
            into_linear(&mut weight, &mut bias, [1, inputs], norm, epsilon);
        }
        Ok(renaming.with_folded([weight, bias], names.map(str::to_owned).into()))
    }
}

/// The module of a tensor: its name without the parameter's.
pub(super) fn module(name: &str) -> &str {
    name.rfind(['.', '/']).map_or("", |end| &name[..end])
}

fn parameter(name: &str) -> &str {
    name.rfind(['.', '/']).map_or(name, |end| &name[end + 1..])
}
