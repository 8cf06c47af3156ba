//! What a file says about its model besides the tensors.

use serde_json::{Map, Value};

use super::tensor_table::{MAX_NAME, excerpt};
use crate::labels::ClassifierActivation;

/// Something that a file says, and where it says it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Said<T> {
    /// What it says.
    pub value: T,
    /// Where: the keys that lead there, such as `args.model`.
    pub place: String,
}

/// What a file says about its model besides the tensors: in a training script's arguments, in the
/// `__metadata__` of safetensors, or in Keras's description.
///
/// None of it has been compared with the tensors, which may say otherwise. Texts are short and
/// without control characters; numbers are in the given ranges.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Declared {
    /// Names of the architecture, the nearest to the tensors first. Some may be unknown: scripts
    /// also put the names of their classes there.
    pub architectures: Vec<Said<String>>,
    /// The convention of the tensors' names, which `effnet convert` writes.
    pub convention: Option<Said<String>>,
    /// The number of classes, from 1 to 2^20.
    pub num_classes: Option<Said<usize>>,
    /// The number of input channels, from 1 to 4096.
    pub in_chans: Option<Said<usize>>,
    /// Channels, height and width of the input, each from 1 to 65536.
    pub input_size: Option<Said<[usize; 3]>>,
    /// Height and width of the input, from 1 to 65536.
    pub img_size: Option<Said<usize>>,
    /// The size that images have before the crop, from 1 to 65536 (torchvision's `val_resize_size`).
    pub resize_size: Option<Said<usize>>,
    /// What is subtracted from each channel of images from 0 to 1.
    pub mean: Option<Said<Vec<f64>>>,
    /// What each channel is divided by; more than 0.
    pub std: Option<Said<Vec<f64>>>,
    /// The part of an image's shorter side that is kept; more than 0, at most 1.
    pub crop_pct: Option<Said<f64>>,
    /// How images are resized, in the words of the script.
    pub interpolation: Option<Said<String>>,
    /// What is added to the variances of batch norms; more than 0.
    pub bn_eps: Option<Said<f64>>,
    /// The names of the classes, in the order of the model's outputs; at most 2^17.
    pub classes: Option<Said<Vec<String>>>,
    /// What the last layer's values go through.
    pub activation: Option<Said<ClassifierActivation>>,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Architecture,
    Convention,
    NumClasses,
    InChans,
    InputSize,
    ImgSize,
    ResizeSize,
    Mean,
    Std,
    CropPct,
    Interpolation,
    BnEps,
    /// A list of names, a map of index to name, or a map of name to index.
    Classes,
}

/// The keys that are read: timm's, torchvision's, Lightning's and customary ones. Of several with
/// one meaning, the first that gives a value counts.
const FIELDS: [(&str, Field); 49] = [
    ("architecture", Field::Architecture),
    ("arch", Field::Architecture),
    ("model_name", Field::Architecture),
    ("model", Field::Architecture),
    ("model_arch", Field::Architecture),
    ("backbone", Field::Architecture),
    ("backbone_name", Field::Architecture),
    ("encoder", Field::Architecture),
    ("encoder_name", Field::Architecture),
    ("base_model", Field::Architecture),
    ("net", Field::Architecture),
    ("network", Field::Architecture),
    ("name", Field::Architecture),
    ("convention", Field::Convention),
    ("num_classes", Field::NumClasses),
    ("n_classes", Field::NumClasses),
    ("num_class", Field::NumClasses),
    ("nb_classes", Field::NumClasses),
    ("num_labels", Field::NumClasses),
    ("in_chans", Field::InChans),
    ("in_channels", Field::InChans),
    ("input_size", Field::InputSize),
    ("img_size", Field::ImgSize),
    ("image_size", Field::ImgSize),
    ("val_crop_size", Field::ImgSize),
    ("val_resize_size", Field::ResizeSize),
    ("mean", Field::Mean),
    ("std", Field::Std),
    ("crop_pct", Field::CropPct),
    ("interpolation", Field::Interpolation),
    ("bn_eps", Field::BnEps),
    ("class_names", Field::Classes),
    ("classes", Field::Classes),
    ("class_to_idx", Field::Classes),
    ("idx_to_class", Field::Classes),
    ("id2label", Field::Classes),
    ("label2id", Field::Classes),
    ("label_names", Field::Classes),
    ("labels", Field::Classes),
    ("label_map", Field::Classes),
    ("labels_map", Field::Classes),
    ("idx2label", Field::Classes),
    ("idx2class", Field::Classes),
    ("class2idx", Field::Classes),
    ("cat2idx", Field::Classes),
    ("index_to_class", Field::Classes),
    ("class_list", Field::Classes),
    ("categories", Field::Classes),
    ("vocab", Field::Classes),
];

