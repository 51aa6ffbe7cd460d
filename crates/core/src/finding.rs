//! Findings: obligations that are not met, and how they end.
//!
//! A finding's key is made of what is wrong and where, never of a version, a time, a feed
//! or a wording: the same fault seen again is the same finding. It ends as verified only when
//! the scope that saw the fault looks again and finds it gone. Being accepted is no end:
//! an acceptance lies over a finding and leaves it open.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::id::AssetId;
use crate::selector::Labels;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// What is wrong, and where: all that the key is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A rule of a baseline is not met on an asset.
    Deviation { asset: AssetId, baseline: String, rule: String },
    /// An asset has a vulnerability: the CVE or the record's own id, and the source package.
    Vulnerability { asset: AssetId, id: String, source_package: String },
    /// An object of an asset was modified, and no change explains it.
    Drift { asset: AssetId, object: String },
    /// A class of assets in a scope was not looked at in a period, as it had to be.
    Coverage { scope: String, period: String, class: String },
    /// A clock ran out on the object that owns it.
    Clock { object: String, clock: String },
    /// What an assessment found, by location and weakness, whichever tool said so.
    Assessment { engagement: String, location: String, weakness: String },
}

/// The identity of a finding: a digest over its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

/// One finding and its life so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub subject: Subject,
    /// When the fault was first observed in this life of the finding.
    pub since: Timestamp,
    /// Whether first sight of the asset opened it: then it pages nobody, and its deadline
    /// counts from enrolment.
    pub backlog: bool,
    /// Which authenticated scope saw the fault: only that scope can see it gone.
    pub scope: Digest,
    /// The newest observation of the fault.
    pub last_seen: Timestamp,
    /// How often the fault came back after an end.
    pub returns: u32,
    pub state: State,
}

/// Whether the obligation still stands open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Open,
    Ended { at: Timestamp, end: End },
}

/// How a finding ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// Observed again by the same scope, and gone.
    Verified { observed_at: Timestamp },
    /// The obligation was taken back, by this change or feed record; nothing was fixed.
    Withdrawn { by: String },
    /// The asset was retired.
    Retired,
    /// Another finding says it better, and inherits the clock.
    Superseded { by: Key },
}

/// What happened to an obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Observed(Observation),
    Withdrawn { by: String },
    Retired,
    Superseded { by: Key },
}

/// One look at the obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub verdict: Verdict,
    /// The digest of who looked, at what and with which rights; none when the observer was not authenticated.
    pub scope: Option<Digest>,
    pub observed_at: Timestamp,
    /// Whether this report was the asset's first.
    pub first_sight: bool,
}

/// What an event asks others to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new fault: alert by it.
    Open,
    /// A new fault that first sight of its asset showed: count it, page nobody.
    OpenQuietly,
    /// The fault is back after an end.
    Reopen,
    /// It ended.
    End,
}

