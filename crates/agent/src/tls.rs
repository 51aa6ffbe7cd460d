//! Whom the agent talks to: a server whose certificate the pinned authority signed, nobody else.

use std::sync::Arc;

use bartizan_core::digest::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    WantsVerifier,
};

use crate::identity::{Identity, Key};

/// How many sessions are kept for a quicker handshake: there is one server.
const SESSIONS: usize = 2;

/// The most certificates of a server's chain that are looked at.
const CHAIN_LIMIT: usize = 8;

/// Why no connection can be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] crate::identity::Error),
    #[error("the certificates can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The server showed no certificate with the pinned fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate that the server showed has the fingerprint {pinned}; {}", list(.shown))]
pub struct NotPinned {
    pub pinned: Digest,
    /// The fingerprints of the authorities that it showed.
    pub shown: Vec<Digest>,
}

fn list(digests: &[Digest]) -> String {
    match digests {
        [] => "it showed its own alone".to_owned(),
        digests => format!(
            "above its own it showed {}",
            digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// For the connection that enrols: the authority is known by its fingerprint alone.
pub fn pinning(pinned: Digest) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Pinned { pinned, provider: Arc::clone(&provider) });
    let builder = builder(provider)?;
    Ok(finish(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// For every later connection: the authority of the enrolment as the only root, our certificate shown.
pub fn enrolled(identity: &Identity, key: &Key) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.authority()?)?;
    let builder = builder(Arc::new(ring::default_provider()))?.with_root_certificates(roots);
    Ok(finish(builder.with_client_auth_cert(vec![identity.certificate()?], key.private())?))
}

fn builder(provider: Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config
}

/// Takes a chain that holds the pinned authority, where that authority signed the server's
/// certificate for the name that was asked for.
#[derive(Debug)]
struct Pinned {
    pinned: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = intermediates.iter().take(CHAIN_LIMIT);
        let Some(authority) = chain.clone().find(|one| Digest::of_bytes(one) == self.pinned) else {
            let shown = chain.map(|one| Digest::of_bytes(one)).collect();
            let error = NotPinned { pinned: self.pinned, shown };
            return Err(rustls::Error::Other(OtherError(Arc::new(error))));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
