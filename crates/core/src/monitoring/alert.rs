//! Alerts: signals gathered into one thing that a human must look at.
//!
//! Signals of one subject in one service and environment are one alert, so that sixty
//! thousand affected hosts are one page for each service. An alert ends when every member
//! was observed to be well again, or when a person closes it with a reason; it never ends
//! because nothing was heard.

use serde::{Deserialize, Serialize};

use super::signal::{Kind, Signal, State};
use crate::canonical::Value;
use crate::digest::Digest;
use crate::id::{AlertId, AssetId, PersonId};
use crate::selector::Labels;
use crate::severity::Severity;
use crate::time::Timestamp;
use crate::verdict::Reason;

/// The longest reason that a person may give, in characters.
pub const REASON_CHARACTERS_LIMIT: usize = 4_000;

/// What an alert is about; its key never holds an asset, a time or a wording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Group {
    pub kind: Kind,
    pub subject: String,
    pub service: String,
    pub environment: String,
}

/// One alert without its members, of which there may be very many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub group: Group,
    /// The highest that any member had.
    pub severity: Severity,
    /// The first member's line: whoever joins later does not word it anew.
    pub summary: String,
    pub opened_at: Timestamp,
    /// When the last member was taken in.
    pub grown_at: Timestamp,
    pub counts: Counts,
    pub acknowledged: Option<Acknowledgement>,
    pub stage: Stage,
    /// The asset whose signal opened it; none in what was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<AssetId>,
    /// How many signals are counted in it alone ([`super::flood`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub surplus: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How many members stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub firing: u32,
    pub unknown: u32,
    pub resolved: u32,
}

/// Who has taken it on, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: PersonId,
    pub at: Timestamp,
}

/// Whether an alert still asks for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    Open,
    /// Every member was observed to be well again.
    Resolved {
        at: Timestamp,
    },
    /// A person ended it, and said why. The findings behind it stay as they are.
    Closed {
        at: Timestamp,
        by: PersonId,
        reason: String,
    },
}

/// How the condition stands at one place of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "member", rename_all = "snake_case")]
pub enum Member {
    Firing { since: Timestamp },
    Unknown { since: Timestamp, reason: Reason },
    Resolved { at: Timestamp },
}

/// What a signal did: the alert and member to keep, or nothing where nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    Opened(Alert, Member),
    Changed(Alert, Member),
}

/// Why an act on an alert is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the alert has ended: nobody needs to do anything about it any more")]
    Ended,
    #[error("somebody acknowledged it already")]
    AlreadyAcknowledged,
    #[error("closing takes a reason: say why nobody needs to look at it")]
    NoReason,
    #[error("the reason has {0} characters; the limit is {REASON_CHARACTERS_LIMIT}")]
    LongReason(usize),
}

impl Group {
    /// The group that a signal belongs to.
    pub fn of(signal: &Signal) -> Group {
        let label = |name: &str| signal.labels.get(name).cloned().unwrap_or_default();
        Group {
            kind: signal.kind,
            subject: signal.subject.clone(),
            service: label("service"),
            environment: label("environment"),
        }
    }

    /// The key under which its open alert is found.
    pub fn key(&self) -> Digest {
        let parts = [self.kind.key(), &self.subject, &self.service, &self.environment];
        Digest::derived("alert", parts.map(Value::from))
    }
}

/// Takes one signal in: `alert` is the group's open alert, `member` the signal's place in it
/// ([`Signal::member_key`]), `fresh` the identifier that a new alert would get. `now` is when it is taken in:
/// whether somebody is to be told of it goes by that, and not by what a host says of its own clock.
pub fn step(
    alert: Option<&Alert>,
    member: Option<Member>,
    signal: &Signal,
    fresh: AlertId,
    now: Timestamp,
) -> Step {
    let alert = alert.filter(|alert| alert.stage == Stage::Open);
    match (alert, signal.state) {
        // What first sight of an asset finds is its backlog: it pages nobody.
        (_, State::Firing) if signal.backlog => Step::Nothing,
        (None, State::Firing) => open(signal, fresh, now),
        (None, State::Resolved | State::Unknown(_)) => Step::Nothing,
        (Some(alert), _) => change(alert, member, signal, now),
    }
}

