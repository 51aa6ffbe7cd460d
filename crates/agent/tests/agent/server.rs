//! A small real server: its own authority, mutual TLS, HTTP/2, and answers that a test sets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::id::AssetId;
use bartizan_core::order::Order;
use bartizan_core::time::Timestamp;
use bartizan_ledger::checkpoint::Signer;
use bartizan_wire::VERSION;
use bartizan_wire::checkin::{Answer, Checkpoint, Heartbeat, Pace};
use bartizan_wire::enrol::{Renewal, Renewed, Reply, Request};
use bartizan_wire::order::{Offer, Signed};
use bartizan_wire::policy::Policy;
use bartizan_wire::problem::Problem;
use bartizan_wire::report::{Batch, Outcome, Receipt, Report};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// How long anything may take before a test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const KEY: &str = "secret-of-an-enrolment-key";

/// What came, and what is answered.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) reports: Vec<Report>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) enrolments: Vec<Request>,
    pub(crate) renewals: usize,
    /// Asked for in the next receipt or answer, once.
    pub(crate) wanted: Vec<String>,
    /// The outcome of every report, where it is not plainly committed.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) documents: Vec<Value>,
    pub(crate) used_up: bool,
    /// Whether the host waits for a person to let it in.
    pub(crate) quarantined: bool,
    /// An order, signed by the key that agents pinned; offered until its outcome came.
    pub(crate) order: Option<Signed>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Digest,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    authority: CertificateDer<'static>,
    authority_pem: String,
    key: KeyPair,
    pub(crate) ledger: Signer,
    orders: Ed25519KeyPair,
    script: Mutex<Script>,
    changed: watch::Sender<u64>,
    nudges: broadcast::Sender<&'static str>,
}

/// Whether the other end showed a certificate of ours.
#[derive(Clone, Copy)]
struct Known(bool);

