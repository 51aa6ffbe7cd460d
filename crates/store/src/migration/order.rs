//! Orders: what each asset was told to do, and the log of what agents tell of it.

pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE asset_order (
        number {int} NOT NULL, generation {int} NOT NULL, digest {bytes} NOT NULL, given_at {int} NOT NULL,
        over_at {int}, ending TEXT, signature TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (number, generation)) {strict}",
    "CREATE INDEX asset_order_open ON asset_order (number) WHERE over_at IS NULL",
    "CREATE INDEX asset_order_given ON asset_order (given_at)",
    "CREATE TABLE order_outcome (
        seq {int} NOT NULL PRIMARY KEY, number {int} NOT NULL, generation {int} NOT NULL,
        digest {bytes} NOT NULL, recorded_at {int} NOT NULL, body TEXT NOT NULL) {strict}",
];
