//! The packages of an SBOM, as tuples: CycloneDX and SPDX 2 as JSON, by their package URLs.

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
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
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
    let mut purls = Vec::new();
    collect(&document.components, 0, &mut purls);
    for reference in document.packages.iter().flat_map(|package| &package.external_refs) {
        if reference.reference_type == "purl" {
            purls.push(&reference.reference_locator);
        }
    }
    if purls.len() > PACKAGES {
        return Err(Failure::new(Class::Limit, format_args!("{shown} has more than {PACKAGES} packages")));
    }
    Ok(inventory(&purls))
}

fn collect<'a>(components: &'a [Component], depth: usize, purls: &mut Vec<&'a String>) {
    for component in components {
        purls.extend(&component.purl);
        if depth < DEPTH {
            collect(&component.components, depth + 1, purls);
        }
    }
}

fn inventory(purls: &[&String]) -> Inventory {
    let mut inventory = Inventory::default();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for text in purls {
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
    // For rpm `upstream` is the name of a file, and its records speak of binary packages anyway.
    let upstream = qualifier("upstream").filter(|_| manager != PackageManager::Rpm);
    let (source, source_version) =
        match upstream.map(|upstream| upstream.split_once('@').unwrap_or((upstream, ""))) {
            Some((source, "")) => (source, version.clone()),
            Some((source, version)) => (source, version.to_owned()),
            None => (purl.name(), version.clone()),
        };
    Some(Tuple {
        ecosystem: id.to_owned(),
        release: release(&system(id, qualifier("distro")?)),
        origin: None,
        source: source.to_owned(),
        source_version,
        package: purl.name().to_owned(),
        version,
        architecture: qualifier("arch").unwrap_or_default().to_owned(),
        manager,
    })
}

fn system(id: &str, distro: &str) -> OperatingSystem {
    let number = distro.split_once('-').map_or(distro, |(_, number)| number);
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
            let is = tuple.as_ref().map(|t| {
                (t.ecosystem.as_str(), t.release.as_str(), t.source.as_str(), t.source_version.as_str())
            });
            assert_eq!(is, expected, "{purl}");
        }
    }
}
