//! Who asks, and whether they may: sessions and roles in front of every route.
//!
//! A person signs in by a link that works once, and by a second factor where they have one or come
//! from beyond this machine; a program bears a session's token. Cookies go to this host alone,
//! over TLS alone, and never along with another site's request.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::factor::{Access, access};
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Duration;

use crate::listener::Connection;
use crate::problem::Problem;
use crate::web::Web;

pub mod factor;

/// The cookie that holds a session's token.
pub(crate) const COOKIE: &str = "__Host-bartizan";

/// Where the second factor is set up and shown: the routes that a session without it reaches.
const FACTOR_PATHS: [&str; 2] = ["/factor", "/api/v1/session/factor"];

/// What a proxy on this machine says of whom it asks for: then nobody asks from here.
const FORWARDED: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_hours(12);

/// How long a sign-in link works.
pub const LINK: Duration = Duration::from_hours(1);

/// Who may read: everybody but assessors, who see their engagement alone.
pub const READERS: &[Role] = &[
    Role::Operator,
    Role::Security,
    Role::Responder,
    Role::IncidentManager,
    Role::OperationsManager,
    Role::Legal,
    Role::Privacy,
    Role::Auditor,
    Role::Admin,
];

/// Who works on alerts and incidents.
pub const RESPONDERS: &[Role] =
    &[Role::Operator, Role::Security, Role::Responder, Role::IncidentManager, Role::OperationsManager];

/// Who writes documents and runs services.
pub const OPERATORS: &[Role] = &[Role::Operator, Role::Security];

/// Who lets assets in by a key and takes them out of service: an operator those of their own services.
pub const KEEPERS: &[Role] = &[Role::Operator, Role::Security, Role::Admin];

/// Who sets Bartizan up.
pub const ADMINS: &[Role] = &[Role::Admin];

/// Who confirms a role that was asked for somebody else.
pub const CONFIRMERS: &[Role] = &[Role::Security, Role::Admin];

/// The session that a request bears.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The digest of its token.
    pub token: Digest,
    /// Whether it passed the second factor.
    pub passed: bool,
}

/// What a route asks of whoever comes.
#[derive(Clone, Debug)]
pub struct Gate {
    pub web: Web,
    /// One of these roles; nobody has to sign in where this is none.
    pub roles: Option<&'static [Role]>,
    pub path: &'static str,
}

impl Gate {
    /// Whether it leads to the second factor: everybody who signs in needs that, whatever their roles.
    pub(crate) fn is_factor(&self) -> bool {
        let leads = |path: &str| match self.path.strip_prefix(path) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        FACTOR_PATHS.into_iter().any(leads) || self.path == "/sign-out"
    }
}

/// Lets a request through with its person, or says why not.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(roles) = gate.roles else { return next.run(request).await };
    let (token, from_here) = (token(&request), from_here(&request));
    match person(&gate, token, from_here).await {
        Ok((person, signed)) => {
            let mut response = if person.has_any(roles) || gate.is_factor() {
                request.extensions_mut().insert(person.clone());
                request.extensions_mut().insert(signed);
                next.run(request).await
            } else {
                let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                Problem::new(Class::Denied, format_args!("{} may not do this", person.name))
                    .hint(format_args!("it takes one of the roles {}", words.join(", ")))
                    .into_response()
            };
            // A problem drawn as a page shows who is signed in.
            response.extensions_mut().insert(person);
            response
        }
        Err(stop) if wants_page(request.headers()) && request.method() == Method::GET => match stop {
            Stop::Unknown(_) => Redirect::to("/sign-in").into_response(),
            Stop::Factor => Redirect::to("/factor").into_response(),
            Stop::Problem(problem) => problem.into_response(),
        },
        Err(Stop::Unknown(problem) | Stop::Problem(problem)) => problem.into_response(),
        Err(Stop::Factor) => {
            let problem = Problem::new(Class::Denied, "this takes your second factor");
            problem.hint("show its code on the page /factor, or set one up there").into_response()
        }
    }
}

/// Why a request is not let through.
enum Stop {
    /// Nobody is signed in.
    Unknown(Problem),
    /// The second factor was not shown.
    Factor,
    Problem(Problem),
}

/// Whether a browser asks that shows pages.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Who asks, where their session reaches this route.
async fn person(
    gate: &Gate,
    token: Result<String, Problem>,
    from_here: bool,
) -> Result<(Person, Signed), Stop> {
    let token = Digest::of_bytes(token.map_err(Stop::Unknown)?.as_bytes());
    let web = &gate.web;
    let session = web.store.session(&token, web.ambient.now()).await;
    let session = session.map_err(|error| Stop::Problem(error.into()))?;
    let session = session.ok_or_else(|| Stop::Unknown(unknown()))?;
    let passed = session.passed_at.is_some();
    match access(session.origin, passed, session.has_factor, from_here) {
        Access::Whole => {}
        Access::Factor if gate.is_factor() => {}
        Access::Factor => return Err(Stop::Factor),
        Access::Nothing => return Err(Stop::Unknown(unknown())),
    }
    Ok((session.person, Signed { token, passed }))
}

