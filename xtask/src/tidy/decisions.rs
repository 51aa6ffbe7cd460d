//! Decision records: numbered without a gap, each with the same five headings.

use super::{Complaint, File};

const FOLDER: &str = "docs/decisions/";
const HEADINGS: [&str; 5] = ["## Status", "## Context", "## Decision", "## Consequences", "## Alternatives"];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut records: Vec<&File> =
        files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".md")).collect();
    records.sort_by(|a, b| a.path.cmp(&b.path));
    let mut complaints = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let number = format!("{:04}-", place + 1);
        let name = record.path.strip_prefix(FOLDER).unwrap_or_default();
        if !name.starts_with(&number) {
            let message = format!("should be number {}: records count up without a gap", place + 1);
            complaints.push(Complaint::new(&record.path, message));
        }
        for heading in HEADINGS.iter().filter(|heading| !record.text.contains(**heading)) {
            complaints.push(Complaint::new(&record.path, format!("has no `{heading}`")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, text: &str) -> File {
        File { path: format!("{FOLDER}{name}"), text: text.to_owned() }
    }

    #[test]
    fn a_gap_and_a_missing_heading_are_complained_of() {
        let whole = HEADINGS.join("\n\ntext\n\n");
        assert!(check(&[record("0001-a.md", &whole), record("0002-b.md", &whole)]).is_empty());
        assert_eq!(check(&[record("0001-a.md", &whole), record("0003-b.md", &whole)]).len(), 1);
        assert_eq!(check(&[record("0001-a.md", "## Status")]).len(), 4);
    }
}
