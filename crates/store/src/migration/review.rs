//! Reviews of baselines: when each was last reviewed, and the document as it was then.

pub(super) const STATEMENTS: &[&str] = &["CREATE TABLE review (
        baseline TEXT NOT NULL PRIMARY KEY, reviewed TEXT, body TEXT NOT NULL) {strict}"];
