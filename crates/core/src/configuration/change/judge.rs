//! The judge of changes: who may do what to which digest, and what follows.

use super::{
    Actor, Applied, BREAK_GLASS_LIMIT, BrokenGlass, Change, Command, Content, Decision, Event, Gate, Ladder,
    NEEDS, Path, REASON_BYTES_LIMIT, Refusal, Stage, Test,
};
use crate::digest::Digest;
use crate::role::Role;
use crate::time::Timestamp;

/// What is missing, by its step.
const TEST: &str = NEEDS[0];
const REVIEW: &str = NEEDS[1];
const APPROVAL: &str = NEEDS[2];

/// Judges an act of `actor` on a change.
pub fn step(
    change: &Change,
    ladder: &Ladder,
    actor: &Actor,
    event: &Event,
    now: Timestamp,
) -> Result<(Change, Vec<Command>), Refusal> {
    if change.withdrawn {
        return Err(Refusal::Withdrawn);
    }
    let act = Act { change, ladder, actor, now };
    match event {
        Event::Edited { content } => act.edit(content),
        Event::Tested { environment, target, digest, passed } => {
            act.test(environment, target, digest, *passed)
        }
        Event::Reviewed { target, digest } => act.review(target, digest),
        Event::Approved { target, digest } => act.approve(target, digest),
        Event::Rejected { target, digest, reason } => act.reject(target, digest, reason),
        Event::GlassBroken { target, digest, reason } => act.break_glass(target, digest, reason),
        Event::Applied { target, digest } => act.apply(target, digest),
        Event::Withdrawn { reason } => act.withdraw(reason),
    }
}

pub(super) type Outcome = Result<(Change, Vec<Command>), Refusal>;

/// One act under judgement.
struct Act<'a> {
    change: &'a Change,
    ladder: &'a Ladder,
    actor: &'a Actor,
    now: Timestamp,
}

