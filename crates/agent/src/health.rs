//! Health at the edge: readings go in, transitions of thresholds come out.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::monitoring::health::{Health, Measure, Quantity, State, Threshold, Transition};
use bartizan_core::monitoring::signal::{self, Kind, Noticed};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_probe::measure::Reading;

/// How old what was told may be: collectors come every ten minutes at the latest, the server's answers each minute.
const TOLD_LIMIT: Duration = Duration::from_secs(1_800);

/// What is told of health by others than the meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// How far the clock is from the server's at least, once the way there and back is taken off.
    ClockOffset(std::time::Duration),
    /// How many units failed.
    FailedUnits(Result<u64, Reason>),
    /// Files with certificates, and when the first of each runs out.
    Certificates(Result<BTreeMap<String, Timestamp>, Reason>),
}

/// The newest of each.
#[derive(Debug, Default)]
pub struct Gathered {
    clock: Option<At<std::time::Duration>>,
    units: Option<At<Result<u64, Reason>>>,
    certificates: Option<At<Result<BTreeMap<String, Timestamp>, Reason>>>,
}

/// Something, and when it was told.
type At<T> = (T, Timestamp);

impl Gathered {
    pub fn take(&mut self, told: Told, now: Timestamp) {
        match told {
            Told::ClockOffset(offset) => self.clock = Some((offset, now)),
            Told::FailedUnits(count) => self.units = Some((count, now)),
            Told::Certificates(found) => self.certificates = Some((found, now)),
        }
    }

    /// Readings for now; what was told too long ago is stale.
    pub fn readings(&self, now: Timestamp) -> Vec<Reading> {
        let fresh = |at: Timestamp| if now.since(at) > TOLD_LIMIT { Err(Reason::Stale) } else { Ok(()) };
        let mut readings = Vec::new();
        if let Some((offset, at)) = self.clock {
            let ms = i64::try_from(offset.as_millis()).unwrap_or(i64::MAX);
            readings.push(reading(Measure::ClockOffset, "", fresh(at).map(|()| Quantity::Span(ms))));
        }
        if let Some((count, at)) = self.units {
            let count = fresh(at).and(count).map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            readings.push(reading(Measure::FailedUnits, "", count.map(Quantity::Count)));
        }
        match &self.certificates {
            Some((Ok(files), at)) => readings.extend(files.iter().map(|(file, until)| {
                let left = until.as_millis().saturating_sub(now.as_millis());
                reading(Measure::CertificateExpiresIn, file, fresh(*at).map(|()| Quantity::Span(left)))
            })),
            Some((Err(reason), _)) => {
                readings.push(reading(Measure::CertificateExpiresIn, "", Err(*reason)));
            }
            None => {}
        }
        readings
    }
}

fn reading(measure: Measure, object: &str, value: Result<Quantity, Reason>) -> Reading {
    Reading { measure, object: object.to_owned(), value }
}

/// Thresholds and how each stands at each place.
#[derive(Debug, Default)]
pub struct Watch {
    thresholds: Vec<Threshold>,
    standing: BTreeMap<(String, String), Standing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    state: State,
    /// Why what fires can't be observed any more, once that was told.
    unknown: Option<Reason>,
}

impl Watch {
    /// Takes new thresholds; one that stays keeps how it stands.
    pub fn assign(&mut self, health: &[Health]) {
        self.thresholds = health.iter().flat_map(|health| health.thresholds.clone()).collect();
        let known: BTreeSet<&str> = self.thresholds.iter().map(|threshold| threshold.id.as_str()).collect();
        self.standing.retain(|(id, _), _| known.contains(id.as_str()));
    }

    /// Takes one round of readings; gives what began, ended, or can't be seen any more.
    pub fn step(&mut self, readings: &[Reading], now: Timestamp) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        let Watch { thresholds, standing } = self;
        for threshold in thresholds.iter() {
            let here = readings.iter().filter(|reading| reading.measure == threshold.measure);
            let mut seen = BTreeSet::new();
            for reading in here {
                seen.insert(reading.object.as_str());
                let key = (threshold.id.clone(), reading.object.clone());
                let standing = standing.entry(key).or_default();
                noticed.extend(standing.take(threshold, reading, now));
            }
            // A place that fired and is not measured any more: unmounted, unplugged, renamed.
            for ((id, object), standing) in standing.iter_mut() {
                if *id == threshold.id && !seen.contains(object.as_str()) {
                    noticed.extend(standing.lose(threshold, object, Reason::Unseen, now));
                }
            }
        }
        standing.retain(|_, standing| standing.state != State::Well);
        noticed
    }
}

impl Standing {
    fn take(&mut self, threshold: &Threshold, reading: &Reading, now: Timestamp) -> Option<Noticed> {
        let value = match reading.value {
            Ok(value) => value,
            Err(reason) => return self.lose(threshold, &reading.object, reason, now),
        };
        let (state, transition) = threshold.step(self.state, Some(value), now);
        let regained = self.unknown.take().is_some();
        self.state = state;
        let told = match transition {
            Transition::Fired => signal::State::Firing,
            Transition::Cleared => signal::State::Resolved,
            Transition::None if regained && matches!(state, State::Firing { .. }) => signal::State::Firing,
            Transition::None => return None,
        };
        let place = if reading.object.is_empty() { String::new() } else { format!(" ({})", reading.object) };
        let summary = format!("{}: {value}{place}", threshold.summary);
        Some(notice(threshold, &reading.object, told, summary, now))
    }

