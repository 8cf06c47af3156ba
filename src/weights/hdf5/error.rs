/// What is wrong with an HDF5 file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Hdf5Error {
    /// The file ends too early.
    #[error("it was cut off: {what} lies beyond its {size} bytes; fetch it again")]
    CutOff {
        /// What is missing.
        what: &'static str,
        /// Bytes of the file.
        size: usize,
    },
    /// The file's tables do not hold together.
    #[error("it is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
    /// A sound part of the format that no Keras file has.
    #[error("it has {what}, which Keras does not write: save it again with Keras")]
    Unsupported {
        /// What that is.
        what: String,
    },
    /// The file is larger than any real one, by some measure.
    #[error("it has too many {what}: more than {limit} are refused")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// A group is reached in two ways, perhaps through itself.
    #[error(
        "its group `{group}` was met before, or shares its members with one that was: groups in a cycle"
    )]
    Cycle {
        /// The path by which it was met again.
        group: String,
    },
    /// A tensor's values cannot be what the file says.
    #[error("tensor `{tensor}` {reason}")]
    Tensor {
        /// The tensor's path in the file.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
}
