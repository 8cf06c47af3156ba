//! The table: block strings of each family, then one row per variant.

mod efficientnet;
mod efficientnet_v2;
mod hardcorenas;
mod mixnet;
mod mnasnet;
mod mobilenet;
mod mobilenet_v3;
mod mobilenet_v4;

use std::sync::LazyLock;

use super::architecture::{Arch, DepthMultiplier};
use super::network::PadType;

/// Every architecture.
pub(super) static ARCHITECTURES: LazyLock<Vec<Arch>> = LazyLock::new(|| {
    [
        efficientnet::ROWS,
        efficientnet_v2::ROWS,
        mixnet::ROWS,
        mnasnet::ROWS,
        mobilenet::ROWS,
        mobilenet_v3::ROWS,
        hardcorenas::ROWS,
        mobilenet_v4::ROWS,
    ]
    .concat()
});

/// The arithmetic of weights trained in TensorFlow: `SAME` padding and its batch-norm epsilon.
pub(super) const fn tf(arch: Arch) -> Arch {
    Arch { pad_type: PadType::Same, bn_eps: 1e-3, ..arch }
}

/// A row: `family`, under a name, scaled.
pub(super) const fn row(name: &'static str, family: Arch, width: f64, depth: f64) -> Arch {
    Arch {
        name,
        channel_multiplier: width,
        depth_multiplier: DepthMultiplier::Uniform(depth),
        ..family
    }
}
