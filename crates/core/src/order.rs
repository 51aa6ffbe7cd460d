//! Orders: what a server asks an agent to do, in a fixed vocabulary, and whether the agent may.
//!
//! An order names one asset, a generation, the plan that it comes from, the time in which it may
//! be carried out, and each step. It is signed by a key that agents pin when they enrol. An agent
//! does nothing by an order unless its host's own administrator switched the power for it on: a
//! server with a stolen key can't make an observing agent change anything. There is no step
//! "run this command", and what may be set is a short list ([`permit`]).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, Value};
use crate::configuration::baseline::Fix;
use crate::digest::Digest;
use crate::error::Class;
use crate::id::AssetId;
use crate::time::{Duration, Timestamp};

pub mod permit;

/// The most steps of one order: every rule of the largest benchmarks at once.
pub const STEPS_LIMIT: usize = 1_000;

/// The longest time in which an order may be carried out.
pub const SPAN_LIMIT: Duration = Duration::from_days(7);

/// What every signature of an order begins with.
const SIGNED_AS: &str = "bartizan/order/v1\n";

/// What a host's administrator may let its agent do. A new agent may do nothing but observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Install updates and restart what needs it.
    Update,
    /// Set declared settings.
    Enforce,
    /// Cut the host off from all but its server.
    Isolate,
}

/// A word that is no power.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that an agent can be allowed: write update, enforce or isolate")]
pub struct NoPower(String);

impl Power {
    /// All of them.
    pub const ALL: [Power; 3] = [Power::Update, Power::Enforce, Power::Isolate];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Power::Update => "update",
            Power::Enforce => "enforce",
            Power::Isolate => "isolate",
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Power {
    type Err = NoPower;

    fn from_str(word: &str) -> Result<Self, NoPower> {
        Power::ALL.into_iter().find(|power| power.as_str() == word).ok_or_else(|| NoPower(word.to_owned()))
    }
}

/// One thing to be done. Each says what shall be, not how to get there: done twice is done once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Mend what a rule of a baseline found.
    Fix { baseline: String, rule: String, fix: Fix },
}

impl Step {
    /// What the host must allow for it.
    pub const fn power(&self) -> Power {
        match self {
            Step::Fix { .. } => Power::Enforce,
        }
    }
}

/// What one agent is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub asset: AssetId,
    /// Counts the orders of this asset: an agent takes none below the last that it took.
    pub generation: u64,
    /// The digest of the plan that it comes from.
    pub plan: Digest,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub steps: Vec<Step>,
}

impl Order {
    /// The bytes that its signature (Ed25519, RFC 8032) covers: what is signed, and the order in
    /// canonical JSON.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, canonical::Error> {
        let text = Value::from_data(self)?.to_canonical();
        Ok([SIGNED_AS.as_bytes(), text.as_bytes()].concat())
    }

    /// What the order is known by.
    pub fn digest(&self) -> Result<Digest, canonical::Error> {
        Ok(Digest::of_bytes(&self.signed_bytes()?))
    }
}

/// The last order that an agent took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub generation: u64,
    pub digest: Digest,
}

/// How an agent stands when an order comes.
#[derive(Clone, Debug)]
pub struct Standing {
    pub asset: AssetId,
    pub last: Option<Taken>,
    pub allowed: Allowed,
}

/// What the host's own root-owned file allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    pub powers: BTreeSet<Power>,
    /// What may be set beside the list, and what is the agent's own there.
    pub host: permit::Host,
}

/// What an agent does by an order that it may carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is new.
    Begin,
    /// It was taken before: what is left of it is done.
    Resume,
    /// Its time has not come.
    Wait { until: Timestamp },
}

