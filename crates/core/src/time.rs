//! Instants and spans: integer milliseconds, UTC, always passed in.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
///
/// Prints and parses as RFC 3339 in UTC; in JSON it is that integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A length of time in milliseconds, never negative.
///
/// People write it as `90d`, `24h`, `15m`, `5s`, `250ms` or a sum like `1h30m`; a day is
/// 24 hours. In JSON and YAML it is that string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

/// Why a written time or duration could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a time: write it like 2026-01-31T09:30:00Z")]
    NotATime(String),
    #[error("`{0}` is not a duration: write it like 90d, 24h, 15m, 5s, 250ms or 1h30m")]
    NotADuration(String),
}

impl Timestamp {
    /// The instant `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole hours since the Unix epoch, rounded down (also before 1970).
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration(self.0.saturating_sub(earlier.0).max(0))
    }

    /// This instant moved later by `span`; stays at the largest instant when it would pass it.
    #[must_use]
    pub fn plus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// This instant moved earlier by `span`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| Error::NotATime(text.to_owned()))?;
        Ok(Timestamp(parsed.as_millisecond()))
    }
}

impl Duration {
    /// `ms` milliseconds.
    pub const fn from_millis(ms: u32) -> Self {
        Self(ms as i64)
    }

    /// `s` seconds.
    pub const fn from_secs(s: u32) -> Self {
        Self(s as i64 * 1_000)
    }

    /// `h` hours.
    pub const fn from_hours(h: u32) -> Self {
        Self(h as i64 * 3_600_000)
    }

    /// `d` days of 24 hours.
    pub const fn from_days(d: u32) -> Self {
        Self(d as i64 * 86_400_000)
    }

    /// Its length in milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The same length as the standard library's type, for timers at the edges.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }
}

/// Units from the largest, as they may stand in a written duration.
const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Duration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = || Error::NotADuration(text.to_owned());
        let mut rest = text;
        let mut total: i64 = 0;
        let mut largest_left = UNITS.len();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let number: i64 = number.parse().map_err(|_| fault())?;
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(fault)?;
            let scale = UNITS.get(place).map(|(_, scale)| *scale).ok_or_else(fault)?;
            let rank = UNITS.len() - place;
            if total != 0 && rank >= largest_left {
                return Err(fault());
            }
            largest_left = rank;
            total = number.checked_mul(scale).and_then(|ms| total.checked_add(ms)).ok_or_else(fault)?;
            rest = tail;
        }
        if text.is_empty() { Err(fault()) } else { Ok(Duration(total)) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, scale) in UNITS {
            let whole = rest / scale;
            if whole > 0 {
                write!(f, "{whole}{unit}")?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Whole numbers with units, from the largest: `1d12h`, `90s`.",
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "minLength": 2,
        })
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_in_utc() {
        let t = Timestamp::from_millis(1_769_851_800_250);
        assert_eq!(t.to_string(), "2026-01-31T09:30:00.25Z");
    }

    #[test]
    fn a_timestamp_with_an_offset_is_read_as_utc() {
        let t: Timestamp = "2026-01-31T11:30:00+02:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-01-31T09:30:00Z");
    }

    #[test]
    fn the_hour_rounds_down_before_the_epoch_too() {
        assert_eq!(Timestamp::from_millis(-1).hour(), -1);
        assert_eq!(Timestamp::from_millis(3_599_999).hour(), 0);
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        for bad in ["", "5", "h", "1x", "1h 30m", "-5s", "30m1h", "1h1h", "99999999999999d"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sum_of_units_is_read() {
        assert_eq!("1h30m".parse::<Duration>().unwrap().as_millis(), 5_400_000);
        assert_eq!("250ms".parse::<Duration>().unwrap().as_millis(), 250);
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back_the_same(ms in 0u32..) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(d.to_string().parse::<Duration>().unwrap(), d);
        }

        #[test]
        fn a_printed_timestamp_reads_back_the_same(ms in -62_000_000_000_000i64..253_000_000_000_000) {
            let t = Timestamp::from_millis(ms);
            prop_assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        }
    }
}
