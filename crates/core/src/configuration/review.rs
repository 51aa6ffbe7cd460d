//! Reviews: each baseline is looked at once a year by its service team and by security, and both say the
//! same about the same digest: keep it, change it, or retire it.
//!
//! Neither side stands in for the other, and nobody reviews what they wrote. What was said of a digest
//! that is not applied any more says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{Actor, REASON_BYTES_LIMIT};
use crate::clock::{Clock, Stamps, Standing, Start};
use crate::digest::Digest;
use crate::error::Class;
use crate::id::PersonId;
use crate::role::Role;
use crate::time::{Duration, Timestamp};

/// How long a review holds: twelve months.
pub const HOLDS: Duration = Duration::from_days(365);

/// How long before its deadline a review is called due.
pub const DUE_BEFORE: Duration = Duration::from_days(30);

/// The reviews of one baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The baseline's name.
    pub baseline: String,
    /// The team that answers for it, where the document names one.
    pub owner: Option<String>,
    /// When it was first seen to be applied.
    pub since: Timestamp,
    /// The last review that both sides agreed in.
    pub last: Option<Concluded>,
    /// When both sides last agreed to keep it: the year counts from there. What is to be changed or retired
    /// owes that still.
    pub kept_at: Option<Timestamp>,
    /// What has been said towards the next one.
    pub said: BTreeMap<Side, Said>,
    /// Whether people were told that it is overdue.
    pub told: bool,
}

/// Who reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The team whose baseline it is.
    ServiceTeam,
    /// The security and compliance team.
    Security,
}

/// What a side says of a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It is right as it is.
    Keep,
    /// It has to be changed: a change follows.
    Change,
    /// It is not needed any more: a change takes it away.
    Retire,
}

/// What one side said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub by: PersonId,
    pub digest: Digest,
    pub word: Word,
    pub reason: String,
    pub at: Timestamp,
}

/// A review that both sides agreed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concluded {
    pub digest: Digest,
    pub word: Word,
    pub at: Timestamp,
    pub said: BTreeMap<Side, Said>,
}

/// A baseline as it is applied where a review counts, with everybody who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub digest: Digest,
    pub owner: Option<String>,
    pub authors: BTreeSet<PersonId>,
}

/// Why something that was said does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the baseline's digest is not {0} in the highest environment that has it: look at it as it is now"
    )]
    Stale(Digest),
    #[error("this side needs somebody with the role {0}")]
    Role(Role),
    #[error("`{0}` answers for this baseline, and you are not on that team")]
    Team(String),
    #[error("who wrote a baseline may not review it")]
    Own,
    #[error("you spoke for the other side: a review takes two people")]
    OtherSide,
    #[error("say why, in at most {REASON_BYTES_LIMIT} bytes")]
    Reason,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Stale(_) => Class::Conflict,
            Refusal::Role(_) | Refusal::Team(_) | Refusal::Own | Refusal::OtherSide => Class::Denied,
            Refusal::Reason => Class::Invalid,
        }
    }
}

/// A word that is no side, or nothing that is said of a baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of {known}")]
pub struct NoWord {
    found: String,
    known: &'static str,
}

impl Side {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::ServiceTeam => "service_team",
            Side::Security => "security",
        }
    }

    /// The role that speaks for it.
    pub const fn role(self) -> Role {
        match self {
            Side::ServiceTeam => Role::Operator,
            Side::Security => Role::Security,
        }
    }
}

impl Word {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Word::Keep => "keep",
            Word::Change => "change",
            Word::Retire => "retire",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Side {
    type Err = NoWord;

    fn from_str(word: &str) -> Result<Self, NoWord> {
        let known = || NoWord { found: word.to_owned(), known: "service_team, security" };
        [Side::ServiceTeam, Side::Security].into_iter().find(|side| side.as_str() == word).ok_or_else(known)
    }
}

impl FromStr for Word {
    type Err = NoWord;

    fn from_str(word: &str) -> Result<Self, NoWord> {
        let known = || NoWord { found: word.to_owned(), known: "keep, change, retire" };
        [Word::Keep, Word::Change, Word::Retire]
            .into_iter()
            .find(|own| own.as_str() == word)
            .ok_or_else(known)
    }
}

impl Review {
    /// A baseline that nobody has reviewed yet.
    pub const fn new(baseline: String, owner: Option<String>, since: Timestamp) -> Review {
        Review { baseline, owner, since, last: None, kept_at: None, said: BTreeMap::new(), told: false }
    }

    /// The yearly clock: from when it was last kept as it is, or from when the baseline was first seen.
    pub fn clock(&self, now: Timestamp) -> (Clock, Standing) {
        let clock = Clock {
            name: "review".to_owned(),
            regime: "each baseline is reviewed once a year".to_owned(),
            owner: self.owner.clone().unwrap_or_default(),
            start: Start::LastDone,
            limit: HOLDS,
        };
        let start = self.kept_at.unwrap_or(self.since);
        let standing = clock.standing(&Stamps::from([(Start::LastDone, start)]), None, now);
        (clock, standing)
    }

    /// What was said of what is still applied.
    pub fn standing(&self, applied: Option<&Applied>) -> BTreeMap<Side, Said> {
        let holds = |said: &Said| applied.is_some_and(|applied| applied.digest == said.digest);
        self.said.iter().filter(|(_, said)| holds(said)).map(|(side, said)| (*side, said.clone())).collect()
    }
}

/// Looks at the clock: where people have to be told that it is overdue, or that it is no more, the review
/// with that written in it. A baseline that is applied nowhere owes nothing.
pub fn observe(review: &Review, applied: Option<&Applied>, now: Timestamp) -> Option<Review> {
    let overdue = matches!(review.clock(now).1, Standing::Overdue { .. }) && applied.is_some();
    (overdue != review.told).then(|| Review { told: overdue, ..review.clone() })
}

/// Takes in what somebody says for a side. Where both sides now say the same of the same digest the review
/// is concluded; where they keep it the next one is due a year later.
pub fn say(
    review: &Review,
    applied: Option<&Applied>,
    actor: &Actor,
    (side, said): (Side, Said),
) -> Result<Review, Refusal> {
    let Some(held) = applied.filter(|applied| applied.digest == said.digest) else {
        return Err(Refusal::Stale(said.digest));
    };
    if said.reason.trim().is_empty() || said.reason.len() > REASON_BYTES_LIMIT {
        return Err(Refusal::Reason);
    }
    if !actor.roles.contains(&side.role()) {
        return Err(Refusal::Role(side.role()));
    }
    if let (Side::ServiceTeam, Some(owner)) = (side, &held.owner)
        && !actor.services.contains(owner)
    {
        return Err(Refusal::Team(owner.clone()));
    }
    if held.authors.contains(&actor.person) {
        return Err(Refusal::Own);
    }
    let mut next = review.clone();
    next.said = review.standing(applied);
    if next.said.iter().any(|(other, other_said)| *other != side && other_said.by == actor.person) {
        return Err(Refusal::OtherSide);
    }
    let (digest, word, at) = (said.digest, said.word, said.at);
    next.said.insert(side, said);
    let both = [Side::ServiceTeam, Side::Security]
        .iter()
        .all(|side| next.said.get(side).is_some_and(|said| said.digest == digest && said.word == word));
    if both {
        let said = std::mem::take(&mut next.said);
        next.last = Some(Concluded { digest, word, at, said });
        if word == Word::Keep {
            next.kept_at = Some(at);
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests;