impl Subject {
    /// The identity of the finding about this subject.
    pub fn key(&self) -> Key {
        let parts = match self {
            Subject::Deviation { asset, baseline, rule } => {
                vec![asset.to_string(), baseline.clone(), rule.clone()]
            }
            Subject::Vulnerability { asset, id, source_package } => {
                vec![asset.to_string(), id.clone(), source_package.clone()]
            }
            Subject::Drift { asset, object } => vec![asset.to_string(), object.clone()],
            Subject::Coverage { scope, period, class } => vec![scope.clone(), period.clone(), class.clone()],
            Subject::Clock { object, clock } => vec![object.clone(), clock.clone()],
            Subject::Assessment { engagement, location, weakness } => {
                vec![engagement.clone(), location.clone(), weakness.clone()]
            }
        };
        let kind = std::iter::once(self.kind().to_owned());
        Key(Digest::derived("finding", kind.chain(parts).map(Value::String)))
    }

    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Subject::Deviation { .. } => "deviation",
            Subject::Vulnerability { .. } => "vulnerability",
            Subject::Drift { .. } => "drift",
            Subject::Coverage { .. } => "coverage",
            Subject::Clock { .. } => "clock",
            Subject::Assessment { .. } => "assessment",
        }
    }

    /// The asset, where the finding is about one.
    pub const fn asset(&self) -> Option<AssetId> {
        match self {
            Subject::Deviation { asset, .. }
            | Subject::Vulnerability { asset, .. }
            | Subject::Drift { asset, .. } => Some(*asset),
            Subject::Coverage { .. } | Subject::Clock { .. } | Subject::Assessment { .. } => None,
        }
    }

    /// The subject as labels, so that a selector can choose findings: `kind` and the parts by name.
    pub fn labels(&self) -> Labels {
        let parts: Vec<(&str, &str)> = match self {
            Subject::Deviation { baseline, rule, .. } => vec![("baseline", baseline), ("rule", rule)],
            Subject::Vulnerability { id, source_package, .. } => {
                vec![("vulnerability", id), ("package", source_package)]
            }
            Subject::Drift { object, .. } => vec![("object", object)],
            Subject::Coverage { scope, period, class } => {
                vec![("scope", scope), ("period", period), ("class", class)]
            }
            Subject::Clock { object, clock } => vec![("object", object), ("clock", clock)],
            Subject::Assessment { engagement, location, weakness } => {
                vec![("engagement", engagement), ("location", location), ("weakness", weakness)]
            }
        };
        let kind = std::iter::once(("kind", self.kind()));
        kind.chain(parts).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Key {
    /// The key as the digest that it is.
    pub const fn digest(&self) -> Digest {
        self.0
    }

    /// The key that this digest is, out of a store or a message.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }
}

impl Finding {
    /// Whether it is open.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

/// Judges an event about a subject, given the finding there is, if any.
///
/// None is returned while there was never a fault. An event that changes nothing gives no command.
pub fn step(
    finding: Option<&Finding>,
    subject: &Subject,
    event: &Event,
    now: Timestamp,
) -> (Option<Finding>, Option<Command>) {
    match (finding, event) {
        (None, Event::Observed(seen)) => open(subject, seen),
        (None, _) => (None, None),
        (Some(finding), Event::Observed(seen)) => observe(finding, seen, now),
        (Some(finding), Event::Withdrawn { by }) => end(finding, End::Withdrawn { by: by.clone() }, now),
        (Some(finding), Event::Retired) => end(finding, End::Retired, now),
        (Some(finding), Event::Superseded { by }) => end(finding, End::Superseded { by: *by }, now),
    }
}

fn open(subject: &Subject, seen: &Observation) -> (Option<Finding>, Option<Command>) {
    // A fault that nobody authenticated reported opens nothing: anybody could page us by it.
    let (Verdict::NotMet, Some(scope)) = (seen.verdict, seen.scope) else {
        return (None, None);
    };
    let finding = Finding {
        subject: subject.clone(),
        since: seen.observed_at,
        backlog: seen.first_sight,
        scope,
        last_seen: seen.observed_at,
        returns: 0,
        state: State::Open,
    };
    (Some(finding), Some(if seen.first_sight { Command::OpenQuietly } else { Command::Open }))
}

fn observe(finding: &Finding, seen: &Observation, now: Timestamp) -> (Option<Finding>, Option<Command>) {
    let mut next = finding.clone();
    // A report that came late may add history; it neither closes nor reopens.
    let newer = seen.observed_at > finding.last_seen;
    let verdict = if seen.scope.is_some() { Some(seen.verdict) } else { None };
    match (&finding.state, verdict) {
        (State::Open, Some(Verdict::NotMet)) => {
            next.last_seen = next.last_seen.max(seen.observed_at);
            (Some(next), None)
        }
        (State::Open, Some(Verdict::Met)) if newer && seen.scope == Some(finding.scope) => {
            end(finding, End::Verified { observed_at: seen.observed_at }, now)
        }
        (State::Ended { at, end: ending }, Some(Verdict::NotMet)) if newer && returns(ending, *at, seen) => {
            next.since = seen.observed_at;
            next.last_seen = seen.observed_at;
            next.scope = seen.scope.unwrap_or(finding.scope);
            next.backlog = false;
            next.returns = finding.returns.saturating_add(1);
            next.state = State::Open;
            (Some(next), Some(Command::Reopen))
        }
        _ => (Some(next), None),
    }
}

/// Whether a fault seen after an end is a new life of the finding.
fn returns(ending: &End, ended_at: Timestamp, seen: &Observation) -> bool {
    match ending {
        End::Verified { observed_at } => seen.observed_at > *observed_at,
        End::Withdrawn { .. } | End::Retired => seen.observed_at > ended_at,
        // The other finding carries it on.
        End::Superseded { .. } => false,
    }
}

fn end(finding: &Finding, end: End, now: Timestamp) -> (Option<Finding>, Option<Command>) {
    if !finding.is_open() {
        return (Some(finding.clone()), None);
    }
    let state = State::Ended { at: now, end };
    (Some(Finding { state, ..finding.clone() }), Some(Command::End))
}

#[cfg(test)]
mod tests;
