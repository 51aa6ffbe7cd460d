//! The `packages` section: what the package managers' databases say is installed, and who built it.
//!
//! Databases are read as files, so that it works on any root and starts no program. A broken record
//! costs itself; a database that cannot be read costs itself, and is told.

mod apk;
mod apt;
mod control;
mod dpkg;
mod lz4;
mod rpm;
mod unpack;

use std::collections::BTreeMap;

use bartizan_core::fact::{Package, Section};
use bartizan_core::verdict::Reason;

use crate::fault::{Collected, Fault};
use crate::root::{Error, Root};

/// Faults that are told of one database: more tell no more of one that is broken throughout.
const FAULTS: usize = 1000;

/// Versions that repositories offer, sorted as text, by the name and architecture of a package.
pub type Candidates = BTreeMap<(String, String), Vec<String>>;

/// What a host has installed, and what it could have instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The installed packages of every package manager, ordered by (name, architecture, version).
    pub packages: Vec<Package>,
    /// What the apt repositories that the host is configured for offered of the names that are installed
    /// when it last asked them. A host without lists has none, and no fault.
    pub candidates: Candidates,
}

/// What the databases gave.
#[derive(Default)]
struct Found {
    packages: Vec<Package>,
    candidates: Candidates,
    /// What was wrong, and the reason that the section gives for it.
    faults: Vec<(Fault, Reason)>,
    /// The databases that stand there.
    databases: usize,
    /// Those that could not be read, and why.
    closed: Vec<Error>,
}

/// The section, with what could not be read as unknown.
pub fn collect(root: &Root) -> Section<Vec<Package>> {
    let found = find(root);
    let mut section = Section::new(found.packages);
    if found.databases == 0 {
        section.miss("package database", Reason::Unsupported);
    }
    for error in found.closed {
        section.miss(error.to_string(), error.reason());
    }
    for (fault, reason) in found.faults {
        section.miss(fault.to_string(), reason);
    }
    section
}

/// The installed packages and what is offered for them, in one pass over the lists of the repositories.
///
/// Fails where there is no database, or none that can be read.
pub fn survey(root: &Root) -> Result<Collected<Survey>, Error> {
    let Found { packages, candidates, faults, databases, mut closed } = find(root);
    if databases == 0 {
        return Err(Error::Missing { path: dpkg::STATUS.into() });
    }
    if closed.len() == databases
        && let Some(error) = closed.pop()
    {
        return Err(error);
    }
    let mut faults: Vec<Fault> = faults.into_iter().map(|(fault, _)| fault).collect();
    faults.extend(closed.iter().map(|error| Fault::new("package database", None, error)));
    Ok(Collected { items: Survey { packages, candidates }, faults })
}

fn find(root: &Root) -> Found {
    let mut found = Found::default();
    found.add(dpkg::read(root));
    let Collected { items, faults } = apt::survey(root, &mut found.packages);
    found.candidates = items;
    found.faults.extend(faults.into_iter().map(|fault| (fault, Reason::Unsupported)));
    found.add(apk::read(root));
    match rpm::read(root) {
        // What an older rpm left beside the database that is read is no longer kept.
        Err(Error::Missing { .. }) => found.unread(rpm::unread(root)),
        database => found.add(database),
    }
    found.packages.sort();
    found.packages.dedup();
    found
}

/// Tells a fault, up to as many as are told of one database.
fn tell(faults: &mut Vec<Fault>, fault: impl FnOnce() -> Fault) {
    if faults.len() < FAULTS {
        let fault = fault();
        faults.push(fault);
    } else if faults.len() == FAULTS {
        faults.push(Fault::new("package database", None, "has more faults than are told"));
    }
}

impl Found {
    fn add(&mut self, database: Result<Collected<Vec<Package>>, Error>) {
        match database {
            Ok(Collected { items, faults }) => {
                self.databases += 1;
                self.packages.extend(items);
                self.faults.extend(faults.into_iter().map(|fault| (fault, Reason::Unparsable)));
            }
            Err(Error::Missing { .. }) => {}
            Err(error) => {
                self.databases += 1;
                self.closed.push(error);
            }
        }
    }

    /// Tells of a database in a format that is not read.
    fn unread(&mut self, database: Option<Fault>) {
        self.databases += usize::from(database.is_some());
        self.faults.extend(database.map(|fault| (fault, Reason::Unsupported)));
    }
}

#[cfg(test)]
mod tests;
