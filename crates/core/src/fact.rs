//! Facts: what was observed about an asset, by section.
//!
//! A collector fills one section. A section's body is the canonical JSON of one type of
//! this room; its digest is its hash in a report, so a body holds nothing that changes while
//! the asset does not (no times, no counters).

pub mod account;
pub mod certificate;
pub mod hardware;
pub mod job;
pub mod kernel;
pub mod module;
pub mod mount;
pub mod process;
pub mod socket;
pub mod source;
pub mod ssh;
pub mod sudoers;
pub mod sysctl;
pub mod unit;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::verdict::Reason;

/// The most that a section lists as unseen; a host with more is told by what comes first.
pub const UNSEEN_LIMIT: usize = 1_000;

/// What a collector found, and what it could not see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section<T> {
    pub body: T,
    /// Sorted, each once. What is listed here is unknown; what is not, and not in the body, is not there.
    pub unknown: Vec<Unseen>,
}

/// One thing that a collector could not see, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unseen {
    /// A path inside the root, or a few words for what has none.
    pub what: String,
    pub reason: Reason,
}

/// The sections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    Os,
    Packages,
    Kernel,
    Hardware,
    Units,
    Sockets,
    Processes,
    Accounts,
    Sudoers,
    Sshd,
    Sysctl,
    Mounts,
    Modules,
    Jobs,
    Certificates,
    Sources,
    Drift,
}

/// A word that names no section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no section of facts")]
pub struct NoSection(String);

impl<T> Section<T> {
    /// A section of which everything was seen so far.
    pub fn new(body: T) -> Self {
        Self { body, unknown: Vec::new() }
    }

    /// Notes something that could not be seen; beyond [`UNSEEN_LIMIT`], only that there is more.
    pub fn miss(&mut self, what: impl Into<String>, reason: Reason) {
        let mut unseen = Unseen { what: what.into(), reason };
        if self.unknown.len() >= UNSEEN_LIMIT {
            unseen = Unseen { what: format!("more than {UNSEEN_LIMIT} things"), reason: Reason::Unsupported };
        }
        if let Err(place) = self.unknown.binary_search(&unseen) {
            self.unknown.insert(place, unseen);
        }
    }
}

impl Name {
    /// Every section, in the order in which they are listed.
    pub const ALL: [Name; 17] = [
        Name::Os,
        Name::Packages,
        Name::Kernel,
        Name::Hardware,
        Name::Units,
        Name::Sockets,
        Name::Processes,
        Name::Accounts,
        Name::Sudoers,
        Name::Sshd,
        Name::Sysctl,
        Name::Mounts,
        Name::Modules,
        Name::Jobs,
        Name::Certificates,
        Name::Sources,
        Name::Drift,
    ];

    /// The word for it in reports, documents and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Name::Os => "os",
            Name::Packages => "packages",
            Name::Kernel => "kernel",
            Name::Hardware => "hardware",
            Name::Units => "units",
            Name::Sockets => "sockets",
            Name::Processes => "processes",
            Name::Accounts => "accounts",
            Name::Sudoers => "sudoers",
            Name::Sshd => "sshd",
            Name::Sysctl => "sysctl",
            Name::Mounts => "mounts",
            Name::Modules => "modules",
            Name::Jobs => "jobs",
            Name::Certificates => "certificates",
            Name::Sources => "sources",
            Name::Drift => "drift",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Name {
    type Err = NoSection;

    fn from_str(word: &str) -> Result<Self, NoSection> {
        Name::ALL.into_iter().find(|name| name.as_str() == word).ok_or_else(|| NoSection(word.to_owned()))
    }
}

/// `/etc/os-release` as far as judging needs it (freedesktop os-release(5)). Section `os`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingSystem {
    /// `ID`: `debian`, `ubuntu`, `rhel`, `alpine` …
    pub id: String,
    /// `VERSION_ID`: `12`, `24.04`, `3.20.1`; empty for rolling releases.
    pub version_id: String,
    /// `VERSION_CODENAME`: `bookworm`; empty where there is none.
    pub codename: String,
    /// `PRETTY_NAME`, for people.
    pub name: String,
    /// `ID_LIKE`, split at spaces.
    pub id_like: Vec<String>,
}

/// Which package manager's database a package came from; it fixes the version order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageManager {
    Dpkg,
    Rpm,
    Apk,
}

/// One installed binary package. Section `packages` is the list, ordered by (name, architecture, version).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    /// `amd64`, `x86_64`, `all`, `noarch` …
    pub architecture: String,
    /// The full version, with epoch where there is one.
    pub version: String,
    /// The source package; the package's own name where the database names none.
    pub source: String,
    /// The source package's version; the package's own where the database names none.
    pub source_version: String,
    pub manager: PackageManager,
    /// Who built it: the `Origin` of the repository it came from (`Debian`, `Ubuntu`,
    /// `apt.postgresql.org` …), the rpm's `Vendor`, or none where nothing on the host tells.
    pub origin: Option<String>,
    /// Names that the package provides beside its own (kernel images, module streams).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_reads_back_from_its_word_and_serialises_to_it() {
        for name in Name::ALL {
            assert_eq!(name.as_str().parse::<Name>().unwrap(), name);
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert!("firewall".parse::<Name>().is_err());
    }

    #[test]
    fn what_was_not_seen_is_bounded_and_says_so() {
        let mut section = Section::new(());
        for number in 0..2 * UNSEEN_LIMIT {
            section.miss(format!("/{number}"), Reason::Denied);
        }
        assert_eq!(section.unknown.len(), UNSEEN_LIMIT + 1);
        assert!(section.unknown.iter().any(|unseen| unseen.what.starts_with("more than")));
    }

    #[test]
    fn what_was_not_seen_is_sorted_and_stands_once() {
        let mut section = Section::new(());
        for what in ["/b", "/a", "/b"] {
            section.miss(what, Reason::Denied);
        }
        let seen: Vec<_> = section.unknown.iter().map(|unseen| unseen.what.as_str()).collect();
        assert_eq!(seen, ["/a", "/b"]);
    }
}
