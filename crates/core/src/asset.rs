//! Assets: the servers, databases, network devices and hardware that are watched.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::configuration::change::Actor;
use crate::error;
use crate::id::AssetId;
use crate::posture::AssetNumber;
use crate::role::Role;
use crate::selector::Labels;
use crate::time::Timestamp;

/// The longest name of an asset, service or environment, in bytes: a DNS name's limit.
pub const NAME_BYTES_LIMIT: usize = 253;

/// The most labels that people give one asset.
pub const LABELS_LIMIT: usize = 64;

/// Whether somebody may give these labels to an asset: few, short, and without control characters. Else
/// what is wrong.
pub fn check_labels(labels: &Labels) -> Result<(), String> {
    if labels.len() > LABELS_LIMIT {
        return Err(format!("there are {} labels; the limit is {LABELS_LIMIT}", labels.len()));
    }
    for (name, value) in labels {
        let long = name.is_empty() || name.len() > NAME_BYTES_LIMIT || value.len() > NAME_BYTES_LIMIT;
        if long || name.chars().chain(value.chars()).any(char::is_control) {
            let label = name.escape_debug();
            return Err(format!(
                "the label `{label}` takes at most {NAME_BYTES_LIMIT} bytes for name and value, none of them a \
                 control character"
            ));
        }
    }
    Ok(())
}

/// What kind of thing an asset is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    #[default]
    Server,
    Database,
    NetworkDevice,
    Hardware,
}

/// Where an asset stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It reports, or should.
    Enrolled,
    /// It enrolled in a way that a person has to look at: it gets no policy, its reports are refused, and
    /// it counts nowhere.
    Quarantined,
    /// Somebody wrote it down: no agent runs on it, and all of it is unknown.
    Declared,
    /// It was taken out of service; nobody misses its reports.
    Retired,
}

/// One asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    pub id: AssetId,
    /// Its number in the posture.
    pub number: AssetNumber,
    pub name: String,
    pub class: Class,
    pub service: String,
    pub environment: String,
    /// What people call it by, beside the built-ins.
    pub labels: Labels,
    pub life: Life,
    pub enrolled_at: Timestamp,
}

/// What a person does with an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// They looked at a host that waits in quarantine, and let it in.
    Approved,
    /// They took it out of service.
    Retired,
}

/// Why an act on an asset is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{act} takes one of the roles {roles}")]
    Role { act: &'static str, roles: &'static str },
    #[error("it does not wait in quarantine: it is {0}")]
    NotWaiting(Life),
    #[error("it was retired before")]
    Retired,
}

/// A word that is no class or life of an asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {what} of an asset: there are {known}")]
pub struct NoSuchWord {
    word: String,
    what: &'static str,
    known: &'static str,
}

impl Asset {
    /// Its labels with the built-ins `asset`, `class`, `service` and `environment` among them.
    pub fn labels(&self) -> Labels {
        let mut labels = self.labels.clone();
        let built_in = [
            ("asset", self.name.as_str()),
            ("class", self.class.as_str()),
            ("service", &self.service),
            ("environment", &self.environment),
        ];
        labels.extend(built_in.map(|(name, value)| (name.to_owned(), value.to_owned())));
        labels
    }
}

impl Act {
    /// Who may do it.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Act::Approved => &[Role::Security, Role::Admin],
            Act::Retired => &[Role::Operator, Role::Security, Role::Admin],
        }
    }
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> error::Class {
        match self {
            Refusal::Role { .. } => error::Class::Denied,
            Refusal::NotWaiting(_) | Refusal::Retired => error::Class::Conflict,
        }
    }
}

/// Judges an act of somebody on an asset of a service; gives the life that follows. An operator acts on
/// the assets of their own services.
pub fn step(life: Life, service: &str, actor: &Actor, act: Act) -> Result<Life, Refusal> {
    if !has_one(act.roles(), service, actor) {
        return Err(match act {
            Act::Approved => Refusal::Role { act: "letting a host in", roles: "security and admin" },
            Act::Retired => Refusal::Role {
                act: "retiring an asset",
                roles: "operator on its service's team, security and admin",
            },
        });
    }
    match (act, life) {
        (Act::Approved, Life::Quarantined) => Ok(Life::Enrolled),
        (Act::Approved, other) => Err(Refusal::NotWaiting(other)),
        (Act::Retired, Life::Retired) => Err(Refusal::Retired),
        (Act::Retired, _) => Ok(Life::Retired),
    }
}

/// Judges that somebody writes an asset of a service down that no agent runs on: whoever could take it out of
/// service again.
pub fn declare(service: &str, actor: &Actor) -> Result<Life, Refusal> {
    if has_one(Act::Retired.roles(), service, actor) {
        return Ok(Life::Declared);
    }
    Err(Refusal::Role {
        act: "declaring an asset",
        roles: "operator on its service's team, security and admin",
    })
}

/// Whether somebody has one of these roles for a service: an operator for their own services alone.
fn has_one(roles: &[Role], service: &str, actor: &Actor) -> bool {
    let on_the_team = |role: Role| role != Role::Operator || actor.services.contains(service);
    roles.iter().any(|role| actor.roles.contains(role) && on_the_team(*role))
}

impl Class {
    /// Its word in labels, tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Server => "server",
            Class::Database => "database",
            Class::NetworkDevice => "network_device",
            Class::Hardware => "hardware",
        }
    }
}

