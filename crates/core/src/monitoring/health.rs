//! Health: thresholds over what an asset measures of itself. A document of kind `Health`.
//!
//! A threshold fires when its measure has been beyond its limit for a while, and clears when
//! it is back by a margin, so that a value that wavers at the limit pages once. A measure that
//! is missing fires nothing and clears nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::document::{Document, Fault};
use crate::severity::Severity;
use crate::time::{Duration, Timestamp};

/// What an agent measures, each with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of processor time that was not idle, over the sampling interval.
    CpuUsed,
    /// Share of memory that is not available (`MemAvailable` of proc_meminfo(5)).
    MemoryUsed,
    /// Share of a file system's space that is used, by mount point.
    DiskUsed,
    /// Share of a file system's inodes that are used, by mount point.
    InodesUsed,
    /// Mean time of a disk operation over the sampling interval, by device.
    DiskLatency,
    /// The five-minute load average for each processor, as a share of one.
    LoadPerCpu,
    /// Interface errors over the sampling interval, by interface.
    NetworkErrors,
    /// How far the clock is from the server's, at least: what a message may have taken on its way is taken off.
    ClockOffset,
    /// Units that failed, as systemd says; not measured where it does not run.
    FailedUnits,
    /// Time until the first certificate of a file expires, by file.
    CertificateExpiresIn,
}

/// A measured or limiting value, in the unit of its measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Hundredths of a per cent; written `92.5%`.
    Share(i64),
    /// Milliseconds; written `250ms`, `14d`. Negative where a moment has passed.
    Span(i64),
    /// A plain number.
    Count(i64),
}

/// The `spec` of a `Health` document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub thresholds: Vec<Threshold>,
}

/// One limit on one measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub id: String,
    pub measure: Measure,
    /// Fires beyond this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Quantity>,
    /// Fires below this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Quantity>,
    /// For how long the value must stay there before it fires.
    #[serde(default, rename = "for")]
    pub hold: Duration,
    /// The value at which it clears again; the limit itself where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Quantity>,
    pub severity: Severity,
    pub summary: String,
}

/// How one threshold stands at one place (a mount, a device).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    #[default]
    Well,
    /// Beyond its limit, not yet for long enough.
    Pending {
        since: Timestamp,
    },
    Firing {
        since: Timestamp,
    },
}

/// What a sample did to a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    None,
    Fired,
    Cleared,
}

impl Threshold {
    /// Takes one sample in. `None` is a measure that is missing: it changes nothing.
    pub fn step(&self, state: State, sample: Option<Quantity>, now: Timestamp) -> (State, Transition) {
        let Some(value) = sample else { return (state, Transition::None) };
        match state {
            State::Firing { .. } if self.is_clear(value) => (State::Well, Transition::Cleared),
            State::Firing { .. } => (state, Transition::None),
            State::Well | State::Pending { .. } if !self.is_beyond(value) => (State::Well, Transition::None),
            State::Well => self.hold_from(now, now),
            State::Pending { since } => self.hold_from(since, now),
        }
    }

    fn hold_from(&self, since: Timestamp, now: Timestamp) -> (State, Transition) {
        if now.since(since) >= self.hold {
            (State::Firing { since: now }, Transition::Fired)
        } else {
            (State::Pending { since }, Transition::None)
        }
    }

    fn is_beyond(&self, value: Quantity) -> bool {
        self.above.is_some_and(|limit| value > limit) || self.below.is_some_and(|limit| value < limit)
    }

    fn is_clear(&self, value: Quantity) -> bool {
        match self.clear {
            Some(clear) if self.above.is_some() => value <= clear,
            Some(clear) => value >= clear,
            None => !self.is_beyond(value),
        }
    }
}

impl Measure {
    /// Its word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Measure::CpuUsed => "cpu_used",
            Measure::MemoryUsed => "memory_used",
            Measure::DiskUsed => "disk_used",
            Measure::InodesUsed => "inodes_used",
            Measure::DiskLatency => "disk_latency",
            Measure::LoadPerCpu => "load_per_cpu",
            Measure::NetworkErrors => "network_errors",
            Measure::ClockOffset => "clock_offset",
            Measure::FailedUnits => "failed_units",
            Measure::CertificateExpiresIn => "certificate_expires_in",
        }
    }

    /// Whether a quantity has this measure's unit.
    pub fn takes(self, quantity: Quantity) -> bool {
        let unit = match self {
            Measure::CpuUsed
            | Measure::MemoryUsed
            | Measure::DiskUsed
            | Measure::InodesUsed
            | Measure::LoadPerCpu => Quantity::Share(0),
            Measure::DiskLatency | Measure::ClockOffset | Measure::CertificateExpiresIn => Quantity::Span(0),
            Measure::NetworkErrors | Measure::FailedUnits => Quantity::Count(0),
        };
        std::mem::discriminant(&unit) == std::mem::discriminant(&quantity)
    }
}

impl Health {
    /// Reads a `Health` document; a fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<Health, Fault> {
        let health: Health = document.spec_as()?;
        for (place, threshold) in health.thresholds.iter().enumerate() {
            let fault =
                |key: &str, message: &str| Err(document.fault(&format!("thresholds[{place}]{key}"), message));
            let limit = match (threshold.above, threshold.below) {
                (Some(limit), None) | (None, Some(limit)) => limit,
                _ => return fault("", "takes one of `above` and `below`"),
            };
            if !threshold.measure.takes(limit) || threshold.clear.is_some_and(|c| !threshold.measure.takes(c))
            {
                return fault(
                    "",
                    "its value is not in the unit of its measure: write 90%, 250ms or a number",
                );
            }
            let widens = match threshold.clear {
                Some(clear) if threshold.above.is_some() => clear > limit,
                Some(clear) => clear < limit,
                None => false,
            };
            if widens {
                return fault(".clear", "lies beyond the limit: it would clear while it fires");
            }
            if health.thresholds.iter().take(place).any(|other| other.id == threshold.id) {
                return fault(".id", "stands here twice");
            }
        }
        Ok(health)
    }
}

