//! Distributions of the fleet: what they call themselves, and what is installed from them.

use bartizan_core::fact::{OperatingSystem, Package, PackageManager};

use super::population::{Plan, Purpose};

/// A distribution at one release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Distribution {
    /// Debian 12.
    Debian,
    /// Ubuntu 24.04.
    Ubuntu,
    /// `AlmaLinux` 9.
    Alma,
    /// Alpine 3.20.
    Alpine,
}

/// One package: its name, its source, its version, and the one of a host that is behind.
type Row = (&'static str, &'static str, &'static str, Option<&'static str>);

const DEBIAN: &[Row] = &[
    ("apt", "apt", "2.6.1", None),
    ("base-files", "base-files", "12.4+deb12u11", None),
    ("bash", "bash", "5.2.15-2+b8", None),
    ("ca-certificates", "ca-certificates", "20230311+deb12u1", None),
    ("coreutils", "coreutils", "9.1-1", None),
    ("cron", "cron", "3.0pl1-162", None),
    ("curl", "curl", "7.88.1-10+deb12u12", None),
    ("dpkg", "dpkg", "1.21.22", None),
    ("libc6", "glibc", "2.36-9+deb12u10", None),
    ("libcurl4", "curl", "7.88.1-10+deb12u12", None),
    ("libssl3", "openssl", "3.0.16-1~deb12u1", Some("3.0.15-1~deb12u1")),
    ("libsystemd0", "systemd", "252.38-1~deb12u1", None),
    ("libxml2", "libxml2", "2.9.14+dfsg-1.3~deb12u2", Some("2.9.14+dfsg-1.3~deb12u1")),
    ("linux-image-6.1.0-37-amd64", "linux", "6.1.140-1", None),
    ("openssh-client", "openssh", "1:9.2p1-2+deb12u6", None),
    ("openssh-server", "openssh", "1:9.2p1-2+deb12u6", None),
    ("openssl", "openssl", "3.0.16-1~deb12u1", Some("3.0.15-1~deb12u1")),
    ("python3.11", "python3.11", "3.11.2-6+deb12u6", None),
    ("rsyslog", "rsyslog", "8.2302.0-1", None),
    ("sudo", "sudo", "1.9.13p3-1+deb12u1", None),
    ("systemd", "systemd", "252.38-1~deb12u1", None),
    ("tzdata", "tzdata", "2025b-0+deb12u1", None),
    ("zlib1g", "zlib", "1:1.2.13.dfsg-1", None),
];

const UBUNTU: &[Row] = &[
    ("apt", "apt", "2.7.14build2", None),
    ("bash", "bash", "5.2.21-2ubuntu4", None),
    ("coreutils", "coreutils", "9.4-3ubuntu6", None),
    ("cron", "cron", "3.0pl1-184ubuntu2", None),
    ("curl", "curl", "8.5.0-2ubuntu10.6", None),
    ("libc6", "glibc", "2.39-0ubuntu8.4", None),
    ("libcurl4t64", "curl", "8.5.0-2ubuntu10.6", None),
    ("libssl3t64", "openssl", "3.0.13-0ubuntu3.5", Some("3.0.13-0ubuntu3.4")),
    ("linux-image-6.8.0-60-generic", "linux-signed", "6.8.0-60.63", None),
    ("openssh-server", "openssh", "1:9.6p1-3ubuntu13.11", None),
    ("openssl", "openssl", "3.0.13-0ubuntu3.5", Some("3.0.13-0ubuntu3.4")),
    ("python3.12", "python3.12", "3.12.3-1ubuntu0.6", None),
    ("rsyslog", "rsyslog", "8.2312.0-3ubuntu9", None),
    ("sudo", "sudo", "1.9.15p5-3ubuntu5.24.04.1", None),
    ("systemd", "systemd", "255.4-1ubuntu8.8", None),
    ("zlib1g", "zlib", "1:1.3.dfsg-3.1ubuntu2.1", None),
];

