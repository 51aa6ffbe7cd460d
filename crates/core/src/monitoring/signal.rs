//! Signals: a detection or a transition, noticed on one asset.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::id::AssetId;
use crate::selector::Labels;
use crate::severity::Severity;
use crate::time::Timestamp;
use crate::verdict::Reason;

/// What kind of thing a signal tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A baseline's rule went from met to not met.
    Deviation,
    /// A package came to be affected by a vulnerability, or an advisory to affect a package.
    Vulnerability,
    /// A health threshold was passed.
    Health,
    /// A detection rule matched events.
    Detection,
    /// An object was modified, and no change explains it.
    Drift,
    /// A detection rule can't fire: its canary does not match, or what it looks at can't be read.
    Canary,
    /// An asset that should report does not. Earlier programs wrote `silence`, which is also the word for
    /// what people mute.
    #[serde(alias = "silence")]
    Absence,
    /// Observations were dropped.
    Loss,
    /// An agent saw a ledger that is not the one it saw before.
    Fork,
    /// Two machines report as one asset.
    Clone,
    /// An obligation's clock ran out.
    Clock,
    /// A risk acceptance ended, or nobody can say any more whether its control holds.
    Acceptance,
    /// A host did not make the fixes that it was asked for.
    Order,
}

/// How the condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Firing,
    /// Observed again, and gone.
    Resolved,
    /// It can't be observed any more. This ends nothing.
    Unknown(Reason),
}

/// One thing noticed on one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub kind: Kind,
    /// What is wrong, the same on every asset: a rule, a vulnerability, a threshold.
    pub subject: String,
    pub asset: AssetId,
    /// Where on the asset: a mount, an interface, a unit; empty where the asset is the place.
    pub object: String,
    pub state: State,
    pub severity: Severity,
    /// The asset's labels, with `service` and `environment` among them.
    pub labels: Labels,
    /// One line for people. Its parts may come from the asset and are escaped where shown.
    pub summary: String,
    pub at: Timestamp,
    /// Whether the first sight of the asset found it: such a signal pages nobody.
    pub backlog: bool,
}

/// A signal as its observer tells it, before the server adds whose asset it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    pub kind: Kind,
    pub subject: String,
    pub object: String,
    pub state: State,
    pub severity: Severity,
    pub summary: String,
    pub at: Timestamp,
    /// Whether the observer's first look at the asset found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backlog: bool,
}

impl Noticed {
    /// The signal that this is on an asset with these labels.
    pub fn on(self, asset: AssetId, labels: Labels, backlog: bool) -> Signal {
        let Noticed { kind, subject, object, state, severity, summary, at, backlog: found } = self;
        let backlog = backlog || found;
        Signal { kind, subject, asset, object, state, severity, labels, summary, at, backlog }
    }
}

impl Kind {
    /// Its word in labels, documents and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Deviation => "deviation",
            Kind::Vulnerability => "vulnerability",
            Kind::Health => "health",
            Kind::Detection => "detection",
            Kind::Drift => "drift",
            Kind::Canary => "canary",
            Kind::Absence => "absence",
            Kind::Loss => "loss",
            Kind::Fork => "fork",
            Kind::Clone => "clone",
            Kind::Clock => "clock",
            Kind::Acceptance => "acceptance",
            Kind::Order => "order",
        }
    }
}

impl Kind {
    /// Its word in the keys of alerts, which outlive the words that people read.
    pub const fn key(self) -> &'static str {
        match self {
            Kind::Absence => "silence",
            kind => kind.as_str(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Signal {
    /// What is one member of an alert: this condition at this place of this asset.
    pub fn member_key(&self) -> Digest {
        let asset = self.asset.to_string();
        Digest::derived("alert-member", [Value::from(asset), Value::from(self.object.as_str())])
    }
}
