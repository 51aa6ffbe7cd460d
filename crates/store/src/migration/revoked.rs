//! Who made an enrolment key, and that it was revoked.

pub(super) const STATEMENTS: &[&str] = &[
    "ALTER TABLE enrolment_key ADD COLUMN made_by TEXT",
    "ALTER TABLE enrolment_key ADD COLUMN revoked_at {int}",
    "ALTER TABLE enrolment_key ADD COLUMN revoked_by TEXT",
];
