//! The second factor: a code that a device makes from a shared secret and the time (TOTP, RFC 6238),
//! beside the link that signs in; recovery codes for when the device is lost; and what becomes of
//! whoever guesses.
//!
//! The arithmetic of codes is the server's: here is what follows from a code that is right, wrong
//! or used already.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::time::{Duration, Timestamp};

/// How long one code lasts, in seconds (RFC 6238, section 5.2: the recommended step).
pub const STEP_SECONDS: u64 = 30;

/// How many steps a device's clock may be off, either way (RFC 6238, section 6).
pub const SLACK_STEPS: u64 = 1;

/// How many wrong codes in a row are answered without a wait. Of a million codes three are good at
/// any time: whoever then has one try an hour finds one at even odds after some 26 years.
pub const FREE_FAILURES: u32 = 5;

/// The wait after the last free failure; each further one doubles it.
const FIRST_LOCK_MS: u32 = 60_000;

/// The longest wait.
const LOCK_LIMIT: Duration = Duration::from_hours(1);

/// How many recovery codes a person gets.
pub const RECOVERY_CODES: usize = 10;

/// How a person's second factor stands; its secret lies sealed elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    pub made_at: Timestamp,
    /// The digest of the token of the session that began it: until it is confirmed, no other session
    /// of the same person sees its secret, or confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_by: Option<Digest>,
    /// None until a code has shown that the device holds the secret.
    pub confirmed_at: Option<Timestamp>,
    /// The newest step whose code was taken: neither it nor an older one is taken again.
    pub last_step: Option<u64>,
    /// Digests of the recovery codes that are left.
    pub recovery: BTreeSet<Digest>,
    /// Wrong codes since the last right one.
    pub failures: u32,
    pub locked_until: Option<Timestamp>,
}

/// What somebody showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The code of this step.
    Code { step: u64 },
    /// A code with this digest; it is no code of now.
    Other { digest: Digest },
}

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the code is wrong")]
    Wrong,
    #[error("the code was used already: wait for the next one")]
    Used,
    #[error("too many wrong codes: no code is looked at until {until}")]
    Locked { until: Timestamp },
}

impl Factor {
    /// A factor that was made and not confirmed yet.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            made_at: now,
            begun_by: None,
            confirmed_at: None,
            last_step: None,
            recovery: BTreeSet::new(),
            failures: 0,
            locked_until: None,
        }
    }

    /// Whether this session may see and confirm it: it is confirmed, or was begun there.
    pub fn is_open_to(&self, session: &Digest) -> bool {
        self.confirmed_at.is_some() || self.begun_by.as_ref() == Some(session)
    }

    /// Until when no code is looked at, if that is so now.
    pub fn locked(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| *until > now)
    }

    /// Judges what was shown: the factor as it stands after, and whether it passes.
    ///
    /// A first code confirms the factor; a recovery code counts once it is confirmed, and once.
    pub fn judge(&self, shown: Shown, now: Timestamp) -> (Factor, Result<(), Refusal>) {
        if let Some(until) = self.locked(now) {
            return (self.clone(), Err(Refusal::Locked { until }));
        }
        let mut next = self.clone();
        let good = match shown {
            Shown::Code { step } if self.last_step.is_some_and(|last| step <= last) => Err(Refusal::Used),
            Shown::Code { step } => {
                next.last_step = Some(step);
                next.confirmed_at = self.confirmed_at.or(Some(now));
                Ok(())
            }
            Shown::Other { digest } if self.confirmed_at.is_some() && next.recovery.remove(&digest) => Ok(()),
            Shown::Other { .. } => Err(Refusal::Wrong),
        };
        if good.is_ok() {
            next.failures = 0;
            next.locked_until = None;
        } else {
            next.failures = self.failures.saturating_add(1);
            next.locked_until = lock(next.failures).map(|wait| now.plus(wait));
        }
        (next, good)
    }
}

/// How long nobody may try after so many failures in a row.
fn lock(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(FREE_FAILURES)?;
    let wait = FIRST_LOCK_MS.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
    Some(Duration::from_millis(wait).min(LOCK_LIMIT))
}

/// How a session came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a link that was opened.
    Link,
    /// By the program that runs the server, for its own account on the same machine.
    Local,
}

/// What a session reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Whole,
    /// The page where the second factor is made or shown, and nothing else.
    Factor,
    Nothing,
}

