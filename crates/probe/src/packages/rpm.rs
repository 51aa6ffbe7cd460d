//! Installed packages of rpm, from its SQLite database (rpm 4.16 and later; RHEL 9, Fedora 33).
//!
//! The older formats, Berkeley DB and ndb, are told and not read.

mod header;
mod sqlite;
mod wal;

use std::collections::BTreeSet;

use bartizan_core::fact::{Package, PackageManager};

use self::header::{Header, Tag};
use self::sqlite::{Database, Value};
use super::tell;
use crate::fault::{Collected, Fault};
use crate::root::{Error, Root};

/// Where the databases stand, the newer place first: the older is often a link to it.
const FOLDERS: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

/// The database that is read.
const SQLITE: &str = "rpmdb.sqlite";

/// Those that are not.
const UNREAD: [(&str, &str); 2] = [("Packages", "Berkeley DB"), ("Packages.db", "ndb")];

/// The table of headers: a number and the header.
const TABLE: &str = "Packages";

/// What rpm stores signing keys as, which are no packages.
const KEY: &str = "gpg-pubkey";

/// Why a header says nothing we can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is no header")]
    NoHeader,
    #[error("has no {0}")]
    Absent(&'static str),
}

pub(super) fn read(root: &Root) -> Result<Collected<Vec<Package>>, Error> {
    for folder in FOLDERS {
        match read_file(root, &format!("{folder}/{SQLITE}")) {
            Err(Error::Missing { .. }) => {}
            other => return other,
        }
    }
    Err(Error::Missing { path: format!("{}/{SQLITE}", FOLDERS[1]).into() })
}

/// The database that stands there in a format that is not read.
pub(super) fn unread(root: &Root) -> Option<Fault> {
    let places =
        FOLDERS.iter().flat_map(|folder| UNREAD.map(|(name, format)| (format!("{folder}/{name}"), format)));
    let (path, format) = places.into_iter().find(|(path, _)| root.exists(path))?;
    Some(Fault::new(path, None, format_args!("is a database of {format}, which is unsupported")))
}

fn read_file(root: &Root, path: &str) -> Result<Collected<Vec<Package>>, Error> {
    let mut collected = Collected::<Vec<Package>>::default();
    let Collected { items, faults } = &mut collected;
    let mut problems = Vec::new();
    let database = match Database::open(root, path, &mut problems)? {
        Ok(database) => database,
        Err(problem) => {
            faults.push(Fault::new(path, None, problem));
            return Ok(collected);
        }
    };
    let result = database.rows(TABLE, &mut problems, |number, columns| {
        let Some(Value::Blob(blob)) = columns.get(1) else {
            tell(faults, || Fault::new(path, None, format_args!("row {number} holds no header")));
            return;
        };
        match package(blob) {
            Ok(package) => items.extend(package),
            Err(problem) => tell(faults, || Fault::new(path, None, format_args!("row {number} {problem}"))),
        }
    });
    problems.extend(result.err());
    for problem in problems {
        tell(faults, || Fault::new(path, None, problem));
    }
    Ok(collected)
}

/// The package of a header; none for a key.
fn package(blob: &[u8]) -> Result<Option<Package>, Problem> {
    let header = Header::parse(blob).ok_or(Problem::NoHeader)?;
    let text = |tag| header.text(tag);
    let name = text(Tag::NAME).ok_or(Problem::Absent("name"))?;
    if name == KEY {
        return Ok(None);
    }
    let version = text(Tag::VERSION).ok_or(Problem::Absent("version"))?;
    let release = text(Tag::RELEASE).ok_or(Problem::Absent("release"))?;
    let epoch = header.number(Tag::EPOCH).map_or_else(String::new, |epoch| format!("{epoch}:"));
    let version = format!("{epoch}{version}-{release}");
    let source = text(Tag::SOURCERPM);
    let (source, source_version) = match source.as_deref().and_then(split_source) {
        // A source package has no header here; its packages carry its epoch unless they say otherwise.
        Some((source, version)) => (source.to_owned(), format!("{epoch}{version}")),
        None => (name.clone(), version.clone()),
    };
    let stream = text(Tag::MODULARITYLABEL).map(|label| format!("module({label})"));
    let mut provides: BTreeSet<String> =
        header.texts(Tag::PROVIDENAME).into_iter().filter(|provided| is_package(provided, &name)).collect();
    provides.extend(stream);
    Ok(Some(Package {
        architecture: text(Tag::ARCH).ok_or(Problem::Absent("architecture"))?,
        name,
        version,
        source,
        source_version,
        manager: PackageManager::Rpm,
        origin: text(Tag::VENDOR),
        provides: provides.into_iter().collect(),
    }))
}

/// Name and version-release of the source package that a file name tells: `name-version-release.src.rpm`.
fn split_source(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".rpm")?;
    let stem = stem.strip_suffix(".src").or_else(|| stem.strip_suffix(".nosrc"))?;
    let release = stem.rfind('-')?;
    let (name, version) = stem.split_at_checked(stem.get(..release)?.rfind('-')?)?;
    (!name.is_empty()).then_some((name, version.get(1..)?))
}

/// Whether what is provided is another package's name, and no library, file or capability.
fn is_package(provided: &str, own: &str) -> bool {
    provided != own && !provided.contains(['(', '/']) && !provided.contains(".so")
}

#[cfg(test)]
mod tests;