impl Life {
    /// Its word in tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Life::Enrolled => "enrolled",
            Life::Quarantined => "quarantined",
            Life::Declared => "declared",
            Life::Retired => "retired",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = NoSuchWord;

    fn from_str(word: &str) -> Result<Self, NoSuchWord> {
        let all = [Class::Server, Class::Database, Class::NetworkDevice, Class::Hardware];
        all.into_iter().find(|class| class.as_str() == word).ok_or_else(|| NoSuchWord {
            word: word.to_owned(),
            what: "class",
            known: "server, database, network_device and hardware",
        })
    }
}

impl FromStr for Life {
    type Err = NoSuchWord;

    fn from_str(word: &str) -> Result<Self, NoSuchWord> {
        let all = [Life::Enrolled, Life::Quarantined, Life::Declared, Life::Retired];
        all.into_iter().find(|life| life.as_str() == word).ok_or_else(|| NoSuchWord {
            word: word.to_owned(),
            what: "life",
            known: "enrolled, quarantined, declared and retired",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_labels_win_over_what_people_wrote() {
        let asset = Asset {
            id: AssetId::mint(Timestamp::from_millis(1), [0; 10]),
            number: 0,
            name: "web-1".to_owned(),
            class: Class::Server,
            service: "shop".to_owned(),
            environment: "prod".to_owned(),
            labels: Labels::from([("environment".to_owned(), "dev".to_owned())]),
            life: Life::Enrolled,
            enrolled_at: Timestamp::from_millis(1),
        };
        assert_eq!(asset.labels().get("environment").map(String::as_str), Some("prod"));
    }

    #[test]
    fn labels_are_few_short_and_of_plain_characters() {
        let long = "x".repeat(NAME_BYTES_LIMIT + 1);
        let one = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        let many = (0..=LABELS_LIMIT).map(|number| (format!("l{number}"), String::new())).collect();
        let table = [
            (one("rack", "b7"), true),
            (one("rack", ""), true),
            (one("", "b7"), false),
            (one("rack", "b7\u{1b}[31m"), false),
            (one("ra\nck", "b7"), false),
            (one(&long, "b7"), false),
            (one("rack", &long), false),
            (many, false),
        ];
        for (labels, good) in table {
            assert_eq!(check_labels(&labels).is_ok(), good, "{labels:?}");
        }
    }

    #[test]
    fn who_waits_is_let_in_by_security_or_an_admin_and_nobody_else() {
        let by = |role, life, act| step(life, "shop", &actor(role, "shop"), act);
        for role in [Role::Security, Role::Admin] {
            assert_eq!(by(role, Life::Quarantined, Act::Approved), Ok(Life::Enrolled));
        }
        let refused = by(Role::Operator, Life::Quarantined, Act::Approved).unwrap_err();
        assert_eq!(refused.class(), error::Class::Denied);
        for life in [Life::Enrolled, Life::Declared, Life::Retired] {
            assert_eq!(by(Role::Admin, life, Act::Approved), Err(Refusal::NotWaiting(life)));
        }
    }

    fn actor(role: Role, service: &str) -> Actor {
        Actor {
            person: crate::id::PersonId::mint(Timestamp::from_millis(0), [1; 10]),
            roles: [role].into(),
            services: [service.to_owned()].into(),
            grants: Vec::new(),
        }
    }

    #[test]
    fn an_operator_retires_the_assets_of_their_own_services_alone() {
        let by = |role, service| step(Life::Enrolled, "bank", &actor(role, service), Act::Retired);
        assert_eq!(by(Role::Operator, "shop").unwrap_err().class(), error::Class::Denied);
        assert_eq!(by(Role::Operator, "bank"), Ok(Life::Retired));
        for role in [Role::Security, Role::Admin] {
            assert_eq!(by(role, "shop"), Ok(Life::Retired));
        }
    }

    #[test]
    fn an_operator_declares_assets_of_their_own_services_alone() {
        let by = |role, service| declare("bank", &actor(role, service));
        assert_eq!(by(Role::Operator, "shop").unwrap_err().class(), error::Class::Denied);
        assert_eq!(by(Role::Auditor, "bank").unwrap_err().class(), error::Class::Denied);
        assert_eq!(by(Role::Operator, "bank"), Ok(Life::Declared));
        assert_eq!(by(Role::Security, "shop"), Ok(Life::Declared));
    }

    #[test]
    fn whoever_runs_a_service_retires_what_was_not_retired() {
        let by = |role, life| step(life, "shop", &actor(role, "shop"), Act::Retired);
        for life in [Life::Enrolled, Life::Quarantined, Life::Declared] {
            assert_eq!(by(Role::Operator, life), Ok(Life::Retired));
        }
        assert_eq!(by(Role::Security, Life::Retired), Err(Refusal::Retired));
        assert_eq!(by(Role::Auditor, Life::Enrolled).unwrap_err().class(), error::Class::Denied);
    }

    #[test]
    fn words_read_back_as_what_they_stand_for() {
        assert_eq!("network_device".parse::<Class>().unwrap(), Class::NetworkDevice);
        assert_eq!("quarantined".parse::<Life>().unwrap(), Life::Quarantined);
        assert!("printer".parse::<Class>().unwrap_err().to_string().contains("database"));
    }
}
