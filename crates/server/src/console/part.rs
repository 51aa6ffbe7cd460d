//! What pages are made of: times, badges, and the words on them.
//!
//! Each is a template that escapes what it shows, so that it may stand in another as it is.

use askama::Template;
use askama::filters::HtmlSafe;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;

use crate::api::finding::Deadline;

/// How many characters the beginning of a long text has.
const START_LIMIT: usize = 72;

/// The time at which a page is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now(Timestamp);

/// A time: how long ago for a glance, exact for whoever asks.
#[derive(Debug, Template)]
#[template(path = "part/when.html")]
pub(super) struct When {
    /// RFC 3339.
    at: String,
    exact: String,
    words: String,
}

impl HtmlSafe for When {}

impl Now {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self(now)
    }

    pub(super) const fn at(self) -> Timestamp {
        self.0
    }

    /// How long ago a time (RFC 3339) is; as it stands, where it is none.
    pub(super) fn ago(self, at: &str) -> When {
        let Ok(time) = at.parse::<Timestamp>() else {
            return When { at: at.to_owned(), exact: at.to_owned(), words: at.to_owned() };
        };
        // To the second: `2026-03-04T05:06:07.123Z` is shown as `2026-03-04 05:06:07 UTC`.
        let exact =
            at.get(..19).map_or_else(|| at.to_owned(), |text| format!("{} UTC", text.replace('T', " ")));
        When { at: at.to_owned(), exact, words: words(self.0.as_millis() - time.as_millis()) }
    }

    /// The same, where there may be none.
    pub(super) fn ago_or(self, at: &Option<String>, none: &str) -> When {
        match at {
            Some(at) => self.ago(at),
            None => When { at: String::new(), exact: String::new(), words: none.to_owned() },
        }
    }
}

fn words(ms: i64) -> String {
    let (ahead, seconds) = (ms < 0, ms.unsigned_abs() / 1_000);
    let (number, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "min"),
        3_600..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    if ahead { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// A word on a coloured ground; the word alone tells all.
#[derive(Debug, Template)]
#[template(path = "part/badge.html")]
pub(super) struct Badge {
    tone: &'static str,
    word: String,
}

impl HtmlSafe for Badge {}

/// A severity by its word, or that nobody rates it.
pub(super) fn rated(word: Option<&String>) -> Badge {
    match word {
        Some(word) => severity(word),
        None => Badge { tone: "unknown", word: "unrated".to_owned() },
    }
}

/// A severity by its word.
pub(super) fn severity(word: &str) -> Badge {
    let tone = match word.parse::<Severity>() {
        Ok(Severity::Critical) => "critical",
        Ok(Severity::High) => "high",
        Ok(Severity::Medium) => "medium",
        Ok(Severity::Low) => "low",
        Ok(Severity::None) | Err(_) => "neutral",
    };
    Badge { tone, word: word.to_owned() }
}

/// A verdict by its words: `met`, `not met`, `unknown: denied`.
pub(super) fn verdict(words: &str) -> Badge {
    let tone = match words.split(':').next().unwrap_or_default() {
        "met" => "met",
        "not met" => "not-met",
        _ => "unknown",
    };
    Badge { tone, word: words.to_owned() }
}

/// How something stands: an alert, one of its places, a notification, an asset's life.
pub(super) fn state(word: &str) -> Badge {
    let tone = match word {
        "open" | "firing" | "failed" | "void" | "deleted" => "not-met",
        "resolved" | "delivered" | "closed" | "enrolled" => "met",
        "unknown" | "claimed" | "declared" | "quarantined" | "stale" | "absent" | "pending" => "unknown",
        _ => "neutral",
    };
    Badge { tone, word: plain(word) }
}

/// How an acceptance stands.
pub(super) fn acceptance(word: &str) -> Badge {
    let tone = match word {
        "in_force" => "met",
        "flagged" => "unknown",
        "proposed" | "approved" => "medium",
        _ => "neutral",
    };
    Badge { tone, word: plain(word) }
}

/// By which right a change was applied: what is out of the ordinary is not overlooked.
pub(super) fn right(word: &str) -> Badge {
    let tone = match word {
        "approved" => "met",
        "self_approved" => "medium",
        "break_glass" => "not-met",
        _ => "neutral",
    };
    Badge { tone, word: plain(word) }
}

/// How a step of an order stands: as its agent told, else as its order does.
pub(super) fn ordered(order: &crate::api::order::Row, step: &crate::api::order::StepRow) -> Badge {
    let word = step.outcome.as_deref().or(order.end.as_deref()).unwrap_or("pending");
    let tone = match word {
        "done" | "unchanged" => "met",
        "failed" | "refused" => "not-met",
        "pending" => "unknown",
        _ => "neutral",
    };
    Badge { tone, word: plain(word) }
}

/// How a review stands.
pub(super) fn review(word: &str) -> Badge {
    let tone = match word {
        "overdue" => "not-met",
        "due" => "medium",
        _ => "met",
    };
    let word = if word == "running" { "in time" } else { word };
    Badge { tone, word: word.to_owned() }
}

/// The stage of an incident: only its end is good news.
pub(super) fn stage(word: &str) -> Badge {
    let tone = match word {
        "close" => "met",
        "detect" => "not-met",
        _ => "neutral",
    };
    Badge { tone, word: word.to_owned() }
}

/// One step of a way that has several: it lies behind, or is where one stands, or lies ahead.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) note: String,
    /// `done`, `here`, or `ahead`.
    pub(super) state: &'static str,
}

impl Step {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), note: String::new(), state: "ahead" }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(super) fn done(mut self) -> Self {
        self.state = "done";
        self
    }

    pub(super) fn here(mut self) -> Self {
        self.state = "here";
        self
    }
}

