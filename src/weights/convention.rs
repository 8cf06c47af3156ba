use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::report::nearest;
use super::template::{Pattern, Position, Template, TemplateError};

/// The convention files inside the program: name and text.
const FILES: [(&str, &str); 2] = [
    ("timm", include_str!("../../weights-map/conventions/timm.toml")),
    (
        "efficientnet-pytorch",
        include_str!("../../weights-map/conventions/efficientnet-pytorch.toml"),
    ),
];

/// timm's words for its block kinds: depthwise separable, inverted residual, edge residual
/// (fused), convolution with norm and activation.
const KINDS: [&str; 4] = ["ds", "ir", "er", "cn"];

/// What can be wrong with a naming convention, or with applying it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConventionError {
    /// No convention of that name.
    #[error("no convention is named `{name}`: there are {}{}", FILES.map(|(n, _)| n).join(", "), nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest of the known ones.
        nearest: Option<String>,
    },
    /// The file is not the TOML that the grammar prescribes.
    #[error("convention file {file}: {reason}")]
    Toml {
        /// The file.
        file: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A table for a block kind that does not exist.
    #[error("convention file {file}: `{kind}` is no block kind: expected one of {}", KINDS.join(", "))]
    Kind {
        /// The file.
        file: String,
        /// The table's name.
        kind: String,
    },
    /// A rule is malformed.
    #[error("convention file {file}, table [{table}]: {source}")]
    Template {
        /// The file.
        file: String,
        /// The table.
        table: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// A canonical tensor for which the convention has no rule.
    #[error("the convention `{convention}` has no name for `{tensor}` ({table})")]
    NoRule {
        /// The convention.
        convention: String,
        /// The canonical name.
        tensor: String,
        /// The table that was searched.
        table: String,
    },
    /// A block's tensor of a block that the architecture does not have.
    #[error("`{tensor}` belongs to no block of the architecture")]
    NoBlock {
        /// The canonical name.
        tensor: String,
    },
    /// Two canonical names become one.
    #[error("the convention `{convention}` gives `{first}` and `{second}` one name, `{foreign}`")]
    Collision {
        /// The convention.
        convention: String,
        /// A canonical name.
        first: String,
        /// Another one.
        second: String,
        /// What both become.
        foreign: String,
    },
}

/// How a library names the tensors of these networks, as templates from timm's names.
///
/// The grammar of the files is defined in `weights-map/conventions/README.md`.
#[derive(Clone, Debug)]
pub struct Convention {
    name: String,
    network: Vec<Rule>,
    blocks: BTreeMap<String, Vec<Rule>>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    template: Template,
}

/// A convention file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConvention {
    name: String,
    /// Which library and version the names were read from; for the file's reader.
    #[serde(rename = "source")]
    _source: String,
    network: BTreeMap<String, String>,
    blocks: BTreeMap<String, BTreeMap<String, String>>,
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
    /// If the text is not TOML, holds a key that the grammar does not have, or a malformed rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConventionError> {
        let raw: RawConvention = toml::from_str(text).map_err(|e| ConventionError::Toml {
            file: file.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        let rules = |table: &str, raw: &BTreeMap<String, String>, of_block| {
            raw.iter()
                .map(|(pattern, template)| Rule::parse(pattern, template, of_block))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|source| ConventionError::Template {
                    file: file.to_owned(),
                    table: table.to_owned(),
                    source,
                })
        };
        let mut blocks = BTreeMap::new();
        for (kind, table) in raw.blocks {
            if !KINDS.contains(&kind.as_str()) {
                return Err(ConventionError::Kind { file: file.to_owned(), kind });
            }
            let parsed = rules(&format!("blocks.{kind}"), &table, true)?;
            blocks.insert(kind, parsed);
        }
        Ok(Self { name: raw.name, network: rules("network", &raw.network, false)?, blocks })
    }

    /// The convention's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pairs the names of an architecture's tensors with this convention's.
    ///
    /// `canonical` are the tensors by timm's names, with shapes, as
    /// [`tensor_shapes`](super::tensor_shapes) lists them; `stages` holds the block kind (`ds`,
    /// `ir`, `er` or `cn`) of each block of each stage.
    ///
    /// # Errors
    /// If a tensor has no rule or no block, or two tensors would get one name.
    pub fn renaming(
        &self,
        canonical: &[(String, Vec<usize>)],
        stages: &[Vec<&str>],
    ) -> Result<Renaming, ConventionError> {
        let mut renaming = Renaming {
            convention: self.name.clone(),
            pairs: Vec::with_capacity(canonical.len()),
            by_canonical: HashMap::with_capacity(canonical.len()),
        };
        let mut taken: HashMap<String, &str> = HashMap::with_capacity(canonical.len());
        for (name, _) in canonical {
            let foreign = self.rename(name, stages)?;
            if let Some(first) = taken.insert(foreign.clone(), name) {
                return Err(ConventionError::Collision {
                    convention: self.name.clone(),
                    first: first.to_owned(),
                    second: name.clone(),
                    foreign,
                });
            }
            renaming.by_canonical.insert(name.clone(), renaming.pairs.len());
            renaming.pairs.push((name.clone(), foreign));
        }
        Ok(renaming)
    }

    fn rename(&self, name: &str, stages: &[Vec<&str>]) -> Result<String, ConventionError> {
        let nowhere = Position { stage: 0, block: 0, flat: 0 };
        let (rules, inside, at, table) = match name.strip_prefix("blocks.") {
            None => (Some(&self.network), name, nowhere, "network".to_owned()),
            Some(path) => {
                let (kind, at, inside) = locate(path, stages)
                    .ok_or_else(|| ConventionError::NoBlock { tensor: name.to_owned() })?;
                (self.blocks.get(kind), inside, at, format!("blocks.{kind}"))
            }
        };
        rules
            .into_iter()
            .flatten()
            .filter_map(|rule| Some((rule, rule.pattern.matches(inside)?)))
            .max_by_key(|(rule, _)| rule.pattern.specificity())
            .map(|(rule, rest)| rule.template.fill(rest, at))
            .ok_or_else(|| ConventionError::NoRule {
                convention: self.name.clone(),
                tensor: name.to_owned(),
                table,
            })
    }
}

