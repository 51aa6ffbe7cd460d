//! The three verdicts, and the reasons for not knowing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether an obligation is met on an asset. *Not applicable* is no verdict: it is the
/// absence of the obligation, and stands beside this type as a reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Verdict {
    Met,
    NotMet,
    /// Nobody can say, and why. It neither passes nor fails, opens nothing and closes nothing.
    Unknown(Reason),
}

/// Why a verdict is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not observed yet.
    Unseen,
    /// The observer may not read it.
    Denied,
    /// Reading it took longer than its limit.
    Timeout,
    /// Reading it failed.
    Error,
    /// The observer has no way to read this kind of thing.
    Unsupported,
    /// The last observation, or the feed it was judged by, is older than its limit.
    Stale,
    /// It was read, and makes no sense to us.
    Unparsable,
    /// No source is assigned that could observe it.
    Unassigned,
}

impl Reason {
    /// Every reason, in the order in which the weaker knowledge comes first.
    pub const ALL: [Reason; 8] = [
        Reason::Unseen,
        Reason::Denied,
        Reason::Timeout,
        Reason::Error,
        Reason::Unsupported,
        Reason::Stale,
        Reason::Unparsable,
        Reason::Unassigned,
    ];

    /// The word that stands for it in tables, documents and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Unseen => "unseen",
            Reason::Denied => "denied",
            Reason::Timeout => "timeout",
            Reason::Error => "error",
            Reason::Unsupported => "unsupported",
            Reason::Stale => "stale",
            Reason::Unparsable => "unparsable",
            Reason::Unassigned => "unassigned",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason for an unknown verdict")]
pub struct NoReason(String);

impl FromStr for Reason {
    type Err = NoReason;

    fn from_str(word: &str) -> Result<Self, NoReason> {
        Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .ok_or_else(|| NoReason(word.to_owned()))
    }
}

impl Verdict {
    /// All of them hold: one `not met` decides, then one `unknown`, else `met`. An empty list is met.
    pub fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().fold(Verdict::Met, |so_far, next| match (so_far, next) {
            (Verdict::NotMet, _) | (_, Verdict::NotMet) => Verdict::NotMet,
            (Verdict::Unknown(reason), _) | (_, Verdict::Unknown(reason)) => Verdict::Unknown(reason),
            (Verdict::Met, Verdict::Met) => Verdict::Met,
        })
    }

    /// At least one holds: one `met` decides, then one `unknown`, else `not met`. An empty list is not met.
    pub fn any(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        Verdict::all(verdicts.into_iter().map(Verdict::negate)).negate()
    }

    /// The opposite; what is unknown stays unknown.
    #[must_use]
    pub const fn negate(self) -> Verdict {
        match self {
            Verdict::Met => Verdict::NotMet,
            Verdict::NotMet => Verdict::Met,
            Verdict::Unknown(reason) => Verdict::Unknown(reason),
        }
    }

    /// The word for the verdict without its reason: `met`, `not_met`, `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::NotMet => "not_met",
            Verdict::Unknown(_) => "unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Verdict::Met } else { Verdict::NotMet }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Met => f.write_str("met"),
            Verdict::NotMet => f.write_str("not met"),
            Verdict::Unknown(reason) => write!(f, "unknown: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Verdict = Verdict::Unknown(Reason::Denied);

    #[test]
    fn a_known_failure_outweighs_what_is_unknown_and_unknown_outweighs_met() {
        let table = [
            (vec![], Verdict::Met),
            (vec![Verdict::Met, Verdict::Met], Verdict::Met),
            (vec![Verdict::Met, UNKNOWN], UNKNOWN),
            (vec![UNKNOWN, Verdict::NotMet], Verdict::NotMet),
        ];
        for (input, expected) in table {
            assert_eq!(Verdict::all(input.clone()), expected, "{input:?}");
        }
    }

    #[test]
    fn one_known_success_is_enough_for_any() {
        let table = [
            (vec![], Verdict::NotMet),
            (vec![Verdict::NotMet, Verdict::Met], Verdict::Met),
            (vec![UNKNOWN, Verdict::Met], Verdict::Met),
            (vec![UNKNOWN, Verdict::NotMet], UNKNOWN),
        ];
        for (input, expected) in table {
            assert_eq!(Verdict::any(input.clone()), expected, "{input:?}");
        }
    }

    #[test]
    fn every_reason_reads_back_from_its_word() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), reason);
        }
    }
}
