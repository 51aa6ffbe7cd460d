//! `bartizan detect --canaries`: whether rules can fire, by the canaries among the examples beside them.

use std::io::ErrorKind;
use std::path::Path;

use bartizan_core::severity::Severity;
use bartizan_detect::example::{self, Proof, State};
use serde::Serialize;

use super::{Arguments, files, none, reading};
use crate::exit::{Answer, Failure};
use crate::printer::{Printer, Rows};

#[derive(Debug, Serialize)]
struct Report {
    rules: Vec<Proof>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let mut rules = Vec::new();
    for file in files(&arguments.rules)? {
        let text = std::fs::read_to_string(&file).map_err(|error| reading(&file, &error))?;
        let proofs = example::prove(&text, examples(&file)?.as_deref());
        rules.extend(proofs.map_err(|fault| Failure::invalid(format_args!("{}: {fault}", file.display())))?);
    }
    if rules.is_empty() {
        return Err(none());
    }
    let report = Report { rules };
    Printer::new(arguments.output).print(&report, rows)?;
    Ok(answer(&report, arguments.fail_on))
}

/// The file of examples beside a file of rules, where there is one.
fn examples(rules: &Path) -> Result<Option<String>, Failure> {
    let beside = rules.with_extension(example::EXTENSION);
    match std::fs::read_to_string(&beside) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(reading(&beside, &error)),
    }
}

fn answer(report: &Report, fail_on: Option<Severity>) -> Answer {
    let Some(level) = fail_on else { return Answer::Answered };
    let is = |state| report.rules.iter().any(|proof| proof.state == state && proof.severity >= level);
    if is(State::CanNotFire) {
        Answer::Found
    } else if is(State::Unproved) {
        Answer::PartlyUnknown
    } else {
        Answer::Answered
    }
}

fn rows(report: &Report) -> Rows {
    let row = |proof: &Proof| {
        let state = match proof.state {
            State::CanFire => "can fire",
            State::CanNotFire => "can't fire: its canary does not match",
            State::Unproved => "unproved: it has no canary",
        };
        vec![proof.severity.to_string(), proof.title.clone(), state.to_owned()]
    };
    Rows { header: vec!["severity", "rule", "state"], rows: report.rules.iter().map(row).collect() }
}
