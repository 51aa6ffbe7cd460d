//! Reports: facts, verdicts and signals of one asset, in the agent's own order.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Noticed;
use bartizan_core::order;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::Versioned;
use crate::checkin::Pace;

/// The most reports in one batch.
pub const BATCH_LIMIT: usize = 64;

/// The most sections of one report.
pub const SECTIONS_LIMIT: usize = 64;

/// The most verdicts of one report.
pub const VERDICTS_LIMIT: usize = 20_000;

/// The most signals of one report; a flood beyond it is counted as loss.
pub const SIGNALS_LIMIT: usize = 1_000;

/// The most outcomes of orders in one report: an agent has one order at a time.
pub const OUTCOMES_LIMIT: usize = 16;

/// The most sources of one report that lost something.
pub const LOSS_LIMIT: usize = 1_000;

/// The most packages of one host: ten times what a large one has.
pub const PACKAGES_LIMIT: usize = 50_000;

/// The longest name, version or architecture of a package and word of an operating system, in bytes: a host's
/// own databases have less than a tenth, and an index of the store has to hold several of them together.
pub const WORD_BYTES_LIMIT: usize = 512;

/// The longest text that a report holds in one place, in bytes.
pub const TEXT_BYTES_LIMIT: usize = 4_096;

/// What one asset tells. (`agent`, `epoch`, `sequence`) is its place; `agent` is in the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub wire: u32,
    /// Counts the agent's starts.
    pub epoch: u64,
    /// Counts its reports within an epoch, from 1.
    pub sequence: u64,
    /// By the agent's clock.
    pub observed_at: Timestamp,
    /// Over all sections that the agent has, sent or not.
    pub root: Digest,
    /// Sections whose hash has changed.
    #[serde(default)]
    pub sections: BTreeMap<String, Section>,
    /// Verdicts that have changed, or all of them where `whole` says so.
    #[serde(default)]
    pub verdicts: Vec<Look>,
    /// Whether `verdicts` is all that the asset has.
    #[serde(default)]
    pub whole: bool,
    #[serde(default)]
    pub signals: Vec<Noticed>,
    /// What became of orders; told again until the server has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<order::Outcome>,
    /// What became of each source since the last report: seen, sent and dropped.
    #[serde(default)]
    pub loss: BTreeMap<String, Loss>,
}

/// A section by the hash of its canonical body; the body comes along where the server may lack it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub hash: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    pub baseline: String,
    pub rule: String,
    /// The digest of the check, with its values applied.
    pub check: Digest,
    #[serde(with = "verdict")]
    pub verdict: Verdict,
    pub observed_at: Timestamp,
}

/// What became of one source's items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    pub seen: u64,
    pub sent: u64,
    pub dropped: u64,
}

/// Reports on their way, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    pub wire: u32,
    pub reports: Vec<Report>,
}

/// What became of each report of a batch. What is acknowledged is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub wire: u32,
    pub outcomes: Vec<Outcome>,
    pub pace: Pace,
}

/// What became of one report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is durable; `wanted` names sections whose bodies the server lacks.
    Committed {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wanted: Vec<String>,
    },
    /// It was durable already, or a later one is.
    Known,
    /// Its place is taken by another report: another machine reports as this asset. The agent
    /// stops, and a person has to decide which of the two it is.
    Clone,
    /// It can't be right, and sending it again won't help: the agent drops and counts it.
    Refused { problem: String },
}

impl Versioned for Report {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Batch {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Receipt {
    fn version(&self) -> u32 {
        self.wire
    }
}

/// The root over sections: over the pairs of name and hash, sorted by name.
pub fn root<'a>(sections: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
    let sorted: BTreeMap<&str, Digest> = sections.into_iter().collect();
    let pairs = sorted
        .into_iter()
        .map(|(name, hash)| Value::Array(vec![Value::from(name), Value::from(hash.to_string())]));
    Digest::derived("sections", pairs)
}

/// A verdict as one word, so that a message of thousands stays short: `met`, `not_met`, `unknown:REASON`.
mod verdict {
    use bartizan_core::verdict::Verdict;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
        match verdict {
            Verdict::Unknown(reason) => serializer.collect_str(&format_args!("unknown:{reason}")),
            known => serializer.serialize_str(known.as_str()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "met" => Ok(Verdict::Met),
            "not_met" => Ok(Verdict::NotMet),
            other => {
                let reason = other.strip_prefix("unknown:").and_then(|reason| reason.parse().ok());
                reason
                    .map(Verdict::Unknown)
                    .ok_or_else(|| serde::de::Error::custom(format!("`{other}` is no verdict")))
            }
        }
    }
}
