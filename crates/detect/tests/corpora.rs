//! Rules and events that others wrote, through `BARTIZAN_CORPORA`.
#![expect(clippy::disallowed_methods, reason = "tests are told by the environment where corpora are")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it left out"
)]

use std::path::{Path, PathBuf};

use bartizan_core::time::Timestamp;
use bartizan_detect::detector::Detector;
use bartizan_detect::event::{Event, Source, flatten_windows};
use bartizan_detect::rules::Rules;

fn corpus(test: &str, folder: &str) -> Option<PathBuf> {
    let Ok(corpora) = std::env::var("BARTIZAN_CORPORA") else {
        println!("left out: {test} (BARTIZAN_CORPORA is not set)");
        return None;
    };
    let folder = Path::new(&corpora).join(folder);
    assert!(folder.is_dir(), "{} is not there: the corpora are incomplete", folder.display());
    Some(folder)
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
}

fn all_rules(folder: &Path) -> (Rules, usize) {
    let mut paths = Vec::new();
    files(folder, "yml", &mut paths);
    let mut rules = Rules::default();
    for path in &paths {
        rules.read(&path.to_string_lossy(), &std::fs::read_to_string(path).unwrap());
    }
    (rules, paths.len())
}

#[test]
fn every_public_rule_is_read_and_compiled_or_named() {
    let Some(folder) = corpus("every_public_rule_is_read_and_compiled_or_named", "detection/sigma/rules")
    else {
        return;
    };
    let (rules, files) = all_rules(&folder);
    assert!(files > 3_000, "only {files} files of rules");
    assert!(rules.faults().is_empty(), "{:?}", rules.faults());
    assert!(rules.len() >= files);
    Detector::new(&rules).unwrap();
}

#[test]
fn recorded_events_match_the_rule_that_they_were_recorded_for() {
    let name = "recorded_events_match_the_rule_that_they_were_recorded_for";
    let Some(regression) = corpus(name, "detection/sigma-regression") else { return };
    let Some(folder) = corpus(name, "detection/sigma/rules") else { return };
    let (rules, _) = all_rules(&folder);
    let known: Vec<String> = rules.summaries().into_iter().map(|summary| summary.id).collect();
    let mut detector = Detector::new(&rules).unwrap();
    let mut events = Vec::new();
    files(&regression, "json", &mut events);
    let (mut tried, mut missed) = (0, Vec::new());
    for path in events {
        let id = path.file_stem().unwrap().to_string_lossy().into_owned();
        // Some were recorded for rules of folders that the corpus does not hold.
        if !known.contains(&id) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let series = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
        tried += 1;
        let mut hit = false;
        for value in series {
            let value = value.unwrap();
            let values = match value {
                serde_json::Value::Array(values) => values,
                other => vec![other],
            };
            for value in values {
                let serde_json::Value::Object(fields) = value else { panic!("{}", path.display()) };
                let fields = flatten_windows(fields);
                let at = Timestamp::from_millis(0);
                let event = Event { source: Source::default(), at, fields };
                hit |= detector.look(&event).iter().any(|found| found.rule == id);
            }
        }
        if !hit {
            missed.push(path);
        }
    }
    assert!(tried > 50, "only {tried} recordings have their rule in the corpus");
    assert!(missed.is_empty(), "{} of {tried} missed: {missed:#?}", missed.len());
}
