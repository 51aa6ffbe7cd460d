//! How a rule comes out: a verdict, or no obligation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::verdict::Verdict;

/// A verdict, or the absence of an obligation with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Judged(Verdict),
    NotApplicable { reason: String },
}

/// `{"verdict": "met" | "not_met" | "unknown" | "not_applicable", "reason"?}`.
#[derive(Serialize, Deserialize)]
struct Written {
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Outcome {
    /// The verdict, where there is an obligation.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Outcome::Judged(verdict) => Some(*verdict),
            Outcome::NotApplicable { .. } => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Judged(verdict) => verdict.fmt(f),
            Outcome::NotApplicable { .. } => f.write_str("not applicable"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (verdict, reason) = match self {
            Outcome::Judged(Verdict::Unknown(reason)) => ("unknown", Some(reason.to_string())),
            Outcome::Judged(verdict) => (verdict.as_str(), None),
            Outcome::NotApplicable { reason } => ("not_applicable", Some(reason.clone())),
        };
        Written { verdict: verdict.to_owned(), reason }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let reason = written.reason.unwrap_or_default();
        Ok(match written.verdict.as_str() {
            "met" => Outcome::Judged(Verdict::Met),
            "not_met" => Outcome::Judged(Verdict::NotMet),
            "unknown" => Outcome::Judged(Verdict::Unknown(reason.parse().map_err(de::Error::custom)?)),
            "not_applicable" => Outcome::NotApplicable { reason },
            other => return Err(de::Error::custom(format_args!("`{other}` is no outcome of a rule"))),
        })
    }
}
