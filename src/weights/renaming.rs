use std::collections::HashMap;
use std::sync::Arc;

use glob::Pattern as Shell;

use super::layout::{Arrangement, Layout};

/// The classifier, which may have a background class.
const CLASSIFIER: [&str; 2] = ["classifier.weight", "classifier.bias"];

/// The names of one architecture's tensors in one convention, one to one.
#[derive(Clone, Debug)]
pub struct Renaming {
    convention: String,
    ignored: Vec<Shell>,
    /// In the architecture's order.
    tensors: Vec<MappedTensor>,
    /// Position in `tensors` by canonical name.
    by_canonical: HashMap<String, usize>,
    /// The prefix of every name in a file.
    prefix: String,
    /// The file's names of tensors that were folded into others.
    folded: Vec<String>,
}

/// A tensor by timm's name and by a library's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MappedTensor {
    /// timm's name.
    pub canonical: String,
    /// The library's name.
    pub foreign: String,
    /// The shape in timm.
    pub shape: Vec<usize>,
    /// The shape in the library's files.
    pub foreign_shape: Vec<usize>,
    layout: Option<Layout>,
    arrangement: Option<Arrangement>,
    /// The number of values of a background class, which come first and which timm does not have.
    background: usize,
    /// Its values in timm's layout, if they are made from several tensors of the file.
    made: Option<Arc<[f32]>>,
}

impl MappedTensor {
    /// `None` if the layout loses part of the shape.
    pub(crate) fn new(
        canonical: &str,
        shape: &[usize],
        foreign: String,
        layout: Option<&Layout>,
    ) -> Option<Self> {
        let (foreign_shape, arrangement) = arrange(layout, shape)?;
        Some(Self {
            canonical: canonical.to_owned(),
            foreign,
            shape: shape.to_owned(),
            foreign_shape,
            layout: layout.cloned(),
            arrangement,
            background: 0,
            made: None,
        })
    }

    /// The canonical values of a tensor. `stored` has as many values as `foreign_shape`, in
    /// row-major order.
    #[must_use]
    pub fn to_canonical(&self, stored: Vec<f32>) -> Vec<f32> {
        let mut values = match &self.arrangement {
            Some(arrangement) => arrangement.to_canonical(&stored),
            None => stored,
        };
        values.drain(..self.background.min(values.len()));
        values
    }

    /// The values as the library stores them. `canonical` has as many values as `shape`, in
    /// row-major order. There is no background class.
    #[must_use]
    pub fn to_foreign(&self, canonical: Vec<f32>) -> Vec<f32> {
        match &self.arrangement {
            Some(arrangement) => arrangement.to_stored(&canonical),
            None => canonical,
        }
    }

    /// The values in timm's layout, if they do not come from one tensor of the file alone.
    pub(crate) fn made(&self) -> Option<&[f32]> {
        self.made.as_deref()
    }

    fn with_background(&mut self) {
        let Some((classes, rest)) = self.shape.split_first() else { return };
        let mut shape = vec![classes + 1];
        shape.extend(rest);
        if let Some((foreign_shape, arrangement)) = arrange(self.layout.as_ref(), &shape) {
            self.background = rest.iter().product();
            (self.foreign_shape, self.arrangement) = (foreign_shape, arrangement);
        }
    }
}

fn arrange(layout: Option<&Layout>, shape: &[usize]) -> Option<(Vec<usize>, Option<Arrangement>)> {
    layout.map_or_else(|| Some((shape.to_owned(), None)), |layout| layout.arrange(shape))
}

impl Renaming {
    pub(crate) fn new(convention: String, ignored: Vec<Shell>, tensors: Vec<MappedTensor>) -> Self {
        let by_canonical =
            tensors.iter().enumerate().map(|(i, t)| (t.canonical.clone(), i)).collect();
        Self {
            convention,
            ignored,
            tensors,
            by_canonical,
            prefix: String::new(),
            folded: Vec::new(),
        }
    }

