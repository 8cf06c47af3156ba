//! The hub client against a hub on this machine.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod cache;
mod classify;
mod faults;
mod metadata;
mod scene;
mod untrusted;

use std::path::Path;
use std::time::Duration;

use effnet::hub::{HubBuilder, HubError, ModelFiles};
use scene::*;
use test_hub::Repo;
