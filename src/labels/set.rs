//! A list of class names, one for each logit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LabelError;
use super::imagenet::{Row, Subset};

/// What is known about one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// WordNet id, `n` and eight digits, if the class is a synset.
    pub synset: Option<&'a str>,
    /// Short human name: the first lemma of a synset, or a model's own label name.
    pub label: &'a str,
    /// All names of the class, separated by `", "`: timm's description of an ImageNet class, or a
    /// model's own label name.
    pub lemmas: &'a str,
    /// WordNet's definition, or a model's own description if it has one.
    pub definition: Option<&'a str>,
}

/// Label names as a timm `config.json` gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelNames {
    /// One name per class, in class order.
    List(Vec<String>),
    /// Class index, in decimal, to name.
    Map(BTreeMap<String, String>),
}

impl LabelNames {
    /// How many names there are.
    pub fn len(&self) -> usize {
        match self {
            Self::List(names) => names.len(),
            Self::Map(names) => names.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names in class order.
    ///
    /// # Errors
    /// A key that is not a decimal index, an index given twice, or a gap.
    pub fn in_order(&self) -> Result<Vec<&str>, LabelError> {
        let map = match self {
            Self::List(names) => return Ok(names.iter().map(String::as_str).collect()),
            Self::Map(map) => map,
        };
        let mut by_index = BTreeMap::new();
        for (key, name) in map {
            // Digits only: `str::parse` would take a sign too.
            let index = if key.bytes().all(|b| b.is_ascii_digit()) {
                key.parse::<usize>().ok()
            } else {
                None
            };
            let index = index.ok_or_else(|| LabelError::Index { key: key.clone() })?;
            if by_index.insert(index, name.as_str()).is_some() {
                return Err(LabelError::DuplicateIndex { index });
            }
        }
        for (expected, &index) in by_index.keys().enumerate() {
            if expected != index {
                return Err(LabelError::MissingIndex { index: expected, names: by_index.len() });
            }
        }
        Ok(by_index.into_values().collect())
    }
}

/// A list of class names, one for each logit.
///
/// ```
/// use effnet::labels::{LabelSet, Subset};
/// let labels = LabelSet::imagenet(Subset::Imagenet1k);
/// let espresso = labels.get(967).unwrap();
/// assert_eq!(espresso.synset, Some("n07920052"));
/// assert_eq!(espresso.label, "espresso");
/// assert_eq!(labels.get(0).unwrap().lemmas, "tench, Tinca tinca");
/// assert_eq!(labels.get(1000), None);
/// ```
#[derive(Debug, Clone)]
pub struct LabelSet(Rows);

#[derive(Debug, Clone)]
enum Rows {
    Imagenet(Vec<&'static Row>),
    Own(Vec<OwnRow>),
}

#[derive(Debug, Clone)]
struct OwnRow {
    name: String,
    description: Option<String>,
}

impl LabelSet {
    /// One of the ImageNet lists.
    pub fn imagenet(subset: Subset) -> Self {
        Self(Rows::Imagenet(subset.rows()))
    }

    /// A model's own label names, with a description for each name or none at all.
    ///
    /// Names that are WordNet ids become [`Label::synset`], and their description is read as timm
    /// writes it: lemmas, then after `": "` a definition.
    ///
    /// # Errors
    /// A map key that is not an index, an index given twice, a gap, or a name without a
    /// description.
    ///
    /// ```
    /// use effnet::labels::{LabelNames, LabelSet};
    /// let names = LabelNames::List(vec!["cat".into(), "dog".into()]);
    /// let labels = LabelSet::from_names(&names, None)?;
    /// assert_eq!(labels.get(1).unwrap().label, "dog");
    /// # Ok::<(), effnet::labels::LabelError>(())
    /// ```
    pub fn from_names(
        label_names: &LabelNames,
        label_descriptions: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, LabelError> {
        let rows = label_names
            .in_order()?
            .into_iter()
            .map(|name| {
                let description = label_descriptions
                    .map(|all| {
                        all.get(name)
                            .cloned()
                            .ok_or_else(|| LabelError::MissingDescription { name: name.to_owned() })
                    })
                    .transpose()?;
                Ok(OwnRow { name: name.to_owned(), description })
            })
            .collect::<Result<_, LabelError>>()?;
        Ok(Self(Rows::Own(rows)))
    }

    /// Puts a name for the negative class before the only name, the positive class's.
    fn with_complement(self) -> Self {
        let complement = self
            .get(0)
            .map(|only| OwnRow { name: format!("not {}", only.label), description: None });
        match self.0 {
            Rows::Own(rows) => Self(Rows::Own(complement.into_iter().chain(rows).collect())),
            imagenet @ Rows::Imagenet(_) => Self(imagenet),
        }
    }

    /// How many classes the list names.
    pub fn len(&self) -> usize {
        match &self.0 {
            Rows::Imagenet(rows) => rows.len(),
            Rows::Own(rows) => rows.len(),
        }
    }

    /// Whether the list names no class.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class at this index, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<Label<'_>> {
        match &self.0 {
            Rows::Imagenet(rows) => rows.get(index).map(|row| Label {
                synset: Some(row.synset),
                label: first_lemma(row.lemmas),
                lemmas: row.lemmas,
                definition: Some(row.definition),
            }),
            Rows::Own(rows) => rows.get(index).map(OwnRow::label),
        }
    }
}

impl OwnRow {
    fn label(&self) -> Label<'_> {
        let synset = is_synset(&self.name).then_some(self.name.as_str());
        match (synset, self.description.as_deref()) {
            (Some(_), Some(description)) => {
                let (lemmas, definition) = match description.split_once(": ") {
                    Some((lemmas, definition)) => (lemmas, Some(definition)),
                    None => (description, None),
                };
                Label { synset, label: first_lemma(lemmas), lemmas, definition }
            }
            (_, definition) => Label { synset, label: &self.name, lemmas: &self.name, definition },
        }
    }
}

/// The names of a model's classes: its own if it has them, otherwise those of the ImageNet subset
/// with as many classes, otherwise none (a class is then only an index). For a model with one
/// output the set has two classes: of two names the first is the negative class's; a single name is
/// the positive class's.
///
/// # Errors
/// [`LabelError::Count`] with both counts when the model's own names do not fit, and what
/// [`LabelSet::from_names`] refuses.
pub fn label_set_for(
    num_classes: usize,
    label_names: Option<&LabelNames>,
    label_descriptions: Option<&BTreeMap<String, String>>,
) -> Result<Option<LabelSet>, LabelError> {
    let Some(label_names) = label_names else {
        return Ok(Subset::from_num_classes(num_classes).map(LabelSet::imagenet));
    };
    let is_pair = num_classes == 1 && label_names.len() == 2;
    if label_names.len() != num_classes && !is_pair {
        return Err(LabelError::Count { names: label_names.len(), num_classes });
    }
    let mut set = LabelSet::from_names(label_names, label_descriptions)?;
    if num_classes == 1 && label_names.len() == 1 {
        set = set.with_complement();
    }
    Ok(Some(set))
}

fn first_lemma(lemmas: &str) -> &str {
    lemmas.split_once(", ").map_or(lemmas, |(first, _)| first)
}

fn is_synset(name: &str) -> bool {
    name.strip_prefix('n')
        .is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
}