    /// The convention's name.
    pub fn convention(&self) -> &str {
        &self.convention
    }

    /// The same for a file whose classifier has a background class before the others; that class is
    /// left out.
    #[must_use]
    pub fn with_background_class(mut self) -> Self {
        let classifier = |t: &&mut MappedTensor| CLASSIFIER.contains(&t.canonical.as_str());
        self.tensors.iter_mut().filter(classifier).for_each(MappedTensor::with_background);
        self
    }

    /// The same without the first of the classifier's classes, a background class that the file
    /// has.
    #[must_use]
    pub(crate) fn without_first_class(mut self) -> Self {
        for canonical in CLASSIFIER {
            let tensor = self.by_canonical.get(canonical).map(|&i| &mut self.tensors[i]);
            if let Some(MappedTensor { shape, background, .. }) = tensor
                && let Some((classes, rest)) = shape.split_first_mut()
            {
                *background = rest.iter().product();
                *classes -= 1;
            }
        }
        self
    }

    /// The same for a file that has `prefix` before every name, such as `net.`.
    #[must_use]
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        for tensor in &mut self.tensors {
            tensor.foreign.insert_str(0, prefix);
        }
        self.prefix.insert_str(0, prefix);
        self
    }

    /// The same for a file whose names lack the library's `prefix`.
    #[must_use]
    pub(crate) fn without(mut self, prefix: &str) -> Self {
        for tensor in &mut self.tensors {
            if let Some(rest) = tensor.foreign.strip_prefix(prefix) {
                tensor.foreign = rest.to_owned();
            }
        }
        self
    }

    /// The prefix of every name of the network in the file.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same for a file whose classifier has these names, each with its shape. A linear layer
    /// may replace a 1x1 convolution, and vice versa.
    #[must_use]
    pub(crate) fn with_classifier(
        mut self,
        weight: (&str, &[usize]),
        bias: (&str, &[usize]),
    ) -> Self {
        let long = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
        for (canonical, (name, shape)) in CLASSIFIER.into_iter().zip([weight, bias]) {
            if let Some(&i) = self.by_canonical.get(canonical) {
                let tensor = &mut self.tensors[i];
                name.clone_into(&mut tensor.foreign);
                if long(shape) == long(&tensor.foreign_shape) {
                    shape.clone_into(&mut tensor.foreign_shape);
                }
            }
        }
        self
    }

    /// The same for a file whose classifier has these weights and biases, in timm's layout; the
    /// tensors named `folded` have been folded into them.
    #[must_use]
    pub(crate) fn with_folded(mut self, values: [Vec<f32>; 2], folded: Vec<String>) -> Self {
        for (canonical, values) in CLASSIFIER.into_iter().zip(values) {
            if let Some(&i) = self.by_canonical.get(canonical) {
                self.tensors[i].made = Some(values.into());
            }
        }
        self.folded = folded;
        self
    }

    /// The tensor of a canonical name, or `None` if the architecture has no such tensor.
    pub fn mapped(&self, canonical: &str) -> Option<&MappedTensor> {
        self.by_canonical.get(canonical).and_then(|&i| self.tensors.get(i))
    }

    /// The foreign name of a canonical one, or `None` if the architecture has no such tensor.
    pub fn foreign(&self, canonical: &str) -> Option<&str> {
        self.mapped(canonical).map(|t| t.foreign.as_str())
    }

    /// All tensors, in the architecture's order.
    pub fn tensors(&self) -> &[MappedTensor] {
        &self.tensors
    }

    /// Whether inference ignores a tensor of the library, given by its foreign name.
    pub fn ignores(&self, foreign: &str) -> bool {
        let inside = foreign.strip_prefix(&self.prefix);
        let is_ignored =
            inside.is_some_and(|name| self.ignored.iter().any(|pattern| pattern.matches(name)));
        is_ignored || self.folded.iter().any(|name| name == foreign)
    }
}
