//! Signals that the server itself notices, about an asset or about an environment.

use bartizan_core::asset::Asset;
use bartizan_core::id::AssetId;
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

/// A signal about how something of an environment stands that is on no asset: `object` is what it is about.
pub(crate) fn environment_signal(
    environment: &str,
    (subject, object): (&str, &str),
    state: State,
    summary: String,
    at: Timestamp,
) -> Signal {
    Signal {
        kind: Kind::Health,
        subject: subject.to_owned(),
        asset: AssetId::mint(Timestamp::from_millis(0), [0; 10]),
        object: object.to_owned(),
        state,
        severity: Severity::High,
        labels: [("environment".to_owned(), environment.to_owned())].into(),
        summary,
        at,
        backlog: false,
    }
}
