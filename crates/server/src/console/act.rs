//! What becomes of a form: it redirects to the page of what it acted on, which tells.

use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use crate::api::Ruled;

/// What a redirect tells the page that it leads to.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Said {
    /// Whether an act waits for its ruling.
    #[serde(default)]
    pub(super) pending: bool,
}

/// To a page, which tells what became of an act.
pub(super) fn back(path: &str, ruled: &Ruled) -> Response {
    match ruled {
        Ruled::Accepted => Redirect::to(path).into_response(),
        Ruled::Pending => {
            let joint = if path.contains('?') { '&' } else { '?' };
            Redirect::to(&format!("{path}{joint}pending=true")).into_response()
        }
    }
}