/// The keys that may contain more of these keys, nearest to the tensors first. timm's
/// configurations describe the weights that training began with: their number of classes is not the
/// file's.
const CONTAINERS: [&str; 18] = [
    "args",
    "hyper_parameters",
    "hparams",
    "hyperparameters",
    "config",
    "cfg",
    "opt",
    "model_args",
    "model_kwargs",
    "model_config",
    "kwargs",
    "params",
    "meta",
    "metadata",
    "extra",
    "model",
    PRETRAINED[0],
    PRETRAINED[1],
];
const PRETRAINED: [&str; 2] = ["pretrained_cfg", "default_cfg"];

/// How deep containers in containers are searched.
pub(super) const MAX_DEPTH: usize = 4;
const MAX_CLASSES: usize = 1 << 17;
const MAX_CLASS_NAME: usize = 1024;
const MAX_SIZE: usize = 1 << 16;
/// How many names of architectures are kept.
const MAX_ARCHITECTURES: usize = 16;

/// Whether a key may contain others.
pub(super) fn is_container(key: &str) -> bool {
    CONTAINERS.contains(&key)
}

/// Whether a key gives a value itself.
pub(super) fn is_field(key: &str) -> bool {
    FIELDS.iter().any(|(name, _)| *name == key)
}

impl Declared {
    /// Reads `facts`, an object of the file's keys and values; messages put `place` before the
    /// keys.
    pub(super) fn read(facts: &Map<String, Value>, place: &str) -> Self {
        let mut declared = Self::default();
        declared.add(facts, place, 0);
        declared
    }

    fn add(&mut self, facts: &Map<String, Value>, place: &str, depth: usize) {
        for (key, field) in FIELDS {
            if let Some(value) = facts.get(key) {
                self.put(field, value, &format!("{place}{key}"));
            }
        }
        if depth == MAX_DEPTH {
            return;
        }
        for key in CONTAINERS {
            if let Some(Value::Object(inner)) = facts.get(key) {
                let place = format!("{place}{key}.");
                match PRETRAINED.contains(&key) {
                    false => self.add(inner, &place, depth + 1),
                    true => {
                        let others = inner.iter().filter(|(key, _)| *key != "num_classes");
                        let others = others.map(|(key, value)| (key.clone(), value.clone()));
                        self.add(&others.collect(), &place, depth + 1);
                    }
                }
            }
        }
    }

    fn put(&mut self, field: Field, value: &Value, place: &str) {
        match field {
            Field::Architecture => {
                let name = text(value).filter(|_| self.architectures.len() < MAX_ARCHITECTURES);
                let said = name.map(|value| Said { value, place: place.to_owned() });
                self.architectures.extend(said);
            }
            Field::Convention => set(&mut self.convention, text(value), place),
            Field::NumClasses => set(&mut self.num_classes, number(value, 1 << 20), place),
            Field::InChans => set(&mut self.in_chans, number(value, 4096), place),
            Field::InputSize => match sizes(value).as_deref() {
                Some(&[c, h, w]) => set(&mut self.input_size, Some([c, h, w]), place),
                Some(&[h, w]) if h == w => set(&mut self.img_size, Some(h), place),
                Some(&[size]) => set(&mut self.img_size, Some(size), place),
                _ => {}
            },
            Field::ImgSize => match sizes(value).as_deref() {
                Some(&[h, w]) if h == w => set(&mut self.img_size, Some(h), place),
                Some(&[size]) => set(&mut self.img_size, Some(size), place),
                _ => {}
            },
            Field::ResizeSize => set(&mut self.resize_size, number(value, MAX_SIZE), place),
            Field::Mean => set(&mut self.mean, channels(value), place),
            Field::Std => {
                let std = channels(value).filter(|std| std.iter().all(|&std| std > 0.0));
                set(&mut self.std, std, place);
            }
            Field::CropPct => {
                let part = float(value).filter(|&part| part > 0.0 && part <= 1.0);
                set(&mut self.crop_pct, part, place);
            }
            Field::Interpolation => set(&mut self.interpolation, text(value), place),
            Field::BnEps => {
                set(&mut self.bn_eps, float(value).filter(|&eps| eps > 0.0 && eps < 1.0), place);
            }
            Field::Classes => match value {
                // Some scripts give the number of classes under this key.
                Value::Number(_) => set(&mut self.num_classes, number(value, 1 << 20), place),
                _ => set(&mut self.classes, classes(value), place),
            },
        }
    }
}

/// Keeps the first value.
fn set<T>(field: &mut Option<Said<T>>, value: Option<T>, place: &str) {
    if let (None, Some(value)) = (&field, value) {
        *field = Some(Said { value, place: place.to_owned() });
    }
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_NAME)?;
    Some(excerpt(text, MAX_NAME))
}

/// A whole number from 1 to `most`; in safetensors it is a string.
fn number(value: &Value, most: usize) -> Option<usize> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        _ => usize::try_from(value.as_u64()?).ok()?,
    };
    (1..=most).contains(&number).then_some(number)
}

fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        _ => value.as_f64()?,
    };
    number.is_finite().then_some(number)
}

