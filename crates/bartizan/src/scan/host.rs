//! The packages of a host, as tuples.

use std::path::Path;

use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_probe::fault::{Collected, Fault};
use bartizan_probe::root::{Error, Limit, Root};
use bartizan_probe::{os, packages};

use super::{Inventory, Unknown};
use crate::exit::Failure;

pub(crate) use bartizan_probe::packages::Candidates;

/// Files that somebody copied out of a host into one folder, and where they stood there.
const COPIED: [(&str, &str); 2] = [("dpkg-status", "var/lib/dpkg/status"), ("os-release", "etc/os-release")];

const COPY: Limit = Limit { name: "copied file", bytes: 512 << 20 };

/// Reads os-release and the package databases. A host without a package database has no packages that
/// could be known.
pub(crate) fn read(path: &Path) -> Result<Inventory, Failure> {
    let root = Root::at(path).map_err(|error| Failure::new(error.class(), error))?;
    if COPIED.iter().all(|(flat, place)| root.exists(flat) && !root.exists(place)) {
        let laid_out = lay_out(&root)?;
        return Ok(read_root(&Root::at(laid_out.path()).map_err(Failure::unavailable)?));
    }
    Ok(read_root(&root))
}

/// The copied files where a host has them.
fn lay_out(root: &Root) -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::unavailable)?;
    for (flat, place) in COPIED {
        let bytes = root.read(flat, COPY).map_err(|error| Failure::new(error.class(), error))?;
        let target = folder.path().join(place);
        let parent = target.parent().unwrap_or(folder.path());
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&target, bytes))
            .map_err(Failure::unavailable)?;
    }
    Ok(folder)
}

fn read_root(root: &Root) -> Inventory {
    let mut inventory = Inventory::default();
    let system = match os::read(root) {
        Ok(system) => system,
        Err(error) => {
            inventory.unknown.push(of_error("operating system", &error));
            return inventory;
        }
    };
    match packages::survey(root) {
        Ok(Collected { items, faults }) => {
            inventory.tuples = items.packages.iter().map(|package| Tuple::of(&system, package)).collect();
            inventory.candidates = items.candidates;
            inventory.unknown.extend(faults.iter().map(of_fault));
        }
        Err(error) => inventory.unknown.push(of_error("packages", &error)),
    }
    inventory
}

fn of_error(what: &str, error: &Error) -> Unknown {
    Unknown { what: what.to_owned(), reason: error.reason(), problem: error.to_string() }
}

fn of_fault(fault: &Fault) -> Unknown {
    Unknown { what: fault.file.clone(), reason: Reason::Unparsable, problem: fault.to_string() }
}
