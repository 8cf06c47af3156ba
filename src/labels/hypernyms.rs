//! What classes are kinds of, by WordNet 3.0.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;

use super::{LabelError, LabelSet};

/// Every synset of ImageNet's lists and above them: id, first lemma, the synsets right above it.
static TABLE: &[u8] = include_bytes!("../../weights-map/labels/hypernyms.tsv.gz");

/// A synset that several classes belong to.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    synset: String,
    label: String,
    /// The classes, ascending.
    classes: Vec<usize>,
    /// The longest way down from the root.
    depth: usize,
}

/// A synset with the probability that the class is one of its kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rolled<'a> {
    /// WordNet id.
    pub synset: &'a str,
    /// Its first lemma.
    pub label: &'a str,
    /// How many classes are kinds of it.
    pub classes: usize,
    /// The sum of their probabilities.
    pub probability: f32,
}

/// The synsets above a list of classes.
///
/// A synset counts as an answer if it covers at least two classes and at most half of them: that
/// everything is an entity says nothing.
///
/// ```
/// use effnet::labels::{LabelSet, RollUp, Subset};
/// let roll_up = RollUp::new(&LabelSet::imagenet(Subset::Imagenet1k))?;
/// let mut probabilities = vec![0.0; 1000];
/// (probabilities[205], probabilities[208], probabilities[281]) = (0.5, 0.47, 0.03);
/// let dog = roll_up.answer(&probabilities, 0.9).unwrap();
/// assert_eq!((dog.synset, dog.label, dog.probability), ("n02099029", "retriever", 0.97));
/// let pet = roll_up.answer(&probabilities, 0.99).unwrap();
/// assert_eq!((pet.label, pet.classes), ("domestic animal", 123));
/// # Ok::<(), effnet::labels::LabelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RollUp {
    /// The most specific first.
    groups: Vec<Group>,
}

impl RollUp {
    /// For these classes.
    ///
    /// # Errors
    ///
    /// A class that is not a synset of ImageNet's lists.
    pub fn new(labels: &LabelSet) -> Result<Self, LabelError> {
        let text = table();
        let mut above: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let mut field = || fields.next().unwrap_or_default();
            let (synset, label) = (field(), field());
            above.insert(synset, (label, field().split_whitespace().collect()));
        }
        let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for class in 0..labels.len() {
            let label = labels.get(class);
            let known = label.and_then(|label| above.get_key_value(label.synset?));
            let Some((&synset, _)) = known else {
                let name = label.map_or_else(String::new, |label| label.label.to_owned());
                return Err(LabelError::NotASynset { class, name });
            };
            let (mut found, mut waiting) = (BTreeSet::new(), vec![synset]);
            while let Some(synset) = waiting.pop() {
                if found.insert(synset) {
                    classes.entry(synset).or_default().push(class);
                    waiting.extend(above.get(synset).map(|(_, above)| above).into_iter().flatten());
                }
            }
        }
        let (mut groups, mut depths) = (Vec::new(), BTreeMap::new());
        for (synset, classes) in classes {
            if classes.len() > 1 && 2 * classes.len() <= labels.len() {
                let label = above.get(synset).map_or("", |(label, _)| label).to_owned();
                let depth = depth(synset, &above, &mut depths);
                groups.push(Group { synset: synset.to_owned(), label, classes, depth });
            }
        }
        groups.sort_by_key(|group| (group.classes.len(), std::cmp::Reverse(group.depth)));
        Ok(Self { groups })
    }

    /// The most specific synset with at least this probability: the one with the fewest classes, of
    /// several the most probable, of equal ones the deepest. `None` if there is none.
    #[must_use]
    pub fn answer(&self, probabilities: &[f32], least: f32) -> Option<Rolled<'_>> {
        let mut best: Option<Rolled<'_>> = None;
        for group in &self.groups {
            if best.is_some_and(|best| best.classes < group.classes.len()) {
                break;
            }
            let rolled = group.rolled(probabilities);
            let is_better = best.is_none_or(|best| rolled.probability > best.probability);
            if rolled.probability >= least && is_better {
                best = Some(rolled);
            }
        }
        best
    }
}

impl Group {
    fn rolled(&self, probabilities: &[f32]) -> Rolled<'_> {
        let of_class = |&class: &usize| probabilities.get(class).copied().map_or(0.0, f64::from);
        let sum: f64 = self.classes.iter().map(of_class).sum();
        Rolled {
            synset: &self.synset,
            label: &self.label,
            classes: self.classes.len(),
            // Rounding can carry a sum of all probabilities beyond 1.
            probability: sum.min(1.0) as f32,
        }
    }
}

