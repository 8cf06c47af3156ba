use super::{Checkpoint, WeightsError};

/// timm's name of the model whose weights are inside the program.
pub const BUNDLED_MODEL: &str = "tf_efficientnet_lite0.in1k";

/// The bundled weights of [`BUNDLED_MODEL`], by timm's names.
///
/// Origin and license: `weights-map/bundled/README.md`.
///
/// # Errors
/// Never, unless the data file in the program is damaged.
pub fn bundled() -> Result<Checkpoint, WeightsError> {
    let bytes = effnet_bundled::TF_EFFICIENTNET_LITE0_IN1K;
    Checkpoint::from_static("bundled weights of tf_efficientnet_lite0.in1k", bytes)
}
