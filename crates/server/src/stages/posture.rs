//! The posture stage: takes transitions into the bitmaps, a shard at a time.

use bartizan_core::posture::index::{Edits, collect};
use bartizan_store::log::Log;
use bartizan_store::posture::{BATCH_LIMIT, STAGE};

use super::{Context, Error, Look};

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let mut more = Look::Done;
    for shard in store.shards(Log::Transition).await? {
        let from = store.cursor(STAGE, shard).await?;
        let transitions = store.transitions(shard, from, BATCH_LIMIT).await?;
        let Some(last) = transitions.last() else { continue };
        let mut edits = Edits::new();
        for transition in &transitions {
            collect(&mut edits, transition.number, &transition.changes);
        }
        store.edit_index(shard, &edits, from, last.seq + 1).await?;
        context.nudges.show();
        if transitions.len() == BATCH_LIMIT {
            more = Look::More;
        }
    }
    Ok(more)
}
