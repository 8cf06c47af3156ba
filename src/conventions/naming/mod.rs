//! Naming conventions: how other libraries name and lay out the tensors of these networks.
//!
//! ```text
//! weights-map/conventions/*.toml -> Convention -> Family -> Renaming: canonical <-> foreign
//! ```

mod arithmetic;
mod error;
mod family;
mod raw;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use glob::Pattern as Shell;

use crate::weights::{Layout, Renaming, nearest};

use crate::pretrained::PretrainedCfg;

pub use error::ConventionError;
pub use family::{Covered, Family};
#[doc(hidden)]
pub use template::{FillError, TemplateError};

/// The convention files inside the program: name and text.
const FILES: [(&str, &str); 8] = [
    ("timm", include_str!("../../../weights-map/conventions/timm.toml")),
    ("torchvision", include_str!("../../../weights-map/conventions/torchvision.toml")),
    (
        "efficientnet-pytorch",
        include_str!("../../../weights-map/conventions/efficientnet-pytorch.toml"),
    ),
    ("transformers", include_str!("../../../weights-map/conventions/transformers.toml")),
    (
        "candle-transformers",
        include_str!("../../../weights-map/conventions/candle-transformers.toml"),
    ),
    ("keras", include_str!("../../../weights-map/conventions/keras.toml")),
    ("tensorflow", include_str!("../../../weights-map/conventions/tensorflow.toml")),
    ("wzmiaomiao", include_str!("../../../weights-map/conventions/wzmiaomiao.toml")),
];

/// How a library names the tensors of these networks, as templates from timm's names.
///
/// The grammar of the files is defined in `weights-map/conventions/README.md`.
#[derive(Clone, Debug)]
pub struct Convention {
    name: String,
    families: Vec<Family>,
}

/// The names and layouts of the parameters of one class of modules, by canonical name.
type Parameters = BTreeMap<String, (String, Option<Layout>)>;

/// What the families of a convention share.
#[derive(Clone, Debug)]
struct Common {
    convention: String,
    ignored: Vec<Shell>,
    own_classes: Option<PretrainedCfg>,
    parameters: BTreeMap<String, Parameters>,
}

impl Convention {
    /// The names of all conventions in the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// The convention of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, ConventionError> {
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((known, text)) => Self::parse(&format!("{known}.toml"), text),
            None => Err(ConventionError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, Self::names()),
            }),
        }
    }

    /// Parses the text of a convention file; `file` is what errors call it.
    ///
    /// # Errors
    /// If the text is not TOML, or has a key that is not in the grammar or a malformed rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConventionError> {
        let raw: raw::Convention = toml::from_str(text).map_err(|e| ConventionError::Toml {
            file: file.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        let shell = |pattern: &String| {
            Shell::new(pattern).map_err(|e| ConventionError::Ignored {
                file: file.to_owned(),
                pattern: pattern.clone(),
                reason: e.to_string(),
            })
        };
        let mut parameters = BTreeMap::new();
        for (table, names) in &raw.parameters {
            if !template::may_name_parameters(table) {
                return Err(ConventionError::Template {
                    file: file.to_owned(),
                    table: format!("parameters.{table}"),
                    source: Box::new(TemplateError::Reserved { token: table.clone() }),
                });
            }
            let mut parsed = Parameters::new();
            for (canonical, name) in names {
                let (name, layout) = name.parts();
                let layout = layout.map(template::layout).transpose().map_err(|source| {
                    let table = format!("parameters.{table}");
                    let source = Box::new(source);
                    ConventionError::Template { file: file.to_owned(), table, source }
                })?;
                parsed.insert(canonical.clone(), (name.to_owned(), layout));
            }
            parameters.insert(table.clone(), parsed);
        }
        if let Some(Err((key, reason))) = raw.own_classes.as_ref().map(PretrainedCfg::validate) {
            let reason = format!("own_classes.{key}: {reason}");
            return Err(ConventionError::Toml { file: file.to_owned(), reason });
        }
        let common = Common {
            convention: raw.name.clone(),
            ignored: raw.ignored.iter().map(shell).collect::<Result<_, _>>()?,
            own_classes: raw.own_classes,
            parameters,
        };
        let families = raw
            .families
            .into_iter()
            .map(|(name, family)| Family::parse(file, name, family, common.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Self { name: raw.name, families })
    }

    /// The convention's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The families of models that the library names alike.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Every model of the library that is covered, with its family.
    pub fn covered(&self) -> impl Iterator<Item = (&Family, &Covered)> {
        self.families.iter().flat_map(|f| f.architectures().iter().map(move |c| (f, c)))
    }

    /// Pairs timm's names of an architecture's tensors with this convention's, by the family that
    /// covers `architecture` (timm's name). The other arguments are those of [`Family::renaming`].
    ///
    /// # Errors
    /// If no family covers the architecture, and those of [`Family::renaming`].
    pub fn renaming(
        &self,
        architecture: &str,
        canonical: &[(String, Vec<usize>)],
        stages: &[Vec<&str>],
    ) -> Result<Renaming, ConventionError> {
        match self.covered().find(|(_, covered)| covered.timm == architecture) {
            Some((family, covered)) => family.renaming(&covered.name, canonical, stages),
            None => {
                let covered: BTreeSet<_> = self.covered().map(|(_, c)| c.timm.clone()).collect();
                Err(ConventionError::NotCovered {
                    convention: self.name.clone(),
                    architecture: architecture.to_owned(),
                    covered: covered.into_iter().collect(),
                })
            }
        }
    }
}
