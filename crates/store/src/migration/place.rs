//! The places of one asset in an alert are counted without reading the alert's others.

pub(super) const STATEMENTS: &[&str] = &["CREATE INDEX alert_member_by_asset ON alert_member (alert, asset)"];
