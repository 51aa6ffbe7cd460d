//! Whether somebody has taken an alert on, so that pages count the open ones without reading them.

pub(super) const STATEMENTS: &[&str] = &[
    "ALTER TABLE alert ADD COLUMN acknowledged {int} NOT NULL DEFAULT 0",
    "UPDATE alert SET acknowledged = 1 WHERE {body.acknowledged} IS NOT NULL",
];
