//! The notification stage: who is due to be told of an alert is told, and how it went is written.

use std::time::Duration;

use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::notification::{Due, Sent, due, idempotency_key};
use bartizan_core::monitoring::route::{Destination, Receiver};
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::time::{self, Timestamp};
use bartizan_store::notification::Notification;
use futures::StreamExt as _;

use super::{Context, Error, Look};
use crate::channels::{Message, Way};

mod delivery;
pub(super) mod route;

/// How long one attempt has before another replica may take it over.
const CLAIM: time::Duration = time::Duration::from_secs(60);

/// How long after its end an alert is still looked at: long enough to tell of the end.
const ENDED: time::Duration = time::Duration::from_hours(24);

/// The first wait after a failed attempt, doubled each time.
const RETRY: Duration = Duration::from_secs(2);

/// How many ways of one notification are attempted at the same time.
const WAYS_AT_ONCE: usize = 4;

/// How long all ways of one attempt may take: well before another replica may take it over.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(45);

/// The longest wait between attempts.
const RETRY_LIMIT: Duration = Duration::from_secs(900);

pub(super) async fn look(context: Context, told: route::Told) -> Result<Look, Error> {
    let now = context.ambient.now();
    route::tell(&context, &told, now).await?;
    let mut attempts = Vec::new();
    let mut next: Option<Timestamp> = None;
    while let Some(again) = context.store.reclaim_notification(now, now.plus(CLAIM)).await? {
        attempts.push(again);
    }
    let silences: Vec<Silence> =
        context.store.silences(now).await?.into_iter().map(|(_, silence)| silence).collect();
    let mut after = None;
    loop {
        let alerts = context.store.alerts_changed(now.minus(ENDED), after).await?;
        let Some(last) = alerts.last() else { break };
        after = Some((last.opened_at, last.id));
        for alert in alerts {
            for destination in destinations(&context, &alert).await? {
                match claim(&context, &alert, &destination, &silences, now).await? {
                    Claim::Taken(attempt) => attempts.push(*attempt),
                    Claim::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                    Claim::Nothing => {}
                }
            }
        }
    }
    // A receiver that hangs holds up nobody else's page, nor the next look.
    for attempt in attempts {
        let sender = context.clone();
        context.channels.start(async move {
            // The claim runs out, and the attempt is made again.
            if let Err(error) = send(&sender, attempt).await {
                tracing::error!(error = %error, "can't write how a notification went");
            }
        });
    }
    Ok(next.map_or(Look::Done, |at| Look::In(at.since(now).to_std())))
}

/// What a look at one destination of one alert came to.
enum Claim {
    /// It is ours to send.
    Taken(Box<Notification>),
    /// It is due then.
    At(Timestamp),
    Nothing,
}

/// Where an alert goes, by the routes of its environment.
async fn destinations(context: &Context, alert: &Alert) -> Result<Vec<Destination>, Error> {
    let environment = context.policies.environment(&alert.group.environment).await?;
    let labels = alert.labels();
    Ok(environment.routes().flat_map(|routes| routes.destinations(&labels)).collect())
}

/// Claims what is due; nothing where another replica was quicker.
async fn claim(
    context: &Context,
    alert: &Alert,
    destination: &Destination,
    silences: &[Silence],
    now: Timestamp,
) -> Result<Claim, Error> {
    let last = context.store.last_sent(alert.id, &destination.receiver).await?;
    let occasion = match due(alert, destination, last, silences, now) {
        Due::Now(occasion) => occasion,
        Due::At(at) => return Ok(Claim::At(at)),
        Due::Nothing => return Ok(Claim::Nothing),
    };
    let number = last.map_or(1, |last| last.number.saturating_add(1));
    let claim = Notification {
        alert: alert.id,
        receiver: destination.receiver.clone(),
        sent: Sent { number, occasion, severity: alert.severity, at: now },
        idempotency_key: idempotency_key(alert, &destination.receiver, number).to_string(),
        attempts: 1,
    };
    match context.store.claim_notification(&claim, now.plus(CLAIM)).await {
        Ok(()) => Ok(Claim::Taken(Box::new(claim))),
        Err(error) if error.class() == bartizan_core::error::Class::Conflict => Ok(Claim::Nothing),
        Err(error) => Err(error.into()),
    }
}

