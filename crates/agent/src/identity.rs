//! Who this agent is: the key it made itself, and the certificate that the server's authority
//! signed for it. The key never leaves the folder of state.

use bartizan_core::digest::Digest;
use bartizan_core::id::AssetId;
use bartizan_core::time::Timestamp;
use bartizan_wire::enrol::Reply;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::state::{self, State};

/// The file of the private key (PKCS #8 in PEM).
const KEY_FILE: &str = "key";

/// The file of everything that enrolment gave.
const IDENTITY_FILE: &str = "identity";

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("the {what} can't be read: {problem}")]
    Broken { what: &'static str, problem: String },
    #[error("can't make a {what}: {problem}")]
    Make { what: &'static str, problem: String },
    #[error("the server's authority has the fingerprint {found}, not {pinned}")]
    OtherAuthority { pinned: Digest, found: Digest },
}

/// The agent's private key. It is never printed.
pub struct Key(KeyPair);

/// What enrolment gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    pub asset: AssetId,
    /// The certificate in PEM.
    certificate: String,
    /// The server's authority in PEM: the only root that is trusted.
    authority: String,
    /// The public key of the ledger.
    pub ledger: String,
    /// The public key that orders are signed by.
    pub orders: String,
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key of this folder; one is made (ECDSA P-256) where there is none. It is on disk
    /// before anything is asked for in its name, so that a lost answer costs no identity.
    pub fn open(state: &State) -> Result<Key, Error> {
        if let Some(pem) = state.read(KEY_FILE)? {
            let broken = |problem: String| Error::Broken { what: "private key", problem };
            let text = String::from_utf8(pem).map_err(|error| broken(error.to_string()))?;
            return KeyPair::from_pem(&text).map(Key).map_err(|error| broken(error.to_string()));
        }
        let make = |error: rcgen::Error| Error::Make { what: "private key", problem: error.to_string() };
        let key = KeyPair::generate().map_err(make)?;
        state.write(KEY_FILE, key.serialize_pem().as_bytes())?;
        Ok(Key(key))
    }

    /// A request for a certificate (PKCS #10) in PEM.
    pub fn request(&self, name: &str) -> Result<String, Error> {
        let make =
            |error: rcgen::Error| Error::Make { what: "certificate request", problem: error.to_string() };
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, name);
        params.serialize_request(&self.0).and_then(|request| request.pem()).map_err(make)
    }

    /// The key for a TLS connection.
    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

impl Identity {
    /// The identity of this folder, where it is enrolled.
    pub fn open(state: &State, pinned: Digest) -> Result<Option<Identity>, Error> {
        let Some(bytes) = state.read(IDENTITY_FILE)? else { return Ok(None) };
        let identity: Identity = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Broken { what: "identity", problem: error.to_string() })?;
        identity.check(pinned)?;
        Ok(Some(identity))
    }

    /// Takes what the server answered to enrolment, and keeps it.
    pub fn enrolled(state: &State, reply: Reply, pinned: Digest) -> Result<Identity, Error> {
        let Reply { asset, certificate, authority, ledger, orders, .. } = reply;
        let identity = Identity { asset, certificate, authority, ledger, orders };
        identity.check(pinned)?;
        identity.keep(state)?;
        Ok(identity)
    }

    /// The same identity with its next certificate, kept.
    pub fn renewed(&self, state: &State, certificate: String) -> Result<Identity, Error> {
        let identity = Identity { certificate, ..self.clone() };
        identity.validity()?;
        identity.keep(state)?;
        Ok(identity)
    }

    /// The certificate for a TLS connection.
    pub fn certificate(&self) -> Result<CertificateDer<'static>, Error> {
        der("certificate", &self.certificate)
    }

    /// The certificate of the only authority that is trusted.
    pub fn authority(&self) -> Result<CertificateDer<'static>, Error> {
        der("authority's certificate", &self.authority)
    }

    /// When the certificate is good.
    pub fn validity(&self) -> Result<Validity, Error> {
        let certificate = self.certificate()?;
        let broken = |problem: &dyn std::fmt::Display| Error::Broken {
            what: "certificate",
            problem: problem.to_string(),
        };
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|error| broken(&error))?;
        let at = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_millis(time.timestamp().saturating_mul(1_000))
        };
        let validity = parsed.validity();
        Ok(Validity { from: at(validity.not_before), until: at(validity.not_after) })
    }

    fn check(&self, pinned: Digest) -> Result<(), Error> {
        let found = Digest::of_bytes(&self.authority()?);
        if found != pinned {
            return Err(Error::OtherAuthority { pinned, found });
        }
        self.validity().map(|_| ())
    }

    fn keep(&self, state: &State) -> Result<(), Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::Make { what: "file of the identity", problem: error.to_string() })?;
        Ok(state.write(IDENTITY_FILE, &bytes)?)
    }
}

impl Validity {
    /// When the certificate is renewed: at two thirds of its life.
    pub fn renew_at(&self) -> Timestamp {
        let life = self.until.since(self.from).as_millis();
        Timestamp::from_millis(self.from.as_millis().saturating_add(life / 3 * 2))
    }
}

fn der(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::Broken { what, problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let first = Key::open(&state).unwrap();
        let again = Key::open(&state).unwrap();
        assert_eq!(first.0.serialize_pem(), again.0.serialize_pem());
        let mode = std::fs::metadata(state.path(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(first.request("web-1").unwrap().contains("BEGIN CERTIFICATE REQUEST"));
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let day = |days: i64| Timestamp::from_millis(days * 86_400_000);
        let validity = Validity { from: day(0), until: day(30) };
        assert_eq!(validity.renew_at(), day(20));
    }
}
