//! Assets: the servers, databases, network devices and hardware that are watched.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AssetId;
use crate::posture::AssetNumber;
use crate::selector::Labels;
use crate::time::Timestamp;

/// The longest name of an asset, service or environment, in bytes: a DNS name's limit.
pub const NAME_BYTES_LIMIT: usize = 253;

/// The most labels that people give one asset.
pub const LABELS_LIMIT: usize = 64;

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
    /// It enrolled in a way that a person has to look at: its reports are kept, it gets nothing.
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
    fn words_read_back_as_what_they_stand_for() {
        assert_eq!("network_device".parse::<Class>().unwrap(), Class::NetworkDevice);
        assert_eq!("quarantined".parse::<Life>().unwrap(), Life::Quarantined);
        assert!("printer".parse::<Class>().unwrap_err().to_string().contains("database"));
    }
}
