//! Clocks: every obligation has a deadline, an owner, and a stamp that it counts from.
//!
//! What is due is computed when it is read, from stamps that are facts; nothing ticks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::{Duration, Timestamp};

/// The event that a clock counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The vulnerability was published.
    Published,
    /// A fix could be installed.
    FixAvailable,
    /// The fault was first observed here.
    FirstObserved,
    /// Somebody of ours became aware.
    Aware,
    /// The incident was declared.
    Declared,
    /// The asset was enrolled.
    Enrolled,
    /// It was last done (a review, a scan, a drill).
    LastDone,
    /// It was asked for (an acknowledgement, an approval).
    Asked,
}

/// The stamps that are known of one object.
pub type Stamps = BTreeMap<Start, Timestamp>;

/// A deadline as somebody's regime sets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// What is to be done: `patch`, `review`, `acknowledge` …
    pub name: String,
    /// Whose rule it is: a policy, a contract, a law.
    pub regime: String,
    /// Who answers for it.
    pub owner: String,
    pub start: Start,
    pub limit: Duration,
}

/// Where a clock stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its start stamp is not known: it has no deadline, and nobody may call it kept.
    NotStarted,
    Running {
        due: Timestamp,
    },
    /// Done at or before the deadline.
    Kept {
        due: Timestamp,
    },
    /// Done, but after the deadline.
    Late {
        due: Timestamp,
    },
    /// Not done, and the deadline has passed.
    Overdue {
        due: Timestamp,
        by: Duration,
    },
}

impl Clock {
    /// Where it stands at `now`; `done` says when the obligation was met, if it was.
    ///
    /// The deadline itself is still in time.
    pub fn standing(&self, stamps: &Stamps, done: Option<Timestamp>, now: Timestamp) -> Standing {
        let Some(start) = stamps.get(&self.start) else {
            return Standing::NotStarted;
        };
        let due = start.plus(self.limit);
        match done {
            Some(done) if done <= due => Standing::Kept { due },
            Some(_) => Standing::Late { due },
            None if now > due => Standing::Overdue { due, by: now.since(due) },
            None => Standing::Running { due },
        }
    }
}

/// What decides when a finding has to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When the fault was first observed here.
    pub first_observed: Timestamp,
    /// The start stamp of the policy's clock, and its limit; none where the policy sets none.
    pub policy: Option<(Timestamp, Duration)>,
    /// For backlog: when the asset was enrolled, and how long its backlog may take.
    pub backlog: Option<(Timestamp, Duration)>,
    /// The date by which a catalogue of exploited vulnerabilities wants it gone (CISA KEV `dueDate`).
    pub exploited_due: Option<Timestamp>,
}

/// When something is due, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    pub because: Because,
}

/// Which rule set a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    Policy,
    Backlog,
    Exploited,
}

impl Because {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Because::Policy => "policy",
            Because::Backlog => "backlog",
            Because::Exploited => "exploited",
        }
    }
}

impl Due {
    /// Whether it has passed: the deadline itself is still in time.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now > self.at
    }
}

impl Deadline {
    /// When the finding has to be gone: the policy's limit, or for backlog the limit from
    /// enrolment, or from when a fault was first observed that a later feed or baseline told of; earlier where a catalogue's date binds. Such a date binds only if it lay ahead
    /// when the fault was first observed: nobody can be late before they could know.
    pub fn due(&self) -> Option<Due> {
        let policy = match (self.backlog, self.policy) {
            (Some((enrolled, limit)), _) => {
                let at = enrolled.max(self.first_observed).plus(limit);
                Some(Due { at, because: Because::Backlog })
            }
            (None, Some((start, limit))) => Some(Due { at: start.plus(limit), because: Because::Policy }),
            (None, None) => None,
        };
        let ahead = self.exploited_due.filter(|at| *at > self.first_observed);
        let exploited = ahead.map(|at| Due { at, because: Because::Exploited });
        policy.into_iter().chain(exploited).min_by_key(|due| due.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u32) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_days(n))
    }

    fn review() -> Clock {
        Clock {
            name: "review".into(),
            regime: "policy".into(),
            owner: "platform".into(),
            start: Start::LastDone,
            limit: Duration::from_days(365),
        }
    }

    fn standing(done: Option<u32>, now: u32) -> Standing {
        review().standing(&Stamps::from([(Start::LastDone, day(1))]), done.map(day), day(now))
    }

    #[test]
    fn a_clock_runs_to_its_deadline_and_is_overdue_after_it() {
        let due = day(366);
        assert_eq!(standing(None, 366), Standing::Running { due });
        assert_eq!(standing(None, 368), Standing::Overdue { due, by: Duration::from_days(2) });
        assert_eq!(standing(Some(366), 999), Standing::Kept { due });
        assert_eq!(standing(Some(367), 999), Standing::Late { due });
    }

    #[test]
    fn a_clock_whose_stamp_is_absent_is_not_started() {
        let standing = review().standing(&Stamps::from([(Start::Aware, day(1))]), None, day(999));
        assert_eq!(standing, Standing::NotStarted);
    }

    fn deadline() -> Deadline {
        Deadline {
            first_observed: day(10),
            policy: Some((day(5), Duration::from_days(30))),
            backlog: None,
            exploited_due: None,
        }
    }

    #[test]
    fn an_exploited_date_binds_only_if_it_lay_ahead_at_first_observation() {
        for (date, expected) in [
            (9, Due { at: day(35), because: Because::Policy }),
            (10, Due { at: day(35), because: Because::Policy }),
            (11, Due { at: day(11), because: Because::Exploited }),
            (50, Due { at: day(35), because: Because::Policy }),
        ] {
            assert_eq!(
                Deadline { exploited_due: Some(day(date)), ..deadline() }.due(),
                Some(expected),
                "day {date}"
            );
        }
    }

    #[test]
    fn a_backlog_deadline_counts_from_enrolment() {
        let enrolled = |first_observed| Deadline {
            first_observed,
            backlog: Some((day(10), Duration::from_days(90))),
            ..deadline()
        };
        let due = |day| Some(Due { at: day, because: Because::Backlog });
        assert_eq!(enrolled(day(10)).due(), due(day(100)));
        assert_eq!(enrolled(day(400)).due(), due(day(490)), "nobody is late before they could know");
    }

    #[test]
    fn where_the_policy_sets_no_limit_the_date_of_a_catalogue_alone_binds() {
        let none = Deadline { policy: None, ..deadline() };
        assert_eq!(none.due(), None);
        let exploited = Deadline { exploited_due: Some(day(11)), ..none };
        assert_eq!(exploited.due(), Some(Due { at: day(11), because: Because::Exploited }));
    }

    #[test]
    fn a_deadline_itself_is_still_in_time() {
        let due = Due { at: day(11), because: Because::Policy };
        assert_eq!([10, 11, 12].map(|n| due.is_overdue(day(n))), [false, false, true]);
    }

    #[test]
    fn the_largest_limit_does_not_overflow() {
        let end = Timestamp::from_millis(i64::MAX);
        let far = Deadline { policy: Some((end, Duration::from_days(30))), ..deadline() };
        assert_eq!(far.due().map(|due| due.at), Some(end));
    }
}