/// One size, or a few.
fn sizes(value: &Value) -> Option<Vec<usize>> {
    match value {
        Value::Array(sizes) if sizes.len() <= 3 => {
            sizes.iter().map(|size| number(size, MAX_SIZE)).collect()
        }
        _ => Some(vec![number(value, MAX_SIZE)?]),
    }
}

/// A number for each channel.
fn channels(value: &Value) -> Option<Vec<f64>> {
    let values = value.as_array().filter(|values| (1..=4096).contains(&values.len()))?;
    values.iter().map(float).collect()
}

/// The names of all classes from 0 up, if the value is a list of names or a map, either way round,
/// without gaps.
fn classes(value: &Value) -> Option<Vec<String>> {
    let named = |name: &Value| name.as_str().map(|name| excerpt(name, MAX_CLASS_NAME));
    match value {
        Value::Array(names) if (1..=MAX_CLASSES).contains(&names.len()) => {
            names.iter().map(named).collect()
        }
        Value::Object(map) if (1..=MAX_CLASSES).contains(&map.len()) => {
            let mut names = vec![None; map.len()];
            for (key, value) in map {
                let (index, name) = match (key.parse::<usize>(), number_from_0(value)) {
                    // If both are numbers, as when classes are digits, the value is the index.
                    (_, Some(index)) => (index, excerpt(key, MAX_CLASS_NAME)),
                    (Ok(index), None) => (index, named(value)?),
                    (Err(_), None) => return None,
                };
                let slot = names.get_mut(index).filter(|slot| slot.is_none())?;
                *slot = Some(name);
            }
            names.into_iter().collect()
        }
        _ => None,
    }
}

fn number_from_0(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &Value) -> Declared {
        Declared::read(json.as_object().unwrap(), "")
    }

    #[test]
    fn what_is_nearest_to_the_tensors_comes_first() {
        let declared = read(&serde_json::json!({
            "arch": "efficientnet",
            "args": {"model": "efficientnet_b0", "num_classes": null, "mean": [0.5, 0.4, 0.3],
                     "input_size": [3, 96, 96], "img_size": 64, "std": [0.1, 0.0, 0.2]},
            "hyper_parameters": {"num_classes": 5, "config": {"backbone": "tf_efficientnetv2_s"}},
            "pretrained_cfg": {"num_classes": 1000, "crop_pct": 0.9},
        }));
        let names: Vec<_> = declared.architectures.iter().map(|s| (&*s.value, &*s.place)).collect();
        assert_eq!(
            names,
            [
                ("efficientnet", "arch"),
                ("efficientnet_b0", "args.model"),
                ("tf_efficientnetv2_s", "hyper_parameters.config.backbone"),
            ]
        );
        let classes = declared.num_classes.unwrap();
        assert_eq!((classes.value, &*classes.place), (5, "hyper_parameters.num_classes"));
        assert_eq!(declared.input_size.unwrap().value, [3, 96, 96]);
        assert_eq!(declared.mean.unwrap().value, [0.5, 0.4, 0.3]);
        assert_eq!(declared.std, None);
        assert_eq!(declared.crop_pct.unwrap().place, "pretrained_cfg.crop_pct");
        assert_eq!(
            read(&serde_json::json!({"pretrained_cfg": {"num_classes": 9}})),
            Declared::default()
        );
    }

    #[test]
    fn classes_are_named_in_three_ways() {
        for value in [
            serde_json::json!(["cat", "dog", "emu"]),
            serde_json::json!({"dog": 1, "cat": 0, "emu": 2}),
            serde_json::json!({"0": "cat", "2": "emu", "1": "dog"}),
        ] {
            assert_eq!(classes(&value).unwrap(), ["cat", "dog", "emu"]);
        }
        assert_eq!(classes(&serde_json::json!({"7": 0, "3": 1})).unwrap(), ["7", "3"]);
        for value in [
            serde_json::json!({"cat": 0, "dog": 2}),
            serde_json::json!({"cat": 0, "dog": 0}),
            serde_json::json!({"0": "cat", "x": "dog"}),
            serde_json::json!(["cat", 1]),
            serde_json::json!([]),
        ] {
            assert_eq!(classes(&value), None, "{value}");
        }
        assert_eq!(read(&serde_json::json!({"classes": 5})).num_classes.unwrap().value, 5);
    }

    #[test]
    fn what_is_out_of_range_is_not_said() {
        let long = "n".repeat(257);
        for facts in [
            serde_json::json!({"arch": long, "num_classes": 0, "in_chans": -1, "img_size": 1e9}),
            serde_json::json!({"input_size": [3, 99999999, 1], "mean": [], "crop_pct": 1.5}),
            serde_json::json!({"input_size": [1, 2, 3, 4], "bn_eps": 0, "std": ["x"]}),
        ] {
            assert_eq!(read(&facts), Declared::default());
        }
        let said = read(&serde_json::json!({"arch": "a\u{1b}[31mb"}));
        assert_eq!(said.architectures[0].value, "a\u{fffd}[31mb");
    }
}
