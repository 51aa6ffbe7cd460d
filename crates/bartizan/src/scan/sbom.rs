//! The packages of an SBOM, as tuples: CycloneDX and SPDX 2 as JSON, by their package URLs.
//!
//! What goes by no package URL of a distribution is unknown, and counted: it never passes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr as _;

use bartizan_core::error::Class;
use bartizan_core::fact::{OperatingSystem, PackageManager};
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::matching::{Tuple, release};
use packageurl::PackageUrl;
use serde::Deserialize;

use super::{Inventory, Unknown};
use crate::exit::Failure;
use crate::printer::printable;

/// The largest SBOM, in bytes.
const BYTES: u64 = 512 << 20;

/// The most packages of one.
const PACKAGES: usize = 1_000_000;

/// How deep components may hold components.
const DEPTH: usize = 32;

/// How many components without a package URL are told by name.
const NAMED: usize = 5;

/// Kinds of component that are no software of their own: what an operating system or a folder holds is
/// listed beside it.
const NO_SOFTWARE: [&str; 4] = ["operating-system", "file", "data", "cryptographic-asset"];

/// What both formats come to.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<String>,
    #[serde(default)]
    packages: Vec<SpdxPackage>,
}

#[derive(Debug, Deserialize)]
struct Component {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "primaryPackagePurpose")]
    purpose: String,
    #[serde(default)]
    external_refs: Vec<ExternalRef>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_type: String,
    reference_locator: String,
}

/// Reads an SBOM. Packages that go by no package URL of a distribution are unknown.
pub(super) fn read(path: &Path) -> Result<Inventory, Failure> {
    let shown = printable(&path.display().to_string());
    let failed = |error: std::io::Error| {
        let class =
            if error.kind() == std::io::ErrorKind::NotFound { Class::NotFound } else { Class::Unavailable };
        Failure::new(class, format_args!("can't read {shown}: {error}"))
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES {
        return Err(Failure::new(Class::Limit, format_args!("{shown} is larger than {BYTES} bytes")));
    }
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::invalid(format_args!("{shown}: {}", printable(&error.to_string())))
            .hint("CycloneDX and SPDX 2 are read, as JSON")
    })?;
    if document.cyclonedx.is_none() && document.spdx.is_none() {
        return Err(Failure::invalid(format_args!("{shown} has neither `bomFormat` nor `spdxVersion`"))
            .hint("CycloneDX and SPDX 2 are read, as JSON"));
    }
    let mut found = Found::default();
    found.components(&document.components, 0);
    document.packages.iter().for_each(|package| found.package(package));
    if found.purls.len() > PACKAGES {
        return Err(Failure::new(Class::Limit, format_args!("{shown} has more than {PACKAGES} packages")));
    }
    Ok(inventory(&found))
}

/// What an SBOM lists.
#[derive(Debug, Default)]
struct Found<'a> {
    purls: Vec<&'a String>,
    /// The names of what goes by no package URL.
    nameless: Vec<&'a str>,
    /// Components that lie deeper than is looked.
    too_deep: usize,
}

impl<'a> Found<'a> {
    fn components(&mut self, components: &'a [Component], depth: usize) {
        if depth > DEPTH {
            self.too_deep += components.len();
            return;
        }
        for component in components {
            match &component.purl {
                Some(purl) => self.purls.push(purl),
                None if NO_SOFTWARE.contains(&component.kind.as_str()) => {}
                None => self.nameless.push(&component.name),
            }
            self.components(&component.components, depth + 1);
        }
    }

    fn package(&mut self, package: &'a SpdxPackage) {
        let before = self.purls.len();
        let purls = package.external_refs.iter().filter(|reference| reference.reference_type == "purl");
        self.purls.extend(purls.map(|reference| &reference.reference_locator));
        let kind = package.purpose.to_lowercase().replace('_', "-");
        if self.purls.len() == before && !NO_SOFTWARE.contains(&kind.as_str()) {
            self.nameless.push(&package.name);
        }
    }

