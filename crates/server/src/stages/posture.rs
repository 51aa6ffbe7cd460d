//! The posture stage: takes transitions, and what feeds changed, into bitmaps and figures, a shard at
//! a time.

use bartizan_store::log::Log;
use tokio::time::Instant;

use super::{Context, Error, Look};

/// How many times as long as a look took the intake is left alone after it.
const INTAKE_SHARE: u32 = 2;

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let mut more = Look::Done;
    for shard in store.shards(Log::Transition).await? {
        let began = Instant::now();
        let taken = store.take_in(shard).await?;
        if taken.transitions + taken.matches == 0 {
            continue;
        }
        if taken.matches > 0 {
            // Whoever tells of news looks up in the index who has it.
            context.nudges.matches_counted();
        }
        context.nudges.posture_moved();
        if taken.more {
            more = Look::More;
        }
        // While a fleet enrols there is always more: most of the time is the intake's, and what
        // gathers meanwhile is taken in at once. Where a whole look's worth waits, nothing is won by waiting.
        if !taken.more {
            tokio::time::sleep(began.elapsed() * INTAKE_SHARE).await;
        }
    }
    Ok(more)
}
