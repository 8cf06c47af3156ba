//! The few things that a pickle of tensors may name, and what they make.
//!
//! Their meaning: `torch/_utils.py` and `torch/serialization.py`.

use safetensors::Dtype;

use super::objects::{MAX_COPIED, Objects, Value};

/// The most dimensions of a tensor.
const MAX_DIMS: usize = 16;

/// The most tensors. A network of this family has up to 4000, and its optimizer twice as many.
pub(super) const MAX_TENSORS: usize = 1 << 17;

/// A known name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// A dict, made from nothing, another dict or pairs.
    Dict,
    /// A dict whose first argument makes its missing values.
    DefaultDict,
    /// A list, a tuple or a set, made from another.
    Sequence,
    RebuildTensor,
    /// With its own type: its storage has only bytes.
    RebuildTyped,
    RebuildParameter,
    /// A tensor of another class, made by one of the functions above.
    RebuildSubclass,
    Storage(Dtype),
    Dtype(Dtype),
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
    pub(super) dtype: Dtype,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a name in a pickle stands for, if it is one that tensors and the dicts around them need.
pub(super) fn global(module: &str, name: &str) -> Option<Global> {
    let global = match (module, name) {
        ("collections", "OrderedDict" | "Counter") => Global::Dict,
        ("collections", "defaultdict") => Global::DefaultDict,
        ("torch", "Size") => Global::Sequence,
        ("builtins" | "__builtin__", "list" | "tuple" | "set" | "frozenset") => Global::Sequence,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTyped,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
        | ("torch.nn.parameter", "Parameter")
        | ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor") => Global::RebuildParameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildSubclass,
        ("torch", _) => match name.strip_suffix("Storage") {
            Some(kind) => Global::Storage(storage_type(kind)?),
            None => Global::Dtype(dtype(name)?),
        },
        ("torch.storage", "UntypedStorage") => Global::Storage(Dtype::U8),
        _ => return None,
    };
    Some(global)
}

/// The type of a class of storages, `torch.FloatStorage` and so on.
fn storage_type(kind: &str) -> Option<Dtype> {
    Some(match kind {
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Double" => Dtype::F64,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" | "Untyped" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        "ComplexFloat" => Dtype::C64,
        _ => return None,
    })
}

/// A `torch.dtype`.
fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" => Dtype::F64,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::BOOL,
        "complex64" => Dtype::C64,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        "float8_e4m3fnuz" => Dtype::F8_E4M3FNUZ,
        "float8_e5m2fnuz" => Dtype::F8_E5M2FNUZ,
        "float8_e8m0fnu" => Dtype::F8_E8M0,
        _ => return None,
    })
}

impl<'a> Objects<'a> {
    /// The storage that a persistent id refers to.
    pub(super) fn storage(&mut self, id: Value<'a>) -> Result<Value<'a>, &'static str> {
        // The sixth item, if there is one, is None except for views in the oldest files.
        let (class, key, count) = match self.items(id) {
            Some(
                &[
                    Value::Text("storage"),
                    class,
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(count),
                    ref rest @ ..,
                ],
            ) if matches!(rest, [] | [Value::None]) => (class, key, count),
            // The older format keeps a module's source with its class.
            Some(&[Value::Text("module"), class, ..]) => return Ok(class),
            _ => return Err("what it says of a storage is not understood"),
        };
        let dtype = match class {
            Value::Global(Global::Storage(dtype)) => dtype,
            Value::Foreign(_) => return Ok(class),
            _ => return Err("what it says of a storage is not understood"),
        };
        let count = usize::try_from(count).map_err(|_| "a storage has a negative length")?;
        self.storages.push(Storage { key, dtype, count });
        Ok(Value::Storage(self.storages.len() - 1))
    }

