//! Assets that somebody declared by hand: no agent runs on them. The table is written anew, since
//! no engine that is supported alike can widen a check in place.

pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE asset_next (
        number {int} NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        class TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL, labels TEXT NOT NULL,
        life TEXT NOT NULL, enrolled_at {int} NOT NULL, public_key {bytes} NOT NULL,
        machine TEXT NOT NULL,
        CHECK (life IN ('enrolled', 'quarantined', 'declared', 'retired')),
        CHECK (class IN ('server', 'database', 'network_device', 'hardware'))) {strict}",
    "INSERT INTO asset_next (number, id, name, class, service, environment, labels, life, enrolled_at,
        public_key, machine)
     SELECT number, id, name, class, service, environment, labels, life, enrolled_at, public_key, machine
     FROM asset",
    "DROP TABLE asset",
    "ALTER TABLE asset_next RENAME TO asset",
    "CREATE INDEX asset_by_name ON asset (name)",
];
