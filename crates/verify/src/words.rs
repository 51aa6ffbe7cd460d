//! What was verified, in words.

use std::fmt::Write as _;

use bartizan_ledger::bundle::Content;
use bartizan_ledger::bundle::verify::Report;

/// The report as the reader sees it.
pub(crate) fn verified(report: &Report) -> String {
    let head = &report.checkpoint;
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", printable(&words));
    };
    line(match report.content {
        Content::Whole => format!("verified: the whole log `{}`, {}", head.origin, leaves(head.size)),
        Content::Selection => {
            format!(
                "verified: {} of the {} of the log `{}`",
                leaves(report.leaves),
                leaves(head.size),
                head.origin
            )
        }
    });
    line(format!("  root    {}", head.root));
    let held =
        if report.key_held { "the one you hold" } else { "out of the bundle: compare it with one you hold" };
    line(format!("  key     {} ({held})", report.key));
    if report.content == Content::Whole {
        line(format!("  sources {}, none with a gap", report.sources));
    }
    line(format!(
        "  bodies  {} fit their leaves, {} not in the bundle (erased or withheld)",
        report.bodies, report.bodies_absent
    ));
    match report.truncation_excluded_up_to() {
        Some(newest) => {
            line(format!("  history continues {} that you hold", checkpoints(report.continues.len())));
            line(format!("  truncation excluded up to {}, not beyond", leaves(newest)));
        }
        None => line("  truncation not excluded: give a --checkpoint that was kept elsewhere".to_owned()),
    }
    text
}

fn leaves(count: u64) -> String {
    if count == 1 { "1 leaf".to_owned() } else { format!("{count} leaves") }
}

fn checkpoints(count: usize) -> String {
    if count == 1 { "the checkpoint".to_owned() } else { format!("all {count} checkpoints") }
}

/// What a bundle says would else drive the reader's terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
