use std::path::PathBuf;

use super::{KerasError, Mismatch, SafetensorsError, ShardsError, TorchError, ZipError};
use crate::text::file_name;

/// What can go wrong between a weights file and a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file does not exist or cannot be read.
    #[error("{}: cannot be read: {source}", file_name(file))]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("{}: not a regular file: name the file itself", file_name(file))]
    NotAFile {
        /// The path.
        file: PathBuf,
    },
    /// The folder holds no weights.
    #[error(
        "{}: neither model.safetensors, alone or with an index, nor pytorch_model.bin in this folder: put the weights there, or name their file",
        file_name(folder)
    )]
    NoneInFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The file has another format.
    #[error("{file}: this is {format}, not safetensors, PyTorch or Keras: {remedy}")]
    OtherFormat {
        /// The file.
        file: String,
        /// What its first bytes say it is.
        format: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The safetensors header is malformed.
    #[error("{file}: not a sound safetensors file: {source}")]
    Safetensors {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: SafetensorsError,
    },
    /// The PyTorch file is malformed, or holds more than tensors.
    #[error("{file}: cannot be read as a PyTorch file: {source}")]
    Torch {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: TorchError,
    },
    /// The Keras file is malformed.
    #[error("{file}: cannot be read as a Keras file: {source}")]
    Keras {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: KerasError,
    },
    /// The zip archive, PyTorch's or Keras's, is malformed.
    #[error("{file}: cannot be read as a PyTorch or Keras file: {source}")]
    Zip {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: ZipError,
    },
    /// The tensors have far more bytes than the file, which never results from training.
    #[error(
        "{file}: its tensors have {needed} bytes and the file {size}: they share or repeat values, which a trained network's do not"
    )]
    Repeated {
        /// The file.
        file: String,
        /// Bytes of the file.
        size: usize,
        /// Bytes of all its tensors.
        needed: usize,
    },
    /// The files that an index names are not what it says.
    #[error("{}: not a sound index of safetensors files: {source}", file_name(file))]
    Shards {
        /// The index.
        file: PathBuf,
        /// What is wrong with it.
        source: ShardsError,
    },
    /// There is no tensor of that name.
    #[error("{file}: no tensor `{tensor}`{}", nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    NoTensor {
        /// The file.
        file: String,
        /// The name asked for.
        tensor: String,
        /// The nearest name in the file.
        nearest: Option<String>,
    },
    /// A tensor is stored as something other than f32, f16, bf16 or f64.
    #[error("{file}: tensor `{tensor}` is stored as {dtype}: store it as F32, F16, BF16 or F64")]
    UnsupportedDtype {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The type as safetensors writes it.
        dtype: String,
    },
    /// A weight is NaN or infinite, or an f64 beyond the range of f32.
    #[error(
        "{file}: tensor `{tensor}` holds {value} at index {index}: the file is damaged or its training diverged"
    )]
    NonFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Index into the flattened tensor.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A weight is finite in the file and infinite in the wanted type.
    #[error(
        "{file}: tensor `{tensor}` holds {value} at index {index}, beyond the range of {dtype}: load it as f32"
    )]
    Overflow {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Index into the flattened tensor.
        index: usize,
        /// The value in the file.
        value: f32,
        /// The wanted type.
        dtype: &'static str,
    },
    /// The model asks for its weights in a type that cannot hold weights.
    #[error("weights cannot be loaded as {dtype}: ask for f32, f16, bf16 or f64")]
    TargetDtype {
        /// The wanted type.
        dtype: &'static str,
    },
    /// The tensors of the file are not those of the model.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// The closure that builds the model failed, though it got every tensor it asked for.
    #[error("{file}: the model cannot be built from these weights: {source}")]
    Build {
        /// The file.
        file: String,
        /// What Candle said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tensor cannot be made on the device.
    #[error("{file}: tensor `{tensor}` cannot be placed on the device: {source}")]
    Device {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// What Candle said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The name of a tensor to be written is taken, by another tensor or by the format itself.
    #[error("cannot write a tensor named `{tensor}`: the name is taken")]
    WriteTwice {
        /// The name.
        tensor: String,
    },
    /// A tensor to be written has more or fewer values than its shape says.
    #[error("cannot write tensor `{tensor}`: {values} values do not make the shape {shape:?}")]
    WriteShape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many values it was given.
        values: usize,
    },
    /// The file cannot be written.
    #[error("{}: cannot write: {source}", file_name(file))]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
