//! How each way of a notification went, so that a repeat goes by those alone that failed.

pub(super) const STATEMENTS: &[&str] = &["CREATE TABLE notification_way (
        alert TEXT NOT NULL, receiver TEXT NOT NULL, number {int} NOT NULL, way TEXT NOT NULL,
        delivered {int} NOT NULL, problem TEXT, at {int} NOT NULL,
        PRIMARY KEY (alert, receiver, number, way), CHECK (delivered IN (0, 1))) {strict}"];