    /// What of it nobody can judge, since nothing says which package it is.
    fn unknown(&self) -> Vec<Unknown> {
        let unknown = |what: &str, reason, problem| Unknown { what: what.to_owned(), reason, problem };
        let mut all = Vec::new();
        let count = self.nameless.len();
        if count > 0 {
            let names: Vec<&str> = self.nameless.iter().take(NAMED).copied().collect();
            let more = count.saturating_sub(names.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let verb = if count == 1 { "names" } else { "name" };
            let problem = format!("{count} {verb} no package URL: {}{more}", names.join(", "));
            all.push(unknown("components without a package URL", Reason::Unsupported, problem));
        }
        if self.too_deep > 0 {
            let problem = format!("{} lie deeper than {DEPTH} components", self.too_deep);
            all.push(unknown("nested components", Reason::Unsupported, problem));
        }
        if self.purls.is_empty() && all.is_empty() {
            let problem = "the SBOM lists no package".to_owned();
            all.push(unknown("packages", Reason::Unseen, problem));
        }
        all
    }
}

fn inventory(found: &Found) -> Inventory {
    let mut inventory = Inventory { unknown: found.unknown(), ..Inventory::default() };
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for text in &found.purls {
        match PackageUrl::from_str(text) {
            Ok(purl) => match tuple(&purl) {
                Some(tuple) => inventory.tuples.push(tuple),
                None => *others.entry(purl.ty().to_owned()).or_default() += 1,
            },
            Err(error) => inventory.unknown.push(Unknown {
                what: (*text).clone(),
                reason: Reason::Unparsable,
                problem: error.to_string(),
            }),
        }
    }
    inventory.tuples.sort();
    inventory.tuples.dedup();
    inventory.unknown.extend(others.into_iter().map(|(kind, packages)| Unknown {
        what: format!("packages of type {kind}"),
        reason: Reason::Unsupported,
        problem: format!("{packages} name no release of a distribution"),
    }));
    inventory
}

/// The tuple that a package URL names: its distribution and release are in the namespace and `distro`
/// (`debian-12`, `bookworm`, `alpine-3.18.4`), its source package in `upstream` (`openssl@3.0.15-1`).
fn tuple(purl: &PackageUrl) -> Option<Tuple> {
    let manager = match purl.ty() {
        "deb" => PackageManager::Dpkg,
        "rpm" => PackageManager::Rpm,
        "apk" => PackageManager::Apk,
        _ => return None,
    };
    let qualifier = |name: &str| purl.qualifiers().get(name).map(|value| value.as_ref());
    let id = match purl.namespace()? {
        "redhat" => "rhel",
        "rocky-linux" => "rocky",
        other => other,
    };
    let mut version = purl.version()?.to_owned();
    if let Some(epoch) = qualifier("epoch").filter(|_| !version.contains(':')) {
        version = format!("{epoch}:{version}");
    }
    let (source, source_version) = match qualifier("upstream") {
        // For rpm it is the name of a file, `name-version-release.src.rpm`.
        Some(file) if manager == PackageManager::Rpm => {
            (file.rsplitn(3, '-').nth(2).unwrap_or(purl.name()), version.clone())
        }
        Some(upstream) => match upstream.split_once('@') {
            Some((source, version)) => (source, version.to_owned()),
            None => (upstream, version.clone()),
        },
        None => (purl.name(), version.clone()),
    };
    Some(Tuple {
        ecosystem: id.to_owned(),
        release: release(&system(id, qualifier("distro")?)),
        origin: qualifier(ORIGIN).map(str::to_owned),
        source: source.to_owned(),
        source_version,
        package: purl.name().to_owned(),
        version,
        architecture: qualifier("arch").unwrap_or_default().to_owned(),
        manager,
    })
}

/// Our own qualifier: who built a package, where that is not known to be the distribution.
const ORIGIN: &str = "origin";

/// The package URL of a tuple, from which [`tuple`] makes the same again.
pub(super) fn purl(tuple: &Tuple) -> Option<String> {
    let kind = match tuple.manager {
        PackageManager::Dpkg => "deb",
        PackageManager::Rpm => "rpm",
        PackageManager::Apk => "apk",
    };
    let namespace = if tuple.ecosystem == "rhel" { "redhat" } else { &tuple.ecosystem };
    let number = match tuple.ecosystem.as_str() {
        "debian" => bartizan_feeds::debian::number(&tuple.release).unwrap_or(&tuple.release),
        "alpine" => tuple.release.trim_start_matches('v'),
        _ => &tuple.release,
    };
    let epoch = tuple.version.split_once(':').filter(|_| tuple.manager == PackageManager::Rpm);
    let version = epoch.map_or(tuple.version.as_str(), |(_, version)| version);
    let mut purl = PackageUrl::new(kind, tuple.package.clone()).ok()?;
    purl.with_namespace(namespace.to_owned()).ok()?;
    purl.with_version(version.to_owned()).ok()?;
    let upstream = match tuple.manager {
        PackageManager::Rpm => {
            let version =
                tuple.source_version.split_once(':').map_or(tuple.source_version.as_str(), |(_, v)| v);
            Some(format!("{}-{version}.src.rpm", tuple.source))
        }
        _ if tuple.source_version != tuple.version => {
            Some(format!("{}@{}", tuple.source, tuple.source_version))
        }
        _ => (tuple.source != tuple.package).then(|| tuple.source.clone()),
    };
    let qualifiers = [
        ("arch", Some(tuple.architecture.clone()).filter(|architecture| !architecture.is_empty())),
        ("distro", Some(format!("{}-{number}", tuple.ecosystem))),
        ("epoch", epoch.map(|(epoch, _)| epoch.to_owned())),
        (ORIGIN, tuple.origin.clone()),
        ("upstream", upstream),
    ];
    for (name, value) in qualifiers {
        if let Some(value) = value {
            purl.add_qualifier(name, value).ok()?;
        }
    }
    Some(purl.to_string())
}

fn system(id: &str, distro: &str) -> OperatingSystem {
    let number = match distro.strip_prefix(id).and_then(|rest| rest.strip_prefix('-')) {
        Some(number) => number,
        None => distro.split_once('-').map_or(distro, |(_, number)| number),
    };
    let codename = if id == "debian" {
        let major = number.split('.').next().unwrap_or_default();
        bartizan_feeds::debian::codename(major).unwrap_or(number)
    } else {
        ""
    };
    OperatingSystem {
        id: id.to_owned(),
        version_id: number.to_owned(),
        codename: codename.to_owned(),
        ..OperatingSystem::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_become_tuples() {
        for (purl, expected) in [
            (
                "pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl",
                Some(("debian", "bookworm", "openssl", "3.0.15-1~deb12u1")),
            ),
            (
                "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=bookworm&upstream=glibc%402.36-8",
                Some(("debian", "bookworm", "glibc", "2.36-8")),
            ),
            (
                "pkg:deb/ubuntu/bash@5.2-1?arch=amd64&distro=ubuntu-24.04",
                Some(("ubuntu", "24.04", "bash", "5.2-1")),
            ),
            ("pkg:apk/alpine/musl@1.2-r0?distro=alpine-3.18.4", Some(("alpine", "v3.18", "musl", "1.2-r0"))),
            (
                "pkg:rpm/redhat/bash@5.1-1.el9?epoch=2&distro=rhel-9.4&upstream=bash-5.1-1.el9.src.rpm",
                Some(("rhel", "9", "bash", "2:5.1-1.el9")),
            ),
            ("pkg:npm/left-pad@1.0.0", None),
            ("pkg:deb/debian/bash@5", None),
        ] {
            let tuple = tuple(&PackageUrl::from_str(purl).unwrap());
            if let Some(told) = &tuple {
                let again = PackageUrl::from_str(&super::purl(told).unwrap()).unwrap();
                assert_eq!(super::tuple(&again).as_ref(), Some(told), "{again}");
            }
            let is = tuple.as_ref().map(|t| {
                (t.ecosystem.as_str(), t.release.as_str(), t.source.as_str(), t.source_version.as_str())
            });
            assert_eq!(is, expected, "{purl}");
        }
    }
}
