//! The chores of the house: `test` brings up what tests need and runs them all,
//! `tidy` holds the walls, `bench` prints figures.
//!
//! Chores run tools and read the checkout; nothing of the product depends on this room.
//! Read first: [`tidy::Complaint`], [`services::Service`].
#![expect(clippy::print_stdout, reason = "a chore talks to the person who runs it")]

pub mod bench;
pub mod dist;
pub mod fuzz;
pub mod services;
pub mod test;
pub mod tidy;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folder that holds the workspace manifest.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where build products go, as cargo itself sees it.
pub fn target_folder() -> Result<PathBuf> {
    let metadata = tidy::workspace::metadata(&["--no-deps"])?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(folder.context("cargo metadata names no target folder")?))
}

/// Cargo as a person would call it. What the cargo that runs this chore says of the chore itself stays behind:
/// build scripts (ring's) would take it for news, and everything above them would be built again.
pub fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(words);
    for (name, _) in std::env::vars_os() {
        let of_this_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name == "CARGO_PRIMARY_PACKAGE"
        });
        if of_this_package {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command in the checkout, its output shown; an error where it can't start or fails.
pub fn run(command: &mut Command) -> Result<()> {
    command.current_dir(root());
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("can't start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// The standard output of a command that succeeds.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("can't start `{}`", shown(command)))?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", shown(command), output.status, talk.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
