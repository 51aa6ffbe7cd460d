//! Incident rules that ship: each opens an incident for its examples and leaves the others alone.
//!
//! Beside `NAME.yaml` stands `NAME.example.json`: for each rule by its name `{"opens": [ALERT, …], "passes": [ALERT, …]}`,
//! where an alert is `{"kind": …, "severity": …}` with `subject`, `service` and `environment` where they matter.

use std::collections::BTreeMap;

use bartizan_core::document;
use bartizan_core::id::AlertId;
use bartizan_core::incident::rule::IncidentRule;
use bartizan_core::monitoring::alert::{Alert, Counts, Group, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use serde::Deserialize;

use super::{Complaint, File};

const FOLDER: &str = "content/incidents/";

/// The examples of one rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    opens: Vec<Example>,
    passes: Vec<Example>,
}

/// What a rule looks at of an alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    kind: Kind,
    severity: Severity,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    environment: String,
}

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let shipped = files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".yaml"));
    shipped.flat_map(|file| check_file(file, files)).collect()
}

fn check_file(file: &File, files: &[File]) -> Vec<Complaint> {
    let complain = |message: String| Complaint::new(&file.path, message);
    let documents = match document::parse(&file.path, &file.text) {
        Ok(documents) => documents,
        Err(faults) => return faults.iter().map(|fault| complain(fault.to_string())).collect(),
    };
    let mut examples: BTreeMap<String, Examples> = match super::examples(file, files) {
        Ok(examples) => examples,
        Err(complaint) => return vec![complaint],
    };
    let mut complaints = Vec::new();
    for document in documents {
        match IncidentRule::from_document(&document) {
            Ok(rule) => {
                let tried = try_one(&document.name, &rule, examples.remove(&document.name));
                complaints.extend(tried.err().map(complain));
            }
            Err(fault) => complaints.push(complain(fault.to_string())),
        }
    }
    complaints
        .extend(examples.keys().map(|name| complain(format!("has examples of `{name}`, and no such rule"))));
    complaints
}

fn try_one(name: &str, rule: &IncidentRule, examples: Option<Examples>) -> Result<(), String> {
    let Some(examples) = examples.filter(|one| !one.opens.is_empty() && !one.passes.is_empty()) else {
        return Err(format!(
            "`{name}` needs at least one example that opens an incident and one that passes"
        ));
    };
    for (should, alerts) in [(true, &examples.opens), (false, &examples.passes)] {
        for (place, example) in alerts.iter().enumerate() {
            if rule.takes(&alert(example)) != should {
                let verb = if should { "opens nothing" } else { "opens an incident" };
                return Err(format!("`{name}` {verb} for example {place}"));
            }
        }
    }
    Ok(())
}

fn alert(example: &Example) -> Alert {
    let at = Timestamp::from_millis(0);
    Alert {
        id: AlertId::mint(at, [0; 10]),
        group: Group {
            kind: example.kind,
            subject: example.subject.clone(),
            service: example.service.clone(),
            environment: example.environment.clone(),
        },
        severity: example.severity,
        summary: String::new(),
        opened_at: at,
        grown_at: at,
        counts: Counts { firing: 1, ..Counts::default() },
        acknowledged: None,
        stage: Stage::Open,
        opened_by: None,
        surplus: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        "kind: IncidentRule\nname: severe\nspec: {minimum: high, matchers: ['kind!=canary']}\n";

    fn complaints(examples: Option<&str>) -> Vec<String> {
        let file = |name: &str, text: &str| File { path: format!("{FOLDER}{name}"), text: text.to_owned() };
        let mut files = vec![file("a.yaml", RULE)];
        files.extend(examples.map(|text| file("a.example.json", text)));
        check(&files).iter().map(ToString::to_string).collect()
    }

    fn examples(opens: &str, passes: &str) -> String {
        format!(r#"{{"severe": {{"opens": [{opens}], "passes": [{passes}]}}}}"#)
    }

    const GRAVE: &str = r#"{"kind": "detection", "severity": "high"}"#;
    const MILD: &str = r#"{"kind": "detection", "severity": "medium"}"#;

    #[test]
    fn a_rule_that_its_examples_prove_is_tidy() {
        let examples = examples(GRAVE, MILD);
        assert!(complaints(Some(&examples)).is_empty(), "{:?}", complaints(Some(&examples)));
    }

    #[test]
    fn a_rule_without_examples_or_that_they_do_not_prove_is_complained_of() {
        let both = "`severe` needs at least one example that opens an incident and one that passes";
        let table = [
            (None, "has no examples: put them into content/incidents/a.example.json"),
            (Some("{}".to_owned()), both),
            (Some(examples(GRAVE, "")), both),
            (Some(examples("", MILD)), both),
            (Some(examples(MILD, MILD)), "`severe` opens nothing for example 0"),
            (Some(examples(GRAVE, GRAVE)), "`severe` opens an incident for example 0"),
        ];
        for (examples, expected) in table {
            assert_eq!(complaints(examples.as_deref()), [format!("content/incidents/a.yaml: {expected}")]);
        }
    }
}
