//! Risk acceptances: who answers for findings that stay open, why, until when, and which
//! compensating control holds meanwhile.
//!
//! An acceptance lies over findings and closes none. Security approves it, by somebody who
//! neither wrote it nor owns the risk; it comes into force once its control is seen to hold,
//! and ends at once when the control is seen to fail. A control that nobody can see is
//! flagged, and ends nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::configuration::change::{Actor, REASON_BYTES_LIMIT};
use crate::error::Class;
use crate::finding::Subject;
use crate::id::{AcceptanceId, PersonId};
use crate::role::Role;
use crate::selector::{Labels, Selector};
use crate::time::{Duration, Timestamp};
use crate::verdict::{Reason, Verdict};

pub mod scope;

use scope::Scope;

/// The longest that an acceptance may last: a year, be it a leap year.
pub const SPAN_LIMIT: Duration = Duration::from_days(366);

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Who answers for the risk.
    pub owner: PersonId,
    pub reason: String,
    pub scope: Selector,
    #[serde(default)]
    pub until: Option<Timestamp>,
    #[serde(default)]
    pub control: Option<Control>,
}

/// What holds meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// A rule that our own checks look at, on the assets in scope.
    Rule { baseline: String, rule: String },
    /// One that a person looks at, next by this time.
    Manual { name: String, review_by: Timestamp },
}

/// One acceptance and its life so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    pub id: AcceptanceId,
    pub author: PersonId,
    pub owner: PersonId,
    pub reason: String,
    pub scope: Scope,
    pub until: Timestamp,
    pub control: Control,
    pub proposed_at: Timestamp,
    pub state: State,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Proposed,
    /// Approved; it takes effect once its control is seen to hold.
    Approved {
        approval: Approval,
    },
    InForce {
        approval: Approval,
        since: Timestamp,
        /// Set while nobody can say whether the control holds.
        flag: Option<Flag>,
    },
    Ended {
        at: Timestamp,
        end: End,
        approval: Option<Approval>,
    },
}

/// Who approved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: PersonId,
    pub at: Timestamp,
}

/// Since when, and why, nobody can say whether the control holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub since: Timestamp,
    pub reason: Reason,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    Expired,
    ControlFailed,
    Withdrawn { by: PersonId, reason: String },
}

/// What a person does with an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Approved,
    /// Its author or owner takes it back, or security turns it down.
    Withdrawn {
        reason: String,
    },
    /// Somebody looked at the manual control, and says when to look next.
    Reviewed {
        holds: bool,
        review_by: Timestamp,
    },
}

/// What the server sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// How the control's rule stands on the assets in scope (see [`together`]).
    Control(Verdict),
    /// Time passed.
    Time,
}

/// What a step asks others to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Look how the control stands: it was approved.
    LookAtControl,
    /// Findings in its scope count as accepted from now on.
    Cover,
    /// Tell the owner that nobody can say whether the control holds.
    Flag(Flag),
    /// The control is seen to hold again.
    Unflag,
    /// Findings in its scope count as open again, and their clocks run.
    Uncover,
}

/// Why an acceptance, or an act on one, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the scope takes in nearly anything: name what is accepted, as rule=…, vulnerability=…, package=… and the like; several are listed, as rule=~one|another. A pattern with anything open in it, like rule=~ssh.*, names nothing"
    )]
    Unbounded,
    #[error("a reason is needed, of at most {REASON_BYTES_LIMIT} bytes")]
    Reason,
    #[error("say until when: an acceptance without an end is none")]
    NoEnd,
    #[error("it would end at {0}, which has passed")]
    Past(Timestamp),
    #[error("it would last more than a year; propose it again when it ends")]
    TooLong,
    #[error("say which compensating control holds meanwhile")]
    NoControl,
    #[error("a manual control is reviewed by a time that is still to come and not after the acceptance ends")]
    ReviewDate,
    #[error("our own checks look at this control; nobody has to")]
    NotManual,
    #[error("the acceptance has ended")]
    Ended,
    #[error("the acceptance is approved already")]
    AlreadyApproved,
    #[error("who wrote an acceptance or owns its risk may not approve it")]
    OwnAcceptance,
    #[error("this takes {0}")]
    Role(&'static str),
    #[error(
        "your role or credential was made or reset since the acceptance was proposed, by its author or owner or by one person alone"
    )]
    FreshGrant,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::OwnAcceptance | Refusal::Role(_) | Refusal::FreshGrant => Class::Denied,
            Refusal::Ended | Refusal::AlreadyApproved | Refusal::NotManual => Class::Conflict,
            Refusal::Unbounded
            | Refusal::Reason
            | Refusal::NoEnd
            | Refusal::Past(_)
            | Refusal::TooLong
            | Refusal::NoControl
            | Refusal::ReviewDate => Class::Invalid,
        }
    }
}

