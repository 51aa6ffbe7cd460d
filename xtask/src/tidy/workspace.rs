//! What the checkout holds, as git and cargo tell it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::File;
use crate::{cargo, output, root};

/// A workspace member: its short name and what it depends on outside tests.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub name: String,
    /// Rooms it depends on, by short name.
    pub rooms: BTreeSet<String>,
    /// Other crates it depends on directly.
    pub crates: BTreeSet<String>,
}

/// `cargo metadata` of this workspace with these further words.
pub fn metadata(words: &[&str]) -> Result<Value> {
    let mut command = cargo(&["metadata", "--format-version=1"]);
    command.current_dir(root()).args(words);
    let text = output(&mut command)?;
    serde_json::from_str(&text).context("cargo metadata printed no JSON")
}

/// Every room and its corridors. Build- and test-only dependencies are no corridors.
pub(crate) fn rooms() -> Result<Vec<Room>> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    packages.iter().map(room).collect()
}

fn room(package: &Value) -> Result<Room> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = text(package, "name").context("a package without a name")?;
    let mut room = Room { name: short(&name), rooms: BTreeSet::new(), crates: BTreeSet::new() };
    let dependencies = package.get("dependencies").and_then(Value::as_array).context("no dependencies")?;
    for dependency in dependencies.iter().filter(|dependency| text(dependency, "kind").is_none()) {
        let name = text(dependency, "name").context("a dependency without a name")?;
        let inside = dependency.get("path").is_some_and(Value::is_string);
        if inside {
            room.rooms.insert(short(&name))
        } else {
            room.crates.insert(name)
        };
    }
    Ok(room)
}

fn short(name: &str) -> String {
    name.strip_prefix("bartizan-").unwrap_or(name).to_owned()
}

/// The text files of the checkout that git knows or does not ignore.
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = output(&mut git)?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty()) {
        // Deleted in the work tree but not yet in the index, or not text: nothing to read.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}
