//! `cargo xtask test`: the test command. Formatting, lints, build, then every test, with the
//! services they need brought up first and taken down after.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::services::Services;
use crate::{cargo, run as execute, tidy};

/// What `cargo xtask test` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only tests whose name contains this word; formatting and lints are left out.
    filter: Option<String>,
}

/// Runs the checks in order, the quick ones first; stops at the first that fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    if arguments.filter.is_none() {
        execute(&mut cargo(&["fmt", "--all", "--check"]))?;
        tidy::run()?;
        execute(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        deny()?;
    }
    execute(&mut cargo(&["build", "--workspace", "--bins", "--tests"]))?;
    println!("built after {:.0} s", started.elapsed().as_secs_f64());

    let services = Services::start()?;
    let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if let Some(filter) = &arguments.filter {
        test.arg(filter);
    }
    services.announce(&mut test);
    let ended = execute(&mut test);
    services.report_left_out();
    println!("took {:.0} s in all", started.elapsed().as_secs_f64());
    ended
}

/// Licences, bans and sources. The advisory database is a git repository of its own, which a
/// closed network does not reach: it is checked where `cargo deny fetch` has brought it.
fn deny() -> Result<()> {
    if Command::new("cargo-deny").arg("--version").output().is_err() {
        println!(
            "left out: cargo-deny is not installed, and what deny.toml says of licences, bans and sources is not checked here"
        );
        return Ok(());
    }
    execute(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))
}