impl fmt::Display for Threshold {
    /// When it fires, for people: `disk_used above 90% for 2m, until it is back at 85%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.measure.as_str())?;
        if let Some(limit) = self.above {
            write!(f, " above {limit}")?;
        }
        if let Some(limit) = self.below {
            write!(f, " below {limit}")?;
        }
        if self.hold > Duration::default() {
            write!(f, " for {}", self.hold)?;
        }
        match self.clear {
            Some(clear) => write!(f, ", until it is back at {clear}"),
            None => Ok(()),
        }
    }
}

/// A value that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no quantity: write 92.5%, 250ms, 14d or a whole number")]
pub struct NoQuantity(String);

impl FromStr for Quantity {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Self, NoQuantity> {
        let fault = || NoQuantity(text.to_owned());
        if let Some(share) = text.strip_suffix('%') {
            let (whole, part) = share.split_once('.').unwrap_or((share, "0"));
            let digits = |text: &str| text.parse::<u32>().map(i64::from).map_err(|_| fault());
            let hundredths = match part.len() {
                1 => digits(part)? * 10,
                2 => digits(part)?,
                _ => return Err(fault()),
            };
            return Ok(Quantity::Share(digits(whole)? * 100 + hundredths));
        }
        if let Ok(count) = text.parse::<u32>() {
            return Ok(Quantity::Count(count.into()));
        }
        text.parse::<Duration>().map(|span| Quantity::Span(span.as_millis())).map_err(|_| fault())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Quantity::Share(hundredths) if hundredths % 100 == 0 => write!(f, "{}%", hundredths / 100),
            Quantity::Share(hundredths) => write!(f, "{}.{:02}%", hundredths / 100, hundredths % 100),
            Quantity::Span(ms) => {
                let length = Timestamp::from_millis(ms.saturating_abs()).since(Timestamp::default());
                write!(f, "{}{length}", if ms < 0 { "-" } else { "" })
            }
            Quantity::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Quantity::Count(count) => serializer.serialize_i64(*count),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Count(count) => Ok(Quantity::Count(count.into())),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
kind: Health
name: host
spec:
  thresholds:
    - id: disk-full
      measure: disk_used
      above: 90%
      clear: 85%
      for: 2s
      severity: high
      summary: a file system is nearly full
";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn health(text: &str) -> Result<Health, Fault> {
        Health::from_document(&crate::document::parse("h.yaml", text).unwrap()[0])
    }

    /// The transitions that a series of samples brings, one a second.
    fn transitions(samples: &[Option<i64>]) -> Vec<Transition> {
        let threshold = health(DOCUMENT).unwrap().thresholds.remove(0);
        let mut state = State::Well;
        let mut seen = Vec::new();
        for (second, sample) in samples.iter().enumerate() {
            let sample = sample.map(|percent| Quantity::Share(percent * 100));
            let (next, transition) = threshold.step(state, sample, at(second as i64));
            state = next;
            seen.push(transition);
        }
        seen
    }

    use Transition::{Cleared, Fired, None as No};

    #[test]
    fn it_fires_after_it_stayed_beyond_the_limit_for_long_enough() {
        assert_eq!(transitions(&[Some(95), Some(95), Some(95)]), [No, No, Fired]);
        assert_eq!(transitions(&[Some(95), Some(80), Some(95), Some(95)]), [No, No, No, No]);
    }

    #[test]
    fn it_clears_only_by_the_margin() {
        let samples = [Some(95), Some(95), Some(95), Some(88), Some(91), Some(85)];
        assert_eq!(transitions(&samples), [No, No, Fired, No, No, Cleared]);
    }

    #[test]
    fn the_limit_itself_is_not_beyond_it() {
        assert_eq!(transitions(&[Some(90), Some(90), Some(90), Some(90)]), [No; 4]);
    }

    #[test]
    fn a_missing_measure_fires_nothing_and_clears_nothing() {
        assert_eq!(transitions(&[None, None, None]), [No; 3]);
        assert_eq!(transitions(&[Some(95), None, Some(95), None, Some(10)]), [No, No, Fired, No, Cleared]);
    }

    #[test]
    fn a_threshold_that_makes_no_sense_is_refused_with_its_line() {
        let table = [
            (DOCUMENT.replace("above: 90%", "above: 14d"), "h.yaml:5: "),
            (DOCUMENT.replace("clear: 85%", "clear: 95%"), "h.yaml:8: "),
            (DOCUMENT.replace("above: 90%", "above: 90.123%"), "h.yaml:7: "),
            (DOCUMENT.replace("      above: 90%\n", ""), "h.yaml:5: "),
            (DOCUMENT.replace("disk_used", "disc_used"), "h.yaml:6: "),
        ];
        for (text, place) in table {
            let fault = health(&text).unwrap_err().to_string();
            assert!(fault.starts_with(place), "{fault}\nexpected {place}");
        }
    }

    #[test]
    fn a_threshold_says_when_it_fires_and_when_it_clears() {
        let told = health(DOCUMENT).unwrap().thresholds[0].to_string();
        assert_eq!(told, "disk_used above 90% for 2s, until it is back at 85%");
    }

    #[test]
    fn quantities_print_as_they_are_written() {
        for text in ["90%", "92.50%", "250ms", "14d", "7"] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
        }
    }
}
