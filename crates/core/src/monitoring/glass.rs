//! Broken glass: the alert that tells of it, which nobody mutes and whoever broke it does not close.

use super::alert::Group;
use super::signal::Kind;
use crate::id::ChangeId;

/// What kind of thing its signal tells of: the missing decisions have a clock.
pub const KIND: Kind = Kind::Clock;

/// How its subject begins.
const PREFIX: &str = "break-glass/";

/// The subject of the signal that tells of a change's broken glass.
pub fn subject(change: ChangeId) -> String {
    format!("{PREFIX}{change}")
}

/// The change whose glass was broken, where an alert tells of that.
pub fn change_of(group: &Group) -> Option<ChangeId> {
    let change = group.subject.strip_prefix(PREFIX).filter(|_| group.kind == KIND);
    change.and_then(|change| change.parse().ok())
}
