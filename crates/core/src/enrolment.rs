//! Enrolment keys: what lets a host become an asset, and as what.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::asset::{Class, Life, NAME_BYTES_LIMIT, check_labels};
use crate::configuration::change::{Actor, Gate, Ladder};
use crate::error;
use crate::id::EnrolmentKeyId;
use crate::role::Role;
use crate::selector::Labels;
use crate::time::Timestamp;

/// The most uses that one key may have: an image of a fleet's size.
pub const USES_LIMIT: u32 = 1_000_000;

/// One key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: EnrolmentKeyId,
    pub uses_left: u32,
    pub expires_at: Timestamp,
    /// Since when it lets nobody in, because a person said so.
    pub revoked_at: Option<Timestamp>,
    pub grant: Grant,
}

/// What an asset that enrols by a key becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    #[schemars(length(min = 1, max = NAME_BYTES_LIMIT))]
    pub service: String,
    #[schemars(length(min = 1, max = NAME_BYTES_LIMIT))]
    pub environment: String,
    #[serde(default)]
    pub class: Class,
    #[serde(default)]
    pub labels: Labels,
    /// Where hosts may enrol from; anywhere where it is empty.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Whether a person has to look at each host first.
    #[serde(default)]
    pub approval: bool,
}

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a host may not enrol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the enrolment key is not known; make one with `bartizan enrolment create`")]
    Unknown,
    #[error("the enrolment key has no use left; make another with `bartizan enrolment create`")]
    Used,
    #[error("the enrolment key expired at {0}; make another with `bartizan enrolment create`")]
    Expired(Timestamp),
    #[error("the enrolment key was revoked at {0}; make another with `bartizan enrolment create`")]
    Revoked(Timestamp),
    #[error("the enrolment key does not let hosts enrol from {0}")]
    Network(IpAddr),
    #[error(
        "`{environment}` asks for approval: a key for a host of `{service}` there is made and revoked by an operator on its team, by security or by an admin"
    )]
    Team { service: String, environment: String },
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> error::Class {
        match self {
            Refusal::Invalid(_) => error::Class::Invalid,
            _ => error::Class::Denied,
        }
    }
}

/// Whether a key lets hosts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Usable,
    /// It has no use left.
    Used,
    Expired,
    Revoked,
}

impl State {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Usable => "usable",
            State::Used => "used",
            State::Expired => "expired",
            State::Revoked => "revoked",
        }
    }
}

impl Key {
    /// How it stands now. What a person said goes first; one that is used up stays so.
    pub fn state(&self, now: Timestamp) -> State {
        match (self.revoked_at, self.uses_left) {
            (Some(_), _) => State::Revoked,
            (None, 0) => State::Used,
            (None, _) if now >= self.expires_at => State::Expired,
            (None, _) => State::Usable,
        }
    }

    /// Whether a host at this address may enrol now, and into which life.
    pub fn admit(&self, address: IpAddr, now: Timestamp) -> Result<Life, Refusal> {
        if let Some(at) = self.revoked_at {
            return Err(Refusal::Revoked(at));
        }
        if now >= self.expires_at {
            return Err(Refusal::Expired(self.expires_at));
        }
        if self.uses_left == 0 {
            return Err(Refusal::Used);
        }
        if !self.grant.networks.is_empty()
            && !self.grant.networks.iter().any(|network| network.holds(address))
        {
            return Err(Refusal::Network(address));
        }
        Ok(if self.grant.approval { Life::Quarantined } else { Life::Enrolled })
    }
}

impl Grant {
    /// Whether this person may make a key with this grant, or revoke it. Where an environment asks for nothing anybody
    /// who runs a service may; elsewhere a host of a service is let in by those who answer for it.
    pub fn may_be_made(&self, actor: &Actor, ladder: &Ladder) -> Result<(), Refusal> {
        let open = ladder.rung(&self.environment).is_ok_and(|rung| rung.gate == Gate::Open);
        let has = |role| actor.roles.contains(&role);
        let on_the_team = has(Role::Operator) && actor.services.contains(&self.service);
        if open || on_the_team || has(Role::Security) || has(Role::Admin) {
            return Ok(());
        }
        Err(Refusal::Team { service: self.service.clone(), environment: self.environment.clone() })
    }