const ALMA: &[Row] = &[
    ("bash", "bash", "5.1.8-9.el9", None),
    ("coreutils", "coreutils", "8.32-39.el9", None),
    ("cronie", "cronie", "1.5.7-12.el9", None),
    ("curl", "curl", "7.76.1-31.el9_6.1", None),
    ("glibc", "glibc", "2.34-168.el9_6.19", None),
    ("kernel-core", "kernel", "5.14.0-570.17.1.el9_6", None),
    ("openssh-server", "openssh", "8.7p1-45.el9", None),
    ("openssl-libs", "openssl", "1:3.2.2-6.el9_5.1", Some("1:3.2.2-6.el9_5")),
    ("python3", "python3.9", "3.9.21-2.el9_6.1", None),
    ("rsyslog", "rsyslog", "8.2412.0-1.el9", None),
    ("sudo", "sudo", "1.9.5p2-10.el9_3", None),
    ("systemd", "systemd", "252-51.el9_6.1", None),
    ("zlib", "zlib", "1.2.11-40.el9", None),
];

const ALPINE: &[Row] = &[
    ("alpine-baselayout", "alpine-baselayout", "3.6.5-r0", None),
    ("apk-tools", "apk-tools", "2.14.4-r1", None),
    ("busybox", "busybox", "1.36.1-r29", None),
    ("ca-certificates", "ca-certificates", "20250619-r0", None),
    ("curl", "curl", "8.14.1-r1", None),
    ("libcrypto3", "openssl", "3.3.3-r0", Some("3.3.2-r1")),
    ("libssl3", "openssl", "3.3.3-r0", Some("3.3.2-r1")),
    ("linux-virt", "linux-lts", "6.6.92-r0", None),
    ("musl", "musl", "1.2.5-r1", None),
    ("openssh-server", "openssh", "9.7_p1-r5", None),
    ("zlib", "zlib", "1.3.1-r1", None),
];

/// What a purpose brings along, by distribution.
const fn purpose(purpose: Purpose, distribution: Distribution) -> &'static [Row] {
    match (purpose, distribution) {
        (Purpose::Edge, _) => &[("haproxy", "haproxy", "2.6.12-1+deb12u2", None)],
        (Purpose::Web, _) => &[("nginx", "nginx", "1.22.1-9+deb12u2", None)],
        (Purpose::Queue, _) => &[("redis-server", "redis", "5:7.0.15-1~deb12u4", None)],
        (Purpose::Database, _) => &[
            ("postgresql-15", "postgresql-15", "15.13-0+deb12u1", Some("15.12-0+deb12u2")),
            ("libpq5", "postgresql-15", "15.13-0+deb12u1", Some("15.12-0+deb12u2")),
        ],
        (Purpose::Directory, _) => {
            &[("slapd", "openldap", "2.5.13+dfsg-5", None), ("haproxy", "haproxy", "2.6.12-1+deb12u2", None)]
        }
        (Purpose::Mail, _) => &[("postfix", "postfix", "3.7.11-0+deb12u1", None)],
        (Purpose::Search | Purpose::SignOn, Distribution::Ubuntu) => {
            &[("openjdk-21-jre-headless", "openjdk-21", "21.0.7+6~us1-0ubuntu1~24.04", None)]
        }
        (Purpose::Api, _) => &[("java-21-openjdk-headless", "java-21-openjdk", "1:21.0.7.0.6-1.el9", None)],
        (Purpose::Files, _) => &[("samba", "samba", "2:4.19.5+dfsg-4ubuntu9.1", None)],
        (Purpose::Wiki, _) => &[("nginx", "nginx", "1.26.3-r0", None)],
        (Purpose::Print, _) => &[("cups", "cups", "2.4.9-r0", None)],
        (Purpose::Build, _) => &[("git", "git", "1:2.43.0-1ubuntu7.2", None)],
        _ => &[],
    }
}

