# Daily commands; `just` lists them.

default:
    @just --list

# Format, clippy and rustdoc, with warnings denied.
check:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo clippy --release -p effnet --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release -p effnet --no-deps

# All tests.
test:
    cargo test --release

# The Python package's wheel for Linux with glibc 2.17 or later, in target/wheels. Needs maturin and ziglang of PyPI.
wheel:
    maturin build --release -m crates/effnet-py/Cargo.toml --compatibility manylinux_2_17 -- \
        -C linker={{justfile_directory()}}/crates/effnet-py/zig-cc

# What CI runs.
ci:
    bash .ci/run

# Fuzz a target of `fuzz/` for twenty minutes; `cargo +nightly fuzz list` names them.
fuzz TARGET SECONDS="1200":
    cargo +nightly fuzz run -O {{TARGET}} fuzz/corpus/{{TARGET}} -- \
        -max_total_time={{SECONDS}} -timeout=20 -rss_limit_mb=3000 -max_len=65536

# Name what images show.
classify +ARGS:
    cargo run --release -- classify {{ARGS}}
