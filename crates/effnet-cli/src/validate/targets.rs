//! The class of each image, by what its data set calls it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use effnet::evaluation::Named;
use effnet::labels::{ClassMap, Label, PartialImagenet, parse_valid_labels};
use effnet::sources::Sample;
use effnet::unstable::file_name;
use effnet::{Classifier, Labelled};

use super::super::Usage;
use super::super::output::complain;
use super::samples::{DataArgs, Kind, Labels};

/// Which classes there are, and what they are called.
#[derive(Debug, Args)]
#[command(next_help_heading = "Classes")]
pub(super) struct TargetArgs {
    /// File that says which folders or labels are which classes: one name per line in class order, or
    /// JSON of name to index
    #[arg(long, value_name = "FILE")]
    class_map: Option<PathBuf>,
    /// Answers are chosen only from the classes of this file, one index per line; the folders are
    /// these classes
    #[arg(long, value_name = "FILE", conflicts_with = "subset")]
    valid_labels: Option<PathBuf>,
    /// Answers are chosen only from the classes of this part of ImageNet
    #[arg(long, value_enum, value_name = "NAME")]
    subset: Option<SubsetName>,
    /// ImageNet's ReaL labels (real.json): accuracy against all classes that are right
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subset", "valid_labels"])]
    real_labels: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SubsetName {
    /// 200 classes, arXiv:1907.07174
    ImagenetA,
    /// 200 classes, arXiv:2006.16241
    ImagenetR,
    /// 100 classes
    MiniImagenet,
}

impl TargetArgs {
    /// Whether answers are chosen from some of the classes.
    pub(super) fn is_partial(&self) -> bool {
        self.valid_labels.is_some() || self.subset.is_some()
    }

    /// The classes that answers are chosen from, if not all.
    pub(super) fn valid(&self, classifier: &Classifier) -> Result<Option<Vec<usize>>> {
        let classes = classifier.num_classes();
        if let Some(file) = &self.valid_labels {
            let valid = parse_valid_labels(&text(file)?, classes);
            return Ok(Some(valid.map_err(|e| at("--valid-labels", file, &e))?));
        }
        let Some(subset) = self.subset else { return Ok(None) };
        let subset = match subset {
            SubsetName::ImagenetA => PartialImagenet::ImagenetA,
            SubsetName::ImagenetR => PartialImagenet::ImagenetR,
            SubsetName::MiniImagenet => PartialImagenet::MiniImagenet,
        };
        if classes != 1000 {
            let name = subset.name();
            let says = format!(
                "--subset {name} is a part of ImageNet-1k, and the model has {classes} classes"
            );
            return Err(Usage(says).into());
        }
        Ok(Some(subset.classes()))
    }

    /// Reads what all labels of a data set mean.
    pub(super) fn targets(&self, data: &DataArgs, classes: &[Named]) -> Result<Targets> {
        let real = self.real_labels.as_deref().map(|file| Real::read(file, classes.len()));
        let real = real.transpose()?;
        let Labels { labels, kind } = data.labels(|sample| match &real {
            Some(real) => real.of(&sample.name).map(drop),
            None => Ok(()),
        })?;
        let map = self.map(&labels, kind, classes)?;
        if let Some(note) = map.note() {
            complain(&format!("note: {note}"));
        }
        if !labels.iter().any(|label| map.get(label).is_some()) {
            return Err(Usage("the class map has none of the labels".to_owned()).into());
        }
        Ok(Targets { map, real, left_out: BTreeMap::new() })
    }

    fn map(&self, labels: &BTreeSet<String>, kind: Kind, classes: &[Named]) -> Result<ClassMap> {
        if let Some(file) = &self.class_map {
            if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("pkl")) {
                let says = "--class-map: a pickle; write it as JSON in Python: import json, pickle; \
                            json.dump(pickle.load(open('map.pkl', 'rb')), open('map.json', 'w'))";
                return Err(Usage(says.to_owned()).into());
            }
            let map = ClassMap::parse(&text(file)?, classes.len());
            return Ok(map.map_err(|e| at("--class-map", file, &e))?);
        }
        let known: Vec<Option<Label<'_>>> = classes.iter().map(label).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let map = match kind {
            Kind::Folders => ClassMap::of_folders(&labels, &known),
            Kind::Column => ClassMap::of_labels(&labels, &known),
        };
        Ok(map.map_err(|error| Usage(format!("{error}: --class-map FILE")))?)
    }
}

/// What the labels of a data set mean.
pub(super) struct Targets {
    map: ClassMap,
    real: Option<Real>,
    /// How many images have a label that the class map leaves out.
    left_out: BTreeMap<String, usize>,
}

impl Targets {
    /// An image with its class. One whose label a class map leaves out is left out, as in timm.
    pub(super) fn labelled(&mut self, sample: Sample, label: String) -> Option<Labelled<Sample>> {
        let Some(target) = self.map.get(&label) else {
            *self.left_out.entry(label).or_default() += 1;
            return None;
        };
        // Names were checked when the labels were read.
        let real = self.real.as_ref().and_then(|real| real.of(&sample.name).ok());
        Some(Labelled { name: sample.name.clone(), image: sample, target, real })
    }

    /// Says what was left out.
    pub(super) fn tell_left_out(&self) {
        if self.left_out.is_empty() {
            return;
        }
        let images: usize = self.left_out.values().sum();
        let names: Vec<&str> = self.left_out.keys().take(5).map(String::as_str).collect();
        let (names, n) = (names.join(", "), self.left_out.len());
        complain(&format!(
            "note: the class map does not have {n} of the labels, so {images} images are left out: {names}"
        ));
    }
}

fn label(class: &Named) -> Option<Label<'_>> {
    let synset = class.synset.as_deref();
    let label = class.label.as_deref().or(synset)?;
    Some(Label { synset, label, lemmas: label, definition: None })
}

fn at(option: &str, file: &Path, error: &dyn std::fmt::Display) -> Usage {
    Usage(format!("{option}: {}: {error}", file_name(file)))
}

/// A text file of a size that lists have.
fn text(path: &Path) -> Result<String> {
    const MAX_BYTES: u64 = 64 << 20;
    let about = || file_name(path);
    let mut text = String::new();
    let file = File::open(path).with_context(about)?;
    file.take(MAX_BYTES).read_to_string(&mut text).with_context(about)?;
    Ok(text)
}

/// All classes that are right for each image of ImageNet's validation set, by its number.
struct Real(Vec<Vec<usize>>);

impl Real {
    fn read(file: &Path, classes: usize) -> Result<Self> {
        let wrong = |says: &dyn std::fmt::Display| at("--real-labels", file, says);
        let lists: Vec<Vec<usize>> = serde_json::from_str(&text(file)?).map_err(|e| wrong(&e))?;
        match lists.iter().flatten().find(|class| **class >= classes) {
            Some(class) => Err(wrong(&format!("class {class} of {classes}")).into()),
            None => Ok(Self(lists)),
        }
    }

    /// The classes of an image, whose name says its number.
    fn of(&self, name: &str) -> Result<Vec<usize>> {
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        let number = stem.strip_prefix("ILSVRC2012_val_").and_then(|n| n.parse::<usize>().ok());
        let list = number.and_then(|number| self.0.get(number.checked_sub(1)?));
        let says = || {
            let images = self.0.len();
            Usage(format!(
                "--real-labels: {name} is not named ILSVRC2012_val_N.JPEG with a number up to {images}"
            ))
        };
        Ok(list.ok_or_else(says)?.clone())
    }
}
