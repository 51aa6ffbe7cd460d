//! What pages count of open alerts, without reading them.

pub(super) const STATEMENTS: &[&str] = &["CREATE INDEX alert_by_acknowledged ON alert (open, acknowledged)"];