/// A new acceptance. Anybody may propose one; it covers nothing yet.
pub fn propose(
    id: AcceptanceId,
    author: PersonId,
    proposal: &Proposal,
    now: Timestamp,
) -> Result<Acceptance, Refusal> {
    reasoned(&proposal.reason)?;
    let scope = Scope::new(proposal.scope.clone())?;
    let until = proposal.until.ok_or(Refusal::NoEnd)?;
    if until <= now {
        return Err(Refusal::Past(until));
    }
    if until.since(now) > SPAN_LIMIT {
        return Err(Refusal::TooLong);
    }
    let control = proposal.control.clone().ok_or(Refusal::NoControl)?;
    let named = match &control {
        Control::Rule { baseline, rule } => !baseline.trim().is_empty() && !rule.trim().is_empty(),
        Control::Manual { name, .. } => !name.trim().is_empty(),
    };
    if !named {
        return Err(Refusal::NoControl);
    }
    if let Control::Manual { review_by, .. } = control {
        review_date(review_by, until, now)?;
    }
    let (owner, reason) = (proposal.owner, proposal.reason.clone());
    Ok(Acceptance {
        id,
        author,
        owner,
        reason,
        scope,
        until,
        control,
        proposed_at: now,
        state: State::Proposed,
    })
}

/// Judges what a person does with an acceptance.
pub fn step(
    acceptance: &Acceptance,
    event: &Event,
    actor: &Actor,
    now: Timestamp,
) -> Result<(Acceptance, Vec<Command>), Refusal> {
    if acceptance.has_ended(now) {
        return Err(Refusal::Ended);
    }
    match event {
        Event::Approved => acceptance.approve(actor, now),
        Event::Withdrawn { reason } => {
            acceptance.ours(actor)?;
            reasoned(reason)?;
            Ok(acceptance.end(End::Withdrawn { by: actor.person, reason: reason.clone() }, now))
        }
        Event::Reviewed { holds, review_by } => acceptance.review(actor, *holds, *review_by, now),
    }
}

/// Takes in what the server sees. What changes nothing gives no command.
pub fn observe(acceptance: &Acceptance, seen: Observation, now: Timestamp) -> (Acceptance, Vec<Command>) {
    let unchanged = || (acceptance.clone(), Vec::new());
    if matches!(acceptance.state, State::Ended { .. }) {
        return unchanged();
    }
    if now >= acceptance.until {
        return acceptance.end(End::Expired, now);
    }
    let verdict = match (&acceptance.control, seen) {
        (Control::Rule { .. }, Observation::Control(verdict)) => verdict,
        // Nobody looked when somebody had to: nothing is known any more.
        (Control::Manual { review_by, .. }, Observation::Time) if now > *review_by => {
            Verdict::Unknown(Reason::Stale)
        }
        _ => return unchanged(),
    };
    acceptance.control_seen(verdict, now)
}

/// One verdict for a control that is looked at on several assets: it fails where it fails
/// anywhere, and holds where it holds everywhere. On no asset at all nobody can say.
pub fn together(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut all = Verdict::Unknown(Reason::Unseen);
    for (place, verdict) in verdicts.into_iter().enumerate() {
        all = match (all, verdict) {
            (Verdict::NotMet, _) | (_, Verdict::NotMet) => return Verdict::NotMet,
            (_, verdict) if place == 0 => verdict,
            (Verdict::Unknown(reason), _) | (_, Verdict::Unknown(reason)) => Verdict::Unknown(reason),
            (Verdict::Met, Verdict::Met) => Verdict::Met,
        };
    }
    all
}

/// The findings that an acceptance with this scope would lie over.
pub fn preview<'a>(
    scope: &Scope,
    findings: impl IntoIterator<Item = (&'a Subject, &'a Labels)>,
) -> Vec<&'a Subject> {
    let inside = findings.into_iter().filter(|(subject, asset)| scope.contains(subject, asset));
    inside.map(|(subject, _)| subject).collect()
}

impl Acceptance {
    /// Whether a finding counts as accepted now; `asset` are its asset's labels.
    pub fn covers(&self, subject: &Subject, asset: &Labels, now: Timestamp) -> bool {
        self.is_in_force(now) && self.scope.contains(subject, asset)
    }

