//! What people declared of environments.

pub(super) const STATEMENTS: &[&str] = &["CREATE TABLE environment (
        name TEXT NOT NULL PRIMARY KEY, gate TEXT NOT NULL, declared_at {int} NOT NULL,
        CHECK (gate IN ('open', 'self-approved', 'approved'))) {strict}"];
