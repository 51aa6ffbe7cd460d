//! How simulated hosts stand by the documents that the server gives them.
//!
//! A simulated host has no files to look at. Each rule is run by the real evaluator on the small
//! hosts that the rule's own examples describe; a host is like the one that meets the rule or
//! like the one that does not. So a verdict has the rule's real name and digest, and a rule that
//! can't be judged at all is not made up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_core::configuration::baseline::{Baseline, Example, Rule};
use bartizan_core::configuration::evaluate::{Outcome, run_rule};
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::severity::Severity;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_probe::query::HostProbe;

use super::population::Plan;

/// The baselines that ship: what hosts keep to of these is as mixed as in any fleet.
const SHIPPED: [&str; 2] = ["debian-12", "openssh"];

/// One in so many rules reads what an agent without rights may not.
const DENIED_SHARE: u64 = 9;

/// How a rule comes out on the hosts of its examples.
#[derive(Clone, Debug)]
pub(super) struct Ruling {
    rule: String,
    check: Digest,
    severity: Severity,
    /// On the first passing example; on a host with nothing where there is none.
    kept: Outcome,
    /// On the first failing example; none where there is none.
    broken: Option<Outcome>,
}

/// Rulings of the baselines that were seen, by the document's digest: the fleet shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Bench(Arc<Mutex<BTreeMap<Digest, Arc<Vec<Ruling>>>>>);

impl Bench {
    /// The rulings of a baseline; work for a thread of its own where it was not seen before.
    fn rulings(&self, document: &Document) -> Arc<Vec<Ruling>> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = seen.entry(document.digest).or_insert_with(|| {
            // A baseline that can't be read has no rule that could be judged.
            let baseline = Baseline::from_document(document).ok();
            let rulings = baseline
                .iter()
                .flat_map(|baseline| baseline.rules.iter().filter_map(move |rule| ruling(baseline, rule)));
            Arc::new(rulings.collect())
        });
        Arc::clone(made)
    }

    /// All verdicts of a host, by baseline, rule and digest of the check. `broken` names rules
    /// that it breaks since its story says so, as `BASELINE/RULE`.
    pub(super) fn verdicts(
        &self,
        plan: &Plan,
        documents: &[Document],
        broken: &[String],
    ) -> BTreeMap<(String, String, Digest), Verdict> {
        let mut verdicts = BTreeMap::new();
        for document in documents.iter().filter(|document| document.kind == "Baseline") {
            for ruling in self.rulings(document).iter() {
                let name = format!("{}/{}", document.name, ruling.rule);
                let told = broken.contains(&name);
                let breaks = told || breaks(plan, &document.name, ruling);
                let outcome = ruling.broken.as_ref().filter(|_| breaks).unwrap_or(&ruling.kept);
                let denied = plan.unprivileged && plan.roll_of_all(&name, DENIED_SHARE) == 0;
                let verdict =
                    if denied && !told { Some(Verdict::Unknown(Reason::Denied)) } else { outcome.verdict() };
                let key = (document.name.clone(), ruling.rule.clone(), ruling.check);
                verdicts.extend(verdict.map(|verdict| (key, verdict)));
            }
        }
        verdicts
    }
}

fn ruling(baseline: &Baseline, rule: &Rule) -> Option<Ruling> {
    let nothing = Example::default();
    let run = |example: &Example| run_rule(baseline, &rule.id, &mut HostProbe::of_example(example));
    let kept = run(rule.examples.pass.first().unwrap_or(&nothing))?;
    Some(Ruling {
        rule: rule.id.clone(),
        check: kept.check_digest,
        severity: rule.severity,
        kept: kept.outcome,
        broken: rule.examples.fail.first().and_then(run).map(|result| result.outcome),
    })
}

/// Whether a host never kept to a rule: most rules hold everywhere, a few are broken widely, and
/// what is grave is broken seldom; production is the tidiest.
fn breaks(plan: &Plan, baseline: &str, ruling: &Ruling) -> bool {
    if !SHIPPED.contains(&baseline) {
        return false;
    }
    let name = format!("{baseline}/{}", ruling.rule);
    let percent = match plan.roll_of_all(&format!("hard {name}"), 100) {
        0..70 => return false,
        70..88 => 8,
        88..96 => 25,
        _ => 60,
    };
    let percent = if ruling.severity >= Severity::High { percent / 4 } else { percent };
    let percent = match plan.environment {
        "prod" => percent / 2,
        _ => percent,
    };
    plan.roll(&format!("breaks {name}"), 100) < percent
}

#[cfg(test)]
mod tests {
    use super::super::population::population;
    use super::*;

    const DOCUMENT: &str = "
kind: Baseline
name: own
spec:
  title: Own
  rules:
    - id: there
      title: A file is there
      severity: high
      rationale: So that something can be judged.
      check: {file: {path: /etc/hostname, exists: true}}
      remediation: Make the file.
      examples:
        pass: [{files: {/etc/hostname: h}}]
        fail: [{}]
";

    #[test]
    fn a_host_stands_as_the_rules_examples_do_and_breaks_what_its_story_says() {
        let documents = bartizan_core::document::parse("own.yaml", DOCUMENT).unwrap();
        let plan = population(7).into_iter().find(|plan| !plan.unprivileged).unwrap();
        let bench = Bench::default();
        let verdict = |broken: &[String]| *bench.verdicts(&plan, &documents, broken).values().next().unwrap();
        assert_eq!(verdict(&[]), Verdict::Met);
        assert_eq!(verdict(&["own/there".to_owned()]), Verdict::NotMet);
    }
}
