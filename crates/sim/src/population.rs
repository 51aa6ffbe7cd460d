//! A seeded population: distributions, builds, hosts, rules and vulnerabilities, all made from one number.
//!
//! Nothing is kept: whatever is asked about a host is computed from the seed, the same in every
//! run, so that the server's figures can be held against the population's own.

pub mod feed;

use bartizan_core::canonical::{self, Value};
use bartizan_core::fact::{OperatingSystem, Package, PackageManager, Section};
use bartizan_core::verdict::{Reason, Verdict};

/// Source packages of each distribution, one binary package each.
pub const SOURCES: u32 = 1_500;

/// The first of them bear the same name, and have the same vulnerabilities, everywhere.
const SHARED: u32 = 700;

/// The first of those are on every host.
const BASE: u32 = 60;

/// What a host has beside them: a window of this width over the others.
const WINDOW: u32 = 90;

/// Roles that hosts have, and how often an image of each was brought up to date.
const ROLES: u32 = 40;
const LEVELS: u32 = 25;

/// Versions of each package.
pub const VERSIONS: u32 = 6;

/// Vulnerabilities of each source package: a host has half of them on average, two for each package.
pub const VULNERABILITIES: u32 = 4;

/// Rules that every host is judged by.
pub const RULES: u32 = 400;

/// Services that hosts belong to.
pub const SERVICES: u32 = 20;

/// The vulnerability that nobody knew of yet: it hits three of the five versions of the first package.
pub const NEWS: &str = "CVE-2026-99999";
pub const NEWS_SOURCE: &str = "lib0000";
const NEWS_FIXED: u32 = 3;
const NEWS_VERSIONS: u32 = 5;

/// One distribution at one release.
#[derive(Clone, Copy, Debug)]
pub struct Distribution {
    pub id: &'static str,
    pub version_id: &'static str,
    pub codename: &'static str,
    /// As OSV names it; none where the distribution's own tracker speaks.
    pub osv: Option<&'static str>,
    pub manager: PackageManager,
    /// What follows a version.
    suffix: &'static str,
    /// Of a hundred hosts.
    share: u32,
}

/// Six distributions, as a fleet may have them.
pub const DISTRIBUTIONS: [Distribution; 6] = [
    distribution("debian", "12", "bookworm", None, PackageManager::Dpkg, "-1", 30),
    distribution("ubuntu", "24.04", "noble", Some("Ubuntu:24.04:LTS"), PackageManager::Dpkg, "-1ubuntu1", 25),
    distribution("alpine", "3.20.3", "", Some("Alpine:v3.20"), PackageManager::Apk, "-r0", 15),
    distribution("almalinux", "9.4", "", Some("AlmaLinux:9"), PackageManager::Rpm, "-1.el9", 10),
    distribution("rocky", "9.4", "", Some("Rocky Linux:9"), PackageManager::Rpm, "-1.el9", 10),
    distribution(
        "rhel",
        "9.4",
        "",
        Some("Red Hat:enterprise_linux:9::baseos"),
        PackageManager::Rpm,
        "-1.el9",
        10,
    ),
];

const fn distribution(
    id: &'static str,
    version_id: &'static str,
    codename: &'static str,
    osv: Option<&'static str>,
    manager: PackageManager,
    suffix: &'static str,
    share: u32,
) -> Distribution {
    Distribution { id, version_id, codename, osv, manager, suffix, share }
}

/// A population of hosts, numbered from 0.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    pub seed: u64,
    pub hosts: u32,
}

/// What a host was installed from: hosts of one image have the same packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Image {
    /// Its place among [`DISTRIBUTIONS`].
    pub distribution: usize,
    role: u32,
    level: u32,
}

impl Distribution {
    /// The name of a source package.
    pub fn source(&self, number: u32) -> String {
        if number < SHARED { format!("lib{number:04}") } else { format!("{}-app{number:04}", self.id) }
    }

    /// A version by its number; that of [`VERSIONS`] is one that nobody has yet.
    pub fn version(&self, number: u32) -> String {
        format!("1.{number}{}", self.suffix)
    }

    /// The name of a source package's vulnerability.
    fn vulnerability(&self, place: usize, source: u32, number: u32) -> String {
        let own = source * VULNERABILITIES + number;
        let base = if source < SHARED { 10_000 } else { 100_000 * (place + 1) };
        format!("CVE-2026-{}", base as u64 + u64::from(own))
    }
}

impl Population {
    /// A number that is as good as chance (Steele, Lea, Flood: "Fast splittable pseudorandom number
    /// generators", 2014), of what is asked and the seed.
    fn mix(&self, what: [u64; 3]) -> u32 {
        let mut state = self.seed;
        for word in what {
            state = state.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^= state >> 31;
        }
        (state >> 32) as u32
    }

    /// The image of a host.
    pub fn image(&self, host: u32) -> Image {
        let mut share = self.mix([1, u64::from(host), 0]) % 100;
        let mut place = 0;
        for distribution in &DISTRIBUTIONS {
            if share < distribution.share {
                break;
            }
            share -= distribution.share;
            place += 1;
        }
        let which = self.mix([2, u64::from(host), 0]) % (ROLES * LEVELS);
        let distribution = place.min(DISTRIBUTIONS.len() - 1);
        Image { distribution, role: which / LEVELS, level: which % LEVELS }
    }

