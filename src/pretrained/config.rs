//! timm's `config.json`, in its nested and its legacy flat form (`timm/models/_hub.py`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

use super::{CfgOrigin, ModelArgs, PretrainedCfg, PretrainedError, args, cfg, find, transformers};
use crate::labels::{ClassifierActivation, LabelError, LabelNames, LabelSet, label_set_for};
use crate::preprocess::Pipeline;

/// The largest `config.json` that is read, in bytes. ImageNet-21k's names and descriptions take 3 MB.
const MAX_BYTES: u64 = 8 << 20;

/// The longest name of an architecture, in bytes: it appears in messages.
const MAX_NAME: usize = 100;

/// A model's own `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Where it was read from.
    pub file: PathBuf,
    /// The architecture's present name.
    pub architecture: &'static str,
    /// What to tell the user, such as that the file has a retired name or lacks something.
    pub notes: Vec<String>,
    /// Number of classes; 0 for no classifier.
    pub num_classes: usize,
    /// Input channels.
    pub in_chans: usize,
    /// Features before the classifier. timm writes it for information only.
    pub num_features: Option<usize>,
    /// Pooling. timm writes it for information only; what builds the model is in `model_args`.
    pub global_pool: Option<String>,
    /// How the network differs from the architecture's row.
    pub model_args: ModelArgs,
    /// The width multiplier in place of the row's, for a model that timm has no row for.
    pub channel_multiplier: Option<f64>,
    /// How the outputs become probabilities, if the file says so.
    pub activation: Option<ClassFunction>,
    /// Whether images are turned as their EXIF orientation says, as transformers' pipeline does.
    pub turns_exif: bool,
    /// Preprocessing, labels and origin.
    pub pretrained_cfg: PretrainedCfg,
    /// Keys of the pretrained configuration that mean nothing to timm 1.0.31 or to this program.
    pub ignored_keys: Vec<String>,
}

/// How the outputs become probabilities, and the key that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassFunction {
    /// The activation.
    pub value: ClassifierActivation,
    /// The key of the `config.json`.
    pub key: &'static str,
}

impl ModelConfig {
    /// Reads a `config.json`, timm's or transformers', and with the latter the
    /// `preprocessor_config.json` next to it.
    ///
    /// # Errors
    /// Those of [`from_slice`](Self::from_slice), and [`PretrainedError::Read`] and
    /// [`PretrainedError::TooLarge`].
    pub fn from_file(file: &Path) -> Result<Self, PretrainedError> {
        let root = parse(&read(file)?, file)?;
        let Some(kind) = transformers::Kind::of(&root) else {
            return Self::from_root(root, file);
        };
        let processor = file.with_file_name(transformers::PROCESSOR);
        let processor = match processor.exists() {
            true => Some(parse(&read(&processor)?, &processor)?),
            false => None,
        };
        transformers::read(kind, &root, processor.as_ref(), file)
    }

    /// Whether a `config.json` is transformers', so that a `preprocessor_config.json` belongs to
    /// it.
    #[cfg(feature = "hub")]
    pub(crate) fn has_preprocessor(file: &Path) -> Result<bool, PretrainedError> {
        Ok(transformers::Kind::of(&parse(&read(file)?, file)?).is_some())
    }

    /// Reads the bytes of a `config.json`; `file` is what errors call it.
    ///
    /// The number of classes comes from the root, from `model_args` or from `pretrained_cfg`, in
    /// this order, or else is 1000. The first two must not contradict each other.
    ///
    /// # Errors
    /// One line that names the file and the key: not JSON, a missing or unknown architecture, a
    /// value of the wrong type or out of range, an unknown model argument.
    ///
    /// ```
    /// use effnet::pretrained::ModelConfig;
    /// let json = r#"{
    ///     "architecture": "efficientnet_b0",
    ///     "num_classes": 2,
    ///     "label_names": ["cat", "dog"],
    ///     "model_args": {"act_layer": "relu"},
    ///     "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 0.9}
    /// }"#;
    /// let config = ModelConfig::from_slice(json.as_bytes(), "config.json".as_ref())?;
    /// assert_eq!((config.num_classes, config.in_chans), (2, 3));
    /// assert_eq!(config.labels()?.unwrap().get(1).unwrap().label, "dog");
    /// let preprocessing = config.pretrained_cfg.resolve(Default::default());
    /// assert_eq!(preprocessing.crop_pct.source.to_string(), "crop_pct in config.json");
    /// # Ok::<(), effnet::pretrained::PretrainedError>(())
    /// ```
    pub fn from_slice(bytes: &[u8], file: &Path) -> Result<Self, PretrainedError> {
        let root = parse(bytes, file)?;
        match transformers::Kind::of(&root) {
            Some(kind) => transformers::read(kind, &root, None, file),
            None => Self::from_root(root, file),
        }
    }

