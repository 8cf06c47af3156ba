//! Which format a file of weights is, by its first bytes.

use std::path::Path;

use super::tensor_table::TensorTable;
use super::zip::{self, Archive};
use super::{WeightsError, hdf5, keras, pickle, safetensors};

/// The bytes of all tensors together may be this many times those of the file, and this many more:
/// tensors may share values, and zeros can be packed.
const MAX_REPEATED: usize = 16;
const MAX_UNPACKED: usize = 64 << 20;

/// The tensors of a file, and a note on what was done to get at them.
///
/// # Errors
/// If it has another format, is malformed, or is so small for its tensors that it must be meant to
/// exhaust memory.
pub(super) fn parse(
    file: &str,
    bytes: &[u8],
) -> Result<(TensorTable, Option<String>), WeightsError> {
    let (header, note) = content(file, bytes)?;
    let most = bytes.len().saturating_mul(MAX_REPEATED).saturating_add(MAX_UNPACKED);
    let sizes = header.entries.iter().map(|entry| {
        let count = entry.shape.iter().product::<usize>();
        count.saturating_mul(entry.dtype.bitsize().div_ceil(8))
    });
    let needed = sizes.fold(0, usize::saturating_add);
    if needed > most {
        let file = file.to_owned();
        return Err(WeightsError::Repeated { file, size: bytes.len(), needed });
    }
    Ok((header, note))
}

fn content(file: &str, bytes: &[u8]) -> Result<(TensorTable, Option<String>), WeightsError> {
    let name = || file.to_owned();
    let torch = |source| WeightsError::Torch { file: name(), source };
    let keras = |source| WeightsError::Keras { file: name(), source };
    let other = || OTHERS.iter().find(|(sign, ..)| sign.is_of(file, bytes));
    let refuse = |format, remedy| Err(WeightsError::OtherFormat { file: name(), format, remedy });
    if bytes.starts_with(zip::MAGIC) {
        let archive = match Archive::parse(bytes) {
            Ok(archive) => archive,
            Err(source) => {
                return match other() {
                    Some(&(_, format, remedy)) => refuse(format, remedy),
                    None => Err(WeightsError::Zip { file: name(), source }),
                };
            }
        };
        if keras::is_keras(&archive) {
            return keras::parse_zip(bytes, &archive).map_err(keras);
        }
        let inner = ARCHIVES.iter().find(|(part, ..)| archive.names().any(|n| n.ends_with(part)));
        return match inner {
            Some(&(_, format, remedy)) => refuse(format, remedy),
            None => pickle::parse_zip(bytes, &archive).map_err(torch),
        };
    }
    if pickle::is_legacy(bytes) {
        return pickle::parse_legacy(bytes).map_err(torch);
    }
    if bytes.starts_with(hdf5::MAGIC) {
        return keras::parse(bytes).map_err(keras);
    }
    if let Some(&(_, format, remedy)) = other() {
        return refuse(format, remedy);
    }
    safetensors::parse(bytes)
        .map(|header| (header, None))
        .map_err(|source| WeightsError::Safetensors { file: name(), source })
}

/// What a folder without weights in these formats holds: format and remedy.
pub(super) fn in_folder(folder: &Path) -> Option<(&'static str, &'static str)> {
    let entries = FOLDERS.iter().find(|(name, ..)| folder.join(name).exists());
    entries.map(|&(_, format, remedy)| (format, remedy))
}

