//! Messages between agents and the server, by version.
//!
//! Each message is JSON, packed with zstd on its way. A server reads messages of this version
//! and the two before it; snapshots of every message hold the shapes still. This room knows
//! shapes and limits. It refuses to know what a message means, who sent it, and what time it is.
//!
//! Read first: [`report::Report`] (what an agent tells), [`checkin::Heartbeat`] (what it says when
//! it has nothing to tell), [`pack`] and [`unpack`] (bytes, within limits).

pub mod checkin;
pub mod enrol;
pub mod order;
pub mod policy;
pub mod problem;
pub mod report;

use bartizan_core::error::Class;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the messages that this program writes.
pub const VERSION: u32 = 1;

/// The oldest version that it reads: two before its own, once there are so many.
pub const OLDEST: u32 = if VERSION > 2 { VERSION - 2 } else { 1 };

/// The largest message as it travels, in bytes.
pub const PACKED_BYTES_LIMIT: usize = 8 << 20;

/// The largest message unpacked, in bytes: what a small body may grow to.
pub const BYTES_LIMIT: usize = 48 << 20;

/// The largest request to enrol, in bytes, packed and unpacked: a key, two names and a request for a
/// certificate take some two thousand.
pub const ENROLMENT_BYTES_LIMIT: usize = 32 << 10;

/// How hard messages are packed.
const LEVEL: i32 = 3;

/// The media type of a packed message.
pub const MEDIA_TYPE: &str = "application/vnd.bartizan+zstd";

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the message has {found} bytes; the limit is {limit}")]
    TooLong { found: usize, limit: usize },
    #[error("the message is not packed with zstd, or unpacks to more bytes than are read")]
    Packing,
    #[error("the message is not what was expected here: {0}")]
    Shape(#[from] serde_json::Error),
    #[error(
        "the message has version {0}; this program reads {OLDEST} to {VERSION}: update the older of the two"
    )]
    Version(u32),
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::TooLong { .. } => Class::Limit,
            Error::Packing | Error::Shape(_) | Error::Version(_) => Class::Invalid,
        }
    }
}

/// A message that names its version.
pub trait Versioned {
    fn version(&self) -> u32;
}

/// A message as bytes.
pub fn pack<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(message)?;
    zstd::bulk::compress(&text, LEVEL).map_err(|_| Error::Packing)
}

/// Reads a message from bytes, within the limits.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() > PACKED_BYTES_LIMIT {
        return Err(Error::TooLong { found: bytes.len(), limit: PACKED_BYTES_LIMIT });
    }
    let text = unpacked(bytes, BYTES_LIMIT)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Reads a request to enrol: anybody may send one, so that its limits are far smaller.
pub fn unpack_enrolment(bytes: &[u8]) -> Result<enrol::Request, Error> {
    if bytes.len() > ENROLMENT_BYTES_LIMIT {
        return Err(Error::TooLong { found: bytes.len(), limit: ENROLMENT_BYTES_LIMIT });
    }
    checked(serde_json::from_slice(&unpacked(bytes, ENROLMENT_BYTES_LIMIT)?)?)
}

/// Reads a message that names its version, and refuses one from another age.
pub fn unpack_versioned<T: DeserializeOwned + Versioned>(bytes: &[u8]) -> Result<T, Error> {
    checked(unpack(bytes)?)
}

fn checked<T: Versioned>(message: T) -> Result<T, Error> {
    let version = message.version();
    if (OLDEST..=VERSION).contains(&version) { Ok(message) } else { Err(Error::Version(version)) }
}

fn unpacked(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    // Streamed, so that memory grows with what is there and not with what a header claims.
    let reader = zstd::stream::read::Decoder::new(bytes).map_err(|_| Error::Packing)?;
    let mut text = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut text);
    match read {
        Ok(_) if text.len() <= limit => Ok(text),
        _ => Err(Error::Packing),
    }
}

#[cfg(test)]
mod tests;
