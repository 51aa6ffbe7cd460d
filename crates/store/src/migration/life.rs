//! The log of assets' lives, and what is found without reading every row.

pub(super) const STATEMENTS: &[&str] = &[
    // Whoever watches assets reads whose life changed, and no other.
    "CREATE TABLE asset_life (
        seq {int} NOT NULL PRIMARY KEY, number {int} NOT NULL, life TEXT NOT NULL, at {int} NOT NULL) {strict}",
    // The retired and the declared are counted for pages.
    "CREATE INDEX asset_by_life ON asset (life)",
    // What is past is found by its time.
    "CREATE INDEX session_by_end ON session (expires_at)",
    "CREATE INDEX sign_in_link_by_end ON sign_in_link (expires_at)",
    "CREATE INDEX alert_by_change ON alert (changed_at, id)",
];
