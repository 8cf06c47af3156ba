//! From what a data set calls its classes to the classes of a model.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Label, LabelError, LabelNames};

/// The classes that a data set's folders or labels mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMap {
    classes: BTreeMap<String, usize>,
    /// What a user may want to know about the choice.
    note: Option<String>,
}

impl ClassMap {
    /// The class of a name, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<usize> {
        self.classes.get(name).copied()
    }

    /// What a user may want to know: how the names were understood, if not as timm does.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The names that the map has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }

    /// What folders mean that are named after classes, like those of timm's `ImageFolder`.
    ///
    /// 1. If every folder has the name of one of the model's classes (its synset, or its label with
    ///    any case and with `_` for spaces), these are the classes.
    /// 2. If there are as many folders as classes, they are the classes in natural order (`2` before
    ///    `10`), as in timm.
    /// 3. If all are numbers, these are the classes' indices.
    ///
    /// `classes` are what is known of the model's classes.
    ///
    /// # Errors
    ///
    /// [`LabelError::UnknownClasses`] with the names that mean no class.
    ///
    /// ```
    /// use effnet::labels::{ClassMap, LabelSet, Subset};
    /// let labels = LabelSet::imagenet(Subset::Imagenet1k);
    /// let classes: Vec<_> = (0..1000).map(|class| labels.get(class)).collect();
    /// let map = ClassMap::of_folders(&["n07920052", "tabby"], &classes)?;
    /// assert_eq!((map.get("n07920052"), map.get("tabby")), (Some(967), Some(281)));
    /// let two = ClassMap::of_folders(&["b10", "b9"], &[None, None])?;
    /// assert_eq!((two.get("b9"), two.get("b10")), (Some(0), Some(1)));
    /// # Ok::<(), effnet::labels::LabelError>(())
    /// ```
    pub fn of_folders(
        folders: &[impl AsRef<str>],
        classes: &[Option<Label<'_>>],
    ) -> Result<Self, LabelError> {
        let mut folders: Vec<&str> = folders.iter().map(AsRef::as_ref).collect();
        folders.sort_by_cached_key(|name| natural_key(name));
        let in_order: BTreeMap<String, usize> =
            folders.iter().enumerate().map(|(i, name)| ((*name).to_owned(), i)).collect();
        let named = by_name(&folders, classes);
        if let Ok(by_name) = &named {
            let differ = by_name.iter().filter(|(name, class)| in_order.get(*name) != Some(*class));
            let note = match differ.count() {
                0 => None,
                n => Some(format!(
                    "the folders are named as the model's classes, which they are here; timm takes \
                     their order, and would differ for {n} of {}: give it a class map",
                    folders.len()
                )),
            };
            return Ok(Self { classes: by_name.clone(), note });
        }
        if folders.len() == classes.len() {
            return Ok(Self { classes: in_order, note: None });
        }
        let note = format!(
            "{} folders for {} classes: their names are the classes' indices",
            folders.len(),
            classes.len()
        );
        by_number(&folders, classes.len())
            .map(|classes| Self { classes, note: Some(note) })
            .or_else(|_| named.map(|classes| Self { classes, note: None }))
    }

    /// What labels mean that are written beside images: indices, or names as in
    /// [`of_folders`](Self::of_folders).
    ///
    /// # Errors
    ///
    /// [`LabelError::UnknownClasses`] with the labels that mean no class.
    pub fn of_labels(
        labels: &[impl AsRef<str>],
        classes: &[Option<Label<'_>>],
    ) -> Result<Self, LabelError> {
        let labels: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
        let classes = by_number(&labels, classes.len()).or_else(|_| by_name(&labels, classes))?;
        Ok(Self { classes, note: None })
    }

    /// A file that says it: a JSON map of name to index, which may leave indices out, or any form of
    /// [`LabelNames::parse`], such as timm's one name per line.
    ///
    /// # Errors
    ///
    /// What `LabelNames::parse` refuses, or an index that is not below `num_classes`.
    pub fn parse(text: &str, num_classes: usize) -> Result<Self, LabelError> {
        let classes = match serde_json::from_str(text) {
            Ok(Value::Object(map)) if map.values().all(Value::is_u64) => {
                let index =
                    |value: Value| value.as_u64().map_or(usize::MAX, |index| index as usize);
                map.into_iter().map(|(name, value)| (name, index(value))).collect()
            }
            _ => {
                let names = LabelNames::parse(text)?;
                let names = names.in_order()?.into_iter().map(str::to_owned);
                names.enumerate().map(|(index, name)| (name, index)).collect::<BTreeMap<_, _>>()
            }
        };
        if let Some((name, index)) = classes.iter().find(|(_, index)| **index >= num_classes) {
            let reason = format!("{name:?} has index {index}, and there are {num_classes} classes");
            return Err(LabelError::File { line: 1, reason });
        }
        Ok(Self { classes, note: None })
    }
}

/// The classes of names that are numbers.
fn by_number(names: &[&str], classes: usize) -> Result<BTreeMap<String, usize>, LabelError> {
    let number = |name: &str| {
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        name.parse().ok().filter(|class| is_number && *class < classes)
    };
    all(names, classes, number)
}

/// The classes with these names.
fn by_name(
    names: &[&str],
    classes: &[Option<Label<'_>>],
) -> Result<BTreeMap<String, usize>, LabelError> {
    let plain = |name: &str| name.to_lowercase().replace('_', " ");
    // `None` where two classes have the same name.
    let mut known: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for (class, label) in classes.iter().enumerate() {
        let Some(label) = label else { continue };
        let mut own = vec![plain(label.label), plain(label.lemmas)];
        own.extend(label.synset.map(plain));
        own.sort();
        own.dedup();
        for name in own {
            known.entry(name).and_modify(|class| *class = None).or_insert(Some(class));
        }
    }
    all(names, classes.len(), |name| known.get(&plain(name)).copied().flatten())
}

/// A class for each name, or the names without one.
fn all(
    names: &[&str],
    num_classes: usize,
    class: impl Fn(&str) -> Option<usize>,
) -> Result<BTreeMap<String, usize>, LabelError> {
    /// A message lists this many.
    const LISTED: usize = 10;
    let unknown: Vec<&str> = names.iter().copied().filter(|name| class(name).is_none()).collect();
    if !unknown.is_empty() {
        let mut list = unknown.iter().take(LISTED).map(|n| format!("{n:?}")).collect::<Vec<_>>();
        if unknown.len() > LISTED {
            list.push(format!("and {} more", unknown.len() - LISTED));
        }
        return Err(LabelError::UnknownClasses {
            names: list.join(", "),
            unknown: unknown.len(),
            found: names.len(),
            num_classes,
        });
    }
    Ok(names.iter().filter_map(|name| Some(((*name).to_owned(), class(name)?))).collect())
}

/// timm's order of folders: case does not matter, and numbers in names are compared as numbers.
fn natural_key(name: &str) -> Vec<Part> {
    let name = name.to_lowercase();
    let (mut parts, mut rest) = (Vec::new(), name.as_str());
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (digits, after) = after.split_at(end);
        let significant = digits.trim_start_matches('0');
        let number = (!digits.is_empty()).then(|| (significant.len(), significant.to_owned()));
        parts.push(Part { text: text.to_owned(), number });
        rest = after;
    }
    parts
}

/// Text and the number after it: how many digits, and these. Its order is a number's, of any size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    text: String,
    number: Option<(usize, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{LabelSet, Subset};

    fn named(names: &[&str]) -> LabelSet {
        let names = LabelNames::List(names.iter().map(|name| (*name).to_owned()).collect());
        LabelSet::from_names(&names, None).unwrap()
    }

    fn classes(labels: &LabelSet) -> Vec<Option<Label<'_>>> {
        (0..labels.len()).map(|class| labels.get(class)).collect()
    }

    /// `sorted(names, key=timm.utils.natural_key)`.
    #[test]
    fn folders_are_sorted_as_timm_does() {
        let mut names =
            ["10", "9", "b2", "B10", "b", "a01", "a1b", "a0", "a", "class 007", "class 12", "_x"];
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(
            names,
            ["9", "10", "_x", "a", "a0", "a01", "a1b", "b", "b2", "B10", "class 007", "class 12"]
        );
    }

    #[test]
    fn as_many_folders_as_classes_are_taken_in_order() {
        let map = ClassMap::of_folders(&["x10", "x9", "x1"], &[None; 3]).unwrap();
        assert_eq!(["x1", "x9", "x10"].map(|name| map.get(name)), [Some(0), Some(1), Some(2)]);
        assert_eq!(map.note(), None);
    }

    /// The model's order is not the folders': names are right, and timm's answer would not be.
    #[test]
    fn names_decide_where_the_order_says_something_else() {
        let labels = named(&["dog", "Fluffy_cat"]);
        let map = ClassMap::of_folders(&["fluffy cat", "dog"], &classes(&labels)).unwrap();
        assert_eq!((map.get("dog"), map.get("fluffy cat")), (Some(0), Some(1)));
        assert_eq!(map.note(), None, "the order is the same");
        let labels = named(&["dog", "cat"]);
        let map = ClassMap::of_folders(&["cat", "dog"], &classes(&labels)).unwrap();
        assert_eq!((map.get("dog"), map.get("cat")), (Some(0), Some(1)));
        assert!(map.note().unwrap().contains("2 of 2"), "{:?}", map.note());
    }

    #[test]
    fn numbers_are_indices_if_there_are_fewer_than_classes() {
        let map = ClassMap::of_folders(&["3", "007"], &[None; 10]).unwrap();
        assert_eq!((map.get("3"), map.get("007")), (Some(3), Some(7)));
        assert!(map.note().unwrap().contains("2 folders for 10 classes"));
        ClassMap::of_folders(&["3", "10"], &[None; 10]).unwrap_err();
    }

    #[test]
    fn names_without_a_class_are_listed() {
        let labels = LabelSet::imagenet(Subset::Imagenet1k);
        let error = ClassMap::of_folders(&["tabby", "my cat"], &classes(&labels)).unwrap_err();
        assert!(error.to_string().contains("\"my cat\""), "{error}");
        // Two classes are cranes.
        let error = ClassMap::of_labels(&["crane"], &classes(&labels)).unwrap_err();
        assert!(error.to_string().contains("\"crane\""), "{error}");
        let many: Vec<String> = (0..12).map(|n| format!("x{n}")).collect();
        let error = ClassMap::of_labels(&many, &classes(&labels)).unwrap_err().to_string();
        assert!(error.contains("and 2 more"), "{error}");
    }

    #[test]
    fn a_class_map_is_json_or_lines() {
        let json = ClassMap::parse(r#"{"a": 3, "b": 0}"#, 4).unwrap();
        assert_eq!((json.get("a"), json.get("b"), json.get("c")), (Some(3), Some(0), None));
        let lines = ClassMap::parse("b\na\n", 4).unwrap();
        assert_eq!((lines.get("a"), lines.get("b")), (Some(1), Some(0)));
        ClassMap::parse(r#"{"a": 4}"#, 4).unwrap_err();
    }
}
