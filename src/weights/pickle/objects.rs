//! What a pickle builds.

use super::torch::{self, Global, Storage, View};

/// The most pairs copied from lists into dicts: a list can be referred to often.
pub(super) const MAX_COPIED: usize = 1 << 18;

/// A value: small, and copied freely.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// What no tensor is made of: bytes, a long number, a text that is not UTF-8.
    Other,
    Sequence(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
    /// An unknown name, or an object made by one.
    Foreign(usize),
}

pub(super) type Pair<'a> = (Value<'a>, Value<'a>);

/// What a pickle makes with an unknown name. It has no behaviour: nothing is ever called.
#[derive(Clone, Debug)]
pub(super) struct Foreign<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
    /// Its attributes, usually a dict.
    pub(super) state: Value<'a>,
    /// What was put into it, if it is a kind of dict.
    pub(super) items: Vec<Pair<'a>>,
}

/// All that a pickle built.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) sequences: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<Pair<'a>>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<View>,
    pub(super) foreign: Vec<Foreign<'a>>,
    /// Pairs copied so far.
    pub(super) copied: usize,
}

impl<'a> Objects<'a> {
    pub(super) fn dict(&mut self, pairs: Vec<Pair<'a>>) -> Value<'a> {
        self.dicts.push(pairs);
        Value::Dict(self.dicts.len() - 1)
    }

    /// What a name in a pickle stands for.
    pub(super) fn named(&mut self, module: &'a str, name: &'a str) -> Value<'a> {
        match torch::global(module, name) {
            Some(global) => Value::Global(global),
            None => self.unknown(module, name),
        }
    }

    /// An object of an unknown name.
    pub(super) fn unknown(&mut self, module: &'a str, name: &'a str) -> Value<'a> {
        let object = Foreign { module, name, state: Value::None, items: Vec::new() };
        self.foreign.push(object);
        Value::Foreign(self.foreign.len() - 1)
    }

    pub(super) fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Sequence(index) => Some(&self.sequences[index]),
            _ => None,
        }
    }

    /// The pairs of a dict, or those of an object that is a kind of dict or has attributes.
    pub(super) fn pairs(&self, value: Value<'a>) -> Option<&[Pair<'a>]> {
        match value {
            Value::Dict(index) => Some(&self.dicts[index]),
            Value::Foreign(index) => match &self.foreign[index] {
                Foreign { items, .. } if !items.is_empty() => Some(items),
                Foreign { state: Value::Dict(index), .. } => Some(&self.dicts[*index]),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value that Python would have for a key: the last one that was set.
    pub(super) fn get(&self, pairs: &[Pair<'a>], wanted: &str) -> Option<Value<'a>> {
        let is_wanted = |(key, _): &&Pair<'a>| matches!(key, Value::Text(key) if *key == wanted);
        pairs.iter().rev().find(is_wanted).map(|&(_, value)| value)
    }
}
