//! The link: what is said to the server, over HTTP/2 and mutual TLS.
//!
//! One request, one answer, each within a time and a size. The link knows the paths and the
//! packing; when to say what is decided elsewhere.

use std::time::Duration;

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_wire::checkin::{Answer, Heartbeat};
use bartizan_wire::enrol::{Renewal, Renewed, Reply, Request};
use bartizan_wire::order::Offer;
use bartizan_wire::policy::Policy;
use bartizan_wire::problem::Problem;
use bartizan_wire::report::Receipt;
use bartizan_wire::{MEDIA_TYPE, PACKED_BYTES_LIMIT, Versioned};
use reqwest::{Client, Method, Response, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::tls::NotPinned;

mod event;

pub use event::{Nudge, Nudges};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long one exchange may take, from its first byte to its last.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);

/// How often a connection with a standing request is tried, so that a dead one is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long an unused connection is kept: the pace of check-ins lies well below it.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// The largest problem that is read.
const PROBLEM_BYTES_LIMIT: usize = 16 << 10;

/// A way to the server.
#[derive(Clone, Debug)]
pub struct Link {
    client: Client,
    /// `https://host:8444`, with no slash at the end.
    server: String,
}

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no address of a server")]
    Address(String),
    #[error("can't set up a client: {0}")]
    Client(String),
    #[error("can't reach the server {server}: {problem}")]
    Unreachable { server: String, problem: String },
    #[error("the server {server} is not the one that was pinned: {problem}")]
    NotPinned { server: String, problem: NotPinned },
    #[error("no trusted connection to the server {server}: {problem}")]
    Untrusted { server: String, problem: String },
    #[error("the server says: {title}{}", detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused { status: u16, title: String, detail: Option<String> },
    #[error("the server's answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the server's answer can't be read: {0}")]
    Message(#[from] bartizan_wire::Error),
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Address(_) => Class::Invalid,
            Error::Client(_) => Class::Bug,
            Error::Unreachable { .. } => Class::Unavailable,
            Error::NotPinned { .. } | Error::Untrusted { .. } => Class::Denied,
            Error::Refused { status, .. } => match *status {
                404 => Class::NotFound,
                409 => Class::Conflict,
                413 => Class::Limit,
                401 | 403 => Class::Denied,
                // Too early, too many, too slow: another time may do.
                408 | 425 | 429 => Class::Unavailable,
                400..=499 => Class::Invalid,
                _ => Class::Unavailable,
            },
            Error::TooLong(_) => Class::Limit,
            Error::Message(error) => error.class(),
        }
    }

    /// What to do about it, where that can be said.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Address(_) => Some("write it like https://bartizan.example:8444"),
            Error::Unreachable { .. } => {
                Some("check the address and that the server runs; it is tried again until it answers")
            }
            Error::NotPinned { .. } => {
                Some("take the fingerprint from the server itself; if it is right, somebody stands between")
            }
            Error::Untrusted { .. } => {
                Some("the server's certificate must name the host of --server, and clocks must agree")
            }
            Error::Refused { .. } | Error::Client(_) | Error::TooLong(_) | Error::Message(_) => None,
        }
    }
}

