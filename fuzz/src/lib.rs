//! Fuzz targets, and mutators that keep checksums right.

pub mod mutators;
mod targets;

pub use targets::*;
