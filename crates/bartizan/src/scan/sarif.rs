//! The answer as SARIF 2.1.0 (OASIS): a rule for each vulnerability, a result for each affected package.

use std::collections::BTreeMap;

use bartizan_core::severity::Severity;
use bartizan_core::vulnerability::matching::Verdict;
use serde_json::{Value, json};

use super::Answer;
use super::finding::Finding;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn log(answer: &Answer) -> Value {
    let affected = || answer.findings.iter().filter(|found| found.verdict == Verdict::Affected);
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for found in affected() {
        rules.entry(&found.vulnerability).or_insert_with(|| rule(found));
    }
    let notifications: Vec<Value> = answer
        .unknown
        .iter()
        .map(|unknown| {
            let text = format!("{} is unknown ({}): {}", unknown.what, unknown.reason, unknown.problem);
            json!({ "level": "warning", "message": { "text": text } })
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bartizan",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notifications }],
            "results": affected().map(|found| result(found, &answer.scanned.place)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(found: &Finding) -> Value {
    let score = found.severity.as_ref().and_then(|severity| severity.score);
    json!({
        "id": found.vulnerability,
        "shortDescription": { "text": format!("{} in {}", found.vulnerability, found.source) },
        "properties": { "security-severity": score.map(|score| format!("{score:.1}")) },
    })
}

fn result(found: &Finding, place: &str) -> Value {
    let level = match found.severity.as_ref().map(|severity| severity.rating) {
        Some(Severity::High | Severity::Critical) => "error",
        Some(Severity::None | Severity::Low) => "note",
        Some(Severity::Medium) | None => "warning",
    };
    let fix = found
        .fixed
        .as_ref()
        .map_or_else(|| "there is no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    let text = format!("{} {} has {}; {fix}", found.package, found.installed, found.vulnerability);
    json!({
        "ruleId": found.vulnerability,
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": place } },
            "logicalLocations": [{ "fullyQualifiedName": format!("{}@{}", found.package, found.installed), "kind": "package" }],
        }],
        "partialFingerprints": { "bartizan/v1": found.id },
    })
}
