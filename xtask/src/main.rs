//! `cargo xtask`: see the library for what each chore does.
#![expect(clippy::print_stderr, reason = "a chore talks to the person who runs it")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The chores of the house")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Bring up what tests need, then run every check and every test.
    Test(xtask::test::Arguments),
    /// Check corridors, file lengths, links, bans and decision records.
    Tidy,
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().chore {
        Chore::Test(arguments) => xtask::test::run(&arguments),
        Chore::Tidy => xtask::tidy::run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
