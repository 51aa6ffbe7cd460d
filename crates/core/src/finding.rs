//! Findings: obligations that are not met, and how they end.
//!
//! A finding's key is made of what is wrong and where, never of a version, a time, a feed
//! or a wording: the same fault seen again is the same finding. It ends as verified only when
//! the asset is looked at again and the fault is gone. Being accepted is no end: an acceptance
//! lies over a finding and leaves it open.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::error::Class;
use crate::id::{AssetId, PersonId};
use crate::selector::Labels;
use crate::time::Timestamp;
use crate::verdict::Verdict;

pub mod look;

/// The longest comment or reason, in characters.
pub const TEXT_CHARACTERS_LIMIT: usize = 4_000;

/// The most entries that people write into a history; what is observed after it is told all the same.
pub const ENTRIES_LIMIT: u32 = 10_000;

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

/// One finding that somebody has put something on, and its life so far.
///
/// What lies open in the fleet is read from posture; this is kept once a person owned it or said
/// something of it. Nobody but the asset's own agent tells how it stands, so that whoever saw the
/// fault is who sees it gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub subject: Subject,
    /// When the fault was first observed in this life of the finding.
    pub since: Timestamp,
    /// Whether first sight of the asset opened it: then its deadline counts from enrolment.
    pub backlog: bool,
    /// The newest observation of the fault.
    pub last_seen: Timestamp,
    /// By what it was seen last: the numbers of the rule's checks, or of the builds that have the vulnerability.
    pub seen_by: BTreeSet<u32>,
    /// How often the fault came back after an end.
    pub returns: u32,
    pub state: State,
    /// Whose it is to mend.
    pub owner: Option<PersonId>,
    /// How many entries its history has: the number of the next one. Whoever writes from an older
    /// look writes a number that is taken.
    pub entries: u32,
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
    /// Observed again on the asset, and gone.
    Verified { observed_at: Timestamp },
    /// The obligation was taken back, by this change or feed record; nothing was fixed.
    Withdrawn { by: String },
    /// The asset was retired.
    Retired,
}

/// One entry of a finding's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, from 0.
    pub number: u32,
    pub at: Timestamp,
    /// Who did it; none where it was observed.
    pub by: Option<PersonId>,
    pub happened: Happened,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happened {
    Assigned {
        to: PersonId,
        reason: String,
    },
    Commented {
        text: String,
    },
    Ended {
        end: End,
    },
    /// The fault is back after an end.
    Returned,
}

/// What was observed of an obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Observed(Observation),
    Withdrawn { by: String },
    Retired,
}

/// One look at the obligation, by the asset's own agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub verdict: Verdict,
    pub observed_at: Timestamp,
    /// By what the fault is seen, where it is.
    pub seen_by: BTreeSet<u32>,
}

/// What a person does with a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Assigned { to: PersonId, reason: String },
    Commented { text: String },
}

/// Why an act on a finding is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("they own it already")]
    AlreadyOwner,
    #[error("the finding has ended: nobody has to mend it")]
    Ended,
    #[error("{0} is needed: write down what others have to know")]
    Missing(&'static str),
    #[error("{what} has {length} characters; the limit is {limit}")]
    Long { what: &'static str, length: usize, limit: usize },
    #[error("a finding's history has at most {ENTRIES_LIMIT} entries")]
    TooManyEntries,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Missing(_) | Refusal::Long { .. } => Class::Invalid,
            Refusal::TooManyEntries => Class::Limit,
            Refusal::AlreadyOwner | Refusal::Ended => Class::Conflict,
        }
    }
}

impl End {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            End::Verified { .. } => "verified",
            End::Withdrawn { .. } => "withdrawn",
            End::Retired => "retired",
        }
    }
}

impl Happened {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Happened::Assigned { .. } => "assigned",
            Happened::Commented { .. } => "commented",
            Happened::Ended { .. } => "ended",
            Happened::Returned => "returned",
        }
    }
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

