//! The stages of an incident, and which may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far the response has come while the incident is open; its end is a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody or something noticed it; nobody has judged it yet.
    Detect,
    /// What it touches, how badly, and whose data.
    Assess,
    /// Why it happens.
    Diagnose,
    /// It is held and mended; what is learned here may send it back to diagnosis.
    Stabilise,
}

/// A word that is no stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no stage that an incident advances to: write assess, diagnose or stabilise")]
pub struct NoStage(String);

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Stage; 4] = [Stage::Detect, Stage::Assess, Stage::Diagnose, Stage::Stabilise];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Detect => "detect",
            Stage::Assess => "assess",
            Stage::Diagnose => "diagnose",
            Stage::Stabilise => "stabilise",
        }
    }

    /// Whether an incident in this stage may advance to `next`.
    pub const fn leads_to(self, next: Stage) -> bool {
        matches!(
            (self, next),
            (Stage::Detect, Stage::Assess)
                | (Stage::Assess, Stage::Diagnose)
                | (Stage::Diagnose, Stage::Stabilise)
                | (Stage::Stabilise, Stage::Diagnose)
        )
    }

    /// Whether an incident may end here: once it is stable, or once assessing it showed that it is none.
    pub const fn may_close(self) -> bool {
        matches!(self, Stage::Assess | Stage::Stabilise)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = NoStage;

    fn from_str(word: &str) -> Result<Self, NoStage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == word).ok_or_else(|| NoStage(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_leads_where_the_table_says_and_nowhere_else() {
        use Stage::{Assess, Detect, Diagnose, Stabilise};
        let table = [(Detect, Assess), (Assess, Diagnose), (Diagnose, Stabilise), (Stabilise, Diagnose)];
        for from in Stage::ALL {
            for to in Stage::ALL {
                assert_eq!(from.leads_to(to), table.contains(&(from, to)), "{from} to {to}");
            }
            assert_eq!(from.may_close(), [Assess, Stabilise].contains(&from), "{from}");
        }
    }

    #[test]
    fn stages_read_back_from_their_words() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse::<Stage>().unwrap(), stage);
        }
        assert!("close".parse::<Stage>().is_err());
    }
}
