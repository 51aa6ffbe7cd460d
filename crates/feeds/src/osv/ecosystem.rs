//! OSV's names of distributions and releases, as the hosts call them.

use bartizan_core::vulnerability::version::Scheme;

use crate::debian;

/// A release of a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ecosystem: &'static str,
    pub(super) release: String,
    /// Whether its records speak of binary packages.
    pub(super) is_binary: bool,
    /// What its versions are ordered by.
    pub(super) scheme: Scheme,
}

/// The place that an ecosystem names; none where it is no release of a distribution known here.
pub(super) fn place(ecosystem: &str) -> Option<Place> {
    let (name, suffix) = ecosystem.split_once(':')?;
    let source = |scheme, ecosystem, release: &str| place_of(ecosystem, release, false, scheme);
    // Only what is packaged as rpm is told by binary packages.
    let binary = |ecosystem, release: &str| place_of(ecosystem, release, true, Scheme::Rpm);
    match name {
        "Debian" => source(Scheme::Deb, "debian", debian::codename(suffix)?),
        // `Ubuntu:Pro:…` is another archive, which most hosts don't have.
        "Ubuntu" => source(Scheme::Deb, "ubuntu", suffix.strip_suffix(":LTS").unwrap_or(suffix)),
        "Alpine" => source(Scheme::Apk, "alpine", suffix),
        "AlmaLinux" => binary("almalinux", suffix),
        "Rocky Linux" => binary("rocky", suffix),
        "openEuler" => binary("openEuler", suffix),
        // `Red Hat:enterprise_linux:9::baseos`: a CPE without its beginning.
        "Red Hat" => {
            let mut parts = suffix.split(':');
            if parts.next() != Some("enterprise_linux") {
                return None;
            }
            binary("rhel", parts.next()?.split('.').next()?)
        }
        _ => None,
    }
}

fn place_of(ecosystem: &'static str, release: &str, is_binary: bool, scheme: Scheme) -> Option<Place> {
    let is_plain = !release.is_empty()
        && release.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_plain.then(|| Place { ecosystem, release: release.to_owned(), is_binary, scheme })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecosystems_become_what_hosts_call_them() {
        for (ecosystem, expected) in [
            ("Debian:12", Some(("debian", "bookworm", false, Scheme::Deb))),
            ("Debian:3.1", Some(("debian", "sarge", false, Scheme::Deb))),
            ("Debian", None),
            ("Debian:99", None),
            ("Ubuntu:24.04:LTS", Some(("ubuntu", "24.04", false, Scheme::Deb))),
            ("Ubuntu:24.10", Some(("ubuntu", "24.10", false, Scheme::Deb))),
            ("Ubuntu:Pro:22.04:LTS", None),
            ("Alpine:v3.20", Some(("alpine", "v3.20", false, Scheme::Apk))),
            ("AlmaLinux:9", Some(("almalinux", "9", true, Scheme::Rpm))),
            ("Rocky Linux:9", Some(("rocky", "9", true, Scheme::Rpm))),
            ("Red Hat:enterprise_linux:9::baseos", Some(("rhel", "9", true, Scheme::Rpm))),
            ("Red Hat:rhel_eus:8.8::baseos", None),
            ("npm", None),
            ("", None),
        ] {
            let place = place(ecosystem);
            let is = place.as_ref().map(|p| (p.ecosystem, p.release.as_str(), p.is_binary, p.scheme));
            assert_eq!(is, expected, "{ecosystem}");
        }
    }
}