impl Link {
    /// A way to this server under this TLS configuration. Nothing is sent yet.
    pub fn new(server: &str, tls: rustls::ClientConfig) -> Result<Link, Error> {
        let address = || Error::Address(server.to_owned());
        let url = reqwest::Url::parse(server).map_err(|_| address())?;
        if url.scheme() != "https" || !url.has_host() || !matches!(url.path(), "" | "/") {
            return Err(address());
        }
        let client = Client::builder()
            .use_preconfigured_tls(tls)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE_LIMIT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(CONNECT_LIMIT)
            .user_agent(concat!("bartizan-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Client(chain(&error)))?;
        Ok(Link { client, server: server.trim_end_matches('/').to_owned() })
    }

    /// Asks to become an asset.
    pub async fn enrol(&self, request: &Request) -> Result<Reply, Error> {
        self.post("enrol", bartizan_wire::pack(request)?).await
    }

    /// Asks for the next certificate.
    pub async fn renew(&self, renewal: &Renewal) -> Result<Renewed, Error> {
        self.post("renew", bartizan_wire::pack(renewal)?).await
    }

    /// Sends a packed batch of reports.
    pub async fn reports(&self, batch: Vec<u8>) -> Result<Receipt, Error> {
        self.post("reports", batch).await
    }

    /// Checks in.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<Answer, Error> {
        self.post("heartbeat", bartizan_wire::pack(heartbeat)?).await
    }

    /// The policy, where it is another than the one that is held.
    pub async fn policy(&self, held: Option<Digest>) -> Result<Option<Policy>, Error> {
        let mut request = self.client.request(Method::GET, self.path("policy")).timeout(EXCHANGE_LIMIT);
        if let Some(etag) = held {
            request = request.header(header::IF_NONE_MATCH, format!("\"{etag}\""));
        }
        let response = request.send().await.map_err(|error| self.fault(&error))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.answer(response).await.map(Some)
    }

    /// The order that waits for this agent, where one does.
    pub async fn order(&self) -> Result<Offer, Error> {
        let request = self.client.request(Method::GET, self.path("order")).timeout(EXCHANGE_LIMIT);
        let response = request.send().await.map_err(|error| self.fault(&error))?;
        self.answer(response).await
    }

    /// Opens the stream of nudges.
    pub async fn nudges(&self) -> Result<Nudges, Error> {
        let request = self.client.request(Method::GET, self.path("nudges"));
        let response = request.header(header::ACCEPT, "text/event-stream").send();
        // The stream has no end of its own; its beginning does.
        let response = match tokio::time::timeout(EXCHANGE_LIMIT, response).await {
            Ok(response) => response.map_err(|error| self.fault(&error))?,
            Err(_) => return Err(self.unreachable("no answer in time".to_owned())),
        };
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(Nudges::new(response))
    }

    async fn post<T: DeserializeOwned + Versioned>(&self, path: &str, body: Vec<u8>) -> Result<T, Error> {
        let request = self.client.request(Method::POST, self.path(path)).timeout(EXCHANGE_LIMIT);
        let request = request.header(header::CONTENT_TYPE, MEDIA_TYPE).body(body);
        let response = request.send().await.map_err(|error| self.fault(&error))?;
        self.answer(response).await
    }

    async fn answer<T: DeserializeOwned + Versioned>(&self, response: Response) -> Result<T, Error> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = self.read(response, PACKED_BYTES_LIMIT).await?;
        Ok(bartizan_wire::unpack_versioned(&bytes)?)
    }

    async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let bytes = match self.read(response, PROBLEM_BYTES_LIMIT).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => {
                Error::Refused { status: status.as_u16(), title: problem.title, detail: problem.detail }
            }
            // Something between us and the server answered, most likely.
            Err(_) => Error::Refused { status: status.as_u16(), title: status.to_string(), detail: None },
        }
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.fault(&error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(Error::TooLong(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/agent/v1/{name}", self.server)
    }

    fn unreachable(&self, problem: String) -> Error {
        Error::Unreachable { server: self.server.clone(), problem }
    }

    /// What stood in the way, told apart by what is to be done about it.
    fn fault(&self, error: &reqwest::Error) -> Error {
        let server = || self.server.clone();
        match tls_fault(error) {
            Some(rustls::Error::Other(other)) => match other.0.downcast_ref::<NotPinned>() {
                Some(problem) => Error::NotPinned { server: server(), problem: problem.clone() },
                None => Error::Untrusted { server: server(), problem: other.to_string() },
            },
            Some(problem @ rustls::Error::InvalidCertificate(_)) => {
                Error::Untrusted { server: server(), problem: problem.to_string() }
            }
            _ => self.unreachable(chain(error)),
        }
    }
}

fn tls_fault(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())
}

/// An error and everything below it. What an I/O error wraps is not its source, but its own self.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

/// The innermost cause says the most; what wraps it repeats the address.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
