//! The detector: compiled rules, and the windows of correlations.

use std::collections::BTreeMap;

use bartizan_core::severity::Severity;
use rsigma_eval::event::JsonEvent;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, EvaluationResult, ResultBody};
use rsigma_parser::LogSource;
use serde::Serialize;
use serde_json::Value;

use crate::event::{Event, Source};
use crate::rules::{Rules, severity};

/// The most windows that correlations keep open; the oldest go first.
const WINDOWS_LIMIT: usize = 50_000;

/// The most events that one window counts; a correlation that asks for more can't fire.
const WINDOW_EVENTS_LIMIT: usize = 10_000;

/// Rules at work.
pub struct Detector {
    engine: CorrelationEngine,
}

/// A rule that matched an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// The rule's `id`; its title where it has none.
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub tags: Vec<String>,
    /// What matched, by field; for a correlation what its events have in common.
    pub fields: BTreeMap<String, String>,
    /// Whether several events together matched.
    pub correlated: bool,
}

/// Why rules could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the rules can't be compiled: {0}")]
pub struct Error(#[from] rsigma_eval::EvalError);

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("rules", &self.engine.detection_rule_count()).finish()
    }
}

impl Detector {
    /// Compiles rules. One that can't be compiled fails them all: leave it out by name.
    pub fn new(rules: &Rules) -> Result<Detector, Error> {
        let mut engine = CorrelationEngine::new(CorrelationConfig {
            max_state_entries: WINDOWS_LIMIT,
            max_group_entries: Some(WINDOW_EVENTS_LIMIT),
            emit_detections: false,
            ..CorrelationConfig::default()
        });
        engine.add_collection(&rules.collection)?;
        Ok(Detector { engine })
    }

    /// Tries one event: rules of its log source first, then the correlations that they feed.
    /// An event of an unknown source is tried against every rule.
    pub fn look(&mut self, event: &Event) -> Vec<Match> {
        let fields = Value::Object(event.fields.clone());
        let json = JsonEvent::borrow(&fields);
        let found = if event.source.is_unknown() {
            self.engine.evaluate(&json)
        } else {
            self.engine.engine().evaluate_with_logsource(&json, &logsource(&event.source))
        };
        let seconds = event.at.as_millis().div_euclid(1_000);
        let results = self.engine.process_with_detections(&json, found, seconds);
        results.into_iter().map(matched).collect()
    }
}

fn logsource(source: &Source) -> LogSource {
    LogSource {
        product: source.product.clone(),
        category: source.category.clone(),
        service: source.service.clone(),
        ..LogSource::default()
    }
}

fn matched(result: EvaluationResult) -> Match {
    let header = result.header;
    let (fields, correlated) = match result.body {
        ResultBody::Detection(body) => {
            let fields = body.matched_fields.into_iter().map(|found| (found.field, text(&found.value)));
            (fields.collect(), false)
        }
        ResultBody::Correlation(body) => (body.group_key.into_iter().collect(), true),
    };
    Match {
        rule: header.rule_id.unwrap_or_else(|| header.rule_title.clone()),
        title: header.rule_title,
        severity: severity(header.level),
        tags: header.tags,
        fields,
        correlated,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::time::Timestamp;

    const RULES: &str = "\
title: Failed login
id: failed
logsource: {product: linux, service: sshd}
level: low
detection:
  selection: {outcome: failure}
  condition: selection
---
title: Many failed logins
id: many
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [source_ip]
  timespan: 1m
  condition: {gte: 3}
";

    fn detector() -> Detector {
        let mut rules = Rules::default();
        rules.read("r.yml", RULES);
        assert!(rules.faults().is_empty(), "{:?}", rules.faults());
        Detector::new(&rules).unwrap()
    }

    fn event(service: &str, address: &str, second: i64) -> Event {
        let fields = serde_json::json!({"outcome": "failure", "source_ip": address});
        let Value::Object(fields) = fields else { unreachable!() };
        let at = Timestamp::from_millis(second * 1_000);
        Event { source: Source::linux_service(service), at, fields }
    }

    #[test]
    fn a_correlation_fires_for_the_group_that_reached_its_count() {
        let mut detector = detector();
        let mut fired = Vec::new();
        for second in 0..3 {
            fired.extend(detector.look(&event("sshd", "192.0.2.1", second)));
            fired.extend(detector.look(&event("sshd", &format!("192.0.2.{}", 10 + second), second)));
        }
        let many: Vec<&Match> = fired.iter().filter(|found| found.correlated).collect();
        assert_eq!(many.len(), 1, "{fired:?}");
        assert_eq!(many[0].fields["source_ip"], "192.0.2.1");
        assert_eq!(many[0].severity, Severity::High);
    }

    #[test]
    fn events_outside_the_window_do_not_count() {
        let mut detector = detector();
        let fired: Vec<Match> =
            (0..6).flat_map(|n| detector.look(&event("sshd", "192.0.2.1", n * 45))).collect();
        assert!(fired.iter().all(|found| !found.correlated), "{fired:?}");
    }

    #[test]
    fn a_rule_of_another_log_source_is_not_tried() {
        let mut detector = detector();
        for second in 0..5 {
            assert!(detector.look(&event("cron", "192.0.2.1", second)).is_empty());
        }
    }
}
