/// Why a model's answer cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// A class activation map of a network with layers between the pool and the classifier.
    #[error(
        "{model} has layers between the pool and the classifier, so the map does not sum up to the logit: use the method grad-cam"
    )]
    NotLinear {
        /// The model.
        model: String,
    },
    /// A map that the network does not have.
    #[error("{model} has no map {map:?}: {known} are")]
    UnknownMap {
        /// The model.
        model: String,
        /// The name as it was given.
        map: String,
        /// The names that it has.
        known: String,
    },
    /// A class that the model does not have.
    #[error("{model} has no class {class:?}{}: give an index from 0 to {last}, a synset or a label", meant(.nearest.as_deref()))]
    UnknownClass {
        /// The model.
        model: String,
        /// The class as it was given.
        class: String,
        /// The most similar label, if one is similar.
        nearest: Option<String>,
        /// The last index.
        last: usize,
    },
    /// A label that several classes have.
    #[error("several classes of {model} are called {class:?}: give one of the indices {indices}")]
    AmbiguousClass {
        /// The model.
        model: String,
        /// The label.
        class: String,
        /// The classes.
        indices: String,
    },
    /// A class compared with itself.
    #[error("class {0} is compared with itself: name two classes")]
    SameClass(usize),
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean {nearest:?}?)")).unwrap_or_default()
}