    fn lose(
        &mut self,
        threshold: &Threshold,
        object: &str,
        reason: Reason,
        now: Timestamp,
    ) -> Option<Noticed> {
        if !matches!(self.state, State::Firing { .. }) {
            self.state = State::Well;
            return None;
        }
        if self.unknown.is_some() {
            return None;
        }
        self.unknown = Some(reason);
        let summary = format!("{}: can't be measured any more ({reason})", threshold.summary);
        Some(notice(threshold, object, signal::State::Unknown(reason), summary, now))
    }
}

fn notice(
    threshold: &Threshold,
    object: &str,
    state: signal::State,
    summary: String,
    at: Timestamp,
) -> Noticed {
    Noticed {
        kind: Kind::Health,
        subject: threshold.id.clone(),
        object: object.to_owned(),
        state,
        severity: threshold.severity,
        summary,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "
kind: Health
name: host
spec:
  thresholds:
    - {id: disk, measure: disk_used, above: 90%, clear: 85%, severity: high, summary: nearly full}
";

    fn watch() -> Watch {
        let documents = bartizan_core::document::parse("h.yaml", DOCUMENT).unwrap();
        let mut watch = Watch::default();
        watch.assign(&[Health::from_document(&documents[0]).unwrap()]);
        watch
    }

    fn reading(object: &str, percent: i64) -> Reading {
        let value = Ok(Quantity::Share(percent * 100));
        Reading { measure: Measure::DiskUsed, object: object.to_owned(), value }
    }

    fn states(noticed: &[Noticed]) -> Vec<(&str, signal::State)> {
        noticed.iter().map(|noticed| (noticed.object.as_str(), noticed.state)).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn each_place_fires_and_clears_by_itself() {
        let mut watch = watch();
        let first = watch.step(&[reading("/", 50), reading("/var", 95)], at(0));
        assert_eq!(states(&first), [("/var", signal::State::Firing)]);
        assert_eq!(first[0].summary, "nearly full: 95% (/var)");
        assert!(watch.step(&[reading("/", 50), reading("/var", 95)], at(1)).is_empty());
        let last = watch.step(&[reading("/", 50), reading("/var", 80)], at(2));
        assert_eq!(states(&last), [("/var", signal::State::Resolved)]);
    }

    #[test]
    fn a_place_that_fired_and_is_gone_is_unknown_once_and_never_resolved_by_that() {
        let mut watch = watch();
        watch.step(&[reading("/mnt", 95)], at(0));
        let gone = watch.step(&[], at(1));
        assert_eq!(states(&gone), [("/mnt", signal::State::Unknown(Reason::Unseen))]);
        assert!(watch.step(&[], at(2)).is_empty());
        let back = watch.step(&[reading("/mnt", 95)], at(3));
        assert_eq!(states(&back), [("/mnt", signal::State::Firing)]);
        assert_eq!(states(&watch.step(&[reading("/mnt", 10)], at(4))), [("/mnt", signal::State::Resolved)]);
    }

    #[test]
    fn a_reading_that_fails_clears_nothing() {
        let mut watch = watch();
        watch.step(&[reading("/", 95)], at(0));
        let failed = Reading { value: Err(Reason::Denied), ..reading("/", 0) };
        let noticed = watch.step(std::slice::from_ref(&failed), at(1));
        assert_eq!(states(&noticed), [("/", signal::State::Unknown(Reason::Denied))]);
        assert!(watch.step(&[failed], at(2)).is_empty());
    }

    #[test]
    fn a_threshold_that_is_withdrawn_is_forgotten() {
        let mut watch = watch();
        watch.step(&[reading("/", 95)], at(0));
        watch.assign(&[]);
        assert!(watch.standing.is_empty());
    }

    #[test]
    fn what_others_tell_becomes_readings_and_grows_stale() {
        let mut gathered = Gathered::default();
        assert!(gathered.readings(at(0)).is_empty(), "what nobody told is not measured");
        gathered.take(Told::ClockOffset(std::time::Duration::from_millis(700)), at(0));
        gathered.take(Told::FailedUnits(Ok(2)), at(0));
        let files =
            BTreeMap::from([("/etc/ssl/a.pem".to_owned(), at(100)), ("/etc/ssl/b.pem".to_owned(), at(10))]);
        gathered.take(Told::Certificates(Ok(files)), at(0));
        let span = |ms| Ok(Quantity::Span(ms));
        let expected = [
            (Measure::ClockOffset, "", span(700)),
            (Measure::FailedUnits, "", Ok(Quantity::Count(2))),
            (Measure::CertificateExpiresIn, "/etc/ssl/a.pem", span(80_000)),
            (Measure::CertificateExpiresIn, "/etc/ssl/b.pem", span(-10_000)),
        ];
        assert_eq!(gathered.readings(at(20)), expected.map(|(m, o, v)| super::reading(m, o, v)));
        let stale = gathered.readings(at(1_801));
        assert!(stale.iter().all(|reading| reading.value == Err(Reason::Stale)), "{stale:?}");
        gathered.take(Told::FailedUnits(Err(Reason::Unsupported)), at(20));
        assert_eq!(gathered.readings(at(20))[1].value, Err(Reason::Unsupported));
    }
}
