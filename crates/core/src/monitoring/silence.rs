//! Silences: somebody asks not to be told for a while, says why, and until when.

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::glass;
use crate::id::PersonId;
use crate::selector::{Labels, Matcher, Selector};
use crate::time::{Duration, Timestamp};

/// The longest that a silence may last: longer ones are forgotten, and then hide a fault.
pub const SPAN_LIMIT: Duration = Duration::from_days(30);

/// Alerts with matching labels notify nobody while it lasts. They open and are seen all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub matchers: Selector,
    pub owner: PersonId,
    pub reason: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

/// Why a silence is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this would silence everything, or nearly: at least one matcher names what it mutes, as label=value or label=~one|another; label=~.*, label!=value and label= name nothing"
    )]
    Everything,
    #[error("a silence takes a reason")]
    NoReason,
    #[error("it ends at {ends_at}, which is not after its start {starts_at}")]
    EndsBeforeItStarts { starts_at: Timestamp, ends_at: Timestamp },
    #[error("it lasts longer than {SPAN_LIMIT}; accept the risk instead, or renew it")]
    TooLong,
}

impl Silence {
    /// Whether this silence may be made.
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.matchers.matchers().iter().any(Matcher::pins) {
            return Err(Refusal::Everything);
        }
        if self.reason.trim().is_empty() {
            return Err(Refusal::NoReason);
        }
        if self.ends_at <= self.starts_at {
            let (starts_at, ends_at) = (self.starts_at, self.ends_at);
            return Err(Refusal::EndsBeforeItStarts { starts_at, ends_at });
        }
        if self.ends_at.since(self.starts_at) > SPAN_LIMIT {
            return Err(Refusal::TooLong);
        }
        Ok(())
    }

    /// Whether it silences an alert with these labels at this time.
    pub fn mutes(&self, labels: &Labels, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at && self.matchers.matches(labels)
    }

    /// Whether it holds an alert back at this time. That the glass was broken is held back by none.
    pub fn holds(&self, alert: &Alert, now: Timestamp) -> bool {
        self.mutes(&alert.labels(), now) && glass::change_of(&alert.group).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(matchers: &[&str], reason: &str, hours: u32) -> Silence {
        let starts_at = Timestamp::from_millis(0);
        Silence {
            matchers: Selector::new(matchers.iter().map(|matcher| matcher.parse().unwrap()).collect()),
            owner: PersonId::mint(starts_at, [1; 10]),
            reason: reason.to_owned(),
            starts_at,
            ends_at: starts_at.plus(Duration::from_hours(hours)),
        }
    }

    #[test]
    fn a_silence_mutes_what_matches_until_it_ends() {
        let silence = silence(&["service=web"], "move to the new rack", 1);
        assert_eq!(silence.check(), Ok(()));
        let web = Labels::from([("service".to_owned(), "web".to_owned())]);
        assert!(silence.mutes(&web, Timestamp::from_millis(1)));
        assert!(!silence.mutes(&web, silence.ends_at));
        assert!(!silence.mutes(&Labels::new(), Timestamp::from_millis(1)));
    }

    #[test]
    fn a_silence_that_hides_too_much_is_refused() {
        for everything in [&[][..], &["service=~.*"], &["absent="], &["service!=qzj", "severity=~.+"]] {
            assert_eq!(silence(everything, "x", 1).check(), Err(Refusal::Everything), "{everything:?}");
        }
        assert_eq!(silence(&["service=~web|shop", "severity!=critical"], "x", 1).check(), Ok(()));
        assert_eq!(silence(&["a=b"], " ", 1).check(), Err(Refusal::NoReason));
        assert!(matches!(silence(&["a=b"], "x", 0).check(), Err(Refusal::EndsBeforeItStarts { .. })));
        assert_eq!(silence(&["a=b"], "x", 30 * 24 + 1).check(), Err(Refusal::TooLong));
    }
}