fn open(signal: &Signal, id: AlertId, now: Timestamp) -> Step {
    let alert = Alert {
        id,
        group: Group::of(signal),
        severity: signal.severity,
        summary: signal.summary.clone(),
        opened_at: signal.at,
        grown_at: now,
        counts: Counts { firing: 1, ..Counts::default() },
        acknowledged: None,
        stage: Stage::Open,
        opened_by: Some(signal.asset),
        surplus: 0,
    };
    Step::Opened(alert, Member::Firing { since: signal.at })
}

fn change(alert: &Alert, member: Option<Member>, signal: &Signal, now: Timestamp) -> Step {
    let next = match (member, signal.state) {
        (Some(Member::Firing { .. }), State::Firing)
        | (Some(Member::Unknown { .. }), State::Unknown(_))
        | (None | Some(Member::Resolved { .. }), State::Resolved | State::Unknown(_)) => {
            return Step::Nothing;
        }
        (_, State::Firing) => Member::Firing { since: signal.at },
        (Some(_), State::Resolved) => Member::Resolved { at: signal.at },
        (Some(_), State::Unknown(reason)) => Member::Unknown { since: signal.at, reason },
    };
    let mut alert = alert.clone();
    if let Some(member) = member {
        *alert.counts.of(member) = alert.counts.of(member).saturating_sub(1);
    }
    *alert.counts.of(next) = alert.counts.of(next).saturating_add(1);
    // A member that was unknown and is seen to fire was there before: the alert has not grown.
    if matches!((member, next), (None | Some(Member::Resolved { .. }), Member::Firing { .. })) {
        alert.grown_at = now;
        alert.severity = alert.severity.max(signal.severity);
    }
    if alert.counts.firing == 0 && alert.counts.unknown == 0 {
        alert.stage = Stage::Resolved { at: signal.at };
    }
    Step::Changed(alert, next)
}

impl Counts {
    fn of(&mut self, member: Member) -> &mut u32 {
        match member {
            Member::Firing { .. } => &mut self.firing,
            Member::Unknown { .. } => &mut self.unknown,
            Member::Resolved { .. } => &mut self.resolved,
        }
    }
}

impl Alert {
    /// The labels that routes and silences look at.
    pub fn labels(&self) -> Labels {
        let pairs = [
            ("alertname", self.group.subject.as_str()),
            ("kind", self.group.kind.as_str()),
            ("service", &self.group.service),
            ("environment", &self.group.environment),
            ("severity", self.severity.as_str()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The alert as taken on by a person.
    pub fn acknowledge(&self, by: PersonId, at: Timestamp) -> Result<Alert, Refusal> {
        match (&self.stage, self.acknowledged) {
            (Stage::Resolved { .. } | Stage::Closed { .. }, _) => Err(Refusal::Ended),
            (Stage::Open, Some(_)) => Err(Refusal::AlreadyAcknowledged),
            (Stage::Open, None) => {
                Ok(Alert { acknowledged: Some(Acknowledgement { by, at }), ..self.clone() })
            }
        }
    }

    /// The alert as ended by a person, who says why.
    pub fn close(&self, by: PersonId, reason: &str, at: Timestamp) -> Result<Alert, Refusal> {
        let length = reason.chars().count();
        if self.stage != Stage::Open {
            return Err(Refusal::Ended);
        }
        if reason.trim().is_empty() {
            return Err(Refusal::NoReason);
        }
        if length > REASON_CHARACTERS_LIMIT {
            return Err(Refusal::LongReason(length));
        }
        let stage = Stage::Closed { at, by, reason: reason.to_owned() };
        Ok(Alert { stage, ..self.clone() })
    }
}

#[cfg(test)]
mod tests;
