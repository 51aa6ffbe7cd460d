//! Enforcement: which rules' fixes agents make, and the next order for one asset. A document of kind
//! `Enforcement`.
//!
//! It decides nothing that a person did not: the document came by a change, its rules are those of
//! baselines that came by changes, and both are named by the digest of the plan that each order bears.
//! Whether the host does what it is told is the host's own word ([`crate::order::judge`]).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::baseline::Fix;
use crate::canonical::Value;
use crate::digest::Digest;
use crate::document::{Document, Fault};
use crate::order::{self, End, Ending, Order, STEPS_LIMIT, Step, StepOutcome, permit};
use crate::time::{Duration, Timestamp};

/// The `kind` of these documents.
pub const KIND: &str = "Enforcement";

/// The most patterns in one document.
const RULES_LIMIT: usize = 1_000;

/// How long an order may be carried out where the document does not say.
const WITHIN: Duration = Duration::from_hours(24);

/// How long a fix that did not help is not tried again while nothing changes.
pub const AGAIN_AFTER: Duration = Duration::from_hours(24);

/// The same where the host did not allow it: its administrator may allow it any moment.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// How often a fix is made within [`AGAIN_AFTER`] that something else undoes each time.
const TRIES_LIMIT: usize = 5;

/// How often a fix is ordered within [`AGAIN_AFTER`], whatever became of the orders: a host whose verdicts
/// flap, or an agent that lies, gets no more.
const ORDERS_LIMIT: usize = 20;

/// An `Enforcement` document that was read and found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// The document's digest: plans name it.
    pub digest: Digest,
    /// How long an order may be carried out.
    pub within: Duration,
    patterns: Vec<Pattern>,
}

/// The `spec` of an `Enforcement` document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// `BASELINE/RULE`; a `*` at the end stands for the rest. What an order may not set without the
    /// host's own word is ordered only where its rule is named in full.
    rules: Vec<String>,
    /// How long an order may be carried out: `24h` where it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    within: Option<Duration>,
}

/// Which rules a line of the document takes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// The rule of this name.
    Whole(String),
    /// Every rule whose name begins so.
    Begins(String),
}

/// How a document came to take a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// Among others, by a `*`.
    Among,
    /// By its own name.
    Named,
}

impl Enforcement {
    /// Reads an `Enforcement` document; a fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<Enforcement, Fault> {
        let Spec { rules, within } = document.spec_as()?;
        if rules.is_empty() || rules.len() > RULES_LIMIT {
            let message = format!("has {} rules; it takes 1 to {RULES_LIMIT}", rules.len());
            return Err(document.fault("rules", message));
        }
        let within = within.unwrap_or(WITHIN);
        if within == Duration::default() || within > order::SPAN_LIMIT {
            let message = format!("is no time of at most {}", order::SPAN_LIMIT);
            return Err(document.fault("within", message));
        }
        let mut patterns = Vec::with_capacity(rules.len());
        for (place, text) in rules.iter().enumerate() {
            let fault = || {
                let message = format!("`{text}` is no rule: write BASELINE/RULE, or BASELINE/ and a `*`");
                document.fault(&format!("rules[{place}]"), message)
            };
            let (baseline, rule) = text.split_once('/').ok_or_else(fault)?;
            let begins = rule.strip_suffix('*');
            if baseline.is_empty() || rule.is_empty() || begins.unwrap_or(rule).contains('*') {
                return Err(fault());
            }
            patterns.push(match begins {
                Some(begins) => Pattern::Begins(format!("{baseline}/{begins}")),
                None => Pattern::Whole(text.clone()),
            });
        }
        Ok(Enforcement { digest: document.digest, within, patterns })
    }

    /// Whether the document takes a rule, and how.
    pub fn takes(&self, baseline: &str, rule: &str) -> Option<Taken> {
        let name = format!("{baseline}/{rule}");
        let by = |pattern: &Pattern| match pattern {
            Pattern::Whole(whole) => (*whole == name).then_some(Taken::Named),
            Pattern::Begins(begins) => name.starts_with(begins).then_some(Taken::Among),
        };
        self.patterns.iter().filter_map(by).max()
    }
}

/// One fix that a document asks for on an asset where its rule is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub baseline: String,
    pub rule: String,
    pub fix: Fix,
    /// Since when the rule has not been met.
    pub since: Timestamp,
    pub taken: Taken,
    /// The digests of the documents that ask for it: the enforcement's and the baseline's.
    pub by: [Digest; 2],
    pub within: Duration,
}

/// A rule by its baseline and its own name.
pub type Name = (String, String);

/// An order that the asset has not told the end of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub plan: Digest,
    pub not_after: Timestamp,
    pub steps: BTreeSet<Name>,
}

/// A fix that was ordered before, as its order came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub rule: Name,
    pub fix: Fix,
    pub at: Timestamp,
    pub how: How,
}

/// What became of a fix that was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The host did not allow it.
    Refused,
    /// It was made, or could not be.
    Tried,
    /// It was not begun: another step failed before it, or its order lapsed or was withdrawn.
    Left,
}

