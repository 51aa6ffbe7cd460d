//! Notifications: when a destination is due to be told of an alert, and of what.

use serde::{Deserialize, Serialize};

use super::alert::{Alert, Stage};
use super::route::Destination;
use super::silence::Silence;
use crate::canonical::Value;
use crate::digest::Digest;
use crate::severity::Severity;
use crate::time::Timestamp;

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    Opened,
    /// More members joined since the last notification.
    Grew,
    /// Nobody took it on.
    Repeated,
    /// It ended.
    Ended,
}

/// The last notification that went to a destination about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Counted from 1.
    pub number: u32,
    pub occasion: Occasion,
    pub severity: Severity,
    pub at: Timestamp,
}

/// What is to be done about a destination now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Now(Occasion),
    /// Look again then.
    At(Timestamp),
    /// Nothing more, unless the alert changes.
    Nothing,
}

/// When this destination is due to be told of this alert.
///
/// The end of an alert is told to those alone who were told of its beginning. A silence
/// defers; it does not swallow: what still fires when it ends is told then. That the glass was
/// broken is told whatever is silenced: whoever breaks it may make silences, too.
pub fn due(
    alert: &Alert,
    destination: &Destination,
    sent: Option<Sent>,
    silences: &[Silence],
    now: Timestamp,
) -> Due {
    let Some((occasion, at)) = next(alert, destination, sent) else { return Due::Nothing };
    if at > now {
        return Due::At(at);
    }
    let mutes = |silence: &&Silence| silence.holds(alert, now);
    let muted_until = silences.iter().filter(mutes).map(|silence| silence.ends_at).max();
    match muted_until {
        Some(end) => Due::At(end),
        None => Due::Now(occasion),
    }
}

fn next(alert: &Alert, destination: &Destination, sent: Option<Sent>) -> Option<(Occasion, Timestamp)> {
    let open = alert.stage == Stage::Open;
    match sent {
        None => open.then(|| (Occasion::Opened, alert.opened_at.plus(destination.group_wait))),
        Some(Sent { occasion: Occasion::Ended, .. }) => None,
        Some(_) if !open => {
            let (Stage::Resolved { at } | Stage::Closed { at, .. }) = alert.stage else { return None };
            Some((Occasion::Ended, at))
        }
        // It turned worse than what was told: that is news to who took it on, too.
        Some(sent) if alert.severity > sent.severity => Some((Occasion::Grew, alert.grown_at)),
        Some(_) if alert.acknowledged.is_some() => None,
        Some(sent) if alert.grown_at > sent.at => {
            Some((Occasion::Grew, sent.at.plus(destination.group_interval)))
        }
        Some(sent) => Some((Occasion::Repeated, sent.at.plus(destination.repeat_interval))),
    }
}