impl Server {
    pub(crate) async fn start() -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = params.self_signed(&key).unwrap();
        let shared = Arc::new(Shared {
            authority: authority.der().clone(),
            authority_pem: authority.pem(),
            key,
            ledger: Signer::new("ledger.test", &[7; 32]).unwrap(),
            orders: Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap(),
            script: Mutex::default(),
            changed: watch::Sender::new(0),
            nudges: broadcast::Sender::new(16),
        });
        let fingerprint = Digest::of_bytes(&shared.authority);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { address, fingerprint, shared, task: None };
        server.resume().await;
        server
    }

    /// Listens (again); the first time it gets its port.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        let acceptor = TlsAcceptor::from(Arc::new(shared.tls()));
        let router = router(Arc::clone(&shared));
        self.task = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, router) = (acceptor.clone(), router.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let known = Known(stream.get_ref().1.peer_certificates().is_some());
                    let service =
                        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                            let mut request = request.map(Body::new);
                            request.extensions_mut().insert(known);
                            router.clone().oneshot(request)
                        });
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        }));
    }

    /// Goes away: every connection breaks, and no new one comes about.
    pub(crate) async fn pause(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script.lock().unwrap()
    }

    /// An order as whoever holds the key of orders can make it.
    pub(crate) fn sign_order(&self, order: Order) -> Signed {
        let signature = hex::encode(self.shared.orders.sign(&order.signed_bytes().unwrap()));
        Signed { order, signature }
    }

    pub(crate) fn ledger(&self) -> &Signer {
        &self.shared.ledger
    }

    pub(crate) fn nudge(&self, word: &'static str) {
        let _ = self.shared.nudges.send(word);
    }

    pub(crate) fn listeners(&self) -> usize {
        self.shared.nudges.receiver_count()
    }

    /// Waits until the script shows what is asked for.
    pub(crate) async fn until<T>(&self, what: &str, mut find: impl FnMut(&Script) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        let found = tokio::time::timeout(LIMIT, async {
            loop {
                changed.mark_unchanged();
                if let Some(found) = find(&self.script()) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

/// Waits until a status shows what is asked for.
pub(crate) async fn status<T>(
    agent: &bartizan_agent::Agent,
    what: &str,
    find: impl Fn(&bartizan_agent::Status) -> Option<T>,
) -> T {
    let mut status = agent.status();
    let waited = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(found) = find(&status.borrow_and_update()) {
                return found;
            }
            status.changed().await.unwrap();
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

impl Shared {
    fn tls(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        let chain = vec![certificate.der().clone(), self.authority.clone()];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_ca_cert_der(&self.authority, &self.key).unwrap()
    }

    fn sign(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        request.signed_by(&self.issuer()).unwrap().pem()
    }

    fn note<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        let result = change(&mut self.script.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        result
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/agent/v1/enrol", post(enrol))
        .route("/agent/v1/renew", post(renew))
        .route("/agent/v1/reports", post(reports))
        .route("/agent/v1/heartbeat", post(heartbeat))
        .route("/agent/v1/policy", get(policy))
        .route("/agent/v1/order", get(order))
        .route("/agent/v1/nudges", get(nudges))
        .with_state(shared)
}

type Asked = (State<Arc<Shared>>, Extension<Known>);

fn answer<T: serde::Serialize>(message: &T) -> Response {
    let body = bartizan_wire::pack(message).unwrap();
    ([(header::CONTENT_TYPE, bartizan_wire::MEDIA_TYPE)], body).into_response()
}

fn problem(status: StatusCode, title: &str) -> Response {
    (status, Json(Problem { status: status.as_u16(), title: title.to_owned(), detail: None })).into_response()
}

/// What a host in quarantine is told.
pub(crate) const WAITS: &str = "`web-1` waits in quarantine until a person lets it in";

impl Shared {
    fn waits(&self) -> Option<Response> {
        let waits = self.script.lock().unwrap().quarantined;
        waits.then(|| problem(StatusCode::FORBIDDEN, WAITS))
    }
}

const PACE: Pace = Pace { next_ms: 200 };

async fn enrol((State(shared), _): Asked, body: Bytes) -> Response {
    let request: Request = bartizan_wire::unpack_versioned(&body).unwrap();
    if request.key != KEY || shared.script.lock().unwrap().used_up {
        return problem(StatusCode::FORBIDDEN, "the enrolment key was used up");
    }
    let certificate = shared.sign(&request.request);
    shared.note(|script| script.enrolments.push(request));
    answer(&Reply {
        wire: VERSION,
        asset: AssetId::mint(Timestamp::from_millis(1), [1; 10]),
        certificate,
        authority: shared.authority_pem.clone(),
        ledger: shared.ledger.key().to_string(),
        orders: hex::encode(shared.orders.public_key()),
        pace: PACE,
    })
}

async fn renew((State(shared), Extension(known)): Asked, body: Bytes) -> Response {
    assert!(known.0);
    let request: Renewal = bartizan_wire::unpack_versioned(&body).unwrap();
    let certificate = shared.sign(&request.request);
    shared.note(|script| script.renewals += 1);
    answer(&Renewed { wire: VERSION, certificate })
}

async fn reports((State(shared), Extension(known)): Asked, body: Bytes) -> Response {
    if !known.0 {
        return problem(StatusCode::UNAUTHORIZED, "this takes an agent's certificate");
    }
    if let Some(refusal) = shared.waits() {
        return refusal;
    }
    let batch: Batch = bartizan_wire::unpack_versioned(&body).unwrap();
    let outcomes = shared.note(|script| {
        let outcomes = batch.reports.iter().map(|_| match &script.outcome {
            Some(outcome) => outcome.clone(),
            None => Outcome::Committed { wanted: std::mem::take(&mut script.wanted) },
        });
        let outcomes = outcomes.collect();
        let told =
            |generation| batch.reports.iter().flat_map(|r| &r.outcomes).any(|o| o.generation == generation);
        if script.order.as_ref().is_some_and(|signed| told(signed.order.generation)) {
            script.order = None;
        }
        script.reports.extend(batch.reports);
        outcomes
    });
    answer(&Receipt { wire: VERSION, outcomes, pace: PACE })
}

async fn heartbeat((State(shared), _): Asked, body: Bytes) -> Response {
    if let Some(refusal) = shared.waits() {
        return refusal;
    }
    let heartbeat: Heartbeat = bartizan_wire::unpack_versioned(&body).unwrap();
    let answered = shared.note(|script| {
        let at = heartbeat.at;
        script.heartbeats.push(heartbeat);
        Answer {
            wire: VERSION,
            pace: PACE,
            policy: etag(&script.documents),
            wanted: std::mem::take(&mut script.wanted),
            order: script.order.as_ref().map(|signed| signed.order.generation),
            checkpoint: script.checkpoint.clone(),
            at,
        }
    });
    answer(&answered)
}

fn etag(documents: &[Value]) -> Digest {
    Digest::derived("policy", documents.iter().cloned())
}

async fn policy((State(shared), _): Asked, headers: HeaderMap) -> Response {
    if let Some(refusal) = shared.waits() {
        return refusal;
    }
    let documents = shared.script.lock().unwrap().documents.clone();
    let etag = etag(&documents);
    let held = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if held == Some(format!("\"{etag}\"").as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    answer(&Policy { wire: VERSION, etag, documents, explained: Vec::new() })
}

async fn order((State(shared), _): Asked) -> Response {
    let signed = shared.script.lock().unwrap().order.clone();
    answer(&Offer { wire: VERSION, signed })
}

async fn nudges((State(shared), _): Asked) -> Response {
    let receiver = shared.nudges.subscribe();
    shared.note(|_| ());
    let events = futures::stream::unfold(receiver, |mut receiver| async move {
        let word = receiver.recv().await.ok()?;
        Some((Ok::<_, std::convert::Infallible>(format!("data: {word}\n\n")), receiver))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}
