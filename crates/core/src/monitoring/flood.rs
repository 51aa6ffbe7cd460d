//! Floods: how many alerts one asset opens, and how many places it has in one, before its further signals
//! are counted alone.
//!
//! An agent that was taken over can make up as many detections as it likes. What goes beyond the limit
//! is gathered in one alert for the asset, which says how much it stands for: counted, never hidden.

use super::alert::{Alert, Counts, Group, Member, Stage};
use super::signal::{Kind, Signal, State};
use crate::id::AlertId;
use crate::severity::Severity;
use crate::time::{Duration, Timestamp};

/// The most alerts that one asset opens within [`WINDOW`] by what its agent says. A host that
/// is broken all through opens a few dozen.
pub const ALERTS_LIMIT: u64 = 100;

/// The most places of one asset in one alert: more than a page of it shows.
pub const PLACES_LIMIT: u64 = 500;

/// The time within which they are counted.
pub const WINDOW: Duration = Duration::from_hours(1);

/// How the subject of such an alert begins; the asset's name follows.
const SUBJECT: &str = "surplus/";

/// Whether the alerts that signals of this kind open are counted: an agent alone says that they are so.
pub const fn is_limited(kind: Kind) -> bool {
    matches!(kind, Kind::Deviation | Kind::Health | Kind::Detection | Kind::Drift | Kind::Canary | Kind::Fork)
}

/// The signal that stands for one which is told in the asset's surplus alone.
pub fn surplus(signal: &Signal) -> Signal {
    let name = signal.labels.get("asset").cloned().unwrap_or_else(|| signal.asset.to_string());
    Signal {
        kind: Kind::Loss,
        subject: format!("{SUBJECT}{name}"),
        object: String::new(),
        state: State::Firing,
        severity: Severity::High,
        summary: format!("{name} sent a signal that is only counted"),
        backlog: false,
        ..signal.clone()
    }
}

/// Whether a signal stands for another that is only counted.
pub fn is_surplus(signal: &Signal) -> bool {
    signal.kind == Kind::Loss && signal.subject.starts_with(SUBJECT)
}

/// Counts one such signal in: `alert` is the asset's open alert, `fresh` the identifier that a new one gets.
pub fn count(alert: Option<&Alert>, signal: &Signal, fresh: AlertId) -> (Alert, Member) {
    let mut alert = match alert.filter(|alert| alert.stage == Stage::Open) {
        Some(alert) => alert.clone(),
        None => Alert {
            id: fresh,
            group: Group::of(signal),
            severity: signal.severity,
            summary: String::new(),
            opened_at: signal.at,
            grown_at: signal.at,
            counts: Counts { firing: 1, ..Counts::default() },
            acknowledged: None,
            stage: Stage::Open,
            opened_by: None,
            surplus: 0,
        },
    };
    alert.surplus = alert.surplus.saturating_add(1);
    let (name, count) = (signal.subject.trim_start_matches(SUBJECT), alert.surplus);
    let signals = if count == 1 { "signal of it is" } else { "signals of it are" };
    alert.summary = format!(
        "{name}: {count} {signals} counted here alone, beyond {ALERTS_LIMIT} alerts within an hour, beyond \
         {PLACES_LIMIT} places in one, or under names that no document gives it"
    );
    let since = alert.opened_at;
    (alert, Member::Firing { since })
}

/// Since when alerts count against the limit.
pub fn since(now: Timestamp) -> Timestamp {
    now.minus(WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AssetId;
    use crate::selector::Labels;

    fn signal() -> Signal {
        let at = Timestamp::from_millis(1_000);
        Signal {
            kind: Kind::Detection,
            subject: "made-up".to_owned(),
            asset: AssetId::mint(at, [1; 10]),
            object: "x".to_owned(),
            state: State::Firing,
            severity: Severity::Critical,
            labels: Labels::from([("asset".to_owned(), "web-1".to_owned())]),
            summary: "made up".to_owned(),
            at,
            backlog: true,
        }
    }

    #[test]
    fn what_is_beyond_the_limit_is_one_alert_that_names_the_host_and_counts_it() {
        let told = surplus(&signal());
        assert!(is_surplus(&told) && !is_surplus(&signal()) && !told.backlog);
        let fresh = AlertId::mint(told.at, [2; 10]);
        let (first, member) = count(None, &told, fresh);
        assert_eq!((first.id, first.surplus, first.counts.firing), (fresh, 1, 1));
        assert!(first.summary.starts_with("web-1: 1 signal of it is counted"), "{}", first.summary);
        let (second, again) = count(Some(&first), &told, AlertId::mint(told.at, [3; 10]));
        assert_eq!((second.id, second.surplus, again), (fresh, 2, member));
        assert!(second.summary.contains("web-1: 2 signals"), "{}", second.summary);
        assert_eq!(second.counts, first.counts);
        let closed = Alert { stage: Stage::Resolved { at: told.at }, ..second };
        assert_eq!(count(Some(&closed), &told, fresh).0.surplus, 1, "what was closed is not counted on");
    }
}
