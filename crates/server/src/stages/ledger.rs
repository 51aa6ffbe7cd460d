//! The ledger stage: numbers what was staged, and signs the new head.

use std::time::Duration;

use bartizan_store::ledger::BATCH_LIMIT;

use super::{Context, Error, Look};

/// How long entries may gather before they are numbered: a head a second is enough, five are the limit.
const GATHER: Duration = Duration::from_millis(500);

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    if context.store.staged().await? == 0 {
        return Ok(Look::Done);
    }
    tokio::time::sleep(GATHER).await;
    let signer = &context.keys.ledger;
    let numbered = context
        .store
        .number_leaves(context.ambient.now(), |size, root| {
            signer.sign(size, root).map(|signed| signed.note().to_owned()).map_err(|error| error.to_string())
        })
        .await?;
    if numbered > 0 {
        context.nudges.show();
    }
    Ok(if numbered == BATCH_LIMIT { Look::More } else { Look::Done })
}
