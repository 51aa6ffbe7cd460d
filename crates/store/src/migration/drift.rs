//! Drift that people accounted for.

pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE explanation (
        number {int} NOT NULL,
        object TEXT NOT NULL,
        standing TEXT,
        person TEXT NOT NULL,
        at {int} NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (number, object)
    ){strict}",
    "CREATE INDEX explanation_by_time ON explanation (at)",
];
