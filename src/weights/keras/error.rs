use crate::weights::{Hdf5Error, ZipError};

/// What is wrong with a Keras file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KerasError {
    /// The HDF5 file is malformed.
    #[error(transparent)]
    Hdf5(#[from] Hdf5Error),
    /// The archive around it is malformed.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// An HDF5 file that Keras did not write.
    #[error("it is an HDF5 file without layers as Keras writes them: name a file of model weights")]
    NotKeras,
    /// The model's description is not Keras's.
    #[error("its config.json is not as it should be: {reason}")]
    Config {
        /// What the parser said.
        reason: String,
    },
    /// The model does something after the network that this library does not compute.
    #[error("its layer `{layer}` is a {class}: {reason}")]
    Head {
        /// The layer's name.
        layer: String,
        /// Keras's class.
        class: String,
        /// Why it is refused.
        reason: String,
    },
    /// Two tensors have one name.
    #[error("the name `{tensor}` occurs twice")]
    Twice {
        /// The name.
        tensor: String,
    },
}
