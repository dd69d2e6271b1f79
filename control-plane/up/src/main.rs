//! The `nimbus` program: a thin shell around the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    nimbus::run(&std::env::args_os().collect::<Vec<_>>())
}