    /// What a call of a name returns. An unknown name is not called: it gives an object of that
    /// name.
    pub(super) fn make(
        &mut self,
        callee: Value<'a>,
        arguments: Value<'a>,
    ) -> Result<Value<'a>, &'static str> {
        let callee = match callee {
            Value::Global(callee) => callee,
            Value::Foreign(class) => {
                let (module, name) = (self.foreign[class].module, self.foreign[class].name);
                return Ok(self.unknown(module, name));
            }
            _ => return Err("it calls something that is not a name"),
        };
        let arguments = self.items(arguments).ok_or("a call's arguments are not a tuple")?;
        match (callee, arguments) {
            (Global::Dict | Global::DefaultDict, []) | (Global::DefaultDict, [_]) => {
                Ok(self.dict(Vec::new()))
            }
            (Global::Dict, &[dict @ Value::Dict(_)]) => Ok(dict),
            (Global::Dict, &[pairs]) => self.dict_of(pairs),
            (Global::Sequence, []) => {
                self.sequences.push(Vec::new());
                Ok(Value::Sequence(self.sequences.len() - 1))
            }
            (Global::Sequence, &[items @ Value::Sequence(_)]) => Ok(items),
            (Global::RebuildParameter, &[tensor @ (Value::Tensor(_) | Value::Foreign(_)), ..]) => {
                Ok(tensor)
            }
            // A tensor made from a storage of an unknown kind is of that kind.
            (Global::RebuildTensor | Global::RebuildTyped, &[kind @ Value::Foreign(_), ..]) => {
                Ok(kind)
            }
            (
                Global::RebuildTensor,
                &[Value::Storage(storage), Value::Int(offset), shape, strides, ..],
            ) => self.view(storage, self.storages[storage].dtype, offset, shape, strides),
            (
                Global::RebuildTyped,
                &[Value::Storage(storage), Value::Int(offset), shape, strides, _, _, dtype, ..],
            ) => match dtype {
                Value::Global(Global::Dtype(dtype)) => {
                    self.view(storage, dtype, offset, shape, strides)
                }
                Value::Foreign(_) => Ok(dtype),
                _ => Err("a tensor's type is not one"),
            },
            (Global::RebuildSubclass, &[function @ Value::Global(inner), _, arguments, ..])
                if inner != Global::RebuildSubclass =>
            {
                self.make(function, arguments)
            }
            (Global::RebuildSubclass, &[function @ Value::Foreign(_), ..]) => Ok(function),
            // An exotic device or type, or a value that no state dict has: nothing to build on.
            (Global::Sequence | Global::Dtype(_) | Global::Storage(_), _) => Ok(Value::Other),
            _ => Err("a call has the wrong arguments"),
        }
    }

    /// A dict from a list of pairs.
    fn dict_of(&mut self, pairs: Value<'a>) -> Result<Value<'a>, &'static str> {
        let pairs = self.items(pairs).ok_or("a dict is not made from a list")?;
        let copied = self.copied + pairs.len();
        if copied > MAX_COPIED {
            return Err("its dicts are made of too many pairs");
        }
        let pair = |&pair| match self.items(pair) {
            Some(&[key, value]) => Ok((key, value)),
            _ => Err("a dict is not made from pairs"),
        };
        let pairs = pairs.iter().map(pair).collect::<Result<_, _>>()?;
        self.copied = copied;
        Ok(self.dict(pairs))
    }

    fn view(
        &mut self,
        storage: usize,
        dtype: Dtype,
        offset: i64,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<Value<'a>, &'static str> {
        let offset = usize::try_from(offset).map_err(|_| "an offset is negative")?;
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() {
            return Err("a tensor does not have as many strides as sizes");
        }
        if self.tensors.len() == MAX_TENSORS {
            return Err("it makes too many tensors");
        }
        self.tensors.push(View { storage, dtype, offset, shape, strides });
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    fn sizes(&self, value: Value<'a>) -> Result<Vec<usize>, &'static str> {
        let items = self.items(value).ok_or("a tensor's shape is not a tuple")?;
        if items.len() > MAX_DIMS {
            return Err("a tensor has too many dimensions");
        }
        let size = |item: &Value<'a>| match item {
            Value::Int(size) => usize::try_from(*size).map_err(|_| "a tensor's size is negative"),
            _ => Err("a tensor's size is not a number"),
        };
        items.iter().map(size).collect()
    }
}
