//! What a pickle's value contains: tensors by dotted names, and plain facts about the model.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Map, Number, Value as Json};

use super::objects::{Foreign, Objects, Pair, Value};
use super::torch::MAX_TENSORS;
use super::{TorchError, entry};
use crate::weights::declared::{self, Declared};
use crate::weights::tensor_table::TensorTable;
use crate::weights::tensor_table::{MAX_NAME, excerpt};

/// How deeply nested dicts are searched for tensors, and how many values are read in all: one dict
/// can be in many places.
const MAX_DEPTH: usize = 64;
const MAX_VALUES: usize = 1 << 21;
/// The most bytes of facts (class names make up most of them), and the cost of a value besides its
/// text.
const MAX_FACTS: usize = 16 << 20;
const VALUE: usize = 16;
/// What Lightning keeps besides the weights; a module in it is not part of the network.
const FACTS: [&str; 2] = ["hyper_parameters", "datamodule_hyper_parameters"];
/// Where PyTorch's modules keep their tensors, the names of those not saved, and inner modules.
const TENSORS: [&str; 2] = ["_parameters", "_buffers"];
const NOT_SAVED: &str = "_non_persistent_buffers_set";
const MODULES: &str = "_modules";

/// A search for tensors.
pub(super) struct Contents<'a, 'o, R> {
    pub(super) objects: &'o Objects<'a>,
    /// Where in the file the bytes of a storage are.
    pub(super) range: R,
    pub(super) header: TensorTable,
    /// The class of the outermost module met.
    pub(super) module: Option<String>,
    pub(super) values: usize,
    /// The objects around the current value: one that contains itself is not searched again.
    pub(super) around: Vec<usize>,
}

