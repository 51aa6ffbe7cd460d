//! Trends: the fleet's figures over time, and how the backlog burns down.
//!
//! A sample says how the fleet stood at the end of one step of time; the newest one says how it
//! stands. Figures that did not change leave no sample: the one before holds on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{Duration, Timestamp};

/// How long an asset's backlog may take, from the first look at it on: a quarter, within which every
/// window for maintenance comes round.
pub const BACKLOG_LIMIT: Duration = Duration::from_days(90);

/// The figures of one moment, over the whole fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub assets: u64,
    /// Rules over all assets: each rule counts once for each asset that has it.
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
    /// Vulnerabilities that affect at least one asset; none where no feed was imported, and nobody knows.
    pub vulnerabilities: Option<u64>,
    /// Those of them rated high or critical, and those that no feed rates.
    pub severe: u64,
    #[serde(default)]
    pub unrated: u64,
    /// Those known to be exploited; none where no catalogue of such was imported.
    pub exploited: Option<u64>,
    pub open_alerts: u64,
    pub backlog: Backlog,
}

/// The findings that first sight of an asset opened: each counts once for each asset that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    pub open: u64,
    /// Those that ended since, whichever way: mended, withdrawn, or gone with their asset.
    pub ended: u64,
    /// The first look at the oldest asset that brought some along, and at the newest.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

impl Backlog {
    /// When the last of it has to be gone; none where there never was any.
    pub fn due(&self) -> Option<Timestamp> {
        self.last.map(|last| last.plus(BACKLOG_LIMIT))
    }
}

/// How long the time is that one sample stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Minute,
    Hour,
    Day,
}

/// A word that is no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step of a trend: it is minute, hour or day")]
pub struct NoStep(String);

impl Step {
    /// All of them.
    pub const ALL: [Step; 3] = [Step::Minute, Step::Hour, Step::Day];

    /// Its word in the store and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Minute => "minute",
            Step::Hour => "hour",
            Step::Day => "day",
        }
    }

    /// How long it is.
    pub const fn length(self) -> Duration {
        match self {
            Step::Minute => Duration::from_secs(60),
            Step::Hour => Duration::from_hours(1),
            Step::Day => Duration::from_days(1),
        }
    }

    /// How far back its samples are kept.
    pub const fn kept(self) -> Duration {
        match self {
            Step::Minute => Duration::from_hours(2),
            Step::Hour => Duration::from_hours(48),
            // Two years: what an audit looks back on.
            Step::Day => Duration::from_days(731),
        }
    }

    /// The beginning of the step that a time lies in (UTC).
    pub fn start(self, at: Timestamp) -> Timestamp {
        let length = self.length().as_millis();
        Timestamp::from_millis(at.as_millis().div_euclid(length) * length)
    }

    /// The step that shows what lies between these times best: the shortest that is kept so long.
    pub fn over(first: Timestamp, now: Timestamp) -> Step {
        let span = now.since(first);
        Step::ALL.into_iter().find(|step| span <= step.kept()).unwrap_or(Step::Day)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(word: &str) -> Result<Self, NoStep> {
        Step::ALL.into_iter().find(|step| step.as_str() == word).ok_or_else(|| NoStep(word.to_owned()))
    }
}

/// How the fleet stood at the end of one step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the step began.
    pub start: Timestamp,
    pub figures: Figures,
}

/// One sample for each step from `from` to `now`: where none was written the one before holds on, and
/// before the first there is none.
///
/// `samples` are in the order of time; the newest before `from` may be among them.
pub fn carried(step: Step, samples: &[Sample], from: Timestamp, now: Timestamp) -> Vec<Sample> {
    let mut written = samples.iter().peekable();
    let mut held: Option<Figures> = None;
    let mut all = Vec::new();
    let mut start = step.start(from);
    let last = step.start(now);
    while start <= last {
        while let Some(sample) = written.next_if(|sample| sample.start <= start) {
            held = Some(sample.figures);
        }
        if let Some(figures) = held {
            all.push(Sample { start, figures });
        } else if let Some(first) = written.peek() {
            // Nothing is known before the first: go there at once.
            start = step.start(first.start);
            continue;
        } else {
            break;
        }
        start = start.plus(step.length());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn sample(start: &str, not_met: u64) -> Sample {
        Sample { start: at(start), figures: Figures { not_met, ..Figures::default() } }
    }

    fn told(step: Step, samples: &[Sample], from: &str, now: &str) -> Vec<(String, u64)> {
        let all = carried(step, samples, at(from), at(now));
        all.iter().map(|sample| (sample.start.to_string(), sample.figures.not_met)).collect()
    }

    #[test]
    fn a_figure_that_did_not_change_holds_on_until_one_that_did() {
        let samples = [sample("2026-03-01T00:00:00Z", 5), sample("2026-03-04T00:00:00Z", 3)];
        let told = told(Step::Day, &samples, "2026-03-02T07:00:00Z", "2026-03-05T01:00:00Z");
        let numbers: Vec<u64> = told.iter().map(|(_, not_met)| *not_met).collect();
        assert_eq!(numbers, [5, 5, 3, 3]);
        assert_eq!(told[0].0, "2026-03-02T00:00:00Z");
    }

    #[test]
    fn before_the_first_sample_nothing_is_said() {
        let samples = [sample("2026-03-04T11:00:00Z", 3)];
        let told = told(Step::Hour, &samples, "2026-03-03T00:00:00Z", "2026-03-04T12:30:00Z");
        assert_eq!(told.len(), 2);
        assert!(carried(Step::Hour, &[], at("2026-03-03T00:00:00Z"), at("2026-03-04T00:00:00Z")).is_empty());
    }

    #[test]
    fn what_is_younger_is_shown_in_shorter_steps() {
        let now = at("2026-03-04T12:00:00Z");
        for (first, step) in [
            ("2026-03-04T11:00:00Z", Step::Minute),
            ("2026-03-04T09:00:00Z", Step::Hour),
            ("2026-03-02T12:00:00Z", Step::Hour),
            ("2026-03-01T12:00:00Z", Step::Day),
            ("2020-03-01T12:00:00Z", Step::Day),
        ] {
            assert_eq!(Step::over(at(first), now), step, "{first}");
        }
    }

    #[test]
    fn the_last_of_a_backlog_is_due_a_quarter_after_the_newest_asset_came() {
        let backlog = Backlog { last: Some(at("2026-03-04T12:00:00Z")), ..Backlog::default() };
        assert_eq!(backlog.due(), Some(at("2026-06-02T12:00:00Z")));
        assert_eq!(Backlog::default().due(), None);
    }

    #[test]
    fn every_step_reads_back_from_its_word() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse::<Step>(), Ok(step));
        }
        assert!("week".parse::<Step>().is_err());
    }
}
