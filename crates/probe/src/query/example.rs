//! Trying a baseline's examples: each passing one must be met, each failing one not met.

use bartizan_core::configuration::baseline::{Baseline, Example};
use bartizan_core::configuration::evaluate::{Outcome, run_rule};
use bartizan_core::verdict::Verdict;

use super::HostProbe;

/// An example that does not show what it should, or one that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The rule's id.
    pub rule: String,
    /// Below the rule: `examples.pass[0]`.
    pub place: String,
    pub message: String,
}

/// Runs every example of every rule through the parsers that read a host.
pub fn try_examples(baseline: &Baseline) -> Vec<Failed> {
    let mut failed = Vec::new();
    for rule in &baseline.rules {
        let sides =
            [("pass", &rule.examples.pass, Verdict::Met), ("fail", &rule.examples.fail, Verdict::NotMet)];
        for (side, examples, expected) in sides {
            let mut note = |place: String, message: String| {
                failed.push(Failed { rule: rule.id.clone(), place, message });
            };
            if examples.is_empty() {
                note(format!("examples.{side}"), "has no example".to_owned());
            }
            for (n, example) in examples.iter().enumerate() {
                if let Some(message) = try_example(baseline, &rule.id, example, expected) {
                    note(format!("examples.{side}[{n}]"), message);
                }
            }
        }
    }
    failed
}

fn try_example(baseline: &Baseline, rule: &str, example: &Example, expected: Verdict) -> Option<String> {
    let result = run_rule(baseline, rule, &mut HostProbe::of_example(example))?;
    if result.outcome == Outcome::Judged(expected) {
        return None;
    }
    let because = match &result.outcome {
        Outcome::NotApplicable { reason } => reason.clone(),
        Outcome::Judged(_) => {
            let words = result.evidence.iter().map(|one| format!("{}: {}", one.object, one.actual));
            words.collect::<Vec<_>>().join("; ")
        }
    };
    Some(format!("is {}, should be {expected} ({because})", result.outcome))
}
