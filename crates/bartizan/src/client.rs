//! The client: how verbs on this machine ask a server, as the person of the client file.
//!
//! It trusts the one authority that the file holds, and none of the system's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_server::api::Ruled;
use bartizan_wire::problem::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::exit::Failure;
use crate::printer::printable;

/// The client file's name in the folder of state.
pub(crate) const FILE: &str = "client.json";

/// What a dry run says of an act that nothing stands in the way of.
pub(crate) const WOULD_BE: &str = "would be accepted";

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long the server may say nothing while it answers.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The largest answer that is read into memory, in bytes: a fleet's findings.
const ANSWER_BYTES_LIMIT: usize = 256 << 20;

/// What to do where nothing else helps.
const START: &str = "is `bartizan up` running on this machine? --client names another server's client file";

/// What the client file holds.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct File {
    /// The server's address for people: `https://host:8443`.
    pub(crate) server: String,
    /// The server's address for agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agents: Option<String>,
    /// The console's address for people, where it is another than the one above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) console: Option<String>,
    /// The authority's certificate in PEM.
    pub(crate) authority: String,
    /// A session's token: the file is for its owner alone.
    pub(crate) token: String,
}

/// A server, and a session on it.
pub(crate) struct Client {
    pub(crate) file: File,
    /// Where the client file is.
    pub(crate) path: PathBuf,
    /// The SHA-256 of the authority's certificate, which agents pin.
    pub(crate) fingerprint: Digest,
    base: Url,
    http: reqwest::Client,
    runtime: Runtime,
}

/// The folder of state where nobody names one: the user's own.
#[expect(clippy::disallowed_methods, reason = "this is a composition root: here the environment is read")]
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = folder.map(|folder| folder.join("bartizan"));
    folder.ok_or_else(|| {
        Failure::invalid("neither XDG_STATE_HOME nor HOME is set").hint("--state names a folder")
    })
}

/// Reads the client file: the one that is named, else the one that `up` writes.
fn read(named: Option<&Path>) -> Result<(PathBuf, File), Failure> {
    let path = match named {
        Some(named) => named.to_owned(),
        None => state_folder()
            .map_err(|failure| Failure::invalid(failure.into_words().0).hint("--client names a client file"))?
            .join(FILE),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::invalid(format_args!("there is no client file {}", path.display())).hint(START)
        }
        _ => Failure::invalid(format_args!("can't read {}: {error}", path.display()))
            .hint("it is for whoever ran `bartizan up`: be that one, or name another with --client"),
    })?;
    let file = serde_json::from_str(&text).map_err(|error| {
        Failure::invalid(format_args!("{} is no client file: {error}", path.display()))
            .hint("`bartizan up` writes one when it starts")
    })?;
    Ok((path, file))
}

impl Client {
    /// Reads the client file, and gets ready to ask.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        let (path, file) = read(named)?;
        let broken = |why: String| {
            Failure::invalid(format_args!("{} is no client file: {why}", path.display()))
                .hint("`bartizan up` writes one when it starts")
        };
        let base = Url::parse(&file.server).map_err(|error| broken(format!("server: {error}")))?;
        if base.scheme() != "https" {
            return Err(broken("server: is no https:// address".to_owned()));
        }
        let authority = CertificateDer::from_pem_slice(file.authority.as_bytes())
            .map_err(|error| broken(format!("authority: {error}")))?;
        let fingerprint = Digest::of_bytes(&authority);
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(|error| broken(format!("authority: {error}")))?;
        let bug = |error: &dyn std::fmt::Display| Failure::new(Class::Bug, error);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bug(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .build()
            .map_err(|error| bug(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::unavailable(format_args!("can't start: {error}")))?;
        Ok(Self { file, path, fingerprint, base, http, runtime })
    }

    /// The address under which people open the console: the name that other machines know, where
    /// there is one.
    pub(crate) fn public(&self) -> &str {
        self.file.console.as_deref().unwrap_or(&self.file.server).trim_end_matches('/')
    }

    /// Asks for what is at this path of the API; each segment is escaped.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.ask(self.request(Method::GET, path)?.query(query)).map(|(answer, _)| answer)
    }

    /// Asks as [`Client::get`] does, and tells what the server's clock said, too.
    pub(crate) fn get_dated<T: DeserializeOwned>(
        &self,
        path: &[&str],
    ) -> Result<(T, Option<String>), Failure> {
        self.ask(self.request(Method::GET, path)?)
    }

