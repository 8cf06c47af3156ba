use std::collections::{BTreeMap, HashMap, HashSet};

use super::arithmetic::Place;
use super::error::KINDS;
use super::raw;
use super::template::{self, Pattern, Template, TemplateError};
use super::{Common, ConventionError};
use crate::pretrained::{self, ModelArgs, PretrainedCfg};
use crate::weights::{Layout, MappedTensor, Renaming};

/// Models that a library names alike: one of its classes, such as torchvision's `EfficientNet`.
#[derive(Clone, Debug)]
pub struct Family {
    name: String,
    common: Common,
    has_background: bool,
    optional_prefix: Option<String>,
    architectures: Vec<Covered>,
    network: Vec<Rule>,
    blocks: BTreeMap<String, Vec<Rule>>,
}

/// A model of a library, and the row of timm's table that computes the same.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Covered {
    /// The library's name of the model.
    pub name: String,
    /// timm's architecture.
    pub timm: String,
    /// Where the library's arithmetic differs from timm's row, such as `bn_eps`.
    pub model_args: ModelArgs,
    /// The width multiplier in place of the row's, for a model that timm has no row for.
    pub channel_multiplier: Option<f64>,
    /// How the library prepares images, if not as timm does for the architecture.
    pub preprocessing: Option<PretrainedCfg>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    template: Template,
    layout: Option<Layout>,
}

