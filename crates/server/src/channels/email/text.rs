//! What a mail says: bounded, and with nothing in it that could be more than text. What agents
//! told is hostile: a line of it stays a line, and a tag of it shows as it was written.

use askama::Template as _;
use bartizan_core::monitoring::alert::Member;
use bartizan_core::monitoring::notification::Occasion;

use super::Message;

/// The longest subject, in bytes.
pub(super) const SUBJECT_BYTES_LIMIT: usize = 150;

/// The longest line that quotes an agent, in bytes.
const LINE_BYTES_LIMIT: usize = 400;

/// The most places that are listed; those beyond are counted.
const PLACES_LIMIT: usize = 50;

#[derive(askama::Template)]
#[template(path = "email/message.html")]
pub(super) struct Text {
    state: &'static str,
    severity: String,
    title: String,
    facts: Vec<(&'static str, String)>,
    places: Vec<String>,
    more: usize,
    link: String,
    foot: &'static str,
}

impl Text {
    pub(super) fn new(message: &Message, console: &str) -> Self {
        let alert = &message.alert;
        let title = line(&alert.summary, LINE_BYTES_LIMIT);
        let title = if title.is_empty() { "An alert".to_owned() } else { title };
        let state = match (message.ended, message.occasion) {
            (Some(_), _) | (None, Occasion::Ended) => "ended",
            (None, Occasion::Opened) => "opened",
            (None, Occasion::Grew) => "grew",
            (None, Occasion::Repeated) => "still open",
        };
        let group = &alert.group;
        let mut facts = vec![
            ("state", state.to_owned()),
            ("severity", alert.severity.to_string()),
            ("service", line(&group.service, LINE_BYTES_LIMIT)),
            ("environment", line(&group.environment, LINE_BYTES_LIMIT)),
            ("subject", line(&format!("{} {}", group.kind, group.subject), LINE_BYTES_LIMIT)),
            ("opened", alert.opened_at.to_string()),
        ];
        facts.extend(message.ended.map(|at| ("ended", at.to_string())));
        let place = |place: &bartizan_store::alert::Place| {
            let standing = match place.standing {
                Member::Firing { .. } => "firing",
                Member::Unknown { .. } => "unknown",
                Member::Resolved { .. } => "resolved",
            };
            line(&format!("{standing}: {} {}", place.summary, place.object), LINE_BYTES_LIMIT)
        };
        Self {
            state,
            severity: alert.severity.to_string(),
            title,
            facts,
            places: message.places.iter().take(PLACES_LIMIT).map(place).collect(),
            more: message.places.len().saturating_sub(PLACES_LIMIT),
            link: format!("{console}/alerts/{}", alert.id),
            foot: "Bartizan sent this because a route names you. Acknowledging the alert ends its repeats.",
        }
    }

    pub(super) fn subject(&self) -> String {
        line(&format!("[{}] {}: {}", self.state, self.severity, self.title), SUBJECT_BYTES_LIMIT)
    }

    pub(super) fn plain(&self) -> String {
        let mut lines = vec![self.title.clone(), String::new()];
        lines.extend(self.facts.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(String::new());
        lines.extend(self.places.iter().map(|place| format!("- {place}")));
        if self.more > 0 {
            lines.push(format!("{} more places are on its page.", self.more));
        }
        lines.extend([String::new(), self.link.clone(), String::new(), self.foot.to_owned(), String::new()]);
        lines.join("\r\n")
    }

    pub(super) fn html(&self) -> Result<String, askama::Error> {
        self.render()
    }
}

/// A text as one line of at most so many bytes: what controls a terminal, a header or the
/// direction of writing becomes a space.
pub(super) fn line(text: &str, limit: usize) -> String {
    let turns = |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text.chars().map(|letter| if letter.is_control() || turns(letter) { ' ' } else { letter });
    // Runs of spaces are one: what is looked at is bounded all the same.
    let words: String = shown.take(limit.saturating_mul(4)).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.len() <= limit {
        return words;
    }
    let room = limit.saturating_sub('…'.len_utf8());
    let end = words.char_indices().map(|(at, letter)| at + letter.len_utf8()).take_while(|end| *end <= room);
    let end = end.last().unwrap_or(0);
    format!("{}…", words.get(..end).unwrap_or_default().trim_end())
}
