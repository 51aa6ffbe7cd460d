//! The posture stage: takes transitions, and what feeds changed, into bitmaps and figures, a shard at
//! a time.

use std::time::Duration;

use bartizan_store::log::Log;
use tokio::time::Instant;

use super::{Context, Error, Look};

/// How many times as long as a look took the intake is left alone after it.
const INTAKE_SHARE: u32 = 2;

/// How often it looks meanwhile whether the intake still has something to do.
const PAUSE: Duration = Duration::from_secs(1);

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
        leave_to_the_intake(&context, shard, began.elapsed() * INTAKE_SHARE).await?;
    }
    Ok(more)
}

/// While a fleet enrols there is always more: most of the time is the intake's, and what gathers meanwhile is
/// taken in at once. It ends as soon as nothing comes.
async fn leave_to_the_intake(context: &Context, shard: u32, long: Duration) -> Result<(), Error> {
    let until = Instant::now() + long;
    let mut seen = context.store.head(Log::Transition, shard).await?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(PAUSE)).await;
        let head = context.store.head(Log::Transition, shard).await?;
        if left <= PAUSE || head == seen {
            return Ok(());
        }
        seen = head;
    }
}
