//! Whether a unit is enabled: by the service manager's own program (systemctl(1)), offline where
//! the root is not this host.

use std::time::Duration;

use bartizan_probe::root::Root;

use super::{Look, Problem, first_there, program};

const PLACES: &[&str] = &["/usr/bin/systemctl", "/bin/systemctl"];

/// Starting or stopping a unit may take as long as its own time limits.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn look(root: &Root, name: &str, enabled: bool) -> Result<Look, Problem> {
    let ended = program::run(&systemctl(root)?, &words(root, &["is-enabled", "--", name]), LIMIT)?;
    let is = ended.output.lines().next().unwrap_or_default().trim().to_owned();
    if is.is_empty() || is == "not-found" {
        return if enabled {
            Err(Problem::NoSuch { what: "unit", name: name.to_owned() })
        } else {
            Ok(Look { so: true, is: "not there".to_owned() })
        };
    }
    let on =
        matches!(is.as_str(), "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated");
    let off = matches!(is.as_str(), "disabled" | "masked" | "masked-runtime");
    Ok(Look { so: if enabled { on } else { off }, is })
}

pub(super) fn set(root: &Root, name: &str, enabled: bool) -> Result<(), Problem> {
    let verb = if enabled { "enable" } else { "disable" };
    let mut words = vec![verb];
    if root.is_host() && root.exists("/run/systemd/system") {
        words.push("--now");
    }
    words.extend(["--", name]);
    program::done(&systemctl(root)?, &self::words(root, &words), LIMIT)
}

fn systemctl(root: &Root) -> Result<std::path::PathBuf, Problem> {
    // The program of this host works on another root; the other root's own is not trusted to run.
    let here = if root.is_host() { root.clone() } else { Root::host() };
    first_there(&here, PLACES).ok_or_else(|| Problem::Unsupported("units without systemctl".to_owned()))
}

fn words<'a>(root: &'a Root, rest: &[&'a str]) -> Vec<&'a str> {
    let mut words = Vec::new();
    if !root.is_host() {
        words.extend(["--root", root.path().to_str().unwrap_or_default()]);
    }
    words.extend(rest);
    words
}
