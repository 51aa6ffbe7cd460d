//! Section `certificates`: X.509 certificates that the host's services have on disk (RFC 5280).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificates {
    /// Ordered by (path, position).
    pub certificates: Vec<Certificate>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificate {
    pub path: String,
    /// Its place in the file, from 0: a chain has several.
    pub position: u32,
    /// Distinguished names, as RFC 4514 would write them but in the order of the certificate.
    pub subject: String,
    pub issuer: String,
    /// Lower-case hex digits, two for each byte.
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The DNS names and addresses of the subject alternative name, in its order.
    pub names: Vec<String>,
    /// Whether it may sign others (basic constraints).
    pub authority: bool,
    pub key: Key,
    /// `sha256WithRSAEncryption`, or the dotted object identifier where it has no name here.
    pub signature: String,
    /// Of the whole certificate's DER.
    pub digest: Digest,
}

/// A public key, by what it is worth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// `rsa`, `ec`, `ed25519`, `dsa` …, or the dotted object identifier.
    pub algorithm: String,
    pub bits: Option<u32>,
}
