//! Incidents: a coordinated response, from its detection to its end.
//!
//! An incident goes detect → assess → diagnose ⇄ stabilise → close, and each thing that
//! happens to it is one numbered entry of its timeline. A rule opens it for an alert, or a
//! person by hand; as long as it is open, further alerts of the same rule and group join it.
//! It ends because a person says why, never because nothing was heard.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Class;
use crate::id::{AlertId, IncidentId, PersonId};
use crate::monitoring::alert::Alert;
use crate::time::Timestamp;

pub mod rule;
pub mod severity;
pub mod stage;

use severity::Rating;
use stage::Stage;

/// The longest title, in characters.
pub const TITLE_CHARACTERS_LIMIT: usize = 200;

/// The longest reason or note, in characters.
pub const TEXT_CHARACTERS_LIMIT: usize = 4_000;

/// The most alerts that one incident takes in; the next one opens another.
pub const ALERTS_LIMIT: usize = 500;

/// The most entries that a timeline has; closing is always possible.
pub const ENTRIES_LIMIT: u32 = 10_000;

/// One incident without its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    /// What opened it; none where a person did.
    pub origin: Option<Origin>,
    pub rating: Rating,
    pub alerts: BTreeSet<AlertId>,
    pub owner: Option<PersonId>,
    pub opened_at: Timestamp,
    /// When somebody first said that they work on it.
    #[serde(default)]
    pub acknowledged_at: Option<Timestamp>,
    pub state: State,
    /// How many entries its timeline has: the number of the next one. Whoever writes from an
    /// older look writes a number that is taken.
    pub entries: u32,
}

/// The rule that opened an incident, and for which alerts it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    pub rule: String,
    /// The key of the alerts' group.
    pub group: Digest,
}

/// Whether it still asks for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Open { stage: Stage },
    Closed { at: Timestamp, by: PersonId, reason: String },
}

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, from 0.
    pub number: u32,
    pub at: Timestamp,
    /// Who did it; none where a rule did.
    pub by: Option<PersonId>,
    pub happened: Happened,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happened {
    Opened { title: String },
    TookIn { alert: AlertId },
    Acknowledged,
    Assigned { to: PersonId },
    Rated { rating: Rating, reason: String },
    Advanced { from: Stage, to: Stage },
    Noted { text: String },
    Closed { reason: String },
}

/// What happens to an open incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another alert belongs to it.
    Joined {
        alert: AlertId,
        rating: Rating,
    },
    /// Somebody works on it, and owns it where nobody does.
    Acknowledged {
        by: PersonId,
    },
    Assigned {
        by: PersonId,
        to: PersonId,
    },
    /// A person judged its axes anew, in either direction.
    Rated {
        by: PersonId,
        rating: Rating,
        reason: String,
    },
    Advanced {
        by: PersonId,
        to: Stage,
    },
    Noted {
        by: PersonId,
        text: String,
    },
    Closed {
        by: PersonId,
        reason: String,
    },
}

/// What an event asks others to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Append this entry to the timeline.
    Write(Entry),
    /// Keep that this alert belongs to the incident, so that no other takes it.
    Take(AlertId),
}

/// Why an act on an incident is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the incident is closed; open another one if it is back")]
    Closed,
    #[error("an incident in `{from}` does not advance to `{to}`")]
    NoSuchStep { from: Stage, to: Stage },
    #[error("an incident in `{0}` can't be closed: stabilise it first, or assess it and say that it is none")]
    TooEarly(Stage),
    #[error("it is acknowledged already; its timeline says by whom")]
    AlreadyAcknowledged,
    #[error("they own it already")]
    AlreadyOwner,
    #[error("the alert belongs to it already")]
    AlreadyIn,
    #[error("{0} is needed: write down what others have to know")]
    Missing(&'static str),
    #[error("{what} has {length} characters; the limit is {limit}")]
    Long { what: &'static str, length: usize, limit: usize },
    #[error("an incident takes at most {ALERTS_LIMIT} alerts")]
    TooManyAlerts,
    #[error("a timeline has at most {ENTRIES_LIMIT} entries: close the incident, and open another one")]
    TooManyEntries,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Missing(_) | Refusal::Long { .. } => Class::Invalid,
            Refusal::TooManyAlerts | Refusal::TooManyEntries => Class::Limit,
            Refusal::Closed
            | Refusal::NoSuchStep { .. }
            | Refusal::TooEarly(_)
            | Refusal::AlreadyAcknowledged
            | Refusal::AlreadyOwner
            | Refusal::AlreadyIn => Class::Conflict,
        }
    }
}