async fn send(context: &Context, attempt: Notification) -> Result<(), Error> {
    let outcome = match message(context, &attempt).await? {
        Ok((receiver, message)) => {
            let outcome = by_every_way(context, &attempt, &receiver, &message).await?;
            // Before it is written: what a crash cuts off here is attempted, and told, again.
            let problem = outcome.as_ref().err().map(String::as_str);
            delivery::tell(context, &attempt, problem, context.ambient.now()).await?;
            outcome
        }
        // Whoever is no receiver any more is not out of reach.
        Err(problem) => Err(problem),
    };
    let now = context.ambient.now();
    let outcome = outcome.map_err(|problem| {
        tracing::warn!(
            receiver = attempt.receiver,
            attempt = attempt.attempts,
            problem,
            "a notification failed"
        );
        let wait = RETRY.saturating_mul(1 << attempt.attempts.min(16)).min(RETRY_LIMIT);
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        (problem, now.plus(time::Duration::from_millis(ms)))
    });
    context.store.finish_notification(&attempt, outcome, now, context.ambient.random()).await?;
    context.nudges.show();
    Ok(())
}

/// Attempts the ways by which it was not delivered before, and writes how each went as soon as that
/// is known, so that a crash repeats only what was in flight. Else why some did not come through.
async fn by_every_way(
    context: &Context,
    attempt: &Notification,
    receiver: &Receiver,
    message: &Message,
) -> Result<Result<(), String>, Error> {
    let ways = context.store.notification_ways(attempt.alert).await?;
    let ours =
        ways.iter().filter(|way| way.receiver == attempt.receiver && way.number == attempt.sent.number);
    let delivered: Vec<&str> = ours.filter(|way| way.problem.is_none()).map(|way| way.way.as_str()).collect();
    let left = Way::all(receiver).into_iter().filter(|way| !delivered.contains(&way.word().as_str()));
    let deadline = tokio::time::Instant::now() + ATTEMPT_LIMIT;
    let attempts = left.map(|way| async move {
        let sending = context.channels.send(&way, receiver, message);
        let sent = tokio::time::timeout_at(deadline, sending).await;
        let problem = sent.unwrap_or_else(|_| Err("there was no time left for it".to_owned())).err();
        let now = context.ambient.now();
        context.store.finish_way(attempt, &way.word(), problem.as_deref(), now).await?;
        Ok::<_, Error>(problem.map(|problem| format!("{}: {problem}", way.word())))
    });
    let all: Vec<_> = futures::stream::iter(attempts).buffer_unordered(WAYS_AT_ONCE).collect().await;
    let mut problems = Vec::new();
    for one in all {
        problems.extend(one?);
    }
    problems.sort_unstable();
    Ok(if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) })
}

/// What is sent, and to whom; or why it can't be any more.
async fn message(
    context: &Context,
    attempt: &Notification,
) -> Result<Result<(Receiver, Message), String>, Error> {
    let Some(alert) = context.store.alert(attempt.alert).await? else {
        return Ok(Err("the alert does not exist any more".to_owned()));
    };
    let environment = context.policies.environment(&alert.group.environment).await?;
    let receiver = environment.routes().find_map(|routes| routes.receiver(&attempt.receiver).cloned());
    let Some(receiver) = receiver else {
        return Ok(Err(format!("no route has a receiver `{}` any more", attempt.receiver)));
    };
    let places = context.store.alert_places(alert.id).await?;
    let ended = match &alert.stage {
        Stage::Open => None,
        Stage::Resolved { at } | Stage::Closed { at, .. } => Some(*at),
    };
    let message = Message {
        occasion: attempt.sent.occasion,
        number: attempt.sent.number,
        idempotency_key: attempt.idempotency_key.clone(),
        first_key: idempotency_key(&alert, &attempt.receiver, 1).to_string(),
        at: attempt.sent.at,
        ended,
        alert,
        places,
    };
    Ok(Ok((receiver, message)))
}
