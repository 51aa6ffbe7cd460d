//! Every rule that ships matches its own examples, and passes what it must.

use std::path::{Path, PathBuf};

use bartizan_core::monitoring::health::Health;
use bartizan_detect::example;

fn content(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content").join(folder)
}

#[test]
fn every_detection_matches_its_examples_and_passes_the_others() {
    let mut complaints = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(content("detections/linux")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let rules = std::fs::read_to_string(&path).unwrap();
        match std::fs::read_to_string(path.with_extension("example.json")) {
            Ok(examples) => {
                let wrong = example::run(&rules, &examples);
                complaints.extend(wrong.iter().map(|message| format!("{name}: {message}")));
            }
            Err(error) => complaints.push(format!("{name}: has no examples: {error}")),
        }
    }
    assert!(count >= 12, "only {count} detections were found");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_shipped_health_thresholds_are_sound() {
    let path = content("health/host.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let documents = bartizan_core::document::parse("host.yaml", &text).unwrap();
    let health = Health::from_document(&documents[0]).unwrap();
    assert_eq!(health.thresholds.len(), 10);
}

#[test]
fn an_example_that_does_not_hold_is_complained_of() {
    let rules = "title: t\nid: r\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n";
    let examples =
        r#"{"rule": "r", "source": {"product": "linux"}, "match": [[{"a": "c"}]], "pass": [[{"a": "b"}]]}"#;
    assert_eq!(example::run(rules, examples).len(), 2);
}

#[test]
fn a_rule_without_a_canary_or_with_one_that_does_not_match_is_complained_of() {
    let rules = "title: t\nid: r\nlevel: low\nlogsource: {product: linux}\n\
        detection: {s: {message: hello}, condition: s}\n";
    let with = |canaries: &str| {
        let examples = format!(
            r#"{{"rule": "r", "source": {{"product": "linux"}}, "match": [[{{"message": "hello"}}]],
                "pass": [[{{"message": "b"}}]], "canaries": {canaries}}}"#
        );
        example::run(rules, &examples)
    };
    assert!(with(r#"[{"rule": "r", "lines": ["app: hello"]}]"#).is_empty());
    assert_eq!(with("[]"), ["`r` has no canary"]);
    assert_eq!(with(r#"[{"rule": "r", "lines": ["app: goodbye"]}]"#), ["`r` does not match its canary"]);
    let broken = with(r#"[{"rule": "r", "lines": []}]"#);
    assert!(broken[0].starts_with("canaries[0].lines: is empty"), "{broken:?}");
}
