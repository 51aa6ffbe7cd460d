//! The answer for people: rows, then what to do.

use std::fmt::Write as _;

use bartizan_core::vulnerability::matching::{FixState, Verdict};

use super::Answer;
use super::finding::Finding;
use crate::printer::{self, Rows, printable, table};

/// Packages that are named of those that wait together.
const NAMED: usize = 8;

pub(super) fn rows(answer: &Answer) -> Rows {
    Rows {
        header: vec![
            "vulnerability",
            "package",
            "installed",
            "fixed",
            "verdict",
            "fix",
            "severity",
            "kev",
            "epss",
        ],
        rows: answer.findings.iter().map(row).collect(),
    }
}

fn row(found: &Finding) -> Vec<String> {
    let verdict = match found.verdict {
        Verdict::Unknown(reason) => format!("unknown: {reason}"),
        known => known.as_str().to_owned(),
    };
    let severity = found.severity.as_ref().map(|severity| match severity.score {
        Some(score) => format!("{} {score:.1}", severity.rating),
        None => severity.rating.to_string(),
    });
    vec![
        found.vulnerability.clone(),
        found.package.clone(),
        found.installed.clone(),
        found.fixed.clone().unwrap_or_default(),
        verdict,
        found.fix_state.map_or("", FixState::as_str).to_owned(),
        severity.unwrap_or_default(),
        found.kev.as_ref().map(|kev| format!("due {}", kev.due)).unwrap_or_default(),
        found.epss.as_ref().map(|epss| format!("{:.5}", epss.probability)).unwrap_or_default(),
    ]
}

/// The table, with what to do at its end.
pub(super) fn text(answer: &Answer) -> String {
    let mut text = String::new();
    if !answer.findings.is_empty() {
        text.push_str(&table(&rows(answer)));
        text.push('\n');
    }
    let place = printable(&answer.scanned.place);
    let packages = printer::count(answer.scanned.packages as u64, "package", "packages");
    let found = count(answer);
    // Writing into a string does not fail.
    let _ = writeln!(text, "{packages} in {place}: {found}\n\nACTIONS");
    for action in &answer.actions {
        let where_from = if action.installable { "" } else { " (not seen in this host's repositories)" };
        let then = action.then.map(|then| format!(", then {then}")).unwrap_or_default();
        let install = printable(&action.install.join(" "));
        let version = printable(&action.version);
        let _ = writeln!(text, "install {install} {version}{then}: closes {}{where_from}", action.closes);
    }
    for waiting in &answer.without_fix {
        let names: Vec<String> = waiting.packages.iter().take(NAMED).map(|name| printable(name)).collect();
        let more = waiting.packages.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let state = waiting.fix_state.as_str().replace('_', " ");
        let _ = writeln!(text, "no fix ({state}): {} in {}{more}", waiting.findings, names.join(" "));
    }
    if answer.actions.is_empty() && answer.without_fix.is_empty() {
        let known = if answer.unknown.is_empty() { "" } else { " of what is known" };
        let _ = writeln!(text, "none{known}");
    }
    if !answer.unknown.is_empty() {
        text.push_str("\nUNKNOWN\n");
    }
    for unknown in &answer.unknown {
        let (what, problem) = (printable(&unknown.what), printable(&unknown.problem));
        let _ = writeln!(text, "{what}: {} ({problem})", unknown.reason);
    }
    text
}

/// How many findings there are. Where no feed judged, that is not none.
fn count(answer: &Answer) -> String {
    if answer.feeds.is_empty() {
        return "not judged by any feed".to_owned();
    }
    let affected = answer.findings.iter().filter(|found| found.verdict == Verdict::Affected).count();
    let unknown = answer.findings.iter().filter(|found| matches!(found.verdict, Verdict::Unknown(_))).count();
    let beside = if unknown > 0 { format!(", and {unknown} that may be") } else { String::new() };
    format!("{}{beside}", printer::count(affected as u64, "finding", "findings"))
}