impl Family {
    pub(super) fn parse(
        file: &str,
        name: String,
        raw: raw::Family,
        common: Common,
    ) -> Result<Self, ConventionError> {
        let tables: Vec<&str> = common.parameters.keys().map(String::as_str).collect();
        let rules = |table: &str, raw: &BTreeMap<String, raw::Name>, of_block| {
            raw.iter()
                .map(|(pattern, foreign)| Rule::parse(pattern, foreign, of_block, &tables))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|source| ConventionError::Template {
                    file: file.to_owned(),
                    table: format!("families.{name}.{table}"),
                    source: Box::new(source),
                })
        };
        let network = rules("network", &raw.network, false)?;
        let mut blocks = BTreeMap::new();
        for (kind, table) in &raw.blocks {
            if !KINDS.contains(&kind.as_str()) {
                let kind = kind.clone();
                return Err(ConventionError::Kind { file: file.to_owned(), kind });
            }
            blocks.insert(kind.clone(), rules(&format!("blocks.{kind}"), table, true)?);
        }
        let mut architectures = Vec::new();
        for (name, covered) in raw.architectures {
            let defaults = raw.preprocessing.as_ref();
            architectures.extend(Covered::parse(file, &name, covered, defaults)?);
        }
        Ok(Self {
            name,
            common,
            has_background: raw.background,
            optional_prefix: raw.optional_prefix,
            architectures,
            network,
            blocks,
        })
    }

    /// The family's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its convention.
    pub fn convention(&self) -> &str {
        &self.common.convention
    }

    /// The library's models, in the order of their names.
    pub fn architectures(&self) -> &[Covered] {
        &self.architectures
    }

    /// Whether a classifier of this family may have a background class before the others.
    pub fn has_background(&self) -> bool {
        self.has_background
    }

    /// How images are prepared for a network with a user's own classes, if not as for the published
    /// ones.
    pub fn own_classes(&self) -> Option<&PretrainedCfg> {
        self.common.own_classes.as_ref()
    }

    /// The prefix that names of a whole model have, and that those of its base model, saved alone,
    /// lack.
    pub fn optional_prefix(&self) -> Option<&str> {
        self.optional_prefix.as_deref()
    }

    /// Whether a name depends on the modules before its own.
    pub(crate) fn counts_modules(&self) -> bool {
        let mut rules = self.network.iter().chain(self.blocks.values().flatten());
        rules.any(|rule| rule.template.counts_modules())
    }

    /// Pairs timm's names of a model's tensors with the library's; `model` is the library's name of
    /// the model.
    ///
    /// `canonical` are the tensors by timm's names, with shapes, as
    /// [`tensor_shapes`](crate::weights::tensor_shapes) lists them; `stages` holds the block kind (`ds`,
    /// `ir`, `er`, `cn`, ...) of each block of each stage.
    ///
    /// # Errors
    /// If a tensor has no rule or no block, does not fit its layout, or two tensors would get one
    /// name.
    pub fn renaming(
        &self,
        model: &str,
        canonical: &[(String, Vec<usize>)],
        stages: &[Vec<&str>],
    ) -> Result<Renaming, ConventionError> {
        let mut tensors = Vec::with_capacity(canonical.len());
        let mut taken: HashMap<String, &str> = HashMap::with_capacity(canonical.len());
        // The blocks that have squeeze-and-excitation, by `STAGE.BLOCK`.
        let with_se: HashSet<&str> = canonical
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("blocks.")?.split_once(".se."))
            .map(|(block, _)| block)
            .collect();
        let mut modules = Modules::default();
        for (name, shape) in canonical {
            let mapped = self.map(model, name, shape, stages, &with_se, &mut modules)?;
            if let Some(first) = taken.insert(mapped.foreign.clone(), name) {
                return Err(ConventionError::Collision {
                    convention: self.common.convention.clone(),
                    first: first.to_owned(),
                    second: name.clone(),
                    foreign: mapped.foreign,
                });
            }
            tensors.push(mapped);
        }
        Ok(Renaming::new(self.common.convention.clone(), self.common.ignored.clone(), tensors))
    }

    fn map(
        &self,
        model: &str,
        name: &str,
        shape: &[usize],
        stages: &[Vec<&str>],
        with_se: &HashSet<&str>,
        modules: &mut Modules,
    ) -> Result<MappedTensor, ConventionError> {
        let convention = || self.common.convention.clone();
        let whole = Place {
            stages: stages.len(),
            blocks: stages.iter().map(Vec::len).sum(),
            ..Place::default()
        };
        let (rules, inside, mut at, table) = match name.strip_prefix("blocks.") {
            None => (Some(&self.network), name, whole, "network".to_owned()),
            Some(path) => {
                let (kind, mut at, inside) = locate(path, stages, whole)
                    .ok_or_else(|| ConventionError::NoBlock { tensor: name.to_owned() })?;
                at.has_se = with_se.contains(format!("{}.{}", at.stage, at.block).as_str());
                (self.blocks.get(kind), inside, at, format!("blocks.{kind}"))
            }
        };
        let (rule, rest, layout) = rules
            .into_iter()
            .flatten()
            .filter_map(|rule| self.apply(rule, inside))
            .max_by_key(|(rule, ..)| rule.pattern.specificity())
            .ok_or_else(|| ConventionError::NoRule {
                convention: convention(),
                tensor: name.to_owned(),
                table,
            })?;
        at.nth = modules.place(rule.pattern.rest().unwrap_or_default(), name);
        let foreign = rule.template.fill(model, rest, &at).map_err(|source| {
            ConventionError::NoName { convention: convention(), tensor: name.to_owned(), source }
        })?;
        MappedTensor::new(name, shape, foreign, layout).ok_or_else(|| ConventionError::Layout {
            convention: convention(),
            tensor: name.to_owned(),
            shape: shape.to_owned(),
        })
    }

    /// The rule's text for the rest of a matching name, and the tensor's layout.
    fn apply<'a>(
        &'a self,
        rule: &'a Rule,
        inside: &'a str,
    ) -> Option<(&'a Rule, &'a str, Option<&'a Layout>)> {
        let rest = rule.pattern.matches(inside)?;
        match rule.pattern.rest().and_then(|table| self.common.parameters.get(table)) {
            None => Some((rule, rest, rule.layout.as_ref())),
            Some(parameters) => {
                let (name, layout) = parameters.get(rest)?;
                Some((rule, name, layout.as_ref()))
            }
        }
    }
}

