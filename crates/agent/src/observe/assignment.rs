//! A policy as the watcher takes it: documents read by their kinds. What can't be read is named,
//! and the rest holds.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::{self, Baseline, Examples, References};
use bartizan_core::configuration::drift::watch::{self, Watches};
use bartizan_core::document::Document;
use bartizan_core::monitoring::health::Health;
use bartizan_detect::canary::{Canary, Need};
use bartizan_detect::detector::Detector;
use bartizan_detect::rules::{self, Rules, Summary};
use bartizan_detect::start::CATEGORY;
use bartizan_wire::policy::DOCUMENTS_LIMIT;

use crate::canary::Packed;

/// The most problems that are told of one policy.
const PROBLEMS_LIMIT: usize = 20;

/// What a policy assigns.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    pub(super) baselines: Vec<Baseline>,
    pub(super) health: Vec<Health>,
    /// None where there are no rules.
    pub(super) detector: Option<Detector>,
    /// Whether a rule asks for process starts.
    pub(super) processes: bool,
    /// The documents whose rules are proved by canaries.
    pub(super) canaries: Vec<Packed>,
    /// What is watched for drift.
    pub(super) drift: Vec<Watches>,
    /// Whether that is not all: a document could not be read.
    pub(super) lacks_drift: bool,
    pub(super) problems: Vec<String>,
}

impl Assignment {
    /// Reads a policy's documents, one after another: what was read is let go before the next.
    pub(super) fn read(documents: Vec<Value>) -> Assignment {
        let mut assignment = Assignment::default();
        let mut rules = Rules::default();
        assignment.lacks_drift = documents.len() > DOCUMENTS_LIMIT;
        for written in documents.into_iter().take(DOCUMENTS_LIMIT) {
            match Document::from_value("policy", written) {
                Ok(document) => assignment.take(&document, &mut rules),
                Err(fault) => {
                    assignment.lacks_drift = true;
                    assignment.problems.push(fault.to_string());
                }
            }
        }
        if !rules.is_empty() {
            match Detector::new(&rules) {
                Ok(detector) => {
                    let category = |summary: &Summary| summary.source.category.as_deref() == Some(CATEGORY);
                    let starts = |canary: &Canary| canary.need() == Need::Starts;
                    assignment.processes =
                        rules.summaries().iter().any(category) || rules.canaries().iter().any(starts);
                    assignment.detector = Some(detector);
                }
                Err(error) => assignment.problems.push(error.to_string()),
            }
        }
        let more = assignment.problems.len().saturating_sub(PROBLEMS_LIMIT);
        assignment.problems.truncate(PROBLEMS_LIMIT);
        if more > 0 {
            assignment.problems.push(format!("{more} more"));
        }
        assignment
    }

    fn take(&mut self, document: &Document, rules: &mut Rules) {
        match document.kind.as_str() {
            baseline::KIND => match Baseline::from_document(document) {
                Ok(baseline) => self.baselines.push(judged_by(baseline)),
                Err(faults) => self.problems.extend(faults.iter().map(ToString::to_string)),
            },
            "Health" => match Health::from_document(document) {
                Ok(health) => self.health.push(health),
                Err(fault) => self.problems.push(fault.to_string()),
            },
            watch::KIND => match Watches::from_document(document) {
                Ok(watches) => self.drift.push(watches),
                Err(fault) => {
                    self.lacks_drift = true;
                    self.problems.push(fault.to_string());
                }
            },
            rules::KIND => {
                self.canaries.extend(Packed::of(document));
                self.detection(document, rules);
            }
            // A newer server's: nothing here can judge it.
            other => self.problems.push(format!("{}: this agent knows no {other}", document.name)),
        }
    }

    /// A document whose rules can't be compiled is left out, so that the others can.
    fn detection(&mut self, document: &Document, rules: &mut Rules) {
        let mut own = Rules::default();
        let read = own.read_document(document).map_err(|fault| fault.to_string());
        let compiled =
            read.and_then(|()| Detector::new(&own).map_err(|error| format!("{}: {error}", document.name)));
        match compiled.map(|_| rules.read_document(document)) {
            // It was read a moment ago.
            Ok(_) => {}
            Err(problem) => self.problems.push(problem),
        }
    }
}

/// The baseline as far as judging needs it: what is for people and for authors stays on the server.
fn judged_by(mut baseline: Baseline) -> Baseline {
    for rule in &mut baseline.rules {
        rule.examples = Examples::default();
        rule.references = References::default();
        rule.fix = None;
        for words in [&mut rule.title, &mut rule.rationale, &mut rule.remediation] {
            *words = String::new();
        }
    }
    baseline
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(documents: &[&str]) -> Vec<Value> {
        documents.iter().map(|text| Value::parse(text).unwrap()).collect()
    }

    #[test]
    fn each_kind_is_read_and_what_can_not_be_is_named_while_the_rest_holds() {
        let sigma = "title: t\nlevel: high\nlogsource: {product: linux, service: sudo}\n\
            detection: {s: {outcome: failure}, condition: s}\n";
        let good =
            serde_json::json!({"kind": "Detection", "name": "sudo", "spec": {"sigma": sigma}}).to_string();
        let health = r#"{"kind":"Health","name":"host","spec":{"thresholds":[
            {"id":"disk","measure":"disk_used","above":"90%","severity":"high","summary":"full"}]}}"#;
        let bad = [
            r#"{"kind":"Detection","name":"bad","spec":{"sigma":"title: x"}}"#,
            r#"{"kind":"Baseline","name":"none","spec":{}}"#,
            r#"{"kind":"Oracle","name":"future","spec":{}}"#,
            r#"{"name":"kindless"}"#,
        ];
        let read = Assignment::read(values(&[&[good.as_str(), health], &bad[..]].concat()));
        assert_eq!((read.baselines.len(), read.health.len()), (0, 1));
        assert!(read.detector.is_some(), "{:?}", read.problems);
        assert_eq!(read.problems.len(), bad.len(), "{:?}", read.problems);
    }
}
