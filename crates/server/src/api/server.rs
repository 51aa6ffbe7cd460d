//! The server itself: whether its mail relay answers, and the space where its state lies.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::ADMINS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// How the server stands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// The relay that mail is handed to; none where none is set.
    pub relay: Option<Relay>,
    /// The routes that name an address, as ENVIRONMENT/NAME.
    pub mail_routes: Vec<String>,
    /// The space of the file system that holds its folder of state; none where it can't be asked.
    pub space: Option<Space>,
}

/// A mail relay, and whether it answers now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Relay {
    /// Its host and port.
    pub address: String,
    /// Why nothing can be handed to it; none where it answers.
    pub problem: Option<String>,
}

/// The space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    pub total_bytes: u64,
    /// What is left for whoever is not root.
    pub free_bytes: u64,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<Described>("/api/v1/server")]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/server",
        roles: Some(ADMINS),
        summary: Some(
            "Describe the server itself: whether its mail relay answers, and the space for its state.",
        ),
        handler: get(|State(web): State<Web>| async move { describe(&web).await.map(Json) }),
    }]
}

/// The server as it stands now: its relay is asked for an answer.
pub async fn describe(web: &Web) -> Result<Described, Problem> {
    let mut mail_routes = Vec::new();
    for name in web.store.environments().await? {
        let environment = web.policies.environment(&name).await?;
        for (route, read) in &environment.routes {
            let mails = |routes: &bartizan_core::monitoring::route::Routes| {
                routes.receivers.iter().any(|receiver| receiver.email.is_some())
            };
            if read.as_ref().is_ok_and(mails) {
                mail_routes.push(format!("{name}/{route}"));
            }
        }
    }
    let relay = match web.stages.channels.relay() {
        Some(address) => Some(Relay { address, problem: web.stages.channels.reach_relay().await.err() }),
        None => None,
    };
    let folder = web.folder.clone();
    let space = tokio::task::spawn_blocking(move || space(&folder)).await.ok().flatten();
    Ok(Described { relay, mail_routes, space })
}

fn space(folder: &std::path::Path) -> Option<Space> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    Some(Space { total_bytes: bytes(found.blocks()), free_bytes: bytes(found.blocks_available()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_of_a_folder_is_told_and_of_one_that_is_not_there_it_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let found = space(folder.path()).unwrap();
        assert!(found.total_bytes >= found.free_bytes && found.total_bytes > 0, "{found:?}");
        assert_eq!(space(&folder.path().join("nowhere")), None);
    }
}