    /// Reads timm's `config.json`, or one of `TimmWrapperForImageClassification`.
    fn from_root(mut root: Map<String, Value>, file: &Path) -> Result<Self, PretrainedError> {
        let bad = |key: &str, reason: String| PretrainedError::Value {
            file: file.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let text = |root: &mut Map<String, Value>, key: &str| {
            take::<String>(root, key).map_err(|reason| bad(key, reason))
        };
        let count = |root: &mut Map<String, Value>, key: &str| {
            take::<usize>(root, key).map_err(|reason| bad(key, reason))
        };

        let architecture = text(&mut root, "architecture")?
            .ok_or_else(|| bad("architecture", "missing".to_owned()))?;
        if architecture.len() > MAX_NAME {
            let reason =
                format!("a name of {} bytes; expected at most {MAX_NAME}", architecture.len());
            return Err(bad("architecture", reason));
        }
        // transformers keeps timm's file and adds to it; it prepares images at the training size.
        let is_wrapper = text(&mut root, "model_type")?.as_deref() == Some("timm_wrapper");
        // Written by `convert`; timm has no key for it.
        let pipeline = text(&mut root, "pipeline")?;
        let problem_type = text(&mut root, "problem_type")?;
        let activation = transformers::activation(problem_type.as_deref());
        let num_features = count(&mut root, "num_features")?;
        let global_pool = text(&mut root, "global_pool")?;
        let model_args = match root.remove("model_args") {
            None | Some(Value::Null) => ModelArgs::default(),
            Some(value) => read_args(value, file)?,
        };

        // The flat form has no `pretrained_cfg`: the rest of the root takes its place.
        let (prefix, mut fields, mut root) = match root.remove("pretrained_cfg") {
            None => ("", root, Map::new()),
            Some(value) => {
                let fields = object(value).map_err(|reason| bad("pretrained_cfg", reason))?;
                ("pretrained_cfg.", fields, root)
            }
        };
        if prefix.is_empty()
            && let Some(labels) = fields.remove("labels")
        {
            fields.insert("label_names".to_owned(), labels);
        }
        let mut from_root = Vec::new();
        for key in ["num_classes", "label_names", "label_descriptions"] {
            if let Some(value) = root.remove(key).filter(|v| !v.is_null()) {
                fields.insert(key.to_owned(), value);
                from_root.push(key);
            }
        }
        let path = |key: &str| {
            if from_root.contains(&key) { key.to_owned() } else { format!("{prefix}{key}") }
        };

        let mut ignored_keys = Vec::new();
        fields.retain(|key, _| {
            let known = cfg::KEYS.contains(&key.as_str());
            if !known {
                ignored_keys.push(format!("{prefix}{key}"));
            }
            known
        });
        let at_root = prefix.is_empty() || from_root.contains(&"num_classes");
        let stated_classes = at_root && fields.contains_key("num_classes");
        let mut pretrained_cfg: PretrainedCfg =
            read_fields(fields).map_err(|(key, reason)| bad(&path(&key), reason))?;
        pretrained_cfg.origin = CfgOrigin::ConfigJson;
        pretrained_cfg.pipeline = match pipeline.as_deref() {
            None | Some("timm") => Pipeline::Timm,
            Some("transformers") => Pipeline::Transformers,
            Some(other) => {
                let reason = format!("{other:?}; expected \"timm\" or \"transformers\"");
                return Err(bad("pipeline", reason));
            }
        };
        if is_wrapper {
            (pretrained_cfg.test_input_size, pretrained_cfg.test_crop_pct) = (None, None);
        }

        if let Some(num_classes) = model_args.num_classes {
            if stated_classes && pretrained_cfg.num_classes() != num_classes {
                let reason = format!(
                    "{num_classes}, but num_classes of the file is {}",
                    pretrained_cfg.num_classes()
                );
                return Err(bad("model_args.num_classes", reason));
            }
            pretrained_cfg.num_classes = Some(num_classes);
        }
        if let Some(in_chans) = model_args.in_chans {
            pretrained_cfg.input_size.get_or_insert([3, 224, 224])[0] = in_chans;
            let test = &mut pretrained_cfg.test_input_size;
            let min = &mut pretrained_cfg.min_input_size;
            for size in [test, min].into_iter().flatten() {
                size[0] = in_chans;
            }
        }
        pretrained_cfg.validate().map_err(|(key, reason)| bad(&path(key), reason))?;

        let found = find(&architecture).map_err(|source| PretrainedError::Architecture {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
        let architecture = found.cfg.architecture.as_deref().unwrap_or_default();
        pretrained_cfg.architecture = Some(architecture.to_owned());
        Ok(Self {
            file: file.to_owned(),
            architecture,
            notes: found.note.into_iter().collect(),
            num_classes: pretrained_cfg.num_classes(),
            in_chans: pretrained_cfg.input_size.map_or(3, |size| size[0]),
            num_features,
            global_pool,
            model_args,
            channel_multiplier: None,
            activation,
            turns_exif: is_wrapper || pretrained_cfg.pipeline == Pipeline::Transformers,
            pretrained_cfg,
            ignored_keys,
        })
    }

    /// The names of the model's classes: its own, or else ImageNet's by the number of classes, or
    /// else none.
    ///
    /// # Errors
    /// [`PretrainedError::Labels`] if the model's own names do not fit its number of classes.
    pub fn labels(&self) -> Result<Option<LabelSet>, PretrainedError> {
        let cfg = &self.pretrained_cfg;
        let names = cfg.label_names.as_ref();
        label_set_for(self.num_classes, names, cfg.label_descriptions.as_ref())
            .map_err(|source| PretrainedError::Labels { file: self.file.clone(), source })
    }
}

/// Class names from a user's file, see [`LabelNames::parse`].
///
/// # Errors
/// [`PretrainedError::Read`], [`PretrainedError::TooLarge`], [`PretrainedError::Labels`] with the line
/// that is wrong.
pub fn read_labels(file: &Path) -> Result<LabelNames, PretrainedError> {
    let bytes = read(file)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(PretrainedError::TooLarge { file: file.to_owned(), limit: MAX_BYTES });
    }
    let failed = |source| PretrainedError::Labels { file: file.to_owned(), source };
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        failed(LabelError::File { line, reason: "not UTF-8 text".to_owned() })
    })?;
    LabelNames::parse(&text).map_err(failed)
}

