//! Charts, drawn by the server as SVG: their colours are classes, their figures are told in words.

use askama::Template;
use askama::filters::HtmlSafe;
use bartizan_core::time::Timestamp;

use crate::api::asset::Verdicts;

pub(super) mod curve;

/// How wide a bar is, in its own units.
const WIDTH: u64 = 1_000;

/// How high the tallest column is, in its own units.
const HEIGHT: u64 = 40;

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Verdicts as shares of one bar.
#[derive(Debug, Template)]
#[template(path = "chart/share.svg.html")]
pub(super) struct Share {
    label: String,
    /// Class, start and width of each.
    segments: Vec<(&'static str, u64, u64)>,
}

impl HtmlSafe for Share {}

/// The shares of met, not met and unknown.
pub(super) fn share(verdicts: &Verdicts) -> Share {
    let parts = [("met", verdicts.met), ("not-met", verdicts.not_met), ("unknown", verdicts.unknown)];
    let all: u64 = parts.iter().map(|(_, number)| number).sum();
    let mut segments = Vec::new();
    let (mut sum, mut start) = (0, 0);
    for (class, number) in parts.into_iter().filter(|(_, number)| *number > 0) {
        sum += number;
        // The ends are rounded, not the widths: they add up to the whole bar.
        let end = sum * WIDTH / all.max(1);
        segments.push((class, start, end - start));
        start = end;
    }
    let label =
        format!("{} met, {} not met, {} unknown, of {all}", verdicts.met, verdicts.not_met, verdicts.unknown);
    Share { label, segments }
}

/// How many a day, as a row of columns.
#[derive(Debug, Template)]
#[template(path = "chart/columns.svg.html")]
pub(super) struct Columns {
    label: String,
    width: u64,
    /// Start, top and height of each, and what it says.
    columns: Vec<(u64, u64, u64, String)>,
}

impl HtmlSafe for Columns {}

/// How many of these times lie on each of the last `days` days, today last.
pub(super) fn by_day(what: &str, times: &[Timestamp], now: Timestamp, days: u64) -> Columns {
    let today = now.as_millis().div_euclid(DAY_MS);
    let on = |back: u64| {
        let day = today - back as i64;
        times.iter().filter(|at| at.as_millis().div_euclid(DAY_MS) == day).count() as u64
    };
    let counts: Vec<u64> = (0..days).rev().map(on).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let columns = counts.iter().zip(0..).map(|(count, place)| {
        // A day without any is a line, not a gap.
        let height = (count * HEIGHT).checked_div(most).unwrap_or(0).max(1);
        let back = days - 1 - place;
        let day = if back == 0 { "today".to_owned() } else { format!("{back} d ago") };
        (place * 10, HEIGHT - height, height, format!("{day}: {count}"))
    });
    let all: u64 = counts.iter().sum();
    let label = format!("{what} a day over {days} days: {all} in all, at most {most} on one day");
    Columns { label, width: days * 10, columns: columns.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fill_the_whole_bar_and_what_is_none_has_no_share() {
        let drawn = share(&Verdicts { met: 1, not_met: 0, unknown: 2 });
        assert_eq!(drawn.segments, [("met", 0, 333), ("unknown", 333, 667)]);
        assert!(share(&Verdicts::default()).segments.is_empty());
    }

    #[test]
    fn each_time_counts_on_its_own_day() {
        let now: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let times =
            ["2026-03-04T00:00:00Z", "2026-03-03T23:59:59Z", "2026-03-03T01:00:00Z", "2026-01-01T00:00:00Z"];
        let times: Vec<Timestamp> = times.iter().map(|at| at.parse().unwrap()).collect();
        let drawn = by_day("Alerts", &times, now, 3);
        let heights: Vec<u64> = drawn.columns.iter().map(|column| column.2).collect();
        assert_eq!(heights, [1, 40, 20]);
    }
}
