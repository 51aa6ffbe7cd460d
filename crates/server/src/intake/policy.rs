//! Policy: the documents that an agent judges by, fetched when their etag changed.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_wire::VERSION;
use bartizan_wire::policy::Policy;

use super::{Intake, answer};
use crate::listener::Connection;
use crate::problem::Problem;

/// The documents that apply to the asset, or 304 where the agent has them.
pub(super) async fn policy(
    State(state): State<Intake>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = state.admitted(&connection).await?;
    let policy = state.policies.policy(&asset).await?;
    let explained = state.policies.explained(asset.number).await?;
    let etag = policy.etag_with(&explained);
    let held = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if held.is_some_and(|held| held.trim_matches('"') == etag.to_string()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let documents = policy.documents.iter().map(|document| document.written.clone()).collect();
    answer(&Policy { wire: VERSION, etag, documents, explained })
}
