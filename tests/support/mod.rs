//! What the integration tests share.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod golden;