impl FromStr for Key {
    type Err = <Digest as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
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
    /// The finding that a look at the asset shows; none where it shows no fault.
    pub fn open(subject: Subject, seen: &Observation, backlog: bool) -> Option<Finding> {
        (seen.verdict == Verdict::NotMet).then(|| Finding {
            subject,
            since: seen.observed_at,
            backlog,
            last_seen: seen.observed_at,
            seen_by: seen.seen_by.clone(),
            returns: 0,
            state: State::Open,
            owner: None,
            entries: 0,
        })
    }

    /// Whether it is open.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

/// Judges what was observed of a finding. An event that changes nothing tells nothing.
pub fn step(finding: &Finding, event: &Event, now: Timestamp) -> (Finding, Option<Entry>) {
    match event {
        Event::Observed(seen) => observe(finding, seen, now),
        Event::Withdrawn { by } => end(finding, End::Withdrawn { by: by.clone() }, now),
        Event::Retired => end(finding, End::Retired, now),
    }
}

/// Judges what a person does with a finding.
pub fn act(finding: &Finding, by: PersonId, act: &Act, at: Timestamp) -> Result<(Finding, Entry), Refusal> {
    if finding.entries >= ENTRIES_LIMIT {
        return Err(Refusal::TooManyEntries);
    }
    let mut next = finding.clone();
    let happened = match act {
        Act::Assigned { to, reason } => {
            limited("a reason", reason)?;
            if !finding.is_open() {
                return Err(Refusal::Ended);
            }
            if finding.owner == Some(*to) {
                return Err(Refusal::AlreadyOwner);
            }
            next.owner = Some(*to);
            Happened::Assigned { to: *to, reason: reason.clone() }
        }
        Act::Commented { text } => {
            if text.trim().is_empty() {
                return Err(Refusal::Missing("a comment"));
            }
            limited("a comment", text)?;
            Happened::Commented { text: text.clone() }
        }
    };
    let entry = write(&mut next, Some(by), happened, at);
    Ok((next, entry))
}

fn observe(finding: &Finding, seen: &Observation, now: Timestamp) -> (Finding, Option<Entry>) {
    let mut next = finding.clone();
    match (&finding.state, seen.verdict) {
        (State::Open, Verdict::NotMet) => {
            next.last_seen = next.last_seen.max(seen.observed_at);
            next.seen_by.clone_from(&seen.seen_by);
            (next, None)
        }
        // Looks come in the order in which they were taken, and one of a clock that was set back bears the stamp
        // of the look before it: the same stamp is no older one.
        (State::Open, Verdict::Met) if seen.observed_at >= finding.last_seen => {
            end(finding, End::Verified { observed_at: seen.observed_at }, now)
        }
        (State::Ended { end, .. }, Verdict::NotMet) if returns(finding, end, seen) => {
            next.since = seen.observed_at;
            next.last_seen = seen.observed_at;
            next.seen_by.clone_from(&seen.seen_by);
            next.backlog = false;
            next.returns = finding.returns.saturating_add(1);
            next.state = State::Open;
            let entry = write(&mut next, None, Happened::Returned, now);
            (next, Some(entry))
        }
        _ => (next, None),
    }
}

/// Whether a fault seen after an end is a new life of the finding: what was seen before it is told late.
fn returns(finding: &Finding, end: &End, seen: &Observation) -> bool {
    match end {
        End::Verified { observed_at } => seen.observed_at >= *observed_at,
        // By the asset's own clock: when the server ended it says nothing of what the asset saw.
        End::Withdrawn { .. } | End::Retired => seen.observed_at > finding.last_seen,
    }
}

fn end(finding: &Finding, end: End, now: Timestamp) -> (Finding, Option<Entry>) {
    let mut next = finding.clone();
    if !finding.is_open() {
        return (next, None);
    }
    next.state = State::Ended { at: now, end: end.clone() };
    let entry = write(&mut next, None, Happened::Ended { end }, now);
    (next, Some(entry))
}

fn write(finding: &mut Finding, by: Option<PersonId>, happened: Happened, at: Timestamp) -> Entry {
    let entry = Entry { number: finding.entries, at, by, happened };
    finding.entries = finding.entries.saturating_add(1);
    entry
}

fn limited(what: &'static str, text: &str) -> Result<(), Refusal> {
    let (length, limit) = (text.chars().count(), TEXT_CHARACTERS_LIMIT);
    if length > limit { Err(Refusal::Long { what, length, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
