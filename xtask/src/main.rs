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
    /// Measure, and print the figure beside a peer's.
    #[command(subcommand)]
    Bench(xtask::bench::Bench),
    /// Build release binaries and Debian packages, with their checksums.
    Dist(xtask::dist::Arguments),
    /// Run each fuzz target for some seconds.
    Fuzz(xtask::fuzz::Arguments),
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().chore {
        Chore::Test(arguments) => xtask::test::run(&arguments),
        Chore::Tidy => xtask::tidy::run(),
        Chore::Bench(bench) => xtask::bench::run(&bench),
        Chore::Dist(arguments) => xtask::dist::run(&arguments),
        Chore::Fuzz(arguments) => xtask::fuzz::run(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
