//! The server's own API as clients meet it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod bodies;
mod faults;
mod models;
mod server;
mod support;
