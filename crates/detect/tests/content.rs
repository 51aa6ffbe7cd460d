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
            Ok(examples) => complaints.extend(example::run(&name, &rules, &examples)),
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
    assert_eq!(example::run("r.yml", rules, examples).len(), 2);
}
