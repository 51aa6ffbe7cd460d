//! The evaluator: checks over what a probe reads, in three values.
//!
//! A probe is the one door: it gets a [`Query`], plain data, and answers with [`Items`]. In one
//! run each query is asked once, whatever many rules need it, and each result says what its rule
//! read. What a probe can't read makes a rule unknown, unless what is known decides it alone.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Check, Prepared, Rule};
use crate::digest::Digest;
use crate::verdict::{Reason, Verdict};

mod item;
mod judge;
mod outcome;
mod query;

pub use item::{Field, Item, Items};
pub use outcome::Outcome;
pub use query::Query;

use judge::Sense;

/// The most items that one query may answer; a probe that would give more says `unsupported`.
pub const ITEMS_LIMIT: usize = 100_000;

/// The most evidence that one rule's result carries; what goes beyond is counted in a last line.
pub const EVIDENCE_LIMIT: usize = 20;

/// Answers queries about one host.
pub trait Probe {
    fn items(&mut self, query: &Query) -> Items;
}

/// How one rule came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The rule's id.
    pub rule: String,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub evidence: Vec<Evidence>,
    /// Over the rule's condition and check with the values of this run's profile.
    pub check_digest: Digest,
    /// What the rule read, in the order in which it asked first.
    pub read: Vec<Query>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at: a file, a setting with its line, an account.
    pub object: String,
    /// What it should be.
    pub expected: String,
    /// What it is; `unknown: REASON` where it could not be seen.
    pub actual: String,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Evaluates every rule of the baseline, in the document's order. A rule that the profile does not
/// hold is not applicable. Under a profile that the baseline does not have, every rule is unknown.
pub fn run(baseline: &Baseline, profile: Option<&str>, probe: &mut dyn Probe) -> Vec<RuleResult> {
    let Some(rules) = baseline.prepared(profile) else {
        return baseline.rules.iter().map(unassigned).collect();
    };
    let mut session = Session { probe, answers: BTreeMap::new(), read: Vec::new() };
    rules.map(|(rule, prepared)| session.judge(rule, prepared, profile)).collect()
}

/// Evaluates the one rule of this id, under the document's own values; none where there is no such rule.
pub fn run_rule(baseline: &Baseline, id: &str, probe: &mut dyn Probe) -> Option<RuleResult> {
    let (rule, prepared) = baseline.prepared(None)?.find(|(rule, _)| rule.id == id)?;
    let mut session = Session { probe, answers: BTreeMap::new(), read: Vec::new() };
    Some(session.judge(rule, prepared, None))
}

fn unassigned(rule: &Rule) -> RuleResult {
    RuleResult {
        rule: rule.id.clone(),
        outcome: Outcome::Judged(Verdict::Unknown(Reason::Unassigned)),
        evidence: Vec::new(),
        check_digest: Digest::derived("check", [rule.check.clone()]),
        read: Vec::new(),
    }
}

/// One run: each query asked once.
struct Session<'a> {
    probe: &'a mut dyn Probe,
    answers: BTreeMap<Query, Rc<Items>>,
    read: Vec<Query>,
}

impl Session<'_> {
    fn judge(&mut self, rule: &Rule, prepared: &Prepared, profile: Option<&str>) -> RuleResult {
        self.read.clear();
        let (outcome, evidence) = if rule.is_in(profile) {
            self.rule(prepared.applicable.as_ref(), &prepared.check)
        } else {
            let name = profile.unwrap_or_default();
            (Outcome::NotApplicable { reason: format!("the profile `{name}` does not hold it") }, Vec::new())
        };
        RuleResult {
            rule: rule.id.clone(),
            outcome,
            evidence: shorten(evidence),
            check_digest: prepared.digest,
            read: std::mem::take(&mut self.read),
        }
    }

    fn rule(&mut self, applicable: Option<&Check>, check: &Check) -> (Outcome, Vec<Evidence>) {
        if let Some(condition) = applicable {
            let (verdict, evidence) = self.check(condition, Sense::Condition);
            match verdict {
                Verdict::Met => {}
                Verdict::NotMet => return (Outcome::NotApplicable { reason: missing(&evidence) }, evidence),
                Verdict::Unknown(_) => return (Outcome::Judged(verdict), evidence),
            }
        }
        let (verdict, evidence) = self.check(check, Sense::Asked);
        (Outcome::Judged(verdict), evidence)
    }

    fn check(&mut self, check: &Check, sense: Sense) -> (Verdict, Vec<Evidence>) {
        match check {
            Check::All(checks) => {
                let (verdicts, evidence) = self.each(checks, sense);
                (Verdict::all(verdicts), evidence)
            }
            Check::Any(checks) => {
                let (verdicts, evidence) = self.each(checks, sense);
                (Verdict::any(verdicts), evidence)
            }
            Check::Not(check) => {
                let (verdict, evidence) = self.check(check, sense.turned());
                let turn = |one: Evidence| Evidence {
                    expected: format!("not: {}", one.expected),
                    verdict: one.verdict.negate(),
                    ..one
                };
                (verdict.negate(), evidence.into_iter().map(turn).collect())
            }
            test => match test.question() {
                Some((query, selection)) => judge::judge(&query, &self.ask(&query), &selection, sense),
                // Combinations are all above; a new one without an arm here can't be judged.
                None => (Verdict::Unknown(Reason::Unsupported), Vec::new()),
            },
        }
    }

    fn each(&mut self, checks: &[Check], sense: Sense) -> (Vec<Verdict>, Vec<Evidence>) {
        let (verdicts, evidence): (Vec<_>, Vec<_>) =
            checks.iter().map(|check| self.check(check, sense)).unzip();
        (verdicts, evidence.into_iter().flatten().collect())
    }

    fn ask(&mut self, query: &Query) -> Rc<Items> {
        if !self.read.contains(query) {
            self.read.push(query.clone());
        }
        if let Some(answer) = self.answers.get(query) {
            return Rc::clone(answer);
        }
        let answer = match self.probe.items(query) {
            Items::Known(items) if items.len() > ITEMS_LIMIT => {
                let message = format!("more than {ITEMS_LIMIT} items");
                Items::Unknown { reason: Reason::Unsupported, message }
            }
            answer => answer,
        };
        let answer = Rc::new(answer);
        self.answers.insert(query.clone(), Rc::clone(&answer));
        answer
    }
}

/// Why a rule asks nothing: what its condition did not find.
fn missing(evidence: &[Evidence]) -> String {
    let first = evidence.iter().find(|one| one.verdict == Verdict::NotMet).or(evidence.first());
    first.map_or_else(
        || "its condition does not hold".to_owned(),
        |one| format!("{}: {}, should be {}", one.object, one.actual, one.expected),
    )
}

/// What fails stands first, then what is unknown; within the limit.
fn shorten(mut evidence: Vec<Evidence>) -> Vec<Evidence> {
    evidence.sort_by_key(|one| match one.verdict {
        Verdict::NotMet => 0,
        Verdict::Unknown(_) => 1,
        Verdict::Met => 2,
    });
    let more = evidence.len().saturating_sub(EVIDENCE_LIMIT);
    if more > 0 {
        let verdict = evidence.get(EVIDENCE_LIMIT).map_or(Verdict::Met, |one| one.verdict);
        evidence.truncate(EVIDENCE_LIMIT);
        let object = format!("{more} more");
        evidence.push(Evidence { object, expected: String::new(), actual: String::new(), verdict });
    }
    evidence
}

#[cfg(test)]
mod tests;