/// How a format is recognised.
enum Sign {
    Empty,
    /// Bytes at a position.
    At(usize, &'static [u8]),
    End(&'static [u8]),
    /// Part of the file's name, for formats without a sign in their bytes.
    Name(&'static str),
    Of(fn(&[u8]) -> bool),
}

impl Sign {
    fn is_of(&self, file: &str, bytes: &[u8]) -> bool {
        match *self {
            Self::Empty => bytes.is_empty(),
            // A safetensors file starts with the length of its header, whose first byte may match a
            // sign.
            Self::At(0, _) | Self::Of(_) if bytes.get(4..9) == Some(b"\0\0\0\0{") => false,
            Self::At(at, sign) => bytes.get(at..).is_some_and(|rest| rest.starts_with(sign)),
            Self::End(sign) => bytes.ends_with(sign),
            Self::Name(part) => {
                let name = Path::new(file).file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.contains(part))
            }
            Self::Of(is_it) => is_it(bytes),
        }
    }
}

type Other<S> = (S, &'static str, &'static str);

const EXPORT: &str = "save the weights of the model that it was exported from: torch.save(model.state_dict(), ...), or model.save(\"model.keras\")";
const STATE_DICT: &str =
    "load it in PyTorch and save model.state_dict(), with torch.save or as safetensors";
const PICKLE: &str = "load it in Python and save its tensors, with torch.save or as safetensors";
const KERAS: &str = "load it in TensorFlow and save it with model.save(\"model.keras\")";
const ARRAYS: &str = "save the arrays as safetensors, with safetensors.numpy.save_file";
const DISTRIBUTED: &str = "make one file of it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pth";
const UNPACK: &str = "unpack it and name the file of weights inside";
const FETCH: &str = "fetch the file itself again";

/// What people most often give in place of a file of weights.
const OTHERS: &[Other<Sign>] = &[
    (Sign::Empty, "an empty file", "fetch it again"),
    (Sign::At(4, b"TFL3"), "a TensorFlow Lite model", EXPORT),
    (Sign::At(4, b"ET12"), "an ExecuTorch program", EXPORT),
    (Sign::Of(is_onnx), "an ONNX model", EXPORT),
    (Sign::Name("saved_model.pb"), "a TensorFlow SavedModel", KERAS),
    (Sign::Name(".mlmodel"), "a Core ML model", EXPORT),
    (Sign::Name(".data-0"), "the values of a TensorFlow checkpoint", KERAS),
    (Sign::End(b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"), "the index of a TensorFlow checkpoint", KERAS),
    (Sign::At(0, b"model_checkpoint_path:"), "the list of TensorFlow checkpoints", KERAS),
    (Sign::Name(".pb"), "a TensorFlow graph", KERAS),
    (Sign::Name(".distcp"), "a part of torch.distributed's checkpoint", DISTRIBUTED),
    (Sign::Name(".metadata"), "the table of torch.distributed's checkpoint", DISTRIBUTED),
    (Sign::At(0, b"GGUF"), "a GGUF file", "take the repository's model.safetensors"),
    (Sign::Of(is_msgpack), "a msgpack file, as Flax writes", ARRAYS),
    (Sign::At(257, b"ustar"), "a tar archive", UNPACK),
    (Sign::At(0, b"\x1f\x8b"), "a gzip file", UNPACK),
    (Sign::At(0, b"BZh"), "a bzip2 file", UNPACK),
    (Sign::At(0, b"\xfd7zXZ\0"), "an xz file", UNPACK),
    (Sign::At(0, b"\x28\xb5\x2f\xfd"), "a Zstandard file", UNPACK),
    (Sign::At(0, b"7z\xbc\xaf\x27\x1c"), "a 7z archive", UNPACK),
    (Sign::At(0, b"Rar!"), "a RAR archive", UNPACK),
    (Sign::At(0, b"PK\x05\x06"), "an empty zip archive", FETCH),
    (Sign::At(0, b"\x93NUMPY"), "an array of NumPy", ARRAYS),
    (Sign::At(0, b"ftrt"), "a TensorRT engine", EXPORT),
    (Sign::At(0, b"7767517\n"), "a graph of ncnn", EXPORT),
    (Sign::At(0, b"\x89PNG"), "a PNG image", "name the file of weights"),
    (Sign::At(0, b"\xff\xd8\xff"), "a JPEG image", "name the file of weights"),
    (Sign::At(0, b"\x80"), "a Python pickle that torch.save did not write", PICKLE),
    (Sign::At(0, b"(dp"), "a Python pickle that torch.save did not write", PICKLE),
    (Sign::At(0, b"(lp"), "a Python pickle that torch.save did not write", PICKLE),
    (Sign::At(0, b"ccopy_reg"), "a Python pickle that torch.save did not write", PICKLE),
    (Sign::At(0, b"ccollections"), "a Python pickle that torch.save did not write", PICKLE),
    (
        Sign::At(0, b"version https://git-lfs"),
        "a git-lfs pointer",
        "fetch the file itself with `git lfs pull`",
    ),
    (Sign::Of(is_openvino), "an OpenVINO model", EXPORT),
    (Sign::At(0, b"<"), "a web page", FETCH),
    (Sign::At(0, b"{"), "JSON", "name model.safetensors, or an index called *.index.json"),
    (Sign::At(0, b"["), "JSON", "name model.safetensors, or an index called *.index.json"),
];

/// Zip archives that are neither PyTorch's weights nor Keras's, by the ends of entries' names.
const ARCHIVES: &[Other<&str>] = &[
    ("/constants.pkl", "a TorchScript program", STATE_DICT),
    ("archive_format", "a program of torch.export", STATE_DICT),
    ("serialized_exported_program.json", "a program of torch.export", STATE_DICT),
    (".npy", "an archive of NumPy arrays (.npz)", ARRAYS),
    ("saved_model.pb", "an archive of a TensorFlow SavedModel", KERAS),
    (".mlmodel", "an archive of a Core ML model", EXPORT),
    (".safetensors", "a zip archive around a file of weights", UNPACK),
    (".pth", "a zip archive around a file of weights", UNPACK),
    (".h5", "a zip archive around a file of weights", UNPACK),
];

/// Folders that are models in other formats, by what is in them.
const FOLDERS: &[Other<&str>] = &[
    ("saved_model.pb", "a TensorFlow SavedModel", KERAS),
    ("checkpoint", "a folder of TensorFlow checkpoints", KERAS),
    ("Manifest.json", "a Core ML package", EXPORT),
    ("openvino_model.xml", "an OpenVINO model", EXPORT),
    ("model.onnx", "an ONNX model", EXPORT),
    ("onnx/model.onnx", "an ONNX model", EXPORT),
    ("flax_model.msgpack", "a model of Flax", ARRAYS),
    ("tf_model.h5", "a model of transformers for TensorFlow", STATE_DICT),
    (".metadata", "a folder of torch.distributed's checkpoint", DISTRIBUTED),
    (
        "adapter_config.json",
        "a folder of peft's adapters",
        "put them into the weights with `merge_and_unload()`, and save that model",
    ),
    ("data.pkl", "an unpacked PyTorch file", "pack it again, with torch.save"),
];

/// A protocol buffer with a version, followed by the name of a producer or the graph.
fn is_onnx(bytes: &[u8]) -> bool {
    match *bytes {
        [0x08, 1..=32, 0x12, length, ref rest @ ..] => {
            let name = rest.get(..length.into()).unwrap_or_default();
            !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        }
        [0x08, 1..=32, 0x3a, ..] => true,
        _ => false,
    }
}

/// A small map whose first key is a short text.
fn is_msgpack(bytes: &[u8]) -> bool {
    match *bytes {
        [0x81..=0x8f, head @ 0xa1..=0xbf, ref rest @ ..] => {
            let key = rest.get(..usize::from(head & 0x1f)).unwrap_or_default();
            !key.is_empty() && key.iter().all(u8::is_ascii_graphic)
        }
        _ => false,
    }
}

fn is_openvino(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    start.starts_with(b"<") && start.windows(5).any(|part| part == b"<net ")
}