impl<'a, R> Contents<'a, '_, R>
where
    R: Fn(&str) -> Result<Option<Range<usize>>, TorchError>,
{
    /// Adds all tensors of a value, in any dicts and modules.
    pub(super) fn add(
        &mut self,
        value: Value<'a>,
        name: &str,
        depth: usize,
    ) -> Result<(), TorchError> {
        if depth > MAX_DEPTH {
            return Err(TorchError::Limit { what: "dicts in dicts", limit: MAX_DEPTH });
        }
        let objects = self.objects;
        match value {
            Value::Tensor(tensor) => self.tensor(tensor, name),
            Value::Foreign(object) if self.around.contains(&object) => Ok(()),
            Value::Foreign(object) => {
                self.around.push(object);
                let added = self.object(object, name, depth);
                self.around.pop();
                added
            }
            Value::Dict(dict) => self.dict(&objects.dicts[dict], name, depth),
            _ => Ok(()),
        }
    }

    fn object(&mut self, object: usize, name: &str, depth: usize) -> Result<(), TorchError> {
        let objects = self.objects;
        let Foreign { module, name: class, .. } = &objects.foreign[object];
        let class = excerpt(&format!("{module}.{class}"), MAX_NAME);
        let state = objects.pairs(Value::Foreign(object)).unwrap_or_default();
        self.count(state.len())?;
        if objects.get(state, MODULES).is_some() {
            self.module.get_or_insert(class);
            self.module(state, name, depth)
        } else if !state.is_empty() {
            self.dict(state, name, depth)
        } else {
            self.unreadable(excerpt(name, MAX_NAME), made_by(&class));
            Ok(())
        }
    }

    /// Remembers why there is no tensor by a name; a hostile file may have many, so only the first
    /// are kept.
    fn unreadable(&mut self, name: String, reason: String) {
        if self.header.unreadable.len() < MAX_TENSORS {
            self.header.unreadable.entry(name).or_insert(reason);
        }
    }

    /// Counts values that are read.
    fn count(&mut self, values: usize) -> Result<(), TorchError> {
        self.values += 1 + values;
        match self.values > MAX_VALUES {
            true => Err(TorchError::Limit { what: "values", limit: MAX_VALUES }),
            false => Ok(()),
        }
    }

    fn dict(&mut self, pairs: &[Pair<'a>], name: &str, depth: usize) -> Result<(), TorchError> {
        self.count(pairs.len())?;
        for &(key, value) in pairs {
            if !matches!(value, Value::Tensor(_) | Value::Dict(_) | Value::Foreign(_)) {
                continue;
            }
            let key = match key {
                Value::Text(key) => Cow::Borrowed(key),
                Value::Int(key) => key.to_string().into(),
                _ => continue,
            };
            if depth == 0 && FACTS.contains(&&*key) {
                continue;
            }
            // No needed tensor has a longer name, and the name would be copied many times.
            if name.len() + key.len() > MAX_NAME {
                match value {
                    Value::Tensor(_) => return Err(unnamed(&key)),
                    _ => continue,
                }
            }
            let name = if name.is_empty() { key.into_owned() } else { format!("{name}.{key}") };
            self.add(value, &name, depth + 1)?;
        }
        Ok(())
    }

    /// The parameters and buffers of a module and of modules in it, named as in its `state_dict()`.
    fn module(&mut self, state: &[Pair<'a>], name: &str, depth: usize) -> Result<(), TorchError> {
        let objects = self.objects;
        let not_saved = objects.get(state, NOT_SAVED).and_then(|set| objects.items(set));
        let not_saved = not_saved.unwrap_or_default();
        self.count(not_saved.len())?;
        let not_saved: HashSet<&str> = not_saved
            .iter()
            .filter_map(|name| if let Value::Text(name) = name { Some(*name) } else { None })
            .collect();
        for part in TENSORS.iter().chain([&MODULES]) {
            let pairs = objects.get(state, part).and_then(|part| objects.pairs(part));
            let saved = |(key, _): &&Pair<'a>| {
                *part == MODULES || !matches!(key, Value::Text(key) if not_saved.contains(key))
            };
            let pairs: Vec<_> = pairs.unwrap_or_default().iter().filter(saved).copied().collect();
            self.dict(&pairs, name, depth)?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: usize, name: &str) -> Result<(), TorchError> {
        let named = excerpt(name, MAX_NAME);
        if named != name || named.is_empty() {
            return Err(unnamed(name));
        }
        if self.header.entries.len() == MAX_TENSORS {
            return Err(TorchError::Limit { what: "tensors", limit: MAX_TENSORS });
        }
        match entry(named, &self.objects.tensors[tensor], self.objects, &self.range) {
            Ok(entry) => {
                let twice =
                    |tensor| TorchError::Tensor { tensor, reason: "occurs twice".to_owned() };
                self.header.add(entry).map_err(twice)
            }
            // It is an error only if something needs the tensor.
            Err(TorchError::Tensor { tensor, reason }) => {
                self.unreadable(tensor, reason);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }
}

fn unnamed(name: &str) -> TorchError {
    let reason = "has no name for a tensor".to_owned();
    TorchError::Tensor { tensor: excerpt(name, 40), reason }
}

/// Why the product of an unknown name is not a tensor, worded to end a sentence about it.
fn made_by(class: &str) -> String {
    let is_numpy = class.starts_with("numpy.");
    let remedy = match class.rsplit('.').next().unwrap_or_default() {
        "_rebuild_qtensor" | "QInt8Storage" | "QUInt8Storage" | "QInt32Storage" => {
            "is quantized: save the state dict of the float model"
        }
        "_rebuild_sparse_tensor" => "is sparse: save it with to_dense()",
        "_rebuild_meta_tensor_no_storage" => "is on the device meta, without values",
        _ if is_numpy => {
            "is an array of NumPy: save it with torch.save as tensors, or as safetensors"
        }
        _ => "which can run code and never is: save only the state dict, or use safetensors",
    };
    match remedy.starts_with("is ") {
        true => format!("{remedy} (`{class}`)"),
        false => format!("is made by `{class}`, {remedy}"),
    }
}

/// What the plain values around the tensors say about the model.
pub(super) fn declared<'a>(top: Value<'a>, objects: &Objects<'a>) -> Declared {
    let mut facts = Facts { objects, left: MAX_FACTS };
    Declared::read(&facts.of(top, 0), "")
}

struct Facts<'a, 'o> {
    objects: &'o Objects<'a>,
    /// How many more bytes may be read.
    left: usize,
}

impl<'a> Facts<'a, '_> {
    /// The values of known keys, including those in containers.
    fn of(&mut self, value: Value<'a>, depth: usize) -> Map<String, Json> {
        let objects = self.objects;
        let mut facts = Map::new();
        for &(key, value) in objects.pairs(self.inside(value)).unwrap_or_default() {
            let Value::Text(key) = key else { continue };
            let value = self.inside(value);
            let Some(left) = self.left.checked_sub(VALUE) else { break };
            self.left = left;
            let is_inner = declared::is_container(key)
                && depth < declared::MAX_DEPTH
                && objects.pairs(value).is_some();
            let fact = match is_inner {
                true => Some(Json::Object(self.of(value, depth + 1))),
                false if declared::is_field(key) => self.plain(value, 0),
                false => None,
            };
            if let Some(fact) = fact {
                facts.insert(key.to_owned(), fact);
            }
        }
        facts
    }

    /// The content of an omegaconf object: a dict or a list of such objects, or a plain value.
    fn inside(&self, value: Value<'a>) -> Value<'a> {
        let Value::Foreign(object) = value else { return value };
        let Foreign { module, state, .. } = &self.objects.foreign[object];
        let state = self.objects.pairs(*state).filter(|_| module.starts_with("omegaconf."));
        let inside = |key| self.objects.get(state?, key);
        inside("_content").or_else(|| inside("_val")).unwrap_or(value)
    }

    /// A value made of texts and numbers, or `None` if it is too large or too deep.
    fn plain(&mut self, value: Value<'a>, depth: usize) -> Option<Json> {
        /// Lists of maps of values.
        const DEEPEST: usize = 3;
        let objects = self.objects;
        let value = self.inside(value);
        let length = if let Value::Text(text) = value { text.len() } else { 0 };
        self.left = self.left.checked_sub(VALUE + length)?;
        Some(match value {
            Value::Text(text) => text.into(),
            Value::Int(number) => number.into(),
            Value::Bool(bool) => bool.into(),
            Value::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
            Value::Sequence(_) | Value::Dict(_) | Value::Foreign(_) if depth == DEEPEST => {
                return None;
            }
            Value::Sequence(items) => {
                let items = objects.sequences[items].iter();
                items.map(|&item| self.plain(item, depth + 1)).collect::<Option<_>>()?
            }
            Value::Dict(_) | Value::Foreign(_) => {
                let mut map = Map::new();
                for &(key, value) in objects.pairs(value).unwrap_or_default() {
                    let key = match key {
                        Value::Text(key) => Cow::Borrowed(key),
                        Value::Int(key) => key.to_string().into(),
                        _ => continue,
                    };
                    self.left = self.left.checked_sub(key.len())?;
                    let key = key.into_owned();
                    map.insert(key, self.plain(value, depth + 1)?);
                }
                Json::Object(map)
            }
            _ => Json::Null,
        })
    }
}
