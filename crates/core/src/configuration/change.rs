//! Changes: a proposed modification, and who has to agree before it reaches production.
//!
//! A change's identity is its content. Tests, reviews and approvals name the content's digest
//! and a target; whoever edits one byte voids them. Nobody reviews or approves what they
//! wrote, nor by a role or credential that an author, or one admin alone, gave them since the
//! change was proposed, nor by one that an author alone ever gave them and no third person
//! stood by since. Breaking the glass is another, louder path with a clock of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Class;
use crate::id::{ChangeId, PersonId};
use crate::role::Role;
use crate::time::{Duration, Timestamp};

pub mod content;
pub mod declaration;
mod judge;
pub mod ladder;

pub use content::{Content, Item};
pub use judge::step;
pub use ladder::{Gate, Ladder, Rung};

/// How long after the glass was broken the missing decisions may take.
pub const BREAK_GLASS_LIMIT: Duration = Duration::from_hours(72);

/// What an environment that asks for approval needs, in the order in which it comes.
pub const NEEDS: [&str; 3] =
    ["a passed test in a lower environment", "the service team's review", "security's approval"];

/// The longest reason that is kept, in bytes.
pub const REASON_BYTES_LIMIT: usize = 4_096;

/// A proposed modification of one service's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub id: ChangeId,
    pub service: String,
    /// Who proposed it, and everybody who edited it since.
    pub authors: BTreeSet<PersonId>,
    pub proposed_at: Timestamp,
    pub content: Content,
    pub digest: Digest,
    /// How far it has come on the way to each target environment.
    pub stages: BTreeMap<String, Stage>,
    /// Open where the glass was broken, by target, until the missing decisions are there.
    pub broken_glass: BTreeMap<String, BrokenGlass>,
    pub applied: Vec<Applied>,
    pub withdrawn: bool,
}

/// How far a change has come on the way to one target. A later stage holds what the earlier ones held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    #[default]
    Proposed,
    Tested {
        test: Test,
    },
    Reviewed {
        test: Test,
        review: Decision,
    },
    Approved {
        test: Test,
        review: Decision,
        approval: Decision,
    },
}

/// A passed test in a lower environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    pub environment: String,
    /// Who says so; none in what was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PersonId>,
    pub digest: Digest,
    pub at: Timestamp,
}

/// What one person decided on one digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub by: PersonId,
    pub digest: Digest,
    pub at: Timestamp,
}

/// Somebody broke the glass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenGlass {
    pub by: PersonId,
    pub digest: Digest,
    pub reason: String,
    pub at: Timestamp,
    /// When the missing test, review and approval have to be there.
    pub due: Timestamp,
}

/// One application, and by which right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub target: String,
    pub digest: Digest,
    pub by: PersonId,
    pub at: Timestamp,
    pub path: Path,
}

/// By which right a change was applied. Pages and reports say it each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// The environment asks for nothing.
    Open,
    /// The environment is declared `self-approved`: one person did it all.
    SelfApproved,
    /// Tested, reviewed and approved.
    Approved,
    BreakGlass,
}

/// Who acts, as the directory of people has them at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub person: PersonId,
    pub roles: BTreeSet<Role>,
    /// The services on whose team they are.
    pub services: BTreeSet<String>,
    /// When their roles and credentials were made or reset, and by whom.
    pub grants: Vec<Grant>,
}

/// A role or credential that was made or reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub what: Granted,
    pub at: Timestamp,
    /// The people who did it together.
    pub by: BTreeSet<PersonId>,
}

/// What a grant gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granted {
    Role(Role),
    Credential,
}

/// What somebody does with a change. What they saw is named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Edited {
        content: Content,
    },
    /// A test ran in `environment`, on the way to `target`.
    Tested {
        environment: String,
        target: String,
        digest: Digest,
        passed: bool,
    },
    Reviewed {
        target: String,
        digest: Digest,
    },
    Approved {
        target: String,
        digest: Digest,
    },
    /// A reviewer or approver says no.
    Rejected {
        target: String,
        digest: Digest,
        reason: String,
    },
    GlassBroken {
        target: String,
        digest: Digest,
        reason: String,
    },
    Applied {
        target: String,
        digest: Digest,
    },
    Withdrawn {
        reason: String,
    },
}

