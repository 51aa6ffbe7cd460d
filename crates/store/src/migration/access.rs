//! Second factors, what sessions passed, and roles that wait for a second person.

pub(super) const STATEMENTS: &[&str] = &[
    // The secret is sealed by its owner; what is judged of it is in the body.
    "CREATE TABLE factor (
        person TEXT NOT NULL PRIMARY KEY, sealed {bytes} NOT NULL, generation {int} NOT NULL,
        confirmed {int} NOT NULL, body TEXT NOT NULL, CHECK (confirmed IN (0, 1))) {strict}",
    "ALTER TABLE session ADD COLUMN passed_at {int}",
    "ALTER TABLE session ADD COLUMN origin TEXT NOT NULL DEFAULT 'link' CHECK (origin IN ('link', 'local'))",
    "CREATE INDEX session_by_person ON session (person)",
    "CREATE TABLE role_request (
        id TEXT NOT NULL PRIMARY KEY, person TEXT NOT NULL, open {int} NOT NULL, body TEXT NOT NULL,
        CHECK (open IN (0, 1))) {strict}",
    "CREATE INDEX role_request_by_open ON role_request (open)",
];
