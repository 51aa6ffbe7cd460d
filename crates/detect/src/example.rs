//! Examples: each rule that ships stands beside events that must match it and events that
//! must not. A rule without both is no rule of ours.
//!
//! `NAME.yml` is the rule, `NAME.example.json` its examples:
//! `{"source": {…}, "match": [[EVENT, …], …], "pass": [[EVENT, …], …], "canaries": [CANARY, …]}`, where each
//! inner list is one series of events, one second apart. The canaries go into the document that carries the
//! rule; each rule whose matches are told needs one that matches.

use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canary::{self, Form, Need, Subject};
use crate::detector::Detector;
use crate::event::{Event, Source};
use crate::rules::Rules;

/// What the file of examples is called beside `NAME.yml`: `NAME.example.json`.
pub const EXTENSION: &str = "example.json";

/// Whether a rule can fire, as far as its canaries show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The rule's `id`; its title where it has none.
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    CanFire,
    /// A canary of it does not match.
    CanNotFire,
    /// It has no canary.
    Unproved,
}

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
    #[serde(default)]
    canaries: Vec<canary::Written>,
}

/// The canaries of a file of examples, as a document writes them; an empty list where it has none.
pub fn canaries(examples_text: &str) -> Result<Value, serde_json::Error> {
    let examples: Map<String, Value> = serde_json::from_str(examples_text)?;
    Ok(examples.get("canaries").cloned().unwrap_or_else(|| Value::Array(Vec::new())))
}

/// Runs the examples and canaries of a file of rules; gives what is wrong, a line each.
pub fn run(rules_text: &str, examples_text: &str) -> Vec<String> {
    let examples: Examples = match serde_json::from_str(examples_text) {
        Ok(examples) => examples,
        Err(error) => return vec![format!("its examples can't be read: {error}")],
    };
    if examples.matching.is_empty() || examples.pass.is_empty() {
        return vec!["needs at least one matching and one passing example".to_owned()];
    }
    let proved = read(rules_text, examples.canaries.clone()).and_then(|rules| Ok((proofs(&rules)?, rules)));
    let (proofs, rules) = match proved {
        Ok(proved) => proved,
        Err(fault) => return vec![fault],
    };
    let complaint = |proof: &Proof| match proof.state {
        State::CanFire => None,
        State::CanNotFire => Some(format!("`{}` does not match its canary", proof.rule)),
        State::Unproved => Some(format!("`{}` has no canary", proof.rule)),
    };
    let mut complaints: Vec<String> = proofs.iter().filter_map(complaint).collect();
    let expected = [(true, &examples.matching), (false, &examples.pass)];
    for (should_match, series) in expected {
        for (place, events) in series.iter().enumerate() {
            match matches(&rules, &examples, events) {
                Ok(found) if found == should_match => {}
                Ok(_) => {
                    let verb = if should_match { "does not match" } else { "matches" };
                    complaints.push(format!("`{}` {verb} example {place}", examples.rule));
                }
                Err(message) => complaints.push(message),
            }
        }
    }
    complaints
}

/// Runs the canaries of a file of rules, which stand among its examples; gives how each rule stands whose matches
/// are told. An error says what can't be read.
pub fn prove(rules_text: &str, examples_text: Option<&str>) -> Result<Vec<Proof>, String> {
    let examples = examples_text.unwrap_or("{}");
    let canaries = canaries(examples).and_then(serde_json::from_value);
    let canaries = canaries.map_err(|error| format!("its canaries can't be read: {error}"))?;
    proofs(&read(rules_text, canaries)?)
}

/// Rules with their canaries; an error says what is wrong first.
fn read(rules_text: &str, canaries: Vec<canary::Written>) -> Result<Rules, String> {
    let mut rules = Rules::default();
    rules.read("", rules_text);
    if let Some(fault) = rules.faults().first() {
        return Err(fault.message.clone());
    }
    match rules.take_canaries(canaries, (0, 0)).first() {
        Some((key, message)) => Err(format!("{key}: {message}")),
        None => Ok(rules),
    }
}

fn proofs(rules: &Rules) -> Result<Vec<Proof>, String> {
    let proof = |subject: Subject| {
        let mut state = State::Unproved;
        for canary in rules.canaries().iter().filter(|canary| canary.rule() == subject.id) {
            // A log file tells less than the journal: what must match everywhere is tried there.
            let form = if canary.need() == Need::Journal { Form::Journal } else { Form::LogFile };
            if !canary.matches(rules, form).map_err(|error| error.to_string())? {
                state = State::CanNotFire;
                break;
            }
            state = State::CanFire;
        }
        Ok(Proof { rule: subject.id, title: subject.title, severity: subject.severity, state })
    };
    rules.subjects().into_iter().map(proof).collect()
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
