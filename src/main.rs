//! The program: hands the arguments to [`ingestd::cli`] and its exit code to the system. Knows nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingestd::cli::main(std::env::args_os()).into()
}
