//! Severity: how bad a rule, a vulnerability, a signal or an alert is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The five ratings of CVSS (FIRST, CVSS v4.0 specification section 6), used for everything
/// that has one, from the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    None,
    Low,
    Medium,
    High,
    Critical,
}

/// A word that is no severity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no severity: write none, low, medium, high or critical")]
pub struct NoSeverity(String);

impl Severity {
    /// All of them, from the mildest.
    pub const ALL: [Severity; 5] =
        [Severity::None, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// The word for a severity, or for that nobody rates it.
pub fn word(severity: Option<Severity>) -> &'static str {
    severity.map_or("unrated", Severity::as_str)
}

/// The level that something goes by where it needs one and nobody rates it: an alert's, a place in a
/// list. It is medium: what nobody has looked at yet may be grave, so that it stands above what is known
/// to be harmless, and wakes nobody as what is known to be grave does. No figure counts it as medium.
pub fn presumed(severity: Option<Severity>) -> Severity {
    severity.unwrap_or(Severity::Medium)
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = NoSeverity;

    fn from_str(word: &str) -> Result<Self, NoSeverity> {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == word)
            .ok_or_else(|| NoSeverity(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_order_from_the_mildest_and_read_back_from_their_words() {
        assert!(Severity::ALL.is_sorted());
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse::<Severity>().unwrap(), severity);
        }
    }
}
