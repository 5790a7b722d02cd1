//! The `shiren` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    shiren::commands::main()
}
