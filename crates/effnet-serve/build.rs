//! Makes Rust of the protocols in `proto`, without the program `protoc`.

// Cargo reads what a build script prints.
#![allow(clippy::print_stdout)]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let protocols = protox::compile(["open_inference.proto", "health.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .btree_map(".")
        // Only tests are clients.
        .client_mod_attribute(".", "#[cfg(test)]")
        .codec_path("crate::kserve::grpc::CountingCodec")
        .compile_fds(protocols)?;
    Ok(())
}