    /// Whether it lies over the findings of its scope now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        matches!(self.state, State::InForce { .. }) && now < self.until
    }

    /// Its word: `proposed`, `approved`, `in_force`, `flagged` or `ended`.
    pub fn word(&self, now: Timestamp) -> &'static str {
        match &self.state {
            _ if self.has_ended(now) => "ended",
            State::Proposed => "proposed",
            State::Approved { .. } => "approved",
            State::InForce { flag: Some(_), .. } => "flagged",
            State::InForce { .. } | State::Ended { .. } => "in_force",
        }
    }

    /// Whether it has ended, be it that nobody wrote its expiry down yet.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.until || matches!(self.state, State::Ended { .. })
    }

    fn approve(&self, actor: &Actor, now: Timestamp) -> Result<(Acceptance, Vec<Command>), Refusal> {
        if self.state != State::Proposed {
            return Err(Refusal::AlreadyApproved);
        }
        self.judged_by(actor)?;
        let approval = Approval { by: actor.person, at: now };
        let approved = Acceptance { state: State::Approved { approval }, ..self.clone() };
        match self.control {
            Control::Rule { .. } => Ok((approved, vec![Command::LookAtControl])),
            // The approver believes it until its review is due.
            Control::Manual { review_by, .. } if now <= review_by => {
                Ok(approved.control_seen(Verdict::Met, now))
            }
            Control::Manual { .. } => Ok((approved, Vec::new())),
        }
    }

    fn review(
        &self,
        actor: &Actor,
        holds: bool,
        next: Timestamp,
        now: Timestamp,
    ) -> Result<(Acceptance, Vec<Command>), Refusal> {
        let Control::Manual { name, .. } = &self.control else { return Err(Refusal::NotManual) };
        if !holds {
            // Whoever sees it fail says so: bad news needs no second pair of eyes.
            self.ours(actor)?;
            return Ok(self.end(End::ControlFailed, now));
        }
        self.judged_by(actor)?;
        review_date(next, self.until, now)?;
        let control = Control::Manual { name: name.clone(), review_by: next };
        Ok(Acceptance { control, ..self.clone() }.control_seen(Verdict::Met, now))
    }

    /// Takes in how the control stands.
    fn control_seen(&self, verdict: Verdict, now: Timestamp) -> (Acceptance, Vec<Command>) {
        let kept = |state, command| (Acceptance { state, ..self.clone() }, vec![command]);
        match (&self.state, verdict) {
            (State::Approved { .. } | State::InForce { .. }, Verdict::NotMet) => {
                self.end(End::ControlFailed, now)
            }
            (State::Approved { approval }, Verdict::Met) => {
                kept(State::InForce { approval: *approval, since: now, flag: None }, Command::Cover)
            }
            (State::InForce { approval, since, flag: Some(_) }, Verdict::Met) => {
                kept(State::InForce { approval: *approval, since: *since, flag: None }, Command::Unflag)
            }
            (State::InForce { approval, since, flag: None }, Verdict::Unknown(reason)) => {
                let flag = Flag { since: now, reason };
                let state = State::InForce { approval: *approval, since: *since, flag: Some(flag) };
                kept(state, Command::Flag(flag))
            }
            _ => (self.clone(), Vec::new()),
        }
    }

    fn end(&self, end: End, now: Timestamp) -> (Acceptance, Vec<Command>) {
        let (approval, covered) = match self.state {
            State::Proposed => (None, false),
            State::Approved { approval } => (Some(approval), false),
            State::InForce { approval, .. } => (Some(approval), true),
            State::Ended { .. } => return (self.clone(), Vec::new()),
        };
        let ended = Acceptance { state: State::Ended { at: now, end, approval }, ..self.clone() };
        (ended, if covered { vec![Command::Uncover] } else { Vec::new() })
    }

    /// Security, by somebody who is free to say no.
    fn judged_by(&self, actor: &Actor) -> Result<(), Refusal> {
        if !actor.roles.contains(&Role::Security) {
            return Err(Refusal::Role("the role security"));
        }
        let asking = BTreeSet::from([self.author, self.owner]);
        if asking.contains(&actor.person) {
            return Err(Refusal::OwnAcceptance);
        }
        if actor.is_tainted(&asking, self.proposed_at) { Err(Refusal::FreshGrant) } else { Ok(()) }
    }

    /// Its author, its owner, or security.
    fn ours(&self, actor: &Actor) -> Result<(), Refusal> {
        let theirs = [self.author, self.owner].contains(&actor.person);
        if theirs || actor.roles.contains(&Role::Security) {
            return Ok(());
        }
        Err(Refusal::Role("its author, its owner or the role security"))
    }
}

fn reasoned(reason: &str) -> Result<(), Refusal> {
    let good = !reason.trim().is_empty() && reason.len() <= REASON_BYTES_LIMIT;
    if good { Ok(()) } else { Err(Refusal::Reason) }
}

fn review_date(review_by: Timestamp, until: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if review_by > now && review_by <= until { Ok(()) } else { Err(Refusal::ReviewDate) }
}

#[cfg(test)]
mod tests;