/// The bytes of a configuration.
fn read(file: &Path) -> Result<Vec<u8>, PretrainedError> {
    let failed = |source| PretrainedError::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(file).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// Parses a configuration, which must be a JSON object.
fn parse(bytes: &[u8], file: &Path) -> Result<Map<String, Value>, PretrainedError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(PretrainedError::TooLarge { file: file.to_owned(), limit: MAX_BYTES });
    }
    let root: Value = serde_json::from_slice(bytes)
        .map_err(|source| PretrainedError::Json { file: file.to_owned(), source })?;
    object(root).map_err(|reason| PretrainedError::Value {
        file: file.to_owned(),
        key: "the file".to_owned(),
        reason,
    })
}

fn read_args(value: Value, file: &Path) -> Result<ModelArgs, PretrainedError> {
    let bad = |key: &str, reason: String| PretrainedError::Value {
        file: file.to_owned(),
        key: format!("model_args{key}"),
        reason,
    };
    let mut fields = object(value).map_err(|reason| bad("", reason))?;
    fields.retain(|_, value| !value.is_null());
    if let Some(key) = fields.keys().find(|key| !args::KEYS.contains(&key.as_str())) {
        return Err(PretrainedError::UnknownModelArg { file: file.to_owned(), key: key.clone() });
    }
    let args: ModelArgs =
        read_fields(fields).map_err(|(key, reason)| bad(&format!(".{key}"), reason))?;
    args.validate().map_err(|(key, reason)| bad(&format!(".{key}"), reason))?;
    Ok(args)
}

/// Reads a struct of optional fields; an error names the field, which serde's own does not.
pub(super) fn read_fields<T: DeserializeOwned>(
    fields: Map<String, Value>,
) -> Result<T, (String, String)> {
    for (key, value) in &fields {
        let alone = MapDeserializer::new(std::iter::once((key.as_str(), value)));
        T::deserialize(alone).map_err(|e: serde_json::Error| (key.clone(), e.to_string()))?;
    }
    serde_json::from_value(Value::Object(fields)).map_err(|e| ("fields".to_owned(), e.to_string()))
}

fn take<T: DeserializeOwned>(
    fields: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<T>, String> {
    let value = fields.remove(key).unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|e| e.to_string())
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(format!("expected an object, found {}", kind(&other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
