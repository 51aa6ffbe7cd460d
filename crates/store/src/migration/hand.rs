//! By whose hand a document came, where no change brought it.

pub(super) const STATEMENTS: &[&str] = &["ALTER TABLE document ADD COLUMN applied_by TEXT"];