impl Distribution {
    /// The value of the label `distribution`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Distribution::Debian => "debian",
            Distribution::Ubuntu => "ubuntu",
            Distribution::Alma => "almalinux",
            Distribution::Alpine => "alpine",
        }
    }

    /// What its os-release says.
    pub(super) fn os(self) -> OperatingSystem {
        let (version, codename, name, like) = match self {
            Distribution::Debian => ("12", "bookworm", "Debian GNU/Linux 12 (bookworm)", ""),
            Distribution::Ubuntu => ("24.04", "noble", "Ubuntu 24.04.2 LTS", "debian"),
            Distribution::Alma => ("9.6", "", "AlmaLinux 9.6 (Sage Margay)", "rhel centos fedora"),
            Distribution::Alpine => ("3.20.6", "", "Alpine Linux v3.20", ""),
        };
        OperatingSystem {
            id: self.as_str().to_owned(),
            version_id: version.to_owned(),
            codename: codename.to_owned(),
            name: name.to_owned(),
            id_like: like.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// The kernel that runs: its release and its build.
    pub(super) const fn kernel(self) -> (&'static str, &'static str) {
        match self {
            Distribution::Debian => {
                ("6.1.0-37-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)")
            }
            Distribution::Ubuntu => {
                ("6.8.0-60-generic", "#63-Ubuntu SMP PREEMPT_DYNAMIC Tue Apr 15 19:04:15 UTC 2025")
            }
            Distribution::Alma => {
                ("5.14.0-570.17.1.el9_6.x86_64", "#1 SMP PREEMPT_DYNAMIC Fri May 23 18:41:42 EDT 2025")
            }
            Distribution::Alpine => ("6.6.92-0-virt", "#1-Alpine SMP PREEMPT_DYNAMIC 2025-05-25 19:01:24"),
        }
    }

    const fn manager(self) -> PackageManager {
        match self {
            Distribution::Debian | Distribution::Ubuntu => PackageManager::Dpkg,
            Distribution::Alma => PackageManager::Rpm,
            Distribution::Alpine => PackageManager::Apk,
        }
    }

    /// Who built its packages, where a host tells; apk does not.
    fn origin(self) -> Option<String> {
        let origin = match self {
            Distribution::Debian => "Debian",
            Distribution::Ubuntu => "Ubuntu",
            Distribution::Alma => "AlmaLinux",
            Distribution::Alpine => return None,
        };
        Some(origin.to_owned())
    }
}

/// The packages of a host; `updated` has the versions that were installed since, by source package.
pub(super) fn packages(plan: &Plan, updated: &std::collections::BTreeMap<String, String>) -> Vec<Package> {
    let distribution = plan.distribution;
    let base = match distribution {
        Distribution::Debian => DEBIAN,
        Distribution::Ubuntu => UBUNTU,
        Distribution::Alma => ALMA,
        Distribution::Alpine => ALPINE,
    };
    let architecture = if distribution.manager() == PackageManager::Dpkg { "amd64" } else { "x86_64" };
    let own = purpose(plan.purpose, distribution);
    let mut packages: Vec<Package> = base
        .iter()
        .chain(own)
        .map(|(name, source, version, old)| {
            let version = if plan.behind { old.unwrap_or(version) } else { version };
            let version = updated.get(*source).map_or(version, String::as_str);
            Package {
                name: (*name).to_owned(),
                architecture: architecture.to_owned(),
                version: version.to_owned(),
                source: (*source).to_owned(),
                // A rebuild alone (`+b8`) has no source of its own.
                source_version: version.split("+b").next().unwrap_or(version).to_owned(),
                manager: distribution.manager(),
                origin: distribution.origin(),
                provides: Vec::new(),
            }
        })
        .collect();
    if plan.purpose == Purpose::Web {
        // From elsewhere: what the distribution's tracker says of its own build is no word about this one.
        packages.push(Package {
            name: "nodejs".to_owned(),
            architecture: architecture.to_owned(),
            version: "20.19.2-1nodesource1".to_owned(),
            source: "nodejs".to_owned(),
            source_version: "20.19.2-1nodesource1".to_owned(),
            manager: distribution.manager(),
            origin: Some("Node Source".to_owned()),
            provides: Vec::new(),
        });
    }
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::super::population::population;
    use super::*;
    use bartizan_core::vulnerability::matching::Tuple;
    use bartizan_core::vulnerability::version::{Scheme, validate};

    #[test]
    fn every_package_has_a_version_that_its_own_distribution_would_read() {
        for plan in population(7) {
            let os = plan.distribution.os();
            for package in packages(&plan, &Default::default()) {
                let scheme = match package.manager {
                    PackageManager::Dpkg => Scheme::Deb,
                    PackageManager::Rpm => Scheme::Rpm,
                    PackageManager::Apk => Scheme::Apk,
                };
                validate(scheme, &package.version).unwrap();
                let tuple = Tuple::of(&os, &package);
                assert_eq!(tuple.is_distribution_build(), package.name != "nodejs", "{}", package.name);
            }
        }
    }
}