    /// Sends a body to this path of the API.
    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
    ) -> Result<T, Failure> {
        self.ask(self.request(Method::POST, path)?.json(body)).map(|(answer, _)| answer)
    }

    /// Does something that is ruled on, or asks whether it would be accepted; gives the word for what became of it.
    pub(crate) fn act<B: Serialize>(
        &self,
        path: &[&str],
        body: &B,
        dry_run: bool,
    ) -> Result<&'static str, Failure> {
        if dry_run {
            return self.rehearse(path, body);
        }
        Ok(match self.post(path, body)? {
            Ruled::Accepted => "accepted",
            Ruled::Pending => "pending",
        })
    }

    /// Asks whether an act would be accepted, as far as the server can say beforehand; nothing is changed. What
    /// would be refused is the failure that it would be.
    pub(crate) fn rehearse<B: Serialize>(&self, path: &[&str], body: &B) -> Result<&'static str, Failure> {
        self.foresee(path, body).map(|_| WOULD_BE)
    }

    /// The same; gives what the server warns of.
    pub(crate) fn foresee<B: Serialize>(&self, path: &[&str], body: &B) -> Result<Vec<String>, Failure> {
        let request = self.request(Method::POST, path)?.query(&[("dry_run", "true")]).json(body);
        let (answer, _): (serde_json::Value, _) = self.ask(request)?;
        // A server before this one knows of no dry run, and has done it.
        match answer.get("dry_run") {
            Some(serde_json::Value::Bool(true)) => {
                let warnings = answer.get("warnings").and_then(serde_json::Value::as_array);
                let warnings = warnings.into_iter().flatten().filter_map(serde_json::Value::as_str);
                Ok(warnings.map(str::to_owned).collect())
            }
            _ => Err(Failure::new(Class::Bug, "the server knows of no dry run: it has done what was asked")
                .hint("is it of the same version as this program?")),
        }
    }

    /// Writes what is at this path of the API as it comes in: its size in bytes.
    pub(crate) fn download(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        out: &mut impl std::io::Write,
    ) -> Result<u64, Failure> {
        let request = self.request(Method::GET, path)?.query(query);
        self.runtime.block_on(async {
            let mut response = self.good(request).await?;
            let mut written = 0;
            while let Some(chunk) = response.chunk().await.map_err(|error| self.away(&error))? {
                out.write_all(&chunk).map_err(|error| {
                    Failure::unavailable(format_args!("can't write what the server sent: {error}"))
                })?;
                written += chunk.len() as u64;
            }
            Ok(written)
        })
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(["api", "v1"]).extend(path),
            Err(()) => {
                return Err(Failure::invalid(format_args!("{} is no address", self.file.server)));
            }
        };
        Ok(self.http.request(method, url).bearer_auth(&self.file.token))
    }

    fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(T, Option<String>), Failure> {
        self.runtime.block_on(async {
            let response = self.good(request).await?;
            let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
            let bytes = self.body(response).await?;
            let answer = serde_json::from_slice(&bytes).map_err(|error| {
                Failure::unavailable(format_args!("{} sent what can't be read: {error}", self.file.server))
                    .hint("is it of the same version as this program?")
            })?;
            Ok((answer, date))
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.away(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_LIMIT {
                let server = &self.file.server;
                return Err(Failure::new(
                    Class::Limit,
                    format_args!("{server} sent more than {ANSWER_BYTES_LIMIT} bytes"),
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The response, where it is no problem.
    async fn good(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.away(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            let path = self.path.display();
            let failure = format!("the session in {path} has expired, or was ended");
            return Err(Failure::new(Class::Denied, failure)
                .hint("`bartizan up` writes a fresh one when it starts: stop it and start it again"));
        }
        let bytes = self.body(response).await?;
        let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
            status: status.as_u16(),
            title: format!("{} answered {status}", self.file.server),
            detail: None,
        });
        let failure = Failure::new(class(status), lines(&problem.title));
        Err(match problem.detail {
            Some(detail) => failure.hint(lines(&detail)),
            None => failure,
        })
    }

    /// No answer: nobody is there, or somebody else.
    fn away(&self, error: &reqwest::Error) -> Failure {
        let server = &self.file.server;
        if let Some(rustls::Error::InvalidCertificate(why)) = tls(error) {
            return Failure::unavailable(format_args!("{server} is not the server that {} trusts: {why}", {
                self.path.display()
            }))
            .hint("another server has this address, or it has a new authority: take its client file");
        }
        let mut last: &dyn std::error::Error = error;
        while let Some(source) = last.source() {
            last = source;
        }
        Failure::unavailable(format_args!("can't reach {server}: {last}")).hint(START)
    }
}

/// The class that carries a status; what no class has is ours to mend.
fn class(status: StatusCode) -> Class {
    let all = [Class::Invalid, Class::NotFound, Class::Conflict, Class::Denied, Class::Limit, Class::Bug];
    let known = all.into_iter().find(|class| class.http_status() == status.as_u16());
    known.unwrap_or(if status.is_client_error() { Class::Invalid } else { Class::Unavailable })
}

/// What TLS says about a connection that failed; errors of input and output hide theirs from `source`.
fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => tls(inner),
        None => error.source().and_then(tls),
    }
}

/// A server's words, without what would drive the reader's terminal.
fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
