//! Health at the edge: readings go in, transitions of thresholds come out.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::monitoring::health::{Health, Measure, Quantity, State, Threshold, Transition};
use bartizan_core::monitoring::signal::{self, Kind, Noticed};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_probe::measure::Reading;
use serde::{Deserialize, Serialize};

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

/// A threshold's id and a place.
type Key = (String, String);

/// A place where a threshold is passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Passed {
    pub threshold: String,
    pub object: String,
    /// Whether the first look found it, and it has not cleared since.
    #[serde(default)]
    pub backlog: bool,
}

/// The most places that are remembered to have fired.
const FIRED_LIMIT: usize = 10_000;

/// Thresholds and how each stands at each place.
#[derive(Debug)]
pub struct Watch {
    thresholds: Vec<Threshold>,
    standing: BTreeMap<Key, Standing>,
    /// Places that fired since the start, or before it: what the server may believe of them is told again after
    /// something was lost.
    fired: BTreeSet<Key>,
    /// Whether nothing was measured yet, now or before this start: what is found then is the asset's backlog.
    first: bool,
    /// Whether nothing was measured yet since this start.
    starting: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    state: State,
    /// Why what fires can't be observed any more, once that was told.
    unknown: Option<Reason>,
    /// Whether the first look found it.
    backlog: bool,
}

impl Default for Watch {
    /// A host that nothing was ever measured on.
    fn default() -> Self {
        Watch::new(None)
    }
}

impl Watch {
    /// Goes on from the places that fired when the agent last ran; none where it never did.
    pub fn new(kept: Option<BTreeSet<Passed>>) -> Watch {
        let first = kept.is_none();
        let state = State::Firing { since: Timestamp::default() };
        let stands = |passed: Passed| {
            let standing = Standing { state, backlog: passed.backlog, ..Standing::default() };
            ((passed.threshold, passed.object), standing)
        };
        let standing: BTreeMap<Key, Standing> = kept.unwrap_or_default().into_iter().map(stands).collect();
        let fired = standing.keys().cloned().collect();
        Watch { thresholds: Vec::new(), standing, fired, first, starting: true }
    }

    /// Takes new thresholds; one that stays keeps how it stands, and what fired under one that went is over.
    pub fn assign(&mut self, health: &[Health], now: Timestamp) -> Vec<Noticed> {
        self.thresholds = health.iter().flat_map(|health| health.thresholds.clone()).collect();
        let known: BTreeSet<&str> = self.thresholds.iter().map(|threshold| threshold.id.as_str()).collect();
        let gone: Vec<Key> =
            self.standing.keys().filter(|key| !known.contains(key.0.as_str())).cloned().collect();
        let mut noticed = Vec::new();
        for key in gone {
            let fired = self.standing.remove(&key).is_some_and(|standing| standing.fires());
            if fired {
                noticed.push(Noticed {
                    kind: Kind::Health,
                    subject: key.0,
                    object: key.1,
                    state: signal::State::Resolved,
                    severity: bartizan_core::severity::Severity::None,
                    summary: "no threshold asks for it any more".to_owned(),
                    at: now,
                    backlog: false,
                });
            }
        }
        noticed
    }

    /// The places that fire, for whoever goes on from here.
    pub fn passed(&self) -> BTreeSet<Passed> {
        let firing = self.standing.iter().filter(|(_, standing)| standing.fires());
        let passed = firing.map(|((threshold, object), standing)| Passed {
            threshold: threshold.clone(),
            object: object.clone(),
            backlog: standing.backlog,
        });
        passed.collect()
    }

    /// Takes one round of readings; gives what began, ended, or can't be seen any more.
    pub fn step(&mut self, readings: &[Reading], now: Timestamp) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        let Watch { thresholds, standing, fired, first, .. } = self;
        for threshold in thresholds.iter() {
            let here = readings.iter().filter(|reading| reading.measure == threshold.measure);
            let mut seen = BTreeSet::new();
            for reading in here {
                seen.insert(reading.object.as_str());
                let key = (threshold.id.clone(), reading.object.clone());
                let standing = standing
                    .entry(key.clone())
                    .or_insert(Standing { backlog: *first, ..Standing::default() });
                noticed.extend(standing.take(threshold, reading, now));
                if standing.fires() && fired.len() < FIRED_LIMIT {
                    fired.insert(key);
                }
            }
            // A place that fired and is not measured any more: unmounted, unplugged, renamed.
            for ((id, object), standing) in standing.iter_mut() {
                if *id == threshold.id && !seen.contains(object.as_str()) {
                    noticed.extend(standing.lose(threshold, object, Reason::Unseen, now));
                }
            }
        }
        standing.retain(|_, standing| standing.state != State::Well);
        *first = false;
        if std::mem::take(&mut self.starting) {
            // The server may be another one since, or an older one.
            let key = |noticed: &Noticed| (noticed.subject.clone(), noticed.object.clone());
            let told: BTreeSet<Key> = noticed.iter().map(key).collect();
            let again = self.tell_again(now).into_iter();
            noticed.extend(again.filter(|again| !told.contains(&key(again))));
        }
        noticed
    }

    /// How every place stands that ever fired, after something was lost on its way to the server.
    pub fn tell_again(&self, now: Timestamp) -> Vec<Noticed> {
        let told = |(id, object): &Key| {
            let threshold = self.thresholds.iter().find(|threshold| threshold.id == *id)?;
            let standing = self.standing.get(&(id.clone(), object.clone())).copied().unwrap_or_default();
            let state = match standing.unknown {
                Some(reason) => signal::State::Unknown(reason),
                None if standing.fires() => signal::State::Firing,
                None => signal::State::Resolved,
            };
            let summary = format!("{}{}", threshold.summary, place(object));
            Some(Noticed { backlog: standing.backlog, ..notice(threshold, object, state, summary, now) })
        };
        self.fired.iter().filter_map(told).collect()
    }
}

