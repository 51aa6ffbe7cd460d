//! Signals that the server itself notices about an asset.

use bartizan_core::asset::Asset;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;

/// The subject of what tells of two machines that report as one asset.
pub(crate) const CLONE: &str = "clone";

/// A signal that the server itself noticed about an asset.
pub(crate) fn own_signal(asset: &Asset, kind: Kind, subject: &str, summary: String, at: Timestamp) -> Signal {
    Signal {
        kind,
        subject: subject.to_owned(),
        asset: asset.id,
        object: String::new(),
        state: State::Firing,
        severity: Severity::High,
        labels: asset.labels(),
        summary,
        at,
        backlog: false,
    }
}
