//! The certificate authority: what makes agents and this server known to each other.

use bartizan_core::digest::Digest;
use bartizan_core::id::AssetId;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Error, Wrapping, secret};
use crate::ambient::Ambient;

/// How long an agent's certificate lasts; it is renewed at two thirds.
pub const AGENT_LIFE: Duration = Duration::from_days(30);

/// How long the server's own certificate lasts: it is made anew at each start.
const SERVER_LIFE: Duration = Duration::from_days(90);

/// How long the authority lasts.
const AUTHORITY_LIFE: Duration = Duration::from_days(3_650);

/// Clocks differ: a certificate is good a little before it was made.
const SLACK: Duration = Duration::from_hours(1);

/// The scheme of the name in an agent's certificate.
const ASSET_URI: &str = "bartizan://asset/";

/// The authority, with its key.
pub struct Authority {
    key: KeyPair,
    /// Its own certificate in PEM.
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate with its key, for a listener.
#[derive(Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// What an agent's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub asset: AssetId,
    /// Over its public key (SubjectPublicKeyInfo).
    pub public_key: Digest,
    pub expires_at: Timestamp,
}

/// Why a request for a certificate is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the certificate request can't be read: {0}; send a PKCS #10 request in PEM")]
    Request(String),
    #[error("the certificate is not an agent's: it names no asset")]
    NoAsset,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

fn mint(error: impl std::fmt::Display) -> Error {
    Error::Mint { name: "authority".to_owned(), problem: error.to_string() }
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    let seconds = at.as_millis().div_euclid(1_000);
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

fn lasting(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    params.not_before = date(now.minus(SLACK));
    params.not_after = date(now.plus(life));
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

impl Authority {
    /// Opens the authority; on first start it is minted.
    pub async fn open(store: &Store, wrapping: &Wrapping, ambient: &Ambient) -> Result<Self, Error> {
        let now = ambient.now();
        let pem = secret(store, wrapping, ambient, "authority", || {
            let key = KeyPair::generate().map_err(mint)?;
            let certificate = Self::params(now).self_signed(&key).map_err(mint)?;
            Ok(format!("{}{}", key.serialize_pem(), certificate.pem()).into_bytes())
        })
        .await?;
        let text = String::from_utf8(pem).map_err(mint)?;
        let key = KeyPair::from_pem(&text).map_err(mint)?;
        let mut lines = text.as_bytes();
        let der =
            rustls_pemfile::certs(&mut lines).next().ok_or_else(|| mint("its certificate is missing"))?;
        let der = der.map_err(mint)?;
        let start = text.find("-----BEGIN CERTIFICATE").unwrap_or(0);
        let pem = text.get(start..).unwrap_or_default().to_owned();
        Ok(Self { key, pem, der })
    }

    fn params(now: Timestamp) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Bartizan authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lasting(&mut params, now, AUTHORITY_LIFE);
        params
    }

    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, Error> {
        Issuer::from_ca_cert_der(&self.der, &self.key).map_err(mint)
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The SHA-256 of its certificate, which agents pin.
    pub fn fingerprint(&self) -> Digest {
        Digest::of_bytes(&self.der)
    }

    /// A fresh certificate for a listener under these names (DNS names or addresses).
    pub fn serve(&self, names: &[String], now: Timestamp) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(mint)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(mint)?;
        params.distinguished_name = named("Bartizan server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        lasting(&mut params, now, SERVER_LIFE);
        let certificate = params.signed_by(&key, &self.issuer()?).map_err(mint)?;
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Identity { chain: vec![certificate.der().clone(), self.der.clone()], key: private.into() })
    }

    /// Signs an agent's request: whatever names it asks for, the certificate names the asset alone.
    /// Gives the certificate in PEM and the digest of its public key.
    pub fn sign(&self, request: &str, asset: AssetId, now: Timestamp) -> Result<(String, Digest), Refusal> {
        let refused = |error: rcgen::Error| Refusal::Request(error.to_string());
        let mut request = CertificateSigningRequestParams::from_pem(request).map_err(refused)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&asset.to_string());
        let uri = format!("{ASSET_URI}{asset}").try_into().map_err(refused)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        lasting(&mut params, now, AGENT_LIFE);
        request.params = params;
        let issuer = self.issuer().map_err(|error| Refusal::Request(error.to_string()))?;
        let certificate = request.signed_by(&issuer).map_err(refused)?;
        let peer = Peer::of(certificate.der())?;
        Ok((certificate.pem(), peer.public_key))
    }
}

impl Peer {
    /// Reads an agent's certificate. Whether the authority signed it was found out before.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Peer, Refusal> {
        let parsed = X509Certificate::from_der(certificate).map_err(|_| Refusal::NoAsset)?.1;
        let names = parsed.subject_alternative_name().ok().flatten().ok_or(Refusal::NoAsset)?;
        let asset = names.value.general_names.iter().find_map(|name| match name {
            x509_parser::extensions::GeneralName::URI(uri) => uri.strip_prefix(ASSET_URI)?.parse().ok(),
            _ => None,
        });
        let expires = parsed.validity().not_after.timestamp().saturating_mul(1_000);
        Ok(Peer {
            asset: asset.ok_or(Refusal::NoAsset)?,
            public_key: Digest::of_bytes(parsed.public_key().raw),
            expires_at: Timestamp::from_millis(expires),
        })
    }
}
