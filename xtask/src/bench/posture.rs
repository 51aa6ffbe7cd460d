//! `cargo xtask bench posture`: builds the server with its made-up fleet and runs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, run as execute, target_folder};

/// The program that measures: `crates/sim/src/bin/posture`.
const PROGRAM: &str = "bartizan-sim-posture";

/// What `cargo xtask bench posture` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many assets the fleet has.
    #[arg(long, default_value_t = 100_000)]
    assets: u32,
    /// Keep the state in this PostgreSQL database, in a schema of its own, instead of SQLite.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Keep files in this folder, which is removed after, instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Build without optimisation: to try the benchmark itself, not for figures.
    #[arg(long)]
    dev: bool,
}

/// Builds the program and runs it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut build = cargo(&["build", "--package", "bartizan-sim", "--bin", PROGRAM]);
    if !arguments.dev {
        build.arg("--release");
    }
    execute(&mut build)?;
    let profile = if arguments.dev { "debug" } else { "release" };
    let mut program = Command::new(target_folder()?.join(profile).join(PROGRAM));
    program.args(["--assets", &arguments.assets.to_string()]);
    if let Some(database) = &arguments.database {
        program.args(["--database", database]);
    }
    if let Some(folder) = &arguments.folder {
        program.arg("--folder").arg(folder);
    }
    execute(&mut program)
}
