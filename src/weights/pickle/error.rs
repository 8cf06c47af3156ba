use crate::weights::ZipError;

/// What is wrong with a PyTorch file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// The file ends too early.
    #[error("it was cut off: {what}; fetch it again")]
    CutOff {
        /// What is missing.
        what: &'static str,
    },
    /// The archive around it is damaged, or compresses what it should not.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The archive holds no pickle, or several.
    #[error(
        "it is a zip archive with {count} entries `*/data.pkl` where PyTorch's have one: name a PyTorch or safetensors file"
    )]
    NotTorch {
        /// How many there are.
        count: usize,
    },
    /// The pickle refers to a storage that is not in the file.
    #[error("its storage `{storage}` is missing")]
    NoStorage {
        /// The storage's key.
        storage: String,
    },
    /// A storage is longer or shorter than the pickle says.
    #[error("its storage `{storage}` has {found} bytes where its pickle says {needed}")]
    StorageSize {
        /// The storage's key.
        storage: String,
        /// Bytes in the file.
        found: usize,
        /// Bytes according to the pickle.
        needed: usize,
    },
    /// The file was written on a big-endian machine.
    #[error("it was written on a big-endian machine: save it as safetensors")]
    BigEndian,
    /// An instruction that checkpoints have no use for.
    #[error("its pickle has the instruction {opcode:#04x} at byte {at}, which no checkpoint needs")]
    Opcode {
        /// The instruction's byte.
        opcode: u8,
        /// Its position in the pickle.
        at: usize,
    },
    /// The pickle makes no sense.
    #[error("its pickle is malformed at byte {at}: {what}")]
    Malformed {
        /// Position in the pickle.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The pickle is larger than any real one, by some measure.
    #[error("its pickle has too many {what}: more than {limit} are refused")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// The pickle holds no tensor with a name.
    #[error("there is no dictionary of tensors in it: save model.state_dict()")]
    NoStateDict,
    /// The pickle's value is made by an unknown name.
    #[error("what it holds {reason}")]
    Content {
        /// What is known about it.
        reason: String,
    },
    /// A tensor reaches beyond its storage, has an impossible shape, or is made by an unknown name:
    /// nothing that a pickle names is ever run.
    #[error("tensor `{tensor}` {reason}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
}
