//! Health thresholds that ship: each fires on its examples and stays well on the others.
//!
//! Beside `NAME.yaml` stands `NAME.example.json`: for each threshold by its id
//! `{"every": "1m", "fires": [[VALUE, …], …], "passes": [[VALUE, …], …]}`, where each inner list is one series of
//! samples, that far apart; `null` is a sample that is missing.

use std::collections::BTreeMap;

use bartizan_core::document;
use bartizan_core::monitoring::health::{Health, Quantity, State, Threshold, Transition};
use bartizan_core::time::{Duration, Timestamp};
use serde::Deserialize;

use super::{Complaint, File};

const FOLDER: &str = "content/health/";

/// The examples of one threshold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    every: Duration,
    fires: Vec<Vec<Option<Quantity>>>,
    passes: Vec<Vec<Option<Quantity>>>,
}

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let shipped = files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".yaml"));
    shipped.flat_map(|file| check_file(file, files)).collect()
}

fn check_file(file: &File, files: &[File]) -> Vec<Complaint> {
    let complain = |message: String| Complaint::new(&file.path, message);
    let documents = match document::parse(&file.path, &file.text) {
        Ok(documents) => documents,
        Err(faults) => return faults.iter().map(|fault| complain(fault.to_string())).collect(),
    };
    let mut examples: BTreeMap<String, Examples> = match super::examples(file, files) {
        Ok(examples) => examples,
        Err(complaint) => return vec![complaint],
    };
    let mut complaints = Vec::new();
    for document in documents {
        match Health::from_document(&document) {
            Ok(health) => complaints.extend(health.thresholds.iter().filter_map(|threshold| {
                try_one(threshold, examples.remove(&threshold.id)).err().map(complain)
            })),
            Err(fault) => complaints.push(complain(fault.to_string())),
        }
    }
    complaints
        .extend(examples.keys().map(|id| complain(format!("has examples of `{id}`, and no such threshold"))));
    complaints
}

fn try_one(threshold: &Threshold, examples: Option<Examples>) -> Result<(), String> {
    let id = &threshold.id;
    let Some(examples) = examples.filter(|one| !one.fires.is_empty() && !one.passes.is_empty()) else {
        return Err(format!("`{id}` needs at least one example that fires and one that passes"));
    };
    for (should, series) in [(true, &examples.fires), (false, &examples.passes)] {
        for (place, samples) in series.iter().enumerate() {
            let wrong = samples.iter().flatten().find(|sample| !threshold.measure.takes(**sample));
            if let Some(sample) = wrong {
                return Err(format!("`{id}`: {sample} is not in the unit of its measure"));
            }
            if fires(threshold, samples, examples.every) != should {
                let verb = if should { "does not fire" } else { "fires" };
                return Err(format!("`{id}` {verb} on example {place}"));
            }
        }
    }
    Ok(())
}

/// Whether a threshold fires on a series of samples.
fn fires(threshold: &Threshold, samples: &[Option<Quantity>], every: Duration) -> bool {
    let (mut state, mut now, mut fired) = (State::Well, Timestamp::from_millis(0), false);
    for sample in samples {
        let (next, transition) = threshold.step(state, *sample, now);
        fired |= transition == Transition::Fired;
        (state, now) = (next, now.plus(every));
    }
    fired
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH: &str = "kind: Health\nname: host\nspec:\n  thresholds:\n    - \
        {id: memory, measure: memory_used, above: 95%, for: 2m, severity: high, summary: full}\n";

    fn complaints(examples: Option<&str>) -> Vec<String> {
        let file = |name: &str, text: &str| File { path: format!("{FOLDER}{name}"), text: text.to_owned() };
        let mut files = vec![file("a.yaml", HEALTH)];
        files.extend(examples.map(|text| file("a.example.json", text)));
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_threshold_that_its_examples_prove_is_tidy() {
        let examples = r#"{"memory": {"every": "1m", "fires": [["96%", "97%", "96%"]],
            "passes": [["96%", "96%"], ["95%", "95%", "95%", "95%"], ["96%", "90%", "96%"]]}}"#;
        assert!(complaints(Some(examples)).is_empty(), "{:?}", complaints(Some(examples)));
    }

    #[test]
    fn a_threshold_without_examples_or_that_they_do_not_prove_is_complained_of() {
        let one = |fires: &str, passes: &str| {
            format!(r#"{{"memory": {{"every": "1m", "fires": [{fires}], "passes": [{passes}]}}}}"#)
        };
        let good = r#"["96%", "96%", "96%"]"#;
        let table = [
            (None, "has no examples: put them into content/health/a.example.json"),
            (Some("{}".to_owned()), "`memory` needs at least one example that fires and one that passes"),
            (Some(one(good, "")), "`memory` needs at least one example that fires and one that passes"),
            (Some(one(r#"["96%"]"#, r#"["1%"]"#)), "`memory` does not fire on example 0"),
            (Some(one(good, good)), "`memory` fires on example 0"),
            (Some(one(r#"["96ms"]"#, r#"["1%"]"#)), "`memory`: 96ms is not in the unit of its measure"),
            (
                Some(one(good, r#"["1%"]"#).replacen(
                    '{',
                    r#"{"swap": {"every": "1m", "fires": [], "passes": []}, "#,
                    1,
                )),
                "has examples of `swap`, and no such threshold",
            ),
        ];
        for (examples, expected) in table {
            assert_eq!(complaints(examples.as_deref()), [format!("content/health/a.yaml: {expected}")]);
        }
    }
}