    /// Whether a key with this grant may be made.
    pub fn check(&self) -> Result<(), Refusal> {
        let words = [("service", &self.service), ("environment", &self.environment)];
        for (what, word) in words {
            if word.trim().is_empty() || word.len() > NAME_BYTES_LIMIT {
                return Err(Refusal::Invalid(format!("`{what}` needs 1 to {NAME_BYTES_LIMIT} bytes")));
            }
        }
        check_labels(&self.labels).map_err(Refusal::Invalid)
    }
}

impl Network {
    /// Whether an address lies in the range.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fault = || format!("`{text}` is no network: write it as 192.0.2.0/24 or 2001:db8::/32");
        let (address, prefix) = text.split_once('/').ok_or_else(fault)?;
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let prefix: u8 = prefix.parse().map_err(|_| fault())?;
        if prefix > if address.is_ipv4() { 32 } else { 128 } {
            return Err(fault());
        }
        Ok(Self { address, prefix })
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn key(networks: &[&str], approval: bool) -> Key {
        Key {
            id: EnrolmentKeyId::mint(NOW, [1; 10]),
            uses_left: 1,
            expires_at: Timestamp::from_millis(2_000),
            revoked_at: None,
            grant: Grant {
                service: "shop".to_owned(),
                environment: "dev".to_owned(),
                class: Class::Server,
                labels: Labels::new(),
                networks: networks
                    .iter()
                    .map(|text| Network::try_from((*text).to_owned()).unwrap())
                    .collect(),
                approval,
            },
        }
    }

    #[test]
    fn a_key_admits_within_its_time_its_uses_and_its_networks() {
        let here: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(key(&[], false).admit(here, NOW), Ok(Life::Enrolled));
        assert_eq!(key(&[], true).admit(here, NOW), Ok(Life::Quarantined));
        assert_eq!(key(&["192.0.2.0/24"], false).admit(here, NOW), Ok(Life::Enrolled));
        assert_eq!(key(&["192.0.2.8/32", "::/0"], false).admit(here, NOW), Err(Refusal::Network(here)));
        let late = Timestamp::from_millis(2_000);
        assert_eq!(key(&[], false).admit(here, late), Err(Refusal::Expired(late)));
        assert_eq!(Key { uses_left: 0, ..key(&[], false) }.admit(here, NOW), Err(Refusal::Used));
        let revoked = Key { revoked_at: Some(NOW), ..key(&[], false) };
        assert_eq!(revoked.admit(here, NOW), Err(Refusal::Revoked(NOW)));
    }

    #[test]
    fn a_key_for_where_approval_is_asked_for_is_made_by_those_who_answer_for_the_service() {
        let may = |role: Role, service: &str, environment: &str| {
            let person = crate::id::PersonId::mint(NOW, [1; 10]);
            let services = [service.to_owned()].into();
            let actor = Actor { person, roles: [role].into(), services, grants: Vec::new() };
            let grant = Grant { environment: environment.to_owned(), ..key(&[], false).grant };
            grant.may_be_made(&actor, &Ladder::default()).is_ok()
        };
        assert!(may(Role::Operator, "shop", "prod"));
        assert!(!may(Role::Operator, "bank", "prod"));
        assert!(!may(Role::Operator, "bank", "attic"), "nobody says what it asks for");
        for (role, environment) in [(Role::Security, "prod"), (Role::Admin, "prod"), (Role::Operator, "dev")]
        {
            assert!(may(role, "bank", environment), "{role} {environment}");
        }
    }

    #[test]
    fn networks_hold_what_their_prefix_says() {
        let table = [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
        ];
        for (network, address, expected) in table {
            let network = Network::try_from(network.to_owned()).unwrap();
            assert_eq!(network.holds(address.parse().unwrap()), expected, "{network:?} {address}");
        }
        for bad in ["192.0.2.0", "192.0.2.0/33", "host/8", "::/129", ""] {
            assert!(Network::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
