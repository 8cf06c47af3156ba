//! What can go wrong with an adapter.

/// Why the engine `wgpu` does not run something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WgpuError {
    /// There is no adapter, or none of the name that was asked for.
    #[error(
        "no GPU adapter{}: install a driver for Vulkan (Debian: mesa-vulkan-drivers, which also runs \
         on the CPU), Direct3D 12 or Metal{}",
        asked.as_ref().map(|name| format!(" has {name:?} in its name")).unwrap_or_default(),
        found(there)
    )]
    NoAdapter {
        /// `WGPU_ADAPTER_NAME`, if it is set.
        asked: Option<String>,
        /// The adapters that there are.
        there: Vec<String>,
    },
    /// What one image or one layer needs exceeds what the adapter takes.
    #[error("{what}: {needed} where the adapter takes {most}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How much it needs.
        needed: usize,
        /// How much the adapter takes.
        most: usize,
    },
    /// The device has no memory for the weights, or for images of this shape.
    #[error("the device is out of memory: give it fewer images at once")]
    OutOfMemory,
    /// The device is gone, as after a reset of its driver; the engine has to be made anew.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// The driver refused something.
    #[error("the device failed: {0}")]
    Device(String),
}

fn found(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!(" (found: {})", there.join(", ")) }
}
