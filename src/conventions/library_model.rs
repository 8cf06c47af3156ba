use super::ConvertError;
use crate::arch::{self, Arch, Network, NetworkOptions};
use crate::conventions::{Convention, ConventionError, Covered, Family};
use crate::weights::Renaming;

/// A model of a library, with the family that names its tensors.
#[derive(Clone, Copy, Debug)]
pub struct LibraryModel<'a> {
    /// Models that the library names alike.
    pub family: &'a Family,
    /// The model.
    pub covered: &'a Covered,
}

impl LibraryModel<'_> {
    /// timm's row, with the library's differences applied.
    ///
    /// # Errors
    /// If the convention names an architecture that is not built in, or an argument that is not
    /// understood.
    pub fn arch(&self) -> Result<Arch, ConvertError> {
        arch(self.covered)
    }

    /// The network with every number resolved.
    ///
    /// # Errors
    /// Those of [`arch`](Self::arch).
    pub fn network(&self, options: &NetworkOptions) -> Result<Network, ConvertError> {
        Ok(self.arch()?.network(options)?)
    }

    /// The names of a network's tensors in timm and in the library.
    ///
    /// # Errors
    /// If the convention does not name them all.
    pub fn renaming(&self, network: &Network) -> Result<Renaming, ConvertError> {
        Ok(self.renaming_of(network, &network.graph().tensors())?)
    }

    pub(super) fn renaming_of(
        &self,
        network: &Network,
        shapes: &[(String, Vec<usize>)],
    ) -> Result<Renaming, ConventionError> {
        let kinds = network.block_kinds();
        let tokens: Vec<Vec<&str>> =
            kinds.iter().map(|stage| stage.iter().map(|kind| kind.token()).collect()).collect();
        self.family.renaming(&self.covered.name, shapes, &tokens)
    }

    /// `ARCHITECTURE (MODEL of CONVENTION)`, or only the architecture if it is timm's own.
    pub(super) fn describe(&self) -> String {
        let Covered { name, timm, .. } = self.covered;
        let convention = self.family.convention();
        if name == timm && convention == TIMM {
            timm.clone()
        } else {
            format!("{timm} ({name} of {convention})")
        }
    }
}

/// timm's row, with the library's differences applied.
pub(super) fn arch(model: &Covered) -> Result<Arch, ConvertError> {
    let Covered { name, timm, model_args, channel_multiplier, .. } = model;
    let unknown = || ConvertError::UnknownModel { name: timm.clone(), nearest: None };
    let mut arch = *arch::find(timm).ok_or_else(unknown)?;
    if let Some(channel_multiplier) = channel_multiplier {
        arch.channel_multiplier = *channel_multiplier;
    }
    model_args.apply(&mut arch).map_err(|(key, reason)| ConvertError::ModelArg {
        model: name.clone(),
        key,
        reason,
    })?;
    Ok(arch)
}

/// The convention of the canonical names.
pub(super) const TIMM: &str = "timm";

/// The models that a convention covers.
pub fn library_models(convention: &Convention) -> impl Iterator<Item = LibraryModel<'_>> {
    convention.covered().map(|(family, covered)| LibraryModel { family, covered })
}
