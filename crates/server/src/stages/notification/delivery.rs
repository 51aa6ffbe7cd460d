//! Receivers that can't be reached are told of: a page that nobody got must not pass for one that somebody did.

use bartizan_core::monitoring::alert::{Group, Member};
use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::time::Timestamp;
use bartizan_store::notification::Notification;
use bartizan_store::signal::NO_ASSET;

use super::super::{Context, Error};
use crate::signal::environment_signal;

/// From which failed attempt at one notification on its receiver counts as out of reach: half a minute after
/// the first. One attempt alone is weather.
const TOLD_FROM: u32 = 4;

/// Tells of a receiver that is out of reach, or that it was reached again. Which other receivers hear of it is
/// for the routes to say; the overview shows it to whoever looks.
pub(super) async fn tell(
    context: &Context,
    attempt: &Notification,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(alert) = context.store.alert(attempt.alert).await? else { return Ok(()) };
    let signal = signal(&alert.group.environment, &attempt.receiver, problem, now);
    let is_news = match problem {
        Some(_) => attempt.attempts >= TOLD_FROM,
        None => is_told(context, &signal).await?,
    };
    if is_news {
        context.store.append_signals(&[(NO_ASSET, signal)]).await?;
        context.nudges.alert();
    }
    Ok(())
}

/// Whether an open alert says that the receiver is out of reach.
async fn is_told(context: &Context, signal: &Signal) -> Result<bool, Error> {
    let Some(alert) = context.store.open_alert(&Group::of(signal).key()).await? else { return Ok(false) };
    let member = context.store.alert_member(alert.id, &signal.member_key()).await?;
    Ok(matches!(member, Some(Member::Firing { .. })))
}

fn signal(environment: &str, receiver: &str, problem: Option<&str>, at: Timestamp) -> Signal {
    let (state, summary) = match problem {
        Some(problem) => (
            State::Firing,
            format!(
                "{receiver} of {environment} gets no notifications since {TOLD_FROM} attempts: {problem}"
            ),
        ),
        None => (State::Resolved, format!("{receiver} of {environment} gets notifications")),
    };
    environment_signal(environment, ("delivery", receiver), state, summary, at)
}
