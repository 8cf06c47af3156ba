//! The `effnet` command.

fn main() -> std::process::ExitCode {
    effnet::cli::run()
}
