//! The answer as CycloneDX 1.6 (ECMA-424): every package that was judged, with its package URL, and what
//! it has. `scan sbom` reads it back.

use std::collections::BTreeMap;

use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::matching::{Tuple, Verdict};
use serde_json::{Value, json};

use super::finding::Finding;
use super::{Answer, sbom};

pub(super) fn document(answer: &Answer, now: Timestamp) -> Value {
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    for tuple in &answer.tuples {
        let reference = reference(&tuple.package, &tuple.architecture, &tuple.version);
        components.entry(reference).or_insert_with_key(|reference| component(reference, tuple));
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

fn reference(package: &str, architecture: &str, version: &str) -> String {
    format!("{package}:{architecture}@{version}")
}

fn component(reference: &str, tuple: &Tuple) -> Value {
    let (name, version) = (&tuple.package, &tuple.version);
    let mut value = json!({ "type": "library", "bom-ref": reference, "name": name, "version": version });
    if let (Some(fields), Some(purl)) = (value.as_object_mut(), sbom::purl(tuple)) {
        fields.insert("purl".to_owned(), json!(purl));
    }
    value
}

fn vulnerability(found: &Finding) -> Value {
    let reference = reference(&found.package, &found.architecture, &found.installed);
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
        "affects": [{ "ref": reference, "versions": [{ "version": found.installed, "status": status }] }],
        "analysis": { "state": state, "detail": found.evidence },
    });
    if let (Some(fields), Some(fixed)) = (value.as_object_mut(), &found.fixed) {
        let text = format!("install {} {fixed} or later", found.source);
        fields.insert("recommendation".to_owned(), json!(text));
    }
    value
}
