//! Enrolment and renewal: how an agent comes by its certificate.

use bartizan_core::id::AssetId;
use serde::{Deserialize, Serialize};

use crate::Versioned;
use crate::checkin::Pace;

/// A host asks to become an asset. Sent without a certificate; the key is what speaks for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub wire: u32,
    /// The secret of an enrolment key.
    pub key: String,
    /// A certificate signing request (PKCS #10) in PEM, for the key that the agent made.
    pub request: String,
    /// What the host calls itself.
    pub name: String,
    /// The host's machine-id: a hint to find clones by.
    pub machine: String,
}

/// What an enrolled agent gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub wire: u32,
    pub asset: AssetId,
    /// The certificate in PEM.
    pub certificate: String,
    /// The server's certificate authority in PEM, which the agent pins.
    pub authority: String,
    /// The public key of the ledger, as a signed-note verifier key.
    pub ledger: String,
    /// The Ed25519 public key that orders are signed by, in hexadecimal.
    pub orders: String,
    pub pace: Pace,
}

/// An agent asks for its next certificate, over the connection that its present one opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    pub wire: u32,
    pub request: String,
}

/// The next certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renewed {
    pub wire: u32,
    pub certificate: String,
}

impl Versioned for Request {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Reply {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Renewal {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Renewed {
    fn version(&self) -> u32 {
        self.wire
    }
}
