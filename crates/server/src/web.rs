//! What people and their programs reach: every route with its roles, in one table.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use bartizan_core::error::Class;
use bartizan_core::role::Role;
use bartizan_store::Store;
use tower::ServiceExt as _;

use crate::ambient::Ambient;
use crate::api;
use crate::auth::{Gate, guard};
use crate::console;
use crate::intake::last_seen::LastSeen;
use crate::nudge::Nudges;
use crate::policy::Policies;
use crate::problem::Problem;

/// The largest body of a request, in bytes: a folder of documents.
const BODY_BYTES_LIMIT: usize = 16 << 20;

/// The largest body of a request of which nobody knows yet whose it is, in bytes: a token or a code.
const UNKNOWN_BODY_BYTES_LIMIT: usize = 16 << 10;

/// What the query of a request holds that wants to know whether an act would be accepted.
const DRY_RUN: &str = "dry_run=true";

/// What a page may load: only what this host serves, and no script that stands in a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What handlers work with.
#[derive(Clone, Debug)]
pub struct Web {
    pub store: Store,
    pub ambient: Ambient,
    pub nudges: Nudges,
    pub policies: Policies,
    pub last_seen: LastSeen,
    /// Who is silent, laid over what pages show.
    pub stale: crate::stale::Stale,
    /// Whether feeds were imported, and what they were.
    pub feeds: crate::stages::matching::Feeds,
    /// Seals what belongs to one person alone.
    pub wrapping: std::sync::Arc<crate::keys::Wrapping>,
    /// What stages work with: a dry run asks them how they would rule.
    pub stages: crate::stages::Context,
    /// The public key of the ledger, as a signed-note verifier key.
    pub ledger_key: bartizan_ledger::checkpoint::Key,
    /// The folder of its state, as far as that lies on this machine.
    pub folder: std::path::PathBuf,
    /// Whether this is a demo, where people are switched by a click.
    pub demo: bool,
}

/// One route: how it is called, who may, and what answers.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// One of these roles; none where nobody has to sign in.
    pub roles: Option<&'static [Role]>,
    /// What it is for, in the published description of the API; none for pages.
    pub summary: Option<&'static str>,
    pub handler: MethodRouter<Web>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Every route there is, but the one that a demo has beside them.
pub fn routes() -> Vec<Route> {
    api::routes().into_iter().chain(console::routes()).collect()
}

/// The router of the people's listener. A dry run goes to one like it whose store refuses to write: no
/// handler can change anything there, whatever it does.
pub fn router(web: &Web) -> Router {
    let rehearsal = routed(&Web { store: web.store.reads_only(), ..web.clone() });
    // Chosen before either has matched a path: what is in a path is told once.
    Router::new().fallback(choose).with_state(Both { earnest: routed(web), rehearsal })
}

#[derive(Clone)]
struct Both {
    earnest: Router,
    rehearsal: Router,
}

async fn choose(State(both): State<Both>, request: Request) -> Response {
    let path = request.uri().path();
    let acts = *request.method() == Method::POST && path.starts_with("/api/");
    let asked = acts && request.uri().query().is_some_and(|query| query.split('&').any(|one| one == DRY_RUN));
    let router = match (asked, has_dry_run(path)) {
        (false, _) => both.earnest,
        (true, true) => both.rehearsal,
        (true, false) => return Problem::new(Class::Invalid, "this has no dry run").into_response(),
    };
    router.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Whether an act may be rehearsed. Who signs in may not: what is guessed is counted, or not answered.
pub(crate) fn has_dry_run(path: &str) -> bool {
    let signs_in = ["/api/v1/session", "/api/v1/sign-in-links"];
    path.starts_with("/api/") && !signs_in.iter().any(|beginning| path.starts_with(beginning))
}

fn routed(web: &Web) -> Router {
    let mut router = Router::new();
    // Without the setting there is no such route to be reached, by whatever a request bears.
    let switch = if web.demo { console::demo::routes() } else { Vec::new() };
    for route in routes().into_iter().chain(switch) {
        let gate = Gate { web: web.clone(), roles: route.roles, path: route.path };
        let is_known = route.roles.is_some() && !gate.is_factor();
        let limit = if is_known { BODY_BYTES_LIMIT } else { UNKNOWN_BODY_BYTES_LIMIT };
        let limited = route.handler.layer(DefaultBodyLimit::max(limit));
        let guarded = limited.layer(middleware::from_fn_with_state(gate, guard));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(console::problem::lost)
        .layer(middleware::from_fn_with_state(web.clone(), console::problem::pages))
        .layer(middleware::map_response(harden))
        .with_state(web.clone())
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: a browser would send our own forms with `Origin: null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_has_no_dry_run_by_which_to_guess() {
        assert!(has_dry_run("/api/v1/changes/x/approve"));
        for path in ["/api/v1/session", "/api/v1/session/factor", "/api/v1/sign-in-links", "/alerts/x/close"]
        {
            assert!(!has_dry_run(path), "{path}");
        }
    }
}
