//! Baselines that ship: each rule is tried on its own examples, through the parsers that read a
//! host; and the published schema is the one that the code reads.

use bartizan_core::configuration::baseline::{Baseline, schema};
use bartizan_core::document;
use bartizan_core::order::permit;
use bartizan_probe::query::try_examples;

use super::{Complaint, File};

const FOLDER: &str = "content/baselines/";
const SCHEMA: &str = "docs/reference/baseline.schema.json";

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let shipped = files.iter().filter(|file| file.path.starts_with(FOLDER));
    shipped.flat_map(check_file).chain(check_schema(files)).collect()
}

fn check_file(file: &File) -> Vec<Complaint> {
    let told = |faults: Vec<document::Fault>| -> Vec<Complaint> {
        let place = |fault: &document::Fault| format!("{}:{}", file.path, fault.line);
        faults.iter().map(|fault| Complaint::new(place(fault), fault.message.clone())).collect()
    };
    let documents = match document::parse(&file.path, &file.text) {
        Ok(documents) => documents,
        Err(faults) => return told(faults),
    };
    let mut complaints = Vec::new();
    for document in documents {
        let baseline = match Baseline::from_document(&document) {
            Ok(baseline) => baseline,
            Err(faults) => {
                complaints.extend(told(faults));
                continue;
            }
        };
        complaints.extend(told(fixes(&document, &baseline)));
        for failed in try_examples(&baseline) {
            let place = baseline.rules.iter().position(|rule| rule.id == failed.rule);
            let path = format!("rules[{}].{}", place.unwrap_or_default(), failed.place);
            complaints
                .extend(told(vec![document.fault(&path, format!("{} {}", failed.rule, failed.message))]));
        }
    }
    complaints
}

/// What ships as a fix is what an order may make on any host that allows its agent to enforce.
fn fixes(document: &document::Document, baseline: &Baseline) -> Vec<document::Fault> {
    let rules = baseline.rules.iter().enumerate();
    let denied = rules.filter_map(|(place, rule)| {
        let problem = permit::check(rule.fix.as_ref()?, &permit::Host::default()).err()?;
        Some(document.fault(&format!("rules[{place}].fix"), format!("{}: {problem}", rule.id)))
    });
    denied.collect()
}

fn check_schema(files: &[File]) -> Option<Complaint> {
    let written = files.iter().find(|file| file.path == SCHEMA).map(|file| &file.text);
    let current = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    let is_current = written.is_some_and(|written| written.trim_end() == current);
    let message = "is not the schema that is read: write it anew with `bartizan baseline schema`";
    (!is_current).then(|| Complaint::new(SCHEMA, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        let file = File { path: format!("{FOLDER}a.yaml"), text: text.to_owned() };
        check_file(&file).iter().map(ToString::to_string).collect()
    }

    const GOOD: &str = "\
kind: Baseline
name: a
spec:
  title: A
  rules:
    - id: one
      title: One
      rationale: Because.
      severity: low
      check: {file: {path: /a, exists: true}}
      remediation: Make it.
      examples:
        pass: [{files: {/a: x}}]
        fail: [{files: {/b: x}}]
";

    #[test]
    fn a_rule_that_its_examples_prove_is_tidy() {
        assert!(complaints(GOOD).is_empty(), "{:?}", complaints(GOOD));
    }

    #[test]
    fn a_rule_that_can_not_fail_or_is_not_tried_is_complained_of_at_its_example() {
        let table = [
            (GOOD.replace("/b: x", "/a: x"), "content/baselines/a.yaml:14: "),
            (GOOD.replace("        fail: [{files: {/b: x}}]\n", ""), "content/baselines/a.yaml:12: "),
            (GOOD.replace("path: /a", "paht: /a"), "content/baselines/a.yaml:10: "),
        ];
        for (text, expected) in table {
            let told = complaints(&text);
            assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?} {expected}");
        }
    }
}
