//! Findings that people have put something on, each with its history.

pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE finding (
        key {bytes} NOT NULL PRIMARY KEY, number {int} NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        owner TEXT, open {int} NOT NULL, changed_at {int} NOT NULL, body TEXT NOT NULL) {strict}",
    // By whose posture moved, by what a feed changed, by whose it is.
    "CREATE INDEX finding_by_number ON finding (number)",
    "CREATE INDEX finding_by_name ON finding (kind, name)",
    "CREATE INDEX finding_by_owner ON finding (owner, open)",
    "CREATE TABLE finding_event (
        key {bytes} NOT NULL, seq {int} NOT NULL, at {int} NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (key, seq)) {strict}",
];