/// What either an opening or a step gives: the incident to keep, and what else is to be written.
pub type Outcome = Result<(Incident, Vec<Command>), Refusal>;

impl Origin {
    /// The origin that a rule and an alert give: while an incident of it is open, such alerts join it.
    pub fn of(rule: &str, alert: &Alert) -> Origin {
        Origin { rule: rule.to_owned(), group: alert.group.key() }
    }
}

/// Opens an incident by hand, with the alert that it is about if there is one.
pub fn open(id: IncidentId, title: &str, by: PersonId, alert: Option<&Alert>, now: Timestamp) -> Outcome {
    begin(id, title, Some(by), None, alert, now)
}

/// Opens an incident because a rule says so.
pub fn open_by_rule(id: IncidentId, title: &str, origin: Origin, alert: &Alert, now: Timestamp) -> Outcome {
    begin(id, title, None, Some(origin), Some(alert), now)
}

fn begin(
    id: IncidentId,
    title: &str,
    by: Option<PersonId>,
    origin: Option<Origin>,
    alert: Option<&Alert>,
    now: Timestamp,
) -> Outcome {
    said("a title", title, TITLE_CHARACTERS_LIMIT)?;
    let incident = Incident {
        id,
        title: title.to_owned(),
        origin,
        rating: alert.map(Rating::of).unwrap_or_default(),
        alerts: BTreeSet::new(),
        owner: by,
        opened_at: now,
        acknowledged_at: by.map(|_| now),
        state: State::Open { stage: Stage::Detect },
        entries: 0,
    };
    let (incident, mut commands) = write(incident, by, Happened::Opened { title: title.to_owned() }, now);
    let Some(alert) = alert else { return Ok((incident, commands)) };
    let (incident, more) = take(incident, by, alert.id, now);
    commands.extend(more);
    Ok((incident, commands))
}