fn place(object: &str) -> String {
    if object.is_empty() { String::new() } else { format!(" ({object})") }
}

impl Standing {
    const fn fires(&self) -> bool {
        matches!(self.state, State::Firing { .. })
    }

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
        let summary = format!("{}: {value}{}", threshold.summary, place(&reading.object));
        let noticed = notice(threshold, &reading.object, told, summary, now);
        Some(Noticed { backlog: self.backlog, ..noticed })
    }

    fn lose(
        &mut self,
        threshold: &Threshold,
        object: &str,
        reason: Reason,
        now: Timestamp,
    ) -> Option<Noticed> {
        if !self.fires() {
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
        backlog: false,
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
        watch.assign(&[Health::from_document(&documents[0]).unwrap()], at(0));
        watch
    }

    /// One that goes on from what the other keeps.
    fn restarted(before: &Watch) -> Watch {
        let mut watch = Watch::new(Some(before.passed()));
        assert!(watch.assign(&thresholds(""), at(0)).is_empty());
        watch
    }

    fn thresholds(more: &str) -> Vec<Health> {
        let documents = bartizan_core::document::parse("h.yaml", &format!("{DOCUMENT}{more}")).unwrap();
        vec![Health::from_document(&documents[0]).unwrap()]
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
    fn what_fired_under_a_threshold_that_is_withdrawn_is_over() {
        let mut watch = watch();
        watch.step(&[reading("/", 95), reading("/var", 10)], at(0));
        assert_eq!(states(&watch.assign(&[], at(1))), [("/", signal::State::Resolved)]);
        assert!(watch.standing.is_empty());
    }

    #[test]
    fn what_fired_before_a_restart_is_resolved_by_what_is_measured_after_it() {
        let mut before = watch();
        before.step(&[reading("/", 95), reading("/var", 95), reading("/mnt", 95)], at(0));
        let mut watch = restarted(&before);
        let told = watch.step(&[reading("/", 50), reading("/var", 87)], at(10));
        let unknown = signal::State::Unknown(Reason::Unseen);
        let fires = signal::State::Firing;
        let expected = [("/", signal::State::Resolved), ("/mnt", unknown), ("/var", fires)];
        assert_eq!(states(&told), expected, "/var is not clear yet");
        assert_eq!(states(&watch.step(&[reading("/var", 80)], at(20))), [("/var", signal::State::Resolved)]);
    }

    #[test]
    fn what_the_first_look_finds_is_backlog_until_it_has_cleared() {
        let more =
            "    - {id: full, measure: disk_used, above: 97%, for: 30s, severity: high, summary: full}\n";
        let mut watch = Watch::default();
        watch.assign(&thresholds(more), at(0));
        let backlog = |noticed: Vec<Noticed>| -> Vec<(String, bool)> {
            noticed.into_iter().map(|noticed| (noticed.subject, noticed.backlog)).collect()
        };
        let first = watch.step(&[reading("/", 99), reading("/var", 10)], at(0));
        assert_eq!(backlog(first), [("disk".to_owned(), true)]);
        let held = watch.step(&[reading("/", 99), reading("/var", 95)], at(31));
        assert_eq!(backlog(held), [("disk".to_owned(), false), ("full".to_owned(), true)]);
        watch.step(&[reading("/", 10), reading("/var", 95)], at(40));
        let again = watch.step(&[reading("/", 95), reading("/var", 95)], at(50));
        assert_eq!(backlog(again), [("disk".to_owned(), false)]);
        let mut later = Watch::new(Some(watch.passed()));
        later.assign(&thresholds(more), at(55));
        let told = backlog(later.step(&[reading("/", 95), reading("/var", 95), reading("/srv", 95)], at(60)));
        let disk = ("disk".to_owned(), false);
        assert_eq!(told, [disk.clone(), disk.clone(), disk], "a restart is no first look");
        let mut before = Watch::default();
        before.assign(&thresholds(""), at(0));
        before.step(&[reading("/", 95)], at(0));
        assert_eq!(backlog(restarted(&before).step(&[reading("/", 95)], at(1))), [("disk".to_owned(), true)]);
    }

    #[test]
    fn after_a_loss_all_that_ever_fired_is_told_again() {
        let mut watch = watch();
        watch.step(&[reading("/", 95), reading("/var", 95)], at(0));
        watch.step(&[reading("/", 50), reading("/var", 95)], at(1));
        let again = watch.tell_again(at(2));
        assert_eq!(states(&again), [("/", signal::State::Resolved), ("/var", signal::State::Firing)]);
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