impl Rule {
    fn parse(pattern: &str, template: &str, of_block: bool) -> Result<Self, TemplateError> {
        let rule = Self {
            pattern: Pattern::parse(pattern)?,
            template: Template::parse(template, of_block)?,
        };
        if rule.pattern.has_rest() != rule.template.has_rest() {
            return Err(TemplateError::OneSided {
                pattern: pattern.to_owned(),
                template: template.to_owned(),
            });
        }
        Ok(rule)
    }
}

/// Splits `1.0.conv_pw.weight` into its block's kind and position and the name inside the block.
fn locate<'n, 's>(path: &'n str, stages: &[Vec<&'s str>]) -> Option<(&'s str, Position, &'n str)> {
    let (stage, rest) = path.split_once('.')?;
    let (block, inside) = rest.split_once('.')?;
    let (stage, block): (usize, usize) = (stage.parse().ok()?, block.parse().ok()?);
    let kind = *stages.get(stage)?.get(block)?;
    let flat = stages.iter().take(stage).map(Vec::len).sum::<usize>() + block;
    Some((kind, Position { stage, block, flat }, inside))
}

/// The names of one architecture's tensors in one convention: one to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    convention: String,
    /// Canonical and foreign, in the architecture's order.
    pairs: Vec<(String, String)>,
    /// Position in `pairs` by canonical name.
    by_canonical: HashMap<String, usize>,
}

impl Renaming {
    /// The convention's name.
    pub fn convention(&self) -> &str {
        &self.convention
    }

    /// The foreign name of a canonical one, or `None` if the architecture has no such tensor.
    pub fn foreign(&self, canonical: &str) -> Option<&str> {
        self.by_canonical.get(canonical).and_then(|&i| self.pairs.get(i)).map(|(_, f)| f.as_str())
    }

    /// All pairs, canonical name first, in the architecture's order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}