/// Judges an event on an incident.
pub fn step(incident: &Incident, event: &Event, now: Timestamp) -> Outcome {
    let State::Open { stage } = incident.state else { return Err(Refusal::Closed) };
    let closing = matches!(event, Event::Closed { .. });
    if incident.entries >= ENTRIES_LIMIT && !closing {
        return Err(Refusal::TooManyEntries);
    }
    let mut next = incident.clone();
    match event {
        Event::Joined { alert, rating } => {
            if incident.alerts.contains(alert) {
                return Err(Refusal::AlreadyIn);
            }
            if incident.alerts.len() >= ALERTS_LIMIT {
                return Err(Refusal::TooManyAlerts);
            }
            next.rating = next.rating.worse(*rating);
            Ok(take(next, None, *alert, now))
        }
        Event::Acknowledged { by } => {
            if incident.acknowledged_at.is_some() {
                return Err(Refusal::AlreadyAcknowledged);
            }
            Ok(acknowledge(next, *by, now))
        }
        Event::Assigned { by, to } => {
            if incident.owner == Some(*to) {
                return Err(Refusal::AlreadyOwner);
            }
            next.owner = Some(*to);
            let (next, mut commands) = write(next, Some(*by), Happened::Assigned { to: *to }, now);
            // Who takes it works on it; who is given it has yet to say so.
            let (next, more) = if by == to { acknowledge(next, *by, now) } else { (next, Vec::new()) };
            commands.extend(more);
            Ok((next, commands))
        }
        Event::Rated { by, rating, reason } => {
            said("a reason", reason, TEXT_CHARACTERS_LIMIT)?;
            next.rating = *rating;
            let happened = Happened::Rated { rating: *rating, reason: reason.clone() };
            Ok(write(next, Some(*by), happened, now))
        }
        Event::Advanced { by, to } => {
            if !stage.leads_to(*to) {
                return Err(Refusal::NoSuchStep { from: stage, to: *to });
            }
            // Nobody works on what nobody owns: whoever moves it first owns it.
            let (mut next, mut commands) = acknowledge(next, *by, now);
            next.state = State::Open { stage: *to };
            let (next, more) = write(next, Some(*by), Happened::Advanced { from: stage, to: *to }, now);
            commands.extend(more);
            Ok((next, commands))
        }
        Event::Noted { by, text } => {
            said("a note", text, TEXT_CHARACTERS_LIMIT)?;
            Ok(write(next, Some(*by), Happened::Noted { text: text.clone() }, now))
        }
        Event::Closed { by, reason } => {
            said("a reason", reason, TEXT_CHARACTERS_LIMIT)?;
            if !stage.may_close() {
                return Err(Refusal::TooEarly(stage));
            }
            next.state = State::Closed { at: now, by: *by, reason: reason.clone() };
            Ok(write(next, Some(*by), Happened::Closed { reason: reason.clone() }, now))
        }
    }
}

/// Writes that somebody works on it, where nobody has said so, and whose it is, where it was nobody's.
fn acknowledge(mut incident: Incident, by: PersonId, now: Timestamp) -> (Incident, Vec<Command>) {
    let mut commands = Vec::new();
    if incident.acknowledged_at.is_none() {
        incident.acknowledged_at = Some(now);
        (incident, commands) = write(incident, Some(by), Happened::Acknowledged, now);
    }
    if incident.owner.is_none() {
        incident.owner = Some(by);
        let (owned, more) = write(incident, Some(by), Happened::Assigned { to: by }, now);
        incident = owned;
        commands.extend(more);
    }
    (incident, commands)
}

fn take(
    mut incident: Incident,
    by: Option<PersonId>,
    alert: AlertId,
    now: Timestamp,
) -> (Incident, Vec<Command>) {
    incident.alerts.insert(alert);
    let (incident, mut commands) = write(incident, by, Happened::TookIn { alert }, now);
    commands.push(Command::Take(alert));
    (incident, commands)
}

fn write(
    mut incident: Incident,
    by: Option<PersonId>,
    happened: Happened,
    at: Timestamp,
) -> (Incident, Vec<Command>) {
    let entry = Entry { number: incident.entries, at, by, happened };
    incident.entries = incident.entries.saturating_add(1);
    (incident, vec![Command::Write(entry)])
}

fn said(what: &'static str, text: &str, limit: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(Refusal::Missing(what));
    }
    if length > limit {
        return Err(Refusal::Long { what, length, limit });
    }
    Ok(())
}

impl Incident {
    /// Whether it is open.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The word for how far it has come: a stage, or `close` once it has ended.
    pub const fn stage_word(&self) -> &'static str {
        match self.state {
            State::Open { stage } => stage.as_str(),
            State::Closed { .. } => "close",
        }
    }
}

impl Happened {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Happened::Opened { .. } => "opened",
            Happened::TookIn { .. } => "took_in",
            Happened::Acknowledged => "acknowledged",
            Happened::Assigned { .. } => "assigned",
            Happened::Rated { .. } => "rated",
            Happened::Advanced { .. } => "advanced",
            Happened::Noted { .. } => "noted",
            Happened::Closed { .. } => "closed",
        }
    }
}

#[cfg(test)]
mod tests;
