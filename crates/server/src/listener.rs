//! Listeners: TLS in front of a router, one task a connection, drained on stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bartizan_core::error::Class;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::keys::authority::{Authority, Identity, Peer};

mod places;

use places::{Flying, InFlight, Places, Seat};

/// The most connections that one listener holds: each costs some tens of kilobytes.
pub const CONNECTIONS_LIMIT: usize = 20_000;

/// How long a handshake may take: whoever holds a connection open without one is let go.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// The most connections from one address that shows no agent's certificate, or from one IPv6 network of
/// 64 bits: a proxy that serves a whole house needs some hundred. Programs on this machine are exempt.
pub const ADDRESS_CONNECTIONS_LIMIT: usize = 512;

/// The most connections of one agent: it needs one, and a second while it finds out that the first is gone.
pub const ASSET_CONNECTIONS_LIMIT: usize = 8;

/// The most requests at once on one connection of HTTP/2, of an agent and of anybody else: each may have a
/// body that waits in memory for its end.
const STREAMS: (u32, u32) = (8, 32);

/// How long the head of a request may take to come, the wait for the next one on a connection included.
const HEADER_LIMIT: Duration = Duration::from_secs(60);

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// How long a connection is kept on which no request is in flight.
const IDLE_LIMIT: Duration = Duration::from_secs(180);

/// How long requests in flight may take once everything stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub address: SocketAddr,
    /// The agent, where it showed a certificate that our authority signed.
    pub peer: Option<Peer>,
}

/// Why a listener can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("the certificate can't be read: {0}")]
    Certificate(String),
    #[error("the certificate's key can't be read: {0}")]
    Key(String),
    #[error("the listener's TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the verifier of client certificates can't be set up: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Bind { .. } => Class::Unavailable,
            Error::Certificate(_) | Error::Key(_) => Class::Invalid,
            Error::Tls(_) | Error::Verifier(_) => Class::Bug,
        }
    }
}

/// A certificate of one's own, with its key.
#[derive(Clone, Debug)]
pub struct Own(Arc<CertifiedKey>);

impl Own {
    /// Reads a chain and its key in PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| Error::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(Error::Certificate("it holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::Key(error.to_string()))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
        let own = CertifiedKey::new(chain, key);
        // A key that is another certificate's would fail every handshake, and say so nowhere.
        own.keys_match()?;
        Ok(Self(Arc::new(own)))
    }
}

/// Shows one's own certificate to whoever asks for a name; programs on this machine ask for none,
/// and get our authority's.
#[derive(Debug)]
struct ByName {
    own: Arc<CertifiedKey>,
    ours: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().is_some_and(|name| !name.eq_ignore_ascii_case("localhost"));
        Some(Arc::clone(if named { &self.own } else { &self.ours }))
    }
}

/// A listener that has its port, and does not answer yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// The same port on loopback, where the other address is not part of that: programs on this
    /// machine ask there.
    beside: Option<TcpListener>,
    tls: Arc<ServerConfig>,
}

/// TLS for people and their programs: no client certificates.
pub fn for_people(identity: Identity, own: Option<&Own>) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder().with_no_client_auth();
    if let Some(Own(own)) = own {
        let key = rustls::crypto::ring::sign::any_supported_type(&identity.key)?;
        let ours = Arc::new(CertifiedKey::new(identity.chain, key));
        return finish(builder.with_cert_resolver(Arc::new(ByName { own: Arc::clone(own), ours })));
    }
    finish(builder.with_single_cert(identity.chain, identity.key)?)
}

/// TLS for agents: a client certificate is asked for, and must be our authority's where it is
/// shown. Enrolling is done without one.
pub fn for_agents(identity: Identity, authority: &Authority) -> Result<Arc<ServerConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build()?;
    let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
    finish(builder.with_single_cert(identity.chain, identity.key)?)
}

fn finish(mut config: ServerConfig) -> Result<Arc<ServerConfig>, Error> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Listener {
    /// Takes a port.
    pub async fn bind(address: SocketAddr, tls: Arc<ServerConfig>) -> Result<Self, Error> {
        let socket = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let beside = if address.ip().is_loopback() || address.ip().is_unspecified() {
            None
        } else {
            let port = socket.local_addr().map_err(|source| Error::Bind { address, source })?.port();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            Some(TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?)
        };
        Ok(Self { socket, beside, tls })
    }

    /// The address that it has.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until told to stop, then lets requests in flight end.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(self.tls);
        let places = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
        let addresses = Places::default();
        let connections = TaskTracker::new();
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
                accepted = accept(self.beside.as_ref()) => accepted,
            };
            let (Ok(place), Ok((stream, address))) = (place, accepted) else {
                // Out of file descriptors, most likely: give those in flight time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(seat) = addresses.take(address.ip()) else {
                tracing::debug!(peer.address = %address, "too many connections from this address");
                continue;
            };
            let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
            let addresses = addresses.clone();
            connections.spawn(async move {
                connection(stream, (address, seat), &addresses, acceptor, router, stop).await;
                drop(place);
            });
        }
        connections.close();
        if tokio::time::timeout(DRAIN_LIMIT, connections.wait()).await.is_err() {
            tracing::warn!(listener.open = connections.len(), "connections were cut off on stop");
        }
    }
}

/// The next connection; never one where there is no socket.
async fn accept(socket: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(
    stream: TcpStream,
    (address, seat): (SocketAddr, Seat),
    places: &Places,
    acceptor: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
) {
    // Small messages that wait for an answer: waiting to fill a segment only costs time.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(peer.address = %address, error = %error, "no handshake"),
        Err(_) => return tracing::debug!(peer.address = %address, "the handshake took too long"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
    let peer = certificate.and_then(|certificate| Peer::of(certificate).ok());
    // A whole fleet may come from behind one address: an agent is counted by itself.
    let seat = match &peer {
        Some(peer) => places.take_agent(peer.asset),
        None => Some(seat),
    };
    let Some(_seat) = seat else {
        return tracing::debug!(peer.address = %address, "too many connections of this agent");
    };
    let streams = if peer.is_some() { STREAMS.0 } else { STREAMS.1 };
    let who = Connection { address, peer };
    let in_flight = InFlight::default();
    let flying = in_flight.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(who.clone());
        let flight = flying.begin();
        let answer = router.clone().oneshot(request);
        async move { answer.await.map(|answer| answer.map(|body| Flying { body, _flight: flight })) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
    let (every, within) = KEEP_ALIVE;
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(every).keep_alive_timeout(within);
    http2.max_concurrent_streams(streams);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = in_flight.idle(IDLE_LIMIT) => {
            serving.as_mut().graceful_shutdown();
            // Whoever does not hear that is cut off.
            tokio::time::timeout(DRAIN_LIMIT, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer.address = %address, error = %error, "a connection ended early");
    }
}