impl Act<'_> {
    fn edit(&self, content: &Content) -> Outcome {
        let digest = content.digest();
        if digest == self.change.digest {
            return Err(Refusal::Unchanged);
        }
        // An edit voids what others decided.
        if !self.change.authors.contains(&self.actor.person) {
            self.has(Role::Security).or_else(|_| self.on_the_team())?;
        }
        let mut next = self.change.clone();
        next.authors.insert(self.actor.person);
        next.content = content.clone();
        next.digest = digest;
        // The clocks of broken glass run on: what they brought to production still lacks its decisions.
        let voided = std::mem::take(&mut next.stages);
        let decisions = voided.values().map(Stage::decisions).sum();
        let void = Command::Void { digest: self.change.digest, decisions };
        Ok((next, if decisions > 0 { vec![void] } else { Vec::new() }))
    }

    fn test(&self, environment: &str, target: &str, digest: &Digest, passed: bool) -> Outcome {
        self.current(digest)?;
        if !self.ladder.is_below(environment, target)? {
            return Err(Refusal::NotLower { environment: environment.to_owned(), target: target.to_owned() });
        }
        self.on_the_team()?;
        let ran = self.change.applied.iter().any(|on| on.target == environment && on.digest == *digest);
        if !ran {
            return Err(missing(target, "to be applied where it was tested"));
        }
        let mut next = self.change.clone();
        if !passed {
            // A failure after a pass takes the pass back, and what people decided because of it.
            let voided = next.stages.remove(target).map_or(0, |stage| stage.decisions());
            let void = Command::Void { digest: *digest, decisions: voided };
            return Ok((next, if voided > 0 { vec![void] } else { Vec::new() }));
        }
        if *self.change.stage(target) != Stage::Proposed {
            return Ok((next, Vec::new()));
        }
        let by = Some(self.actor.person);
        let test = Test { environment: environment.to_owned(), by, digest: *digest, at: self.now };
        next.stages.insert(target.to_owned(), Stage::Tested { test });
        Ok((next, vec![Command::AskReview { target: target.to_owned() }]))
    }

    fn review(&self, target: &str, digest: &Digest) -> Outcome {
        self.current(digest)?;
        self.ladder.rung(target)?;
        self.on_the_team()?;
        self.unbiased("review")?;
        let test = match self.change.stage(target) {
            Stage::Tested { test } => test.clone(),
            Stage::Proposed => return Err(missing(target, TEST)),
            Stage::Reviewed { .. } | Stage::Approved { .. } => return Err(already(target)),
        };
        let mut next = self.change.clone();
        let review = self.decision(digest);
        next.stages.insert(target.to_owned(), Stage::Reviewed { test, review });
        Ok((next, vec![Command::AskApproval { target: target.to_owned() }]))
    }

    fn approve(&self, target: &str, digest: &Digest) -> Outcome {
        self.current(digest)?;
        self.ladder.rung(target)?;
        self.has(Role::Security)?;
        self.unbiased("approve")?;
        let (test, review) = match self.change.stage(target) {
            Stage::Reviewed { test, review } => (test.clone(), review.clone()),
            Stage::Proposed => return Err(missing(target, TEST)),
            Stage::Tested { .. } => return Err(missing(target, REVIEW)),
            Stage::Approved { .. } => return Err(already(target)),
        };
        if review.by == self.actor.person {
            return Err(Refusal::SamePerson);
        }
        let mut next = self.change.clone();
        let approval = self.decision(digest);
        next.stages.insert(target.to_owned(), Stage::Approved { test, review, approval });
        let settled = next.broken_glass.get(target).is_some_and(|glass| glass.digest == *digest);
        if settled {
            next.broken_glass.remove(target);
        }
        let settle = Command::Settle { target: target.to_owned() };
        Ok((next, if settled { vec![settle] } else { Vec::new() }))
    }

    fn reject(&self, target: &str, digest: &Digest, reason: &str) -> Outcome {
        self.current(digest)?;
        self.ladder.rung(target)?;
        self.has(Role::Security).or_else(|_| self.on_the_team())?;
        reasoned(reason)?;
        let mut next = self.change.clone();
        let decisions = next.stages.remove(target).map_or(0, |stage| stage.decisions());
        let void = Command::Void { digest: *digest, decisions };
        Ok((next, if decisions > 0 { vec![void] } else { Vec::new() }))
    }

    fn break_glass(&self, target: &str, digest: &Digest, reason: &str) -> Outcome {
        self.current(digest)?;
        self.ladder.rung(target)?;
        self.on_the_team()
            .or_else(|_| self.has(Role::Responder))
            .or_else(|_| self.has(Role::IncidentManager))?;
        reasoned(reason)?;
        if self.change.broken_glass.contains_key(target) {
            return Err(already(target));
        }
        let due = self.now.plus(BREAK_GLASS_LIMIT);
        let glass = BrokenGlass {
            by: self.actor.person,
            digest: *digest,
            reason: reason.to_owned(),
            at: self.now,
            due,
        };
        let mut next = self.change.clone();
        next.broken_glass.insert(target.to_owned(), glass);
        Ok((next, vec![Command::Page { target: target.to_owned(), due }]))
    }

    fn apply(&self, target: &str, digest: &Digest) -> Outcome {
        self.current(digest)?;
        let path = match self.ladder.rung(target)?.gate {
            Gate::Open => Path::Open,
            Gate::SelfApproved => Path::SelfApproved,
            Gate::Approved => self.right(target, digest)?,
        };
        self.on_the_team()
            .or_else(|_| self.has(Role::Responder))
            .or_else(|_| self.has(Role::IncidentManager))?;
        if self.change.applied.iter().any(|before| before.target == target && before.digest == *digest) {
            return Err(already(target));
        }
        let mut next = self.change.clone();
        let (target, digest, by, at) = (target.to_owned(), *digest, self.actor.person, self.now);
        next.applied.push(Applied { target: target.clone(), digest, by, at, path });
        Ok((next, vec![Command::Apply { target, digest, path }]))
    }

    /// By which right this digest may go where approval is asked for.
    fn right(&self, target: &str, digest: &Digest) -> Result<Path, Refusal> {
        match self.change.stage(target) {
            Stage::Approved { approval, .. } if approval.digest == *digest => Ok(Path::Approved),
            _ if self.change.broken_glass.get(target).is_some_and(|glass| glass.digest == *digest) => {
                Ok(Path::BreakGlass)
            }
            Stage::Proposed => Err(missing(target, TEST)),
            Stage::Tested { .. } => Err(missing(target, REVIEW)),
            Stage::Reviewed { .. } | Stage::Approved { .. } => Err(missing(target, APPROVAL)),
        }
    }

    fn withdraw(&self, reason: &str) -> Outcome {
        if !self.change.authors.contains(&self.actor.person) {
            self.on_the_team()?;
        }
        reasoned(reason)?;
        if let Some(target) = self.change.broken_glass.keys().find(|target| self.was_brought_to(target)) {
            return Err(Refusal::Unsettled { target: target.clone() });
        }
        let mut next = self.change.clone();
        next.withdrawn = true;
        let broken = std::mem::take(&mut next.broken_glass);
        Ok((next, broken.into_keys().map(|target| Command::Settle { target }).collect()))
    }

    /// Whether something came to a target since its glass was broken.
    fn was_brought_to(&self, target: &str) -> bool {
        let Some(glass) = self.change.broken_glass.get(target) else { return false };
        self.change.applied.iter().any(|on| on.target == target && on.at >= glass.at)
    }

    fn current(&self, seen: &Digest) -> Result<(), Refusal> {
        let current = self.change.digest;
        if *seen == current { Ok(()) } else { Err(Refusal::Stale { seen: *seen, current }) }
    }

    fn has(&self, role: Role) -> Result<(), Refusal> {
        let has = self.actor.roles.contains(&role);
        if has { Ok(()) } else { Err(Refusal::Role { role, team: "" }) }
    }

    fn on_the_team(&self) -> Result<(), Refusal> {
        let on_the_team = self.actor.services.contains(&self.change.service);
        if on_the_team && self.actor.roles.contains(&Role::Operator) {
            return Ok(());
        }
        Err(Refusal::Role { role: Role::Operator, team: " on the service's team" })
    }

    /// Whether the actor may judge the change: not its author, and not made able to by an author or one admin.
    fn unbiased(&self, act: &'static str) -> Result<(), Refusal> {
        if self.change.authors.contains(&self.actor.person) {
            return Err(Refusal::OwnChange(act));
        }
        let tainted = self.actor.is_tainted(&self.change.authors, self.change.proposed_at);
        if tainted { Err(Refusal::FreshGrant) } else { Ok(()) }
    }

    fn decision(&self, digest: &Digest) -> Decision {
        Decision { by: self.actor.person, digest: *digest, at: self.now }
    }
}

pub(super) fn missing(target: &str, missing: &'static str) -> Refusal {
    Refusal::Missing { target: target.to_owned(), missing }
}

pub(super) fn already(target: &str) -> Refusal {
    Refusal::Already { target: target.to_owned() }
}

fn reasoned(reason: &str) -> Result<(), Refusal> {
    let good = !reason.trim().is_empty() && reason.len() <= REASON_BYTES_LIMIT;
    if good { Ok(()) } else { Err(Refusal::Reason) }
}