/// A word without a judgement.
pub(super) fn word(word: &str) -> Badge {
    Badge { tone: "neutral", word: plain(word) }
}

/// A vulnerability that is known to be exploited.
pub(super) fn exploited() -> Badge {
    Badge { tone: "critical", word: "exploited".to_owned() }
}

/// What should be gone by now.
pub(super) fn overdue() -> Badge {
    Badge { tone: "not-met", word: "overdue".to_owned() }
}

/// By when something has to be gone, and by which rule; empty where nobody says.
#[derive(Debug, Template)]
#[template(path = "part/due.html")]
pub(super) struct Due {
    now: Now,
    due: Option<Deadline>,
}

impl HtmlSafe for Due {}

impl Now {
    pub(super) fn due(self, due: &Option<Deadline>) -> Due {
        Due { now: self, due: due.clone() }
    }
}

/// A probability in millionths, as a share: `0.4%`.
pub(super) fn share(millionths: &u32) -> String {
    let tenths = (millionths + 500) / 1_000;
    if tenths == 0 { "below 0.1%".to_owned() } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

/// A word of the API as people write it: `network device` for `network_device`.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// The beginning of a long text.
pub(super) fn start(text: &str) -> String {
    if text.chars().count() <= START_LIMIT {
        return text.to_owned();
    }
    text.chars().take(START_LIMIT).chain(['…']).collect()
}

/// `1 asset`, `2 assets`.
pub(super) fn count(number: &u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if *number == 1 { one } else { many })
}

/// `12 345`, with thin spaces.
pub(super) fn thousands(number: &u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A rule's subject: `BASELINE/RULE`.
pub(super) fn pair(baseline: &str, rule: &str) -> String {
    format!("{baseline}/{rule}")
}

/// The path of a finding over the fleet.
pub(super) fn finding(kind: &str, subject: impl AsRef<str>, object: &str) -> String {
    let [kind, subject, object] = [kind, subject.as_ref(), object].map(segment);
    format!("/findings/{kind}/{subject}?object={object}")
}

/// The path of a finding on one asset.
pub(super) fn on_asset(key: &str, asset: &str) -> String {
    format!("/findings/by-key/{}?asset={}", segment(key), segment(asset))
}

/// One segment of a path, or one value of a query.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_age_and_keeps_its_exact_stamp() {
        let now = Now::new("2026-03-04T05:06:07Z".parse().unwrap());
        let table = [
            ("2026-03-04T05:05:30Z", "just now"),
            ("2026-03-04T04:06:08Z", "59 min ago"),
            ("2026-03-03T05:06:07Z", "24 h ago"),
            ("2026-02-02T05:06:07Z", "30 d ago"),
            ("2026-03-04T05:16:07Z", "in 10 min"),
        ];
        for (at, words) in table {
            assert_eq!(now.ago(at).words, words, "{at}");
        }
        assert_eq!(now.ago("2026-03-04T04:06:08.250Z").exact, "2026-03-04 04:06:08 UTC");
    }

    #[test]
    fn a_badge_and_a_time_escape_what_they_show() {
        let now = Now::new(Timestamp::from_millis(0));
        for text in [state("<b>").render().unwrap(), now.ago("<b>").render().unwrap()] {
            assert!(!text.contains("<b>"), "{text}");
        }
    }

    #[test]
    fn figures_are_grouped_and_segments_of_paths_are_encoded() {
        assert_eq!(thousands(&1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(thousands(&123), "123");
        assert_eq!([12, 4_400, 973_210].map(|p| share(&p)), ["below 0.1%", "0.4%", "97.3%"]);
        assert_eq!(count(&1, "asset", "assets"), "1 asset");
        assert_eq!(segment("a/b <ü>"), "a%2Fb%20%3C%C3%BC%3E");
    }
}