/// The key under which a receiver can tell a repeat from a second notification: the same for
/// every attempt at the same one.
pub fn idempotency_key(alert: &Alert, receiver: &str, number: u32) -> Digest {
    let parts = [Value::from(alert.id.to_string()), Value::from(receiver), Value::from(number)];
    Digest::derived("delivery", parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AlertId, PersonId};
    use crate::monitoring::alert::{Acknowledgement, Counts, Group};
    use crate::monitoring::glass;
    use crate::monitoring::signal::Kind;
    use crate::selector::Selector;
    use crate::time::Duration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn alert() -> Alert {
        Alert {
            id: AlertId::mint(at(0), [1; 10]),
            group: Group {
                kind: Kind::Health,
                subject: "disk".to_owned(),
                service: "web".to_owned(),
                environment: "prod".to_owned(),
            },
            severity: Severity::High,
            summary: String::new(),
            opened_at: at(100),
            grown_at: at(100),
            counts: Counts { firing: 1, unknown: 0, resolved: 0 },
            acknowledged: None,
            stage: Stage::Open,
            opened_by: None,
            surplus: 0,
        }
    }

    fn destination() -> Destination {
        Destination {
            receiver: "hook".to_owned(),
            group_wait: Duration::from_secs(1),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_hours(4),
        }
    }

    fn sent(occasion: Occasion, seconds: i64) -> Option<Sent> {
        Some(Sent { number: 1, occasion, severity: Severity::High, at: at(seconds) })
    }

    fn silence(from: i64, to: i64) -> Silence {
        Silence {
            matchers: Selector::new(vec!["service=web".parse().unwrap()]),
            owner: PersonId::mint(at(0), [2; 10]),
            reason: "maintenance".to_owned(),
            starts_at: at(from),
            ends_at: at(to),
        }
    }

    fn judge(alert: &Alert, sent: Option<Sent>, seconds: i64) -> Due {
        due(alert, &destination(), sent, &[], at(seconds))
    }

    #[test]
    fn the_first_notification_waits_for_more_of_the_same() {
        assert_eq!(judge(&alert(), None, 100), Due::At(at(101)));
        assert_eq!(judge(&alert(), None, 101), Due::Now(Occasion::Opened));
    }

    #[test]
    fn an_alert_that_ended_before_anyone_was_told_tells_nobody() {
        let ended = Alert { stage: Stage::Resolved { at: at(100) }, ..alert() };
        assert_eq!(judge(&ended, None, 500), Due::Nothing);
    }

    #[test]
    fn who_was_told_of_the_beginning_is_told_of_the_end_once() {
        let ended = Alert { stage: Stage::Resolved { at: at(200) }, ..alert() };
        assert_eq!(judge(&ended, sent(Occasion::Opened, 101), 200), Due::Now(Occasion::Ended));
        assert_eq!(judge(&ended, sent(Occasion::Ended, 200), 900), Due::Nothing);
    }

    #[test]
    fn an_alert_nobody_took_on_is_told_again_and_one_taken_on_is_not() {
        let after = 101 + 4 * 3_600;
        assert_eq!(judge(&alert(), sent(Occasion::Opened, 101), 102), Due::At(at(after)));
        assert_eq!(judge(&alert(), sent(Occasion::Opened, 101), after), Due::Now(Occasion::Repeated));
        let by = PersonId::mint(at(0), [3; 10]);
        let taken = Alert { acknowledged: Some(Acknowledgement { by, at: at(150) }), ..alert() };
        assert_eq!(judge(&taken, sent(Occasion::Opened, 101), after), Due::Nothing);
    }

    #[test]
    fn a_worse_severity_is_told_at_once_even_to_who_took_it_on() {
        let by = PersonId::mint(at(0), [3; 10]);
        let worse = Alert {
            acknowledged: Some(Acknowledgement { by, at: at(150) }),
            severity: Severity::Critical,
            grown_at: at(160),
            ..alert()
        };
        assert_eq!(judge(&worse, sent(Occasion::Opened, 101), 160), Due::Now(Occasion::Grew));
    }

    #[test]
    fn more_members_wait_for_the_interval() {
        let grown = Alert { grown_at: at(110), ..alert() };
        assert_eq!(judge(&grown, sent(Occasion::Opened, 101), 111), Due::At(at(401)));
        assert_eq!(judge(&grown, sent(Occasion::Opened, 101), 401), Due::Now(Occasion::Grew));
    }

    #[test]
    fn a_silence_defers_and_does_not_swallow() {
        let silences = [silence(0, 1_000)];
        let muted = due(&alert(), &destination(), None, &silences, at(101));
        assert_eq!(muted, Due::At(at(1_000)));
        let after = due(&alert(), &destination(), None, &silences, at(1_000));
        assert_eq!(after, Due::Now(Occasion::Opened));
    }

    #[test]
    fn no_silence_mutes_that_the_glass_was_broken() {
        let change = crate::id::ChangeId::mint(at(0), [4; 10]);
        let subject = glass::subject(change);
        let group = Group { kind: Kind::Clock, subject, ..alert().group };
        let broken = Alert { group, ..alert() };
        let told = due(&broken, &destination(), None, &[silence(0, 1_000)], at(101));
        assert_eq!(told, Due::Now(Occasion::Opened));
    }

    #[test]
    fn every_attempt_at_one_notification_has_the_same_key() {
        let key = |receiver, number| idempotency_key(&alert(), receiver, number);
        assert_eq!(key("hook", 1), key("hook", 1));
        assert_ne!(key("hook", 1), key("hook", 2));
        assert_ne!(key("hook", 1), key("mail", 1));
    }
}