/// What an order that came to its end says of each of its fixes.
pub fn tried(order: &Order, end: &End, at: Timestamp) -> Vec<Tried> {
    let how = |place: usize| match end {
        End::Lapsed | End::Withdrawn => How::Left,
        End::Told(Ending::Refused(_)) => How::Refused,
        End::Told(Ending::CarriedOut(steps)) => {
            let failed = steps.iter().take(place).any(|step| matches!(step, StepOutcome::Failed { .. }));
            // Left without a failure before it, or not told of at all: that is no reason to ask again at once.
            let left = failed && matches!(steps.get(place), Some(StepOutcome::Left));
            if left { How::Left } else { How::Tried }
        }
    };
    let one = |(place, step): (usize, &Step)| {
        let Step::Fix { baseline, rule, fix } = step;
        Tried { rule: (baseline.clone(), rule.clone()), fix: fix.clone(), at, how: how(place) }
    };
    order.steps.iter().enumerate().map(one).collect()
}

/// What the next order of one asset is judged by.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub now: Timestamp,
    /// What is asked for: rules that are not met on the asset.
    pub wanted: &'a [Wanted],
    pub open: Option<&'a Open>,
    /// What was tried within [`AGAIN_AFTER`].
    pub tried: &'a [Tried],
}

/// What is to be done about one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has all that it needs.
    Nothing,
    /// The order that it has stands.
    Keep,
    /// The order that it has is not wanted any more, and no other is.
    Withdraw,
    /// It gets this one, in the place of the one that it has.
    Give(Draft),
}

/// An order before it has its asset, its generation and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub plan: Digest,
    pub within: Duration,
    pub steps: Vec<Step>,
}

/// The digest of a plan: over the digests of every document that asks for a step of it.
pub fn plan<'a>(documents: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let digests: BTreeSet<String> = documents.into_iter().map(ToString::to_string).collect();
    Digest::derived("plan", digests.into_iter().map(Value::from))
}

/// What is to be done about one asset now.
///
/// An order stands while it is in time and each of its steps is still asked for by the same
/// documents. A fix that did not help is not made again before [`AGAIN_AFTER`] is over; one that
/// helped is, where the rule is missed anew. What only the host's own word allows goes alone, so that
/// its refusal refuses nothing else.
pub fn next(input: &Input<'_>) -> Next {
    let draft = draft(input);
    let Some(open) = input.open else {
        return draft.map_or(Next::Nothing, Next::Give);
    };
    let asked = |name: &Name| {
        input.wanted.iter().any(|wanted| (&wanted.baseline, &wanted.rule) == (&name.0, &name.1))
    };
    let in_time = input.now < open.not_after;
    // What else came to be missed meanwhile has its turn when this order is over.
    let ours = input
        .wanted
        .iter()
        .filter(|wanted| open.steps.contains(&(wanted.baseline.clone(), wanted.rule.clone())));
    let same = plan(ours.flat_map(|wanted| &wanted.by)) == open.plan;
    if in_time && same && open.steps.iter().all(asked) {
        return Next::Keep;
    }
    draft.map_or(Next::Withdraw, Next::Give)
}

/// The order that would be given if there were none.
fn draft(input: &Input<'_>) -> Option<Draft> {
    let listed = |wanted: &Wanted| permit::check(&wanted.fix, &permit::Host::default()).is_ok();
    let due = input.wanted.iter().filter(|wanted| is_due(wanted, input));
    let (ours, others): (Vec<&Wanted>, Vec<&Wanted>) = due.partition(|wanted| listed(wanted));
    let chosen: Vec<&Wanted> = if ours.is_empty() {
        others.into_iter().filter(|wanted| wanted.taken == Taken::Named).take(1).collect()
    } else {
        ours.into_iter().take(STEPS_LIMIT).collect()
    };
    let step = |wanted: &&Wanted| Step::Fix {
        baseline: wanted.baseline.clone(),
        rule: wanted.rule.clone(),
        fix: wanted.fix.clone(),
    };
    let within = chosen.iter().map(|wanted| wanted.within).min()?;
    let plan = plan(chosen.iter().flat_map(|wanted| &wanted.by));
    Some(Draft { plan, within, steps: chosen.iter().map(step).collect() })
}

/// Whether a fix may be made, after what was tried before.
fn is_due(wanted: &Wanted, input: &Input<'_>) -> bool {
    let again = |tried: &&Tried| {
        let same = tried.rule.0 == wanted.baseline && tried.rule.1 == wanted.rule && tried.fix == wanted.fix;
        let wait = if tried.how == How::Refused { REFUSED_AGAIN_AFTER } else { AGAIN_AFTER };
        same && input.now.since(tried.at) < wait
    };
    let tries: Vec<&Tried> = input.tried.iter().filter(again).collect();
    let lets = |tried: &&Tried| match tried.how {
        How::Refused => false,
        // It helped: the rule was met, and is missed anew.
        How::Tried => tried.at < wanted.since,
        How::Left => true,
    };
    let made = tries.iter().filter(|tried| tried.how == How::Tried).count();
    tries.iter().all(lets) && made < TRIES_LIMIT && tries.len() < ORDERS_LIMIT
}

#[cfg(test)]
mod tests;
