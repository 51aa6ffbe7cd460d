//! The order that waits for an agent, with the signature that the agent holds it against.

use axum::extract::{Extension, State};
use axum::response::Response;
use bartizan_wire::VERSION;
use bartizan_wire::order::{Offer, Signed};

use super::{Intake, answer};
use crate::listener::Connection;
use crate::problem::Problem;

/// The newest order whose outcome is not known; none where there is none.
pub(super) async fn order(
    State(state): State<Intake>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, Problem> {
    let asset = state.admitted(&connection).await?;
    let given = match state.orders.of(asset.number).await? {
        Some(generation) => state.store.order(asset.number, generation).await?,
        None => None,
    };
    // What came to its end meanwhile is not offered, nor what the agent could only refuse.
    let now = state.ambient.now();
    let open = given.filter(|given| given.is_open() && now < given.order.not_after);
    let signed = open.map(|given| Signed { order: given.order, signature: given.signature });
    answer(&Offer { wire: VERSION, signed })
}
