//! The trend stage: writes down how the fleet stands whenever that changed.
//!
//! A look asks for a handful of counters; only where one of them moved are the figures read, and
//! those are rows that other stages keep. A fleet at rest costs the same small look, however large.

use std::sync::Arc;
use std::time::Duration;

use bartizan_core::digest::Digest;
use bartizan_core::trend::Figures;
use bartizan_store::posture::TURN;
use tokio_util::sync::CancellationToken;

use super::{Context, Error};
use crate::stale::Overlay;

/// How often it looks whether something moved: a curve by the minute needs no more.
const EVERY: Duration = Duration::from_secs(5);

/// What moves whenever a figure does.
struct Mark {
    turn: i64,
    alerts: u64,
    assets: (u64, u64),
    feeds: Option<Digest>,
    stale: Arc<Overlay>,
}

impl Mark {
    fn same(&self, other: &Mark) -> bool {
        let numbers = |mark: &Mark| (mark.turn, mark.alerts, mark.assets, mark.feeds);
        numbers(self) == numbers(other) && Arc::ptr_eq(&self.stale, &other.stale)
    }
}

pub(super) async fn run(context: Context, stop: CancellationToken) {
    let mut last: Option<Mark> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY.min(context.pacing.interval)) => {}
            () = stop.cancelled() => return,
        }
        match look(&context, last.as_ref()).await {
            Ok(Some(mark)) => last = Some(mark),
            Ok(None) => {}
            Err(error) => tracing::error!(error = %error, "can't write down how the fleet stands"),
        }
    }
}

/// Writes the figures down where something moved since the last mark; gives the new one.
async fn look(context: &Context, last: Option<&Mark>) -> Result<Option<Mark>, Error> {
    let counts = context.store.asset_counts().await?;
    let mark = Mark {
        turn: context.store.cursor(TURN, 0).await?,
        alerts: context.store.open_alert_counts().await?.0,
        assets: (counts.watched, counts.retired),
        feeds: context.feeds.get().map(|library| library.digest()),
        stale: context.stale.read(),
    };
    // A server that starts writes what it finds: it was away meanwhile.
    if last.is_some_and(|last| last.same(&mark)) {
        return Ok(None);
    }
    let figures = figures(context, &mark).await?;
    context.store.put_trend(context.ambient.now(), &figures).await?;
    context.nudges.show();
    Ok(Some(mark))
}

async fn figures(context: &Context, mark: &Mark) -> Result<Figures, Error> {
    let standings = mark.stale.total(&context.store).await?;
    let totals = context.store.vulnerability_totals().await?;
    let library = context.feeds.get();
    let exploited = match library.as_ref().filter(|library| library.has_catalogue()) {
        Some(library) => {
            let catalogue: Vec<&str> = library.exploited().collect();
            Some(context.store.count_affected_among(&catalogue).await?)
        }
        None => None,
    };
    Ok(Figures {
        assets: mark.assets.0,
        met: standings.met,
        not_met: standings.not_met,
        unknown: standings.unknown,
        vulnerabilities: library.is_some().then_some(totals.open),
        severe: totals.severe,
        unrated: totals.unrated,
        exploited,
        open_alerts: mark.alerts,
        backlog: context.store.backlog().await?,
    })
}