/// The longest way from the root to a synset.
fn depth<'a>(
    synset: &'a str,
    above: &BTreeMap<&'a str, (&'a str, Vec<&'a str>)>,
    known: &mut BTreeMap<&'a str, usize>,
) -> usize {
    if let Some(depth) = known.get(synset) {
        return *depth;
    }
    let hypernyms = above.get(synset).map(|(_, above)| above.as_slice()).unwrap_or_default();
    let depths = hypernyms.iter().map(|hypernym| depth(hypernym, above, known) + 1);
    let deepest = depths.max().unwrap_or(0);
    known.insert(synset, deepest);
    deepest
}

/// Inflates the table.
///
/// # Panics
/// If the bytes in the program are damaged: they are constants, and a test reads them.
#[allow(clippy::expect_used)]
fn table() -> String {
    let mut text = String::new();
    let read = GzDecoder::new(TABLE).read_to_string(&mut text);
    read.expect("the table of hypernyms in the program is gzip of UTF-8");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{LabelNames, Subset};

    fn imagenet() -> RollUp {
        RollUp::new(&LabelSet::imagenet(Subset::Imagenet1k)).unwrap()
    }

    /// Probabilities that look random.
    fn probabilities(seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1 << 24) * 12.0).exp()
        };
        let values: Vec<f64> = (0..1000).map(|_| next()).collect();
        let total: f64 = values.iter().sum();
        values.iter().map(|value| (value / total) as f32).collect()
    }

    /// `generate_hypernyms.py` counts the same with its own walk.
    #[test]
    fn the_table_is_wordnets() {
        let golden = include_str!("../../tests/parity/pretrained/hypernyms.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let (text, groups) = (table(), imagenet().groups);
        assert_eq!(text.lines().count() as u64, golden["synsets"].as_u64().unwrap());
        let edges: usize =
            text.lines().map(|l| l.rsplit('\t').next().unwrap().split_whitespace().count()).sum();
        assert_eq!(edges as u64, golden["edges"].as_u64().unwrap());
        for (synset, row) in golden["spot"].as_object().unwrap() {
            let (label, classes) = (row[0].as_str().unwrap(), row[1].as_u64().unwrap() as usize);
            let group = groups.iter().find(|group| group.synset == *synset);
            // What covers more than half is no answer.
            assert_eq!(group.is_some(), classes <= 500, "{label}");
            if let Some(group) = group {
                assert_eq!((group.label.as_str(), group.classes.len()), (label, classes));
            }
        }
    }

    #[test]
    fn probabilities_are_sums_and_grow_on_the_way_up() {
        let roll_up = imagenet();
        for seed in 0..20 {
            let p = probabilities(seed);
            for below in &roll_up.groups {
                let sum: f64 = below.classes.iter().map(|&class| f64::from(p[class])).sum();
                let rolled = below.rolled(&p).probability;
                assert!((f64::from(rolled) - sum).abs() < 1e-6);
                let is_above = |above: &&Group| {
                    below.classes.iter().all(|class| above.classes.binary_search(class).is_ok())
                };
                for above in roll_up.groups.iter().filter(is_above) {
                    assert!(above.rolled(&p).probability >= rolled - 1e-6);
                }
            }
        }
    }

    /// No synset with fewer classes has the probability.
    #[test]
    fn the_answer_is_the_most_specific() {
        let roll_up = imagenet();
        for (seed, least) in (0..20).zip([0.2, 0.4, 0.6, 0.8].into_iter().cycle()) {
            let p = probabilities(seed);
            let answer = roll_up.answer(&p, least);
            let enough = roll_up.groups.iter().filter(|g| g.rolled(&p).probability >= least);
            assert_eq!(answer.map(|a| a.classes), enough.map(|g| g.classes.len()).min());
        }
    }

    #[test]
    fn classes_that_are_not_synsets_are_refused() {
        let names = LabelNames::List(["n02084071", "rose"].map(str::to_owned).to_vec());
        let error = RollUp::new(&LabelSet::from_names(&names, None).unwrap()).unwrap_err();
        assert!(matches!(error, LabelError::NotASynset { class: 1, .. }), "{error}");
    }
}