/// What a session reaches: on the server's own machine a link is enough for whoever has no second
/// factor; from beyond it, and for whoever has one, nothing is reached before it was shown.
pub const fn access(origin: Origin, passed: bool, has_factor: bool, from_here: bool) -> Access {
    match (origin, from_here) {
        (Origin::Local, true) => Access::Whole,
        (Origin::Local, false) => Access::Nothing,
        (Origin::Link, _) if passed => Access::Whole,
        (Origin::Link, true) if !has_factor => Access::Whole,
        (Origin::Link, _) => Access::Factor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn code(step: u64) -> Shown {
        Shown::Code { step }
    }

    fn other(word: &str) -> Shown {
        Shown::Other { digest: Digest::of_bytes(word.as_bytes()) }
    }

    fn confirmed() -> Factor {
        let (mut factor, passed) = Factor::new(at(0)).judge(code(10), at(300));
        assert_eq!(passed, Ok(()));
        factor.recovery.insert(Digest::of_bytes(b"recovery"));
        factor
    }

    #[test]
    fn the_first_code_confirms_and_none_is_taken_twice() {
        let factor = confirmed();
        assert_eq!(factor.confirmed_at, Some(at(300)));
        assert_eq!(factor.judge(code(10), at(301)).1, Err(Refusal::Used));
        assert_eq!(factor.judge(code(9), at(301)).1, Err(Refusal::Used), "an older one neither");
        let (factor, passed) = factor.judge(code(11), at(330));
        assert_eq!((passed, factor.confirmed_at), (Ok(()), Some(at(300))));
    }

    #[test]
    fn a_recovery_code_works_once_and_not_before_the_factor_is_confirmed() {
        let mut fresh = Factor::new(at(0));
        fresh.recovery.insert(Digest::of_bytes(b"recovery"));
        assert_eq!(fresh.judge(other("recovery"), at(1)).1, Err(Refusal::Wrong));
        let (after, passed) = confirmed().judge(other("recovery"), at(400));
        assert_eq!(passed, Ok(()));
        assert_eq!(after.judge(other("recovery"), at(401)).1, Err(Refusal::Wrong));
    }

    #[test]
    fn whoever_guesses_waits_longer_each_time_and_a_right_code_ends_that() {
        let mut factor = confirmed();
        for _ in 1..FREE_FAILURES {
            factor = factor.judge(other("guess"), at(1_000)).0;
            assert_eq!(factor.locked(at(1_000)), None);
        }
        factor = factor.judge(other("guess"), at(1_000)).0;
        assert_eq!(factor.locked(at(1_000)), Some(at(1_060)));
        let (same, refused) = factor.judge(code(40), at(1_059));
        assert_eq!(refused, Err(Refusal::Locked { until: at(1_060) }), "the right code waits, too");
        assert_eq!(same, factor, "and nothing is counted");
        let worse = factor.judge(other("guess"), at(1_060)).0;
        assert_eq!(worse.locked(at(1_060)), Some(at(1_180)));
        let (good, passed) = factor.judge(code(40), at(1_060));
        assert_eq!((passed, good.failures, good.locked_until), (Ok(()), 0, None));
        let patient = Factor { failures: 60, locked_until: None, ..confirmed() };
        assert_eq!(patient.judge(other("guess"), at(0)).0.locked_until, Some(at(3_600)));
    }

    #[test]
    fn beyond_this_machine_nothing_is_reached_without_the_factor() {
        use Access::{Factor, Nothing, Whole};
        use Origin::{Link, Local};
        let table = [
            // Origin, passed, has one, from here.
            (Link, false, false, true, Whole),
            (Link, false, true, true, Factor),
            (Link, true, true, true, Whole),
            (Link, false, false, false, Factor),
            (Link, false, true, false, Factor),
            (Link, true, true, false, Whole),
            (Local, false, false, true, Whole),
            (Local, false, true, true, Whole),
            (Local, false, true, false, Nothing),
            (Local, true, true, false, Nothing),
        ];
        for (origin, passed, has_factor, from_here, reached) in table {
            assert_eq!(
                access(origin, passed, has_factor, from_here),
                reached,
                "{origin:?} {passed} {from_here}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_step_passes_twice_whatever_was_shown_before(
            shown in proptest::collection::vec((0_u64..8, 0_i64..4_000), 1..40)
        ) {
            let mut factor = Factor::new(at(0));
            let mut now = 0;
            let mut passed = BTreeSet::new();
            for (step, wait) in shown {
                now += wait;
                let (next, judged) = factor.judge(code(step), at(now));
                if judged.is_ok() {
                    prop_assert!(passed.insert(step));
                }
                factor = next;
            }
        }
    }
}
