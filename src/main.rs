//! The `effnet` command.
fn main() {}
