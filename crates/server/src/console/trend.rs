//! Trends on the overview: posture, vulnerabilities, and the backlog on its way to its deadline.

use bartizan_core::time::Timestamp;

use super::chart::curve::{self, Curve, Guide, Series, Way, Words};
use super::part;
use crate::api::trend::{Sample, Trend};

/// The most steps that are drawn: a quarter by the day, two hours by the minute.
const STEPS_LIMIT: usize = 120;

/// The curves of the overview; none before anything was written down.
pub(super) fn curves(trend: &Trend, now: Timestamp) -> Vec<Curve> {
    let skipped = trend.samples.len().saturating_sub(STEPS_LIMIT);
    let samples: Vec<&Sample> = trend.samples.iter().skip(skipped).collect();
    let times: Vec<Timestamp> = samples.iter().filter_map(|sample| sample.start.parse().ok()).collect();
    let (Some(first), Some(newest)) = (samples.first(), samples.last()) else { return Vec::new() };
    let series = |class, name, figure: fn(&Sample) -> u64| Series {
        class,
        name,
        figures: samples.iter().map(|sample| figure(sample)).collect(),
    };
    let posture = [
        series("not-met", "not met", |sample| sample.not_met),
        series("unknown", "unknown", |sample| sample.unknown),
        series("met", "met", |sample| sample.met),
    ];
    let said = |id, title, words| Words { id, title, words };
    let mut curves = vec![curve::draw(
        said("posture-curve", "Rules met", moved("not met", first.not_met, newest.not_met)),
        &times,
        now,
        &posture,
        Way::Bands,
        None,
    )];
    curves.extend(vulnerabilities(&samples, now));
    if let Some((guide, words)) = deadline(trend, now) {
        let backlog = [series("ink", "open", |sample| sample.backlog_open)];
        let said = said("backlog-curve", "Backlog burn-down", words);
        curves.push(curve::draw(said, &times, now, &backlog, Way::Lines, Some(guide)));
    }
    curves
}

/// Vulnerabilities since anybody knows of any; none where no feed was imported.
fn vulnerabilities(samples: &[&Sample], now: Timestamp) -> Option<Curve> {
    // What was unknown is no zero: the curve begins after it.
    let known = samples.iter().rposition(|sample| sample.vulnerabilities.is_none()).map_or(0, |at| at + 1);
    let samples = samples.get(known..)?;
    let (first, newest) = (samples.first()?.vulnerabilities?, samples.last()?.vulnerabilities?);
    let times: Vec<Timestamp> = samples.iter().filter_map(|sample| sample.start.parse().ok()).collect();
    let series = |class, name, figure: fn(&Sample) -> Option<u64>| {
        let figures = samples.iter().map(|sample| figure(sample)).collect::<Option<Vec<u64>>>()?;
        Some(Series { class, name, figures })
    };
    let all = [
        series("ink", "open", |sample| sample.vulnerabilities),
        series("severe", "high or critical", |sample| Some(sample.severe)),
        series("not-met", "known to be exploited", |sample| sample.exploited),
    ];
    let drawn: Vec<Series> = all.into_iter().flatten().collect();
    let mut words = moved("open", first, newest);
    if samples.last()?.exploited.is_none() {
        words.push_str(" Which are exploited is unknown: no catalogue of such was imported.");
    }
    let words = Words { id: "vulnerability-curve", title: "Vulnerabilities", words };
    Some(curve::draw(words, &times, now, &drawn, Way::Lines, None))
}

/// `12 not met, 3 fewer than at the beginning`.
fn moved(what: &str, first: u64, newest: u64) -> String {
    let by = part::thousands(&first.abs_diff(newest));
    let than = match newest.cmp(&first) {
        std::cmp::Ordering::Less => format!("{by} fewer than at the beginning"),
        std::cmp::Ordering::Equal => "as many as at the beginning".to_owned(),
        std::cmp::Ordering::Greater => format!("{by} more than at the beginning"),
    };
    format!("{} {what}, {than}.", part::thousands(&newest))
}

/// The line to the backlog's deadline, and how the backlog stands to it; none where there never was any.
fn deadline(trend: &Trend, now: Timestamp) -> Option<(Guide, String)> {
    let backlog = &trend.backlog;
    let start = backlog.open + backlog.ended;
    let (from, to) = (backlog.first.as_ref()?.parse().ok()?, backlog.due.as_ref()?.parse().ok()?);
    if start == 0 {
        return None;
    }
    let guide = Guide { from, start, to };
    let day = backlog.due.as_ref().and_then(|due| due.get(..10)).unwrap_or_default();
    let stands = match () {
        () if backlog.open == 0 => "all of it ended".to_owned(),
        () if now > to => "overdue".to_owned(),
        () if backlog.open > guide.at(now) => "behind the line to its deadline".to_owned(),
        () => "not behind the line to its deadline".to_owned(),
    };
    let words = format!(
        "What hosts brought along when they were first seen: {} of {} ended, {stands}. The last is due on {day}, \
         {} after the newest host came.",
        part::thousands(&backlog.ended),
        part::thousands(&start),
        backlog.limit
    );
    Some((guide, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::trend::Backlog;

    fn trend(open: u64, ended: u64) -> Trend {
        let backlog = Backlog {
            open,
            ended,
            first: Some("2026-01-01T00:00:00Z".to_owned()),
            due: Some("2026-04-01T00:00:00Z".to_owned()),
            limit: "90d".to_owned(),
            ..Backlog::default()
        };
        Trend { step: "day".to_owned(), samples: Vec::new(), backlog }
    }

    #[test]
    fn a_backlog_is_held_against_the_line_to_its_deadline() {
        let halfway = "2026-02-15T00:00:00Z";
        for (open, ended, now, expected) in [
            (60, 40, halfway, "40 of 100 ended, behind the line"),
            (50, 50, halfway, "50 of 100 ended, not behind the line"),
            (1, 99, "2026-04-01T00:00:01Z", "99 of 100 ended, overdue"),
            (0, 100, "2026-04-02T00:00:00Z", "100 of 100 ended, all of it ended"),
        ] {
            let (_, words) = deadline(&trend(open, ended), now.parse().unwrap()).unwrap();
            assert!(words.contains(expected), "{words}");
        }
        assert!(deadline(&trend(0, 0), halfway.parse().unwrap()).is_none());
    }

    #[test]
    fn what_nobody_knows_is_not_drawn_as_nothing() {
        let sample = |start: &str, vulnerabilities, exploited| Sample {
            start: start.to_owned(),
            vulnerabilities,
            exploited,
            ..Sample::default()
        };
        let now = "2026-01-03T00:00:00Z".parse().unwrap();
        let unknown = sample("2026-01-01T00:00:00Z", None, None);
        assert!(vulnerabilities(&[&unknown], now).is_none());
        let known = sample("2026-01-02T00:00:00Z", Some(5), None);
        let curve = askama::Template::render(&vulnerabilities(&[&unknown, &known], now).unwrap()).unwrap();
        assert!(curve.contains("5 open, as many as at the beginning"), "{curve}");
        assert!(curve.contains("Which are exploited is unknown"), "{curve}");
        assert!(!curve.contains("known to be exploited"), "{curve}");
    }

    #[test]
    fn nothing_is_drawn_before_anything_was_written_down() {
        assert!(curves(&trend(1, 1), Timestamp::from_millis(0)).is_empty());
    }
}
