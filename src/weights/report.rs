use std::fmt;

/// How many findings of a kind are printed, and for how many the nearest name is searched.
const LISTED: usize = 12;

/// How many names are compared in the search for the nearest one, and how long they may be: a
/// hostile file can have a hundred thousand long ones.
const COMPARED: usize = 1024;
const COMPARED_LENGTH: usize = 128;

/// What a successful [`check`](super::check) found. Nothing is missing, unexpected or misshapen, or it
/// would have been an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The checkpoint's file.
    pub file: String,
    /// The convention whose names the file uses, if it was renamed.
    pub convention: Option<String>,
    /// The model's tensors, by timm's names, in the order in which the model asked for them.
    pub applied: Vec<String>,
    /// Tensors of the file that inference does not need, such as `num_batches_tracked`.
    pub ignored: Vec<String>,
}

/// All differences between the tensors of a file and those of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The checkpoint's file.
    pub file: String,
    /// How many tensors fit.
    pub applied: usize,
    /// Tensors of the model that the file lacks, in the order in which the model asks for them.
    pub missing: Vec<Missing>,
    /// Tensors of the file that the model has no place for, in the file's order.
    pub unexpected: Vec<Unexpected>,
    /// Tensors whose shapes differ, in the order in which the model asks for them.
    pub misshapen: Vec<Misshapen>,
}

/// A tensor of the model that the file lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// timm's name.
    pub name: String,
    /// The name looked for in the file; differs from `name` if a convention renames it.
    pub looked_for: String,
    /// The most similar name among the unexpected ones; searched for the first dozen only.
    pub nearest: Option<String>,
}

/// A tensor of the file that the model has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unexpected {
    /// The name in the file.
    pub name: String,
    /// The most similar name among the missing ones; searched for the first dozen only.
    pub nearest: Option<String>,
}

/// A tensor with the right name but another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misshapen {
    /// timm's name.
    pub name: String,
    /// The shape in the file.
    pub found: Vec<usize>,
    /// The shape that the model asked for.
    pub expected: Vec<usize>,
}

impl Mismatch {
    /// No differences yet.
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            applied: 0,
            missing: Vec::new(),
            unexpected: Vec::new(),
            misshapen: Vec::new(),
        }
    }

    /// How many tensors differ.
    pub(crate) fn findings(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.misshapen.len()
    }

    /// Fills in the nearest names of both sides.
    pub(crate) fn find_nearest(&mut self) {
        for missing in self.missing.iter_mut().take(LISTED) {
            let names = self.unexpected.iter().map(|u| u.name.as_str());
            missing.nearest = nearest(&missing.looked_for, names);
        }
        for unexpected in self.unexpected.iter_mut().take(LISTED) {
            let names = self.missing.iter().map(|m| m.looked_for.as_str());
            unexpected.nearest = nearest(&unexpected.name, names);
        }
    }

    /// The number of classes in the file and in the model, if all that differs is the classifier.
    pub fn num_classes(&self) -> Option<(usize, usize)> {
        let bias = self.misshapen.iter().find(|m| m.name == "classifier.bias")?;
        let (&[found], &[expected]) = (bias.found.as_slice(), bias.expected.as_slice()) else {
            return None;
        };
        let only = self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.misshapen.iter().all(|other| other.is_classifier_of(found, expected));
        only.then_some((found, expected))
    }

    fn remedy(&self) -> &'static str {
        let classifier_of_file = self.unexpected.iter().all(|u| u.name.starts_with("classifier."));
        if self.applied == 0 {
            "the file is another network's, or names its tensors by another convention"
        } else if self.missing.is_empty() && self.misshapen.is_empty() && classifier_of_file {
            "the file has a classifier and the model was built with num_classes 0"
        } else {
            "name the architecture that the file was made for"
        }
    }
}

impl Missing {
    pub(crate) fn new(name: &str, looked_for: &str) -> Self {
        Self { name: name.to_owned(), looked_for: looked_for.to_owned(), nearest: None }
    }
}

impl Unexpected {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), nearest: None }
    }
}

impl Misshapen {
    pub(crate) fn new(name: &str, found: &[usize], expected: &[usize]) -> Self {
        Self { name: name.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
    }

    /// Whether this is the classifier, and its shapes differ only in the number of classes, on
    /// whichever axis.
    fn is_classifier_of(&self, found: usize, expected: usize) -> bool {
        let is_classifier = matches!(self.name.as_str(), "classifier.weight" | "classifier.bias");
        let mut differing = self.found.iter().zip(&self.expected).filter(|(a, b)| a != b);
        is_classifier
            && self.found.len() == self.expected.len()
            && differing.next() == Some((&found, &expected))
            && differing.next().is_none()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        if let Some((found, expected)) = self.num_classes() {
            return write!(
                f,
                "{file}: its classifier has {found} classes, the model was built for {expected}: \
                 set num_classes to {found}"
            );
        }
        write!(
            f,
            "{file}: not this model's tensors: {} missing, {} unexpected, {} misshapen, {} fit: {}",
            self.missing.len(),
            self.unexpected.len(),
            self.misshapen.len(),
            self.applied,
            self.remedy()
        )?;
        list(f, &self.missing, |f, m| {
            write!(f, "missing `{}`", m.name)?;
            if m.name != m.looked_for {
                write!(f, " (`{}` in the file)", m.looked_for)?;
            }
            did_you_mean(f, m.nearest.as_deref(), "the file has")
        })?;
        list(f, &self.unexpected, |f, u| {
            write!(f, "unexpected `{}`", u.name)?;
            did_you_mean(f, u.nearest.as_deref(), "the model has")
        })?;
        list(f, &self.misshapen, |f, m| {
            write!(
                f,
                "misshapen `{}`: {:?} in the file, {:?} in the model",
                m.name, m.found, m.expected
            )
        })
    }
}

impl std::error::Error for Mismatch {}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    findings: &[T],
    write_one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for finding in findings.iter().take(LISTED) {
        f.write_str("\n  ")?;
        write_one(f, finding)?;
    }
    match findings.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, name: Option<&str>, side: &str) -> fmt::Result {
    name.map_or(Ok(()), |name| write!(f, "; {side} `{name}`"))
}

/// The most similar of `names`, if one is at least half alike. The work is bounded for any names.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > COMPARED_LENGTH {
        return None;
    }
    names
        .take(COMPARED)
        .filter(|other| other.len() <= COMPARED_LENGTH)
        .map(|other| (strsim::normalized_levenshtein(name, other), other))
        .filter(|(likeness, _)| *likeness >= 0.5)
        // Of equally similar names the first wins.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, other)| other.to_owned())
}
