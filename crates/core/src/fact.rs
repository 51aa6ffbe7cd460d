//! Facts: what was observed about an asset, by section.
//!
//! A collector fills one section. A section's body is the canonical JSON of one type of
//! this room; its digest is its hash in a report, so a body holds nothing that changes while
//! the asset does not (no times, no counters).

use serde::{Deserialize, Serialize};

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
