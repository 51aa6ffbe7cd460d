//! Which processes run files of a package: what they map, against the list of its files.

use std::collections::BTreeSet;
use std::path::Path;

use bartizan_core::fact::PackageManager;
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_probe::root::{Error, Limit, Root};
use serde::Serialize;

/// The list of a package's files: the largest has some MB.
const FILES: Limit = Limit { name: "list of a package's files", bytes: 64 << 20 };

/// What a process maps.
const MAPS: Limit = Limit { name: "maps of a process", bytes: 64 << 20 };

const NAME: Limit = Limit { name: "name of a process", bytes: 4 << 10 };

/// Processes that are told.
const TOLD: usize = 50;

#[derive(Debug, Default, Serialize)]
pub(super) struct Running {
    /// By their numbers, at most 50.
    pub(super) processes: Vec<Process>,
    /// Why there may be others, in words.
    pub(super) unknown: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    /// The first of the package's files that it maps.
    pub(super) file: String,
}

pub(super) fn running(path: &Path, tuple: &Tuple) -> Running {
    let unknown = |problem: String| Running { unknown: Some(problem), ..Running::default() };
    let root = match Root::at(path) {
        Ok(root) if root.is_host() => root,
        Ok(_) => return unknown("the root is not this running host's".to_owned()),
        Err(error) => return unknown(error.to_string()),
    };
    if tuple.manager != PackageManager::Dpkg {
        return unknown("lists of files are read for dpkg alone".to_owned());
    }
    let files = match files(&root, tuple) {
        Ok(files) => files,
        Err(error) => return unknown(error.to_string()),
    };
    let pids = match root.names("/proc") {
        Ok(names) => names.into_iter().filter_map(|name| name.parse::<u32>().ok()).collect::<BTreeSet<_>>(),
        Err(error) => return unknown(error.to_string()),
    };
    let mut running = Running::default();
    let mut denied = 0_u32;
    for pid in pids {
        match root.read_text(format!("/proc/{pid}/maps"), MAPS) {
            Ok(maps) => {
                let mapped = maps.text.lines().filter_map(mapped);
                if let Some(file) = mapped.into_iter().find(|file| files.contains(&usr(file))) {
                    let name = root.read_text(format!("/proc/{pid}/comm"), NAME);
                    let name = name.map(|name| name.text.trim_end().to_owned()).unwrap_or_default();
                    running.processes.push(Process { pid, name, file: file.to_owned() });
                }
            }
            Err(Error::Denied { .. }) => denied += 1,
            // It ended meanwhile.
            Err(_) => {}
        }
        if running.processes.len() >= TOLD {
            running.unknown = Some(format!("more than {TOLD} processes run it"));
            return running;
        }
    }
    if denied > 0 {
        running.unknown = Some(format!("the maps of {denied} processes may not be read"));
    }
    running
}

/// The package's files (dpkg(1): `info/NAME.list`, or `info/NAME:ARCHITECTURE.list`).
fn files(root: &Root, tuple: &Tuple) -> Result<BTreeSet<String>, Error> {
    let folder = "/var/lib/dpkg/info";
    let own = format!("{folder}/{}:{}.list", tuple.package, tuple.architecture);
    let list = match root.read_text(own, FILES) {
        Err(Error::Missing { .. }) => root.read_text(format!("{folder}/{}.list", tuple.package), FILES)?,
        other => other?,
    };
    Ok(list.text.lines().map(usr).collect())
}

/// A line of maps ends with the path, after five fields (proc(5)).
fn mapped(line: &str) -> Option<&str> {
    let path = line.get(line.find('/')?..)?;
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

/// Where `/lib` is a link to `/usr/lib`, packages list the one and processes map the other.
fn usr(path: &str) -> String {
    let is_merged = ["/lib", "/bin", "/sbin"].iter().any(|folder| path.starts_with(folder));
    if is_merged { format!("/usr{path}") } else { path.to_owned() }
}