/// Why an agent does nothing by an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the order is for another asset")]
    OtherAsset,
    #[error("the order has generation {found}; this agent took {last} before")]
    Older { found: u64, last: u64 },
    #[error(
        "another order of generation {0} was taken before: two servers give orders, or one forgot what it ordered"
    )]
    Forked(u64),
    #[error("the order's time was over at {0}")]
    Late(Timestamp),
    #[error("the order may be carried out from {from} to {until}, which is no time of at most {SPAN_LIMIT}")]
    Window { from: Timestamp, until: Timestamp },
    #[error("the order has {0} steps; it takes 1 to {STEPS_LIMIT}")]
    Steps(usize),
    #[error("this host does not allow its agent to {0}")]
    Off(Power),
    #[error("the step for {rule} is refused: {problem}")]
    Denied { rule: String, problem: permit::Denied },
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Forked(_) => Class::Conflict,
            Refusal::Steps(_) => Class::Limit,
            Refusal::Window { .. } => Class::Invalid,
            Refusal::OtherAsset
            | Refusal::Older { .. }
            | Refusal::Late(_)
            | Refusal::Off(_)
            | Refusal::Denied { .. } => Class::Denied,
        }
    }
}

/// Whether an order whose signature is good may be carried out. One step that is refused refuses
/// the order: half of a plan is none.
pub fn judge(order: &Order, digest: &Digest, standing: &Standing, now: Timestamp) -> Result<Next, Refusal> {
    if order.asset != standing.asset {
        return Err(Refusal::OtherAsset);
    }
    let resumed = match standing.last {
        Some(last) if order.generation < last.generation => {
            return Err(Refusal::Older { found: order.generation, last: last.generation });
        }
        Some(last) if order.generation == last.generation && *digest != last.digest => {
            return Err(Refusal::Forked(order.generation));
        }
        Some(last) => order.generation == last.generation,
        None => false,
    };
    let (from, until) = (order.not_before, order.not_after);
    if until <= from || until.since(from) > SPAN_LIMIT {
        return Err(Refusal::Window { from, until });
    }
    if now >= until {
        return Err(Refusal::Late(until));
    }
    if order.steps.is_empty() || order.steps.len() > STEPS_LIMIT {
        return Err(Refusal::Steps(order.steps.len()));
    }
    for step in &order.steps {
        let power = step.power();
        if !standing.allowed.powers.contains(&power) {
            return Err(Refusal::Off(power));
        }
        let Step::Fix { baseline, rule, fix } = step;
        permit::check(fix, &standing.allowed.host)
            .map_err(|problem| Refusal::Denied { rule: format!("{baseline}/{rule}"), problem })?;
    }
    Ok(match (resumed, now < from) {
        (_, true) => Next::Wait { until: from },
        (true, false) => Next::Resume,
        (false, false) => Next::Begin,
    })
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub generation: u64,
    pub digest: Digest,
    pub at: Timestamp,
    pub ending: Ending,
}

/// Whether it was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing was done, and why.
    Refused(String),
    /// Each step in its order; those after one that failed are not begun.
    CarriedOut(Vec<StepOutcome>),
}

/// How an order that a server gave came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As its agent told.
    Told(Ending),
    /// Its time ran out before the agent told of it.
    Lapsed,
    /// Another took its place, or nothing is asked for any more.
    Withdrawn,
}

impl Ending {
    /// Whether all that was asked for is so now: an answer for each step, and each of them done. What is
    /// said of fewer steps, or of more, is no answer to the order.
    pub fn is_whole(&self, order: &Order) -> bool {
        let good = |step: &StepOutcome| matches!(step, StepOutcome::Unchanged | StepOutcome::Done { .. });
        matches!(self, Ending::CarriedOut(steps) if steps.len() == order.steps.len() && steps.iter().all(good))
    }
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It was so already.
    Unchanged,
    /// It is so now; `before` tells how it was, in words.
    Done {
        before: String,
    },
    Failed {
        problem: String,
    },
    /// A step before it failed.
    Left,
}

impl StepOutcome {
    /// What it tells in words.
    pub const fn text(&self) -> Option<&String> {
        match self {
            StepOutcome::Done { before: text } | StepOutcome::Failed { problem: text } => Some(text),
            StepOutcome::Unchanged | StepOutcome::Left => None,
        }
    }
}

#[cfg(test)]
mod tests;