impl Rule {
    fn parse(
        pattern: &str,
        foreign: &raw::Name,
        of_block: bool,
        tables: &[&str],
    ) -> Result<Self, TemplateError> {
        let (template, layout) = foreign.parts();
        let rule = Self {
            pattern: Pattern::parse(pattern, tables)?,
            template: Template::parse(template, of_block, tables)?,
            layout: layout.map(template::layout).transpose()?,
        };
        let (left, right) = (rule.pattern.rest(), rule.template.rest());
        if left != right {
            return Err(TemplateError::OneSided {
                token: left.or(right).unwrap_or_default().to_owned(),
                pattern: pattern.to_owned(),
                template: template.to_owned(),
            });
        }
        match left.filter(|token| *token != "rest" && rule.layout.is_some()) {
            Some(token) => Err(TemplateError::TwoLayouts {
                token: token.to_owned(),
                pattern: pattern.to_owned(),
            }),
            None => Ok(rule),
        }
    }
}

impl Covered {
    /// The models that a key stands for; the key `*` stands for all of timm's architectures.
    fn parse(
        file: &str,
        key: &str,
        raw: raw::Covered,
        defaults: Option<&PretrainedCfg>,
    ) -> Result<Vec<Self>, ConventionError> {
        let wrong = |reason: String| ConventionError::Architecture {
            file: file.to_owned(),
            architecture: key.to_owned(),
            reason,
        };
        if key == "*" {
            let all = pretrained::architectures().map(|name| Self::bare(name.to_owned()));
            return Ok(all.collect());
        }
        let timm = raw.timm.unwrap_or_else(|| key.to_owned());
        if !pretrained::architectures().any(|known| known == timm) {
            return Err(wrong(format!("timm has no architecture `{timm}`")));
        }
        let checked = |(key, reason): (&str, String)| wrong(format!("{key}: {reason}"));
        raw.model_args.validate().map_err(checked)?;
        let preprocessing = match (raw.preprocessing, defaults) {
            (Some(mut own), Some(defaults)) => {
                own.fill_from(defaults);
                Some(own)
            }
            (own, defaults) => own.or_else(|| defaults.cloned()),
        };
        if let Some(cfg) = &preprocessing {
            cfg.validate().map_err(checked)?;
        }
        Ok(vec![Self {
            name: key.to_owned(),
            timm,
            model_args: raw.model_args,
            channel_multiplier: raw.channel_multiplier,
            preprocessing,
        }])
    }

    fn bare(name: String) -> Self {
        Self {
            timm: name.clone(),
            name,
            model_args: ModelArgs::default(),
            channel_multiplier: None,
            preprocessing: None,
        }
    }
}

/// The modules met so far, by class.
#[derive(Default)]
struct Modules {
    /// The last one's name, and how many came before it.
    last: HashMap<String, (String, usize)>,
}

impl Modules {
    /// How many modules of the class come before the tensor's module. Tensors come in the
    /// architecture's order, those of a module together.
    fn place(&mut self, class: &str, tensor: &str) -> usize {
        let module = tensor.rsplit_once('.').map_or("", |(module, _)| module);
        match self.last.get_mut(class) {
            Some((last, place)) if last != module => {
                module.clone_into(last);
                *place += 1;
                *place
            }
            Some((_, place)) => *place,
            None => {
                self.last.insert(class.to_owned(), (module.to_owned(), 0));
                0
            }
        }
    }
}

/// Splits `1.0.conv_pw.weight` into its block's kind, its block's place, and the name inside the
/// block.
fn locate<'n, 's>(
    path: &'n str,
    stages: &[Vec<&'s str>],
    whole: Place,
) -> Option<(&'s str, Place, &'n str)> {
    let (stage, rest) = path.split_once('.')?;
    let (block, inside) = rest.split_once('.')?;
    let (stage, block): (usize, usize) = (stage.parse().ok()?, block.parse().ok()?);
    let kind = *stages.get(stage)?.get(block)?;
    let flat = stages.iter().take(stage).map(Vec::len).sum::<usize>() + block;
    Some((kind, Place { stage, block, flat, ..whole }, inside))
}
