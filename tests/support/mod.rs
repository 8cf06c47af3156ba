//! What the integration tests share.

// A helper that fails is a test that fails; the modules are private to each test program.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

pub mod golden;
