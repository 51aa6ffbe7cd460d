//! Who is in the fleet: hosts of four services, each with its character, the same for the same seed.

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;

use super::distribution::Distribution;

/// What a host is for; it decides what is installed, what listens and who may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Edge,
    Web,
    Queue,
    Search,
    Api,
    Database,
    Vault,
    SignOn,
    Directory,
    Mail,
    Files,
    Wiki,
    Print,
    Build,
}

/// One host as it is planned: nothing here changes while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) service: &'static str,
    pub(super) environment: &'static str,
    pub(super) purpose: Purpose,
    pub(super) distribution: Distribution,
    /// Its place in the fleet, from 0.
    pub(super) number: u8,
    /// Whether its packages are some months behind.
    pub(super) behind: bool,
    /// Whether its agent runs without rights, and so can't see everything.
    pub(super) unprivileged: bool,
    seed: u64,
}

/// One line of the table: so many hosts of one kind in each environment.
struct Kind {
    service: &'static str,
    purpose: Purpose,
    distribution: Distribution,
    prod: u8,
    test: u8,
    dev: u8,
}

const fn kind(
    service: &'static str,
    purpose: Purpose,
    distribution: Distribution,
    [prod, test, dev]: [u8; 3],
) -> Kind {
    Kind { service, purpose, distribution, prod, test, dev }
}

/// The services that the fleet runs.
pub(super) const SERVICES: [&str; 4] = ["shop", "payments", "identity", "office"];

/// A busy shop on Debian; payments on a distribution with long support; identity, small and careful;
/// an office that grew as it went.
const KINDS: [Kind; 14] = [
    kind("shop", Purpose::Edge, Distribution::Debian, [2, 1, 0]),
    kind("shop", Purpose::Web, Distribution::Debian, [4, 2, 1]),
    kind("shop", Purpose::Queue, Distribution::Debian, [2, 1, 0]),
    kind("shop", Purpose::Search, Distribution::Ubuntu, [2, 1, 1]),
    kind("payments", Purpose::Api, Distribution::Alma, [3, 1, 1]),
    kind("payments", Purpose::Database, Distribution::Debian, [2, 1, 0]),
    kind("payments", Purpose::Vault, Distribution::Alma, [1, 0, 0]),
    kind("identity", Purpose::SignOn, Distribution::Ubuntu, [2, 1, 1]),
    kind("identity", Purpose::Directory, Distribution::Debian, [2, 0, 0]),
    kind("office", Purpose::Mail, Distribution::Debian, [1, 0, 0]),
    kind("office", Purpose::Files, Distribution::Ubuntu, [1, 1, 0]),
    kind("office", Purpose::Wiki, Distribution::Alpine, [1, 0, 1]),
    kind("office", Purpose::Print, Distribution::Alpine, [1, 0, 0]),
    kind("office", Purpose::Build, Distribution::Ubuntu, [0, 0, 2]),
];

impl Purpose {
    /// The word in names and labels.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Purpose::Edge => "edge",
            Purpose::Web => "web",
            Purpose::Queue => "queue",
            Purpose::Search => "search",
            Purpose::Api => "api",
            Purpose::Database => "db",
            Purpose::Vault => "vault",
            Purpose::SignOn => "sso",
            Purpose::Directory => "ldap",
            Purpose::Mail => "mail",
            Purpose::Files => "files",
            Purpose::Wiki => "wiki",
            Purpose::Print => "print",
            Purpose::Build => "build",
        }
    }
}

impl Plan {
    /// A number below `limit` that this host has for this word, the same for the same seed.
    pub(super) fn roll(&self, word: &str, limit: u64) -> u64 {
        roll(self.seed, &[&self.name, word], limit)
    }

    /// The same for every host of the fleet.
    pub(super) fn roll_of_all(&self, word: &str, limit: u64) -> u64 {
        roll(self.seed, &[word], limit)
    }

    /// Its address inside the fleet: documentation's range (RFC 5737).
    pub(super) fn address(&self) -> std::net::IpAddr {
        std::net::IpAddr::from([198, 51, 100, self.number.saturating_add(10)])
    }
}

fn roll(seed: u64, words: &[&str], limit: u64) -> u64 {
    let parts = words.iter().map(|word| Value::from(*word));
    let digest = Digest::derived("demo", [Value::from(seed.to_string())].into_iter().chain(parts));
    let number = digest.to_string().bytes().skip(7).take(12).fold(0u64, |sum, byte| {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        sum * 16 + u64::from(digit)
    });
    number % limit.max(1)
}

/// The whole fleet for a seed, in the order in which it enrols.
pub(super) fn population(seed: u64) -> Vec<Plan> {
    let mut plans = Vec::new();
    for kind in &KINDS {
        for (environment, suffix, count) in
            [("prod", "", kind.prod), ("test", "t", kind.test), ("dev", "d", kind.dev)]
        {
            for place in 1..=count {
                let name = format!("{}-{}-{suffix}{place}", kind.service, kind.purpose.as_str());
                let mut plan = Plan {
                    name,
                    service: kind.service,
                    environment,
                    purpose: kind.purpose,
                    distribution: kind.distribution,
                    number: u8::try_from(plans.len()).unwrap_or(u8::MAX),
                    behind: false,
                    unprivileged: false,
                    seed,
                };
                // Below production nobody hurries; in the office some never do.
                let late = if environment == "prod" { 15 } else { 60 };
                let late = if kind.service == "office" { 2 * late } else { late };
                plan.behind = plan.roll("behind", 100) < late;
                plan.unprivileged = plan.roll("unprivileged", 100) < 8;
                plans.push(plan);
            }
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_fleet_is_the_same_for_the_same_seed_and_another_for_another() {
        let fleet = population(7);
        assert_eq!(fleet, population(7));
        assert_ne!(fleet, population(8));
        assert_eq!(fleet.len(), 40);
        let names: BTreeSet<&str> = fleet.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names.len(), fleet.len(), "names are unique");
        for service in SERVICES {
            assert!(fleet.iter().any(|plan| plan.service == service && plan.environment == "prod"));
        }
    }
}