    /// The source packages of an image, with the number of the version that it has.
    pub fn packages(&self, image: Image) -> Vec<(u32, u32)> {
        let others = SOURCES - BASE;
        let start = image.role * (others / ROLES);
        let window = (0..WINDOW).map(|offset| BASE + (start + offset) % others);
        (0..BASE).chain(window).map(|source| (source, self.version(image, source))).collect()
    }

    fn version(&self, image: Image, source: u32) -> u32 {
        let what = (image.distribution as u64) << 32 | u64::from(image.role * LEVELS + image.level);
        let among = if source == 0 { NEWS_VERSIONS } else { VERSIONS };
        self.mix([3, what, u64::from(source)]) % among
    }

    /// The first version without one of a source package's vulnerabilities.
    fn fixed(&self, place: usize, source: u32, number: u32) -> u32 {
        let own = if source < SHARED { 0 } else { place as u64 + 1 };
        // From the second to the last but one: half of the versions have it, on average.
        1 + self.mix([4, own << 32 | u64::from(source), u64::from(number)]) % (VERSIONS - 1)
    }

    /// How many vulnerabilities a host has.
    pub fn vulnerabilities(&self, image: Image) -> u64 {
        let mut count = 0;
        for (source, version) in self.packages(image) {
            for number in 0..VULNERABILITIES {
                count += u64::from(version < self.fixed(image.distribution, source, number));
            }
        }
        count
    }

    /// Whether the news hit a host.
    pub fn is_hit(&self, host: u32) -> bool {
        self.version(self.image(host), 0) < NEWS_FIXED
    }

    /// How a rule stands on a host: of a hundred, 80 met, 15 not met, 5 unknown. Each `turn` is another draw.
    pub fn verdict(&self, host: u32, rule: u32, turn: u32) -> Verdict {
        match self.mix([5 + u64::from(turn), u64::from(host), u64::from(rule)]) % 100 {
            0..80 => Verdict::Met,
            80..95 => Verdict::NotMet,
            _ => Verdict::Unknown(Reason::Denied),
        }
    }

    /// The rule that changes as the `nth` of a host's changes, another for each.
    pub fn changing(&self, host: u32, nth: u32) -> u32 {
        (self.mix([6, u64::from(host), 0]) + nth * 7) % RULES
    }

    /// The service that a host belongs to.
    pub fn service(&self, host: u32) -> u32 {
        self.mix([7, u64::from(host), 0]) % SERVICES
    }
}

impl Image {
    /// The section `os` of its hosts.
    pub fn os(&self) -> Result<Value, canonical::Error> {
        let Some(of) = DISTRIBUTIONS.get(self.distribution) else { return Ok(Value::Null) };
        let body = OperatingSystem {
            id: of.id.to_owned(),
            version_id: of.version_id.to_owned(),
            codename: of.codename.to_owned(),
            name: format!("{} {}", of.id, of.version_id),
            id_like: Vec::new(),
        };
        Value::from_data(&Section::new(body))
    }

    /// The section `packages` of its hosts.
    pub fn packages(&self, population: &Population) -> Result<Value, canonical::Error> {
        let Some(of) = DISTRIBUTIONS.get(self.distribution) else { return Ok(Value::Null) };
        let package = |(source, version): (u32, u32)| {
            let (name, version) = (of.source(source), of.version(version));
            Package {
                architecture: "amd64".to_owned(),
                source: name.clone(),
                name,
                source_version: version.clone(),
                version,
                manager: of.manager,
                origin: None,
                provides: Vec::new(),
            }
        };
        let mut packages: Vec<Package> = population.packages(*self).into_iter().map(package).collect();
        packages.sort();
        Value::from_data(&Section::new(packages))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_population_is_the_same_in_every_run_and_as_large_as_it_promises() {
        let population = Population { seed: 7, hosts: 10_000 };
        let mut builds = BTreeSet::new();
        let (mut vulnerabilities, mut hit) = (0, 0);
        for host in 0..population.hosts {
            let image = population.image(host);
            assert_eq!(image, population.image(host));
            vulnerabilities += population.vulnerabilities(image);
            hit += u32::from(population.is_hit(host));
            builds
                .extend(population.packages(image).into_iter().map(|package| (image.distribution, package)));
        }
        let each = vulnerabilities / u64::from(population.hosts);
        assert!((285..=315).contains(&each), "{each} vulnerabilities each");
        assert!((5_500..=6_500).contains(&hit), "{hit} of 10000 are hit");
        assert!(builds.len() > 45_000, "{} builds", builds.len());
    }

    #[test]
    fn the_rules_that_change_on_a_host_are_different_ones() {
        let population = Population { seed: 7, hosts: 1 };
        let rules: BTreeSet<u32> = (0..20).map(|nth| population.changing(0, nth)).collect();
        assert_eq!(rules.len(), 20);
    }
}
