# Daily commands; `just` lists them.

default:
    @just --list

# Format, clippy and rustdoc, with warnings denied.
check:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings
    cargo clippy --release --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps

# All tests.
test:
    cargo test --release

# What CI runs.
ci:
    bash .ci/run

# Name what images show.
classify +ARGS:
    cargo run --release -- classify {{ARGS}}
