//! Whether a package is installed: by the host's own package manager, from the repositories that
//! it trusts already, by their signatures.

use std::path::Path;
use std::time::Duration;

use bartizan_probe::packages;
use bartizan_probe::root::Root;

use super::{Look, Problem, first_there, program};

/// A package may be large and the mirror far.
const LIMIT: Duration = Duration::from_secs(900);

/// How long the lists of packages may be asked.
const SHOW_LIMIT: Duration = Duration::from_secs(30);

/// Package managers by what is there: program, and its words for install and remove.
const MANAGERS: [(&[&str], &[&str], &[&str]); 3] = [
    (
        &["/usr/bin/apt-get"],
        &["install", "-y", "-q", "--no-install-recommends", "--"],
        &["remove", "-y", "-q", "--"],
    ),
    (&["/usr/bin/dnf"], &["install", "-y", "-q", "--"], &["remove", "-y", "-q", "--"]),
    (&["/sbin/apk", "/usr/sbin/apk"], &["add", "-q", "--"], &["del", "-q", "--"]),
];

pub(super) fn look(root: &Root, name: &str, installed: bool) -> Result<Look, Problem> {
    let section = packages::collect(root);
    let found: Vec<String> = section
        .body
        .iter()
        .filter(|package| package.name == name)
        .map(|package| package.version.clone())
        .collect();
    if found.is_empty() && section.body.is_empty() {
        return Err(Problem::Unsupported(format!("{name}: no database of packages can be read here")));
    }
    let is = if found.is_empty() { "not installed".to_owned() } else { found.join(", ") };
    Ok(Look { so: found.is_empty() != installed, is })
}

pub(super) fn set(root: &Root, name: &str, installed: bool) -> Result<(), Problem> {
    if !root.is_host() {
        return Err(Problem::Unsupported(format!("the package {name} on a root that is not this host")));
    }
    for (places, install, remove) in MANAGERS {
        let Some(manager) = first_there(root, places) else { continue };
        exists(&manager, name)?;
        let mut words = if installed { install.to_vec() } else { remove.to_vec() };
        words.push(name);
        return program::done(&manager, &words, LIMIT);
    }
    Err(Problem::Unsupported(format!("{name}: there is no package manager that is known")))
}

/// apt-get(8) takes a name that no package has for a pattern: only one that is there is passed on.
fn exists(manager: &Path, name: &str) -> Result<(), Problem> {
    if !manager.ends_with("apt-get") {
        return Ok(());
    }
    let cache = manager.with_file_name("apt-cache");
    let shown = program::run(&cache, &["show", "--no-all-versions", "--", name], SHOW_LIMIT)?;
    let named = shown.output.lines().any(|line| line.strip_prefix("Package: ") == Some(name));
    if shown.success && named {
        Ok(())
    } else {
        Err(Problem::NoSuch { what: "package", name: name.to_owned() })
    }
}