/// What an event asks others to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Decisions on this digest count no more: tell those who made them.
    Void {
        digest: Digest,
        decisions: usize,
    },
    AskReview {
        target: String,
    },
    AskApproval {
        target: String,
    },
    /// Bring this content to this environment.
    Apply {
        target: String,
        digest: Digest,
        path: Path,
    },
    /// Page security: the glass was broken, and the missing decisions are due then.
    Page {
        target: String,
        due: Timestamp,
    },
    /// The missing decisions came, or the change was withdrawn before it came there: the clock of the
    /// broken glass stops.
    Settle {
        target: String,
    },
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the change was withdrawn")]
    Withdrawn,
    #[error("you saw {seen}, the change is now {current}: look again")]
    Stale { seen: Digest, current: Digest },
    #[error("there is no environment `{0}`")]
    NoSuchEnvironment(String),
    #[error("a test in `{environment}` says nothing about `{target}`: it does not lie below it")]
    NotLower { environment: String, target: String },
    #[error("`{target}` needs {missing} first")]
    Missing { target: String, missing: &'static str },
    #[error("`{target}` has it already")]
    Already { target: String },
    #[error("who wrote a change may not {0} it")]
    OwnChange(&'static str),
    #[error("who reviewed a change may not approve it too")]
    SamePerson,
    #[error("this takes the role {role}{team}")]
    Role { role: Role, team: &'static str },
    #[error(
        "your role or credential was made or reset since the change was proposed, by its author or by one person alone, or by its author alone before: two people who give you a role again stand by you"
    )]
    FreshGrant,
    #[error("a reason is needed, of at most {REASON_BYTES_LIMIT} bytes")]
    Reason,
    #[error("the content is the same as before")]
    Unchanged,
    #[error(
        "`{target}` has this by breaking the glass, and the test, review and approval are still missing: they settle it, and then it can be withdrawn"
    )]
    Unsettled { target: String },
    #[error(
        "this alert says that the glass was broken: its test, review and approval end it, or somebody with the role security does who neither broke the glass nor was made able to by whoever did"
    )]
    OwnGlass,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::NoSuchEnvironment(_) => Class::NotFound,
            Refusal::NotLower { .. } | Refusal::Reason => Class::Invalid,
            Refusal::OwnChange(_)
            | Refusal::SamePerson
            | Refusal::Role { .. }
            | Refusal::OwnGlass
            | Refusal::FreshGrant => Class::Denied,
            Refusal::Withdrawn
            | Refusal::Stale { .. }
            | Refusal::Missing { .. }
            | Refusal::Already { .. }
            | Refusal::Unsettled { .. }
            | Refusal::Unchanged => Class::Conflict,
        }
    }
}

impl Change {
    /// A new change. Anybody may propose; proposing moves nothing.
    pub fn propose(id: ChangeId, service: &str, author: PersonId, content: Content, now: Timestamp) -> Self {
        Self {
            id,
            service: service.to_owned(),
            authors: BTreeSet::from([author]),
            proposed_at: now,
            digest: content.digest(),
            content,
            stages: BTreeMap::new(),
            broken_glass: BTreeMap::new(),
            applied: Vec::new(),
            withdrawn: false,
        }
    }

    /// How far it has come on the way to a target.
    pub fn stage(&self, target: &str) -> &Stage {
        const PROPOSED: &Stage = &Stage::Proposed;
        self.stages.get(target).unwrap_or(PROPOSED)
    }

    /// What is still missing before the content may be brought to an environment, in the order in
    /// which it comes; nothing where the environment asks for nothing.
    pub fn lacks(&self, rung: &Rung) -> &'static [&'static str] {
        match rung.gate {
            Gate::Open | Gate::SelfApproved => &[],
            Gate::Approved => NEEDS.get(self.stage(&rung.name).decisions()..).unwrap_or_default(),
        }
    }

    /// Whether this person may close the alert that tells of broken glass. Once it is settled anybody
    /// may; before that security, who neither broke it nor was made able to by whoever did.
    pub fn closes_glass(&self, target: &str, actor: &Actor) -> Result<(), Refusal> {
        let Some(glass) = self.broken_glass.get(target) else { return Ok(()) };
        if !actor.roles.contains(&Role::Security) {
            return Err(Refusal::Role { role: Role::Security, team: ": it tells of broken glass" });
        }
        if glass.by == actor.person || actor.is_made_by(glass.by) { Err(Refusal::OwnGlass) } else { Ok(()) }
    }

    /// The targets whose broken glass is overdue at `now`.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = (&str, &BrokenGlass)> {
        let open = self.broken_glass.iter().filter(move |(_, glass)| now > glass.due);
        open.map(|(target, glass)| (target.as_str(), glass))
    }
}

impl Actor {
    /// Whether a role or credential of theirs was made or reset since then by one of these people,
    /// or by one person alone, or by one of these people alone whenever that was: then they judge
    /// nothing that these people ask for.
    pub fn is_tainted(&self, authors: &BTreeSet<PersonId>, since: Timestamp) -> bool {
        let fresh = self.grants.iter().filter(|grant| grant.at >= since).any(|grant| {
            // Changing one's own password or key is everyday; giving oneself a role is not.
            let own = grant.what == Granted::Credential && grant.by == BTreeSet::from([self.person]);
            !own && (grant.by.len() < 2 || !grant.by.is_disjoint(authors))
        });
        fresh || authors.iter().any(|author| self.is_made_by(*author))
    }

    /// Whether this person alone gave them a credential or a role that confirms others', and no third
    /// person stood by it since, by confirming a role of theirs.
    ///
    /// Whoever made the link by which somebody signs in may have kept it, however long ago that was.
    pub fn is_made_by(&self, maker: PersonId) -> bool {
        let alone = BTreeSet::from([maker]);
        let others = |grant: &&Grant| {
            grant.by.len() > 1 && grant.by.iter().any(|one| ![maker, self.person].contains(one))
        };
        let since_confirmed = self.grants.iter().rev().take_while(|grant| !others(grant));
        let counts = |what| match what {
            Granted::Credential => true,
            Granted::Role(role) => role.confirms(),
        };
        maker != self.person
            && since_confirmed.into_iter().any(|grant| grant.by == alone && counts(grant.what))
    }
}

impl Stage {
    /// How many tests and decisions it holds.
    pub const fn decisions(&self) -> usize {
        match self {
            Stage::Proposed => 0,
            Stage::Tested { .. } => 1,
            Stage::Reviewed { .. } => 2,
            Stage::Approved { .. } => 3,
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
