//! The few things that a pickle of tensors may name, and what is made of them.
//!
//! Their meaning: `torch/_utils.py` and `torch/serialization.py`.

use safetensors::Dtype;

use super::TorchError;
use super::machine::{MAX_COPIED, Objects, Value};
use crate::weights::header::excerpt;

/// The most dimensions of a tensor.
const MAX_DIMS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// A run of values in the file.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) dtype: Dtype,
    pub(super) count: usize,
}

/// A tensor: a view of a storage. Nothing has been checked yet.
#[derive(Debug)]
pub(super) struct View {
    pub(super) storage: usize,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a pickle may name; everything else is refused.
pub(super) fn global(module: &str, name: &str) -> Result<Global, TorchError> {
    let dtype = match (module, name) {
        ("collections", "OrderedDict") => return Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => return Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => return Ok(Global::RebuildParameter),
        ("torch", "FloatStorage") => Dtype::F32,
        ("torch", "HalfStorage") => Dtype::F16,
        ("torch", "BFloat16Storage") => Dtype::BF16,
        ("torch", "DoubleStorage") => Dtype::F64,
        ("torch", "LongStorage") => Dtype::I64,
        ("torch", "IntStorage") => Dtype::I32,
        ("torch", "ShortStorage") => Dtype::I16,
        ("torch", "CharStorage") => Dtype::I8,
        ("torch", "ByteStorage") | ("torch.storage", "UntypedStorage") => Dtype::U8,
        ("torch", "BoolStorage") => Dtype::BOOL,
        _ => {
            return Err(TorchError::Global {
                module: excerpt(module, 80),
                name: excerpt(name, 80),
            });
        }
    };
    Ok(Global::Storage(dtype))
}

impl<'a> Objects<'a> {
    pub(super) fn dict(&mut self, pairs: Vec<(Value<'a>, Value<'a>)>) -> Value<'a> {
        self.dicts.push(pairs);
        Value::Dict(self.dicts.len() - 1)
    }

    fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Sequence(index) => Some(&self.sequences[index]),
            _ => None,
        }
    }

    /// The storage that a persistent id speaks of.
    pub(super) fn storage(&mut self, id: Value<'a>) -> Result<Value<'a>, &'static str> {
        let (key, dtype, count) = match self.items(id) {
            // The sixth, where there is one, is None unless it is a view in the oldest files.
            Some(
                &[
                    Value::Text("storage"),
                    Value::Global(Global::Storage(dtype)),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(count),
                    ref rest @ ..,
                ],
            ) if matches!(rest, [] | [Value::None]) => (key, dtype, count),
            _ => return Err("what it says of a storage is not understood"),
        };
        let count = usize::try_from(count).map_err(|_| "a storage has a negative length")?;
        self.storages.push(Storage { key, dtype, count });
        Ok(Value::Storage(self.storages.len() - 1))
    }

    /// What a call of one of the allowed names gives.
    pub(super) fn make(
        &mut self,
        callee: Value<'a>,
        arguments: Value<'a>,
    ) -> Result<Value<'a>, &'static str> {
        let Value::Global(callee) = callee else {
            return Err("it calls what is no name");
        };
        let arguments = self.items(arguments).ok_or("a call's arguments are no tuple")?;
        match (callee, arguments) {
            (Global::OrderedDict, []) => Ok(self.dict(Vec::new())),
            (Global::OrderedDict, &[pairs]) => {
                let pairs = self.items(pairs).ok_or("a dict is made of no list")?;
                let copied = self.copied + pairs.len();
                if copied > MAX_COPIED {
                    return Err("its dicts are made of too many pairs");
                }
                let pair = |&pair| match self.items(pair) {
                    Some(&[key, value]) => Ok((key, value)),
                    _ => Err("a dict is made of what are no pairs"),
                };
                let pairs = pairs.iter().map(pair).collect::<Result<_, _>>()?;
                self.copied = copied;
                Ok(self.dict(pairs))
            }
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => Ok(tensor),
            (
                Global::RebuildTensor,
                &[Value::Storage(storage), Value::Int(offset), shape, strides, ..],
            ) => {
                let offset = usize::try_from(offset).map_err(|_| "an offset is negative")?;
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                if shape.len() != strides.len() {
                    return Err("a tensor has not as many strides as sizes");
                }
                self.tensors.push(View { storage, offset, shape, strides });
                Ok(Value::Tensor(self.tensors.len() - 1))
            }
            _ => Err("a call has other arguments than it takes"),
        }
    }

    fn sizes(&self, value: Value<'a>) -> Result<Vec<usize>, &'static str> {
        let items = self.items(value).ok_or("a tensor's shape is no tuple")?;
        if items.len() > MAX_DIMS {
            return Err("a tensor has too many dimensions");
        }
        let size = |item: &Value<'a>| match item {
            Value::Int(size) => usize::try_from(*size).map_err(|_| "a tensor's size is negative"),
            _ => Err("a tensor's size is no number"),
        };
        items.iter().map(size).collect()
    }
}