/// Whether who asks is on the server's own machine, and asks for themselves. A proxy that says nothing of
/// whom it asks for still passes on by which name, or asks for the server by its own.
fn from_here(request: &Request) -> bool {
    let address = request.extensions().get::<Connection>().map(|connection| connection.address.ip());
    let proxied = FORWARDED.iter().any(|name| request.headers().contains_key(*name));
    let named = authority(request.uri(), request.headers()).is_some_and(is_loopback);
    address.is_some_and(|address| address.to_canonical().is_loopback()) && !proxied && named
}

/// Whether an authority, `HOST` or `HOST:PORT`, names this machine to itself.
fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn unknown() -> Problem {
    Problem::unauthenticated("sign in first").hint("`bartizan sign-in` prints a link")
}

/// The session's token that a request bears, where it may be used for that request.
fn token(request: &Request) -> Result<String, Problem> {
    let headers = request.headers();
    if let Some(token) = bearer(headers) {
        return Ok(token.to_owned());
    }
    let token = cookie(headers).ok_or_else(unknown)?;
    if !request.method().is_safe() {
        same_origin(request.uri(), headers)?;
    }
    Ok(token.to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// Another site can make a browser send a form here, but not lie about where it came from.
pub(crate) fn same_origin(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let ours = origin.and_then(|origin| origin.strip_prefix("https://"));
    if ours.is_some() && ours == authority(uri, headers) {
        Ok(())
    } else {
        Err(Problem::new(Class::Denied, "the request comes from another site"))
    }
}

/// By which name the server is asked: HTTP/2 has it in the address, HTTP/1.1 in a header.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = || headers.get(header::HOST).and_then(|value| value.to_str().ok());
    uri.authority().map(Authority::as_str).or_else(host)
}

/// A fresh link that signs a person in once; what follows the console's URL.
pub async fn link(web: &Web, person: PersonId) -> Result<String, bartizan_store::Error> {
    let token = web.ambient.token();
    let expires = web.ambient.now().plus(LINK);
    web.store.create_sign_in_link(&Digest::of_bytes(token.as_bytes()), person, expires).await?;
    Ok(format!("/sign-in?link={token}"))
}

/// Uses a link up: the session's token, or none where the link is no good.
pub async fn sign_in(web: &Web, link: &str) -> Result<Option<String>, bartizan_store::Error> {
    let token = web.ambient.token();
    let now = web.ambient.now();
    let (link, session) = (Digest::of_bytes(link.as_bytes()), Digest::of_bytes(token.as_bytes()));
    let person = web.store.sign_in(&link, &session, now, now.plus(SESSION)).await?;
    Ok(person.map(|_| token))
}

/// Opens a session for a person without a link in anybody's hands: the token, or none where the
/// person is gone.
pub async fn open(web: &Web, person: PersonId) -> Result<Option<String>, bartizan_store::Error> {
    let link = link(web, person).await?;
    let token = link.split_once('=').map(|(_, token)| token).unwrap_or_default();
    sign_in(web, token).await
}

/// A session for whoever runs the server, on its own machine alone; it needs no second factor there,
/// since who holds it reads the server's files anyhow.
pub async fn local_session(web: &Web, person: PersonId) -> Result<String, bartizan_store::Error> {
    let token = web.ambient.token();
    let now = web.ambient.now();
    let digest = Digest::of_bytes(token.as_bytes());
    web.store.open_local_session(&digest, person, now, now.plus(SESSION)).await?;
    Ok(token)
}

/// The cookie that keeps a session.
pub fn set_cookie(token: &str) -> String {
    let seconds = SESSION.as_millis() / 1_000;
    format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict")
}

/// The cookie that ends one.
pub fn clear_cookie() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

/// Ends the session that a request bears.
pub async fn sign_out(web: &Web, headers: &HeaderMap) -> Result<(), bartizan_store::Error> {
    match bearer(headers).or_else(|| cookie(headers)) {
        Some(token) => web.store.end_session(&Digest::of_bytes(token.as_bytes())).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(authority: Option<&str>, headers: &[(&'static str, &str)]) -> bool {
        let uri = authority.map_or_else(|| "/".to_owned(), |authority| format!("https://{authority}/"));
        let mut request = axum::http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 50_000));
        let request = request.extension(Connection { address, peer: None });
        from_here(&request.body(axum::body::Body::empty()).unwrap())
    }

    #[test]
    fn who_asks_from_loopback_by_another_name_or_through_a_proxy_is_not_here() {
        for name in ["localhost:8443", "LocalHost", "127.0.0.1:8443", "127.9.9.9", "[::1]:8443"] {
            assert!(asked(Some(name), &[]), "{name}");
            assert!(asked(None, &[("host", name)]), "{name}");
        }
        for name in ["watch.example.org", "192.0.2.1:8443", "localhost.example.org", "127.0.0.1.example.org"]
        {
            assert!(!asked(Some(name), &[]), "{name}");
            assert!(!asked(None, &[("host", name)]), "{name}");
        }
        assert!(!asked(None, &[]), "by no name");
        for name in FORWARDED {
            assert!(!asked(Some("localhost"), &[(name, "1.1 proxy")]), "{name}");
        }
    }
}
