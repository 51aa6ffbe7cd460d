//! Examples: each rule that ships stands beside events that must match it and events that
//! must not. A rule without both is no rule of ours.
//!
//! `NAME.yml` is the rule, `NAME.example.json` its examples:
//! `{"source": {…}, "match": [[EVENT, …], …], "pass": [[EVENT, …], …]}`, where each inner list is
//! one series of events, one second apart.

use bartizan_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::detector::Detector;
use crate::event::{Event, Source};
use crate::rules::Rules;

/// The examples of one file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    /// The rule that is exemplified.
    rule: String,
    source: Source,
    #[serde(rename = "match")]
    matching: Vec<Vec<Map<String, Value>>>,
    pass: Vec<Vec<Map<String, Value>>>,
}

/// Runs the examples of a file of rules; gives what is wrong, a line each.
pub fn run(rule_file: &str, rules_text: &str, examples_text: &str) -> Vec<String> {
    let wrong = |message: String| vec![format!("{rule_file}: {message}")];
    let examples: Examples = match serde_json::from_str(examples_text) {
        Ok(examples) => examples,
        Err(error) => return wrong(format!("its examples can't be read: {error}")),
    };
    if examples.matching.is_empty() || examples.pass.is_empty() {
        return wrong("needs at least one matching and one passing example".to_owned());
    }
    let mut rules = Rules::default();
    rules.read(rule_file, rules_text);
    if let Some(fault) = rules.faults().first() {
        return wrong(fault.message.clone());
    }
    let expected = [(true, &examples.matching), (false, &examples.pass)];
    let mut complaints = Vec::new();
    for (should_match, series) in expected {
        for (place, events) in series.iter().enumerate() {
            match matches(&rules, &examples, events) {
                Ok(found) if found == should_match => {}
                Ok(_) => {
                    let verb = if should_match { "does not match" } else { "matches" };
                    complaints.push(format!("{rule_file}: `{}` {verb} example {place}", examples.rule));
                }
                Err(message) => complaints.push(format!("{rule_file}: {message}")),
            }
        }
    }
    complaints
}

fn matches(rules: &Rules, examples: &Examples, events: &[Map<String, Value>]) -> Result<bool, String> {
    let mut detector = Detector::new(rules).map_err(|error| error.to_string())?;
    let mut found = false;
    for (second, fields) in (0i64..).zip(events) {
        let at = Timestamp::from_millis(second * 1_000);
        let event = Event { source: examples.source.clone(), at, fields: fields.clone() };
        found |= detector.look(&event).iter().any(|found| found.rule == examples.rule);
    }
    Ok(found)
}
