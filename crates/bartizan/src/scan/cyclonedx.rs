//! The answer as a CycloneDX 1.6 vulnerability disclosure report (ECMA-424): components and what they have.

use std::collections::BTreeMap;

use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::matching::Verdict;
use serde_json::{Value, json};

use super::Answer;
use super::finding::Finding;

pub(super) fn document(answer: &Answer, now: Timestamp) -> Value {
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    for found in &answer.findings {
        let reference = reference(found);
        components.entry(reference).or_insert_with_key(|reference| {
            json!({ "type": "library", "bom-ref": reference, "name": found.package, "version": found.installed })
        });
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": now.to_string(),
            "tools": { "components": [{
                "type": "application", "name": "bartizan", "version": env!("CARGO_PKG_VERSION"),
            }] },
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "vulnerabilities": answer.findings.iter().map(vulnerability).collect::<Vec<_>>(),
    })
}

fn reference(found: &Finding) -> String {
    format!("{}:{}@{}", found.package, found.architecture, found.installed)
}

fn vulnerability(found: &Finding) -> Value {
    let (state, status) = match found.verdict {
        Verdict::Affected => ("exploitable", "affected"),
        Verdict::Fixed => ("resolved", "unaffected"),
        Verdict::NotAffected => ("not_affected", "unaffected"),
        Verdict::Unknown(_) => ("in_triage", "unknown"),
    };
    let ratings: Vec<Value> = found
        .severity
        .iter()
        .map(|severity| {
            let mut rating = json!({ "severity": severity.rating });
            if let (Some(fields), Some(score)) = (rating.as_object_mut(), severity.score) {
                fields.insert("score".to_owned(), json!(score));
                fields.insert("vector".to_owned(), json!(severity.vector));
            }
            rating
        })
        .collect();
    let mut value = json!({
        "bom-ref": found.id,
        "id": found.vulnerability,
        "source": { "name": found.feed.name },
        "ratings": ratings,
        "affects": [{ "ref": reference(found), "versions": [{ "version": found.installed, "status": status }] }],
        "analysis": { "state": state, "detail": found.evidence },
    });
    if let (Some(fields), Some(fixed)) = (value.as_object_mut(), &found.fixed) {
        let text = format!("install {} {fixed} or later", found.source);
        fields.insert("recommendation".to_owned(), json!(text));
    }
    value
}
