//! Canaries: marked synthetic events that prove that rules can fire.
//!
//! A `Detection` document carries them beside its rules. Each is raw, a line as a log has it behind the host's
//! name or the start of a program, and takes the way of a real one: through the same decoder, then past the rules
//! of its document. The proof reaches from the decoding of a line to the match on the host; it says nothing of
//! what reads the log before that, nor of what the server makes of a match.
//!
//! Each canary is told to a detector that was compiled for it alone and is dropped after it. So it enters no window
//! that real events are counted in, hides none of them, and no match of it is ever told as one; and whatever
//! matches there can have matched nothing else, which is why no nonce is drawn. The mark by which an event could be
//! known nevertheless stands where a decoder keeps it and no real event has it: [`HOST`] in the place of the host's
//! name, and process number 0. A rule that asks for the host's name can't be proved by a canary.

use std::collections::BTreeSet;

use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use serde::Deserialize;

use crate::detector::{Detector, Error};
use crate::event::{Event, Source};
use crate::rules::{Rules, severity, source};
use crate::{journal, start, syslog};

/// The most canaries in one document: for each of them its rules are compiled anew.
pub const CANARIES_LIMIT: usize = 100;

/// The most events that one canary comes to: more than any correlation of ours counts.
pub const EVENTS_LIMIT: usize = 1_000;

/// The longest line, image or command, in bytes: what a decoder takes apart.
pub const TEXT_BYTES_LIMIT: usize = syslog::LINE_BYTES_LIMIT;

/// What stands in the place of the host's name.
pub const HOST: &str = "canary";

/// How deep correlations may stand on correlations before their sources are no longer asked for.
const DEPTH_LIMIT: usize = 8;

/// A canary as a document writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    rule: String,
    lines: Option<Vec<String>>,
    sender: Option<Sender>,
    start: Option<Start>,
    #[serde(default = "once")]
    times: usize,
}

const fn once() -> usize {
    1
}

/// Who wrote the lines, as the kernel knows it: the journal tells, a log file does not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sender {
    command: Option<String>,
    uid: Option<u32>,
    unit: Option<String>,
}

/// The start of a program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    image: String,
    command: String,
    parent: Option<String>,
    #[serde(default)]
    uid: u32,
}

/// A canary that was checked.
#[derive(Clone, Debug)]
pub struct Canary {
    /// What the match of its rule is called: the rule's `id`; its title where it has none.
    rule: String,
    told: Told,
    times: usize,
}

#[derive(Clone, Debug)]
enum Told {
    Lines(Vec<String>, Option<Sender>),
    Start(Start),
}

/// Where a host's lines come from: the journal knows more of them than a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    LogFile,
    Journal,
}

/// What a host has to have so that a canary's rule can fire there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A log, whichever.
    Log,
    /// The journal: what is told of the sender.
    Journal,
    /// Process starts.
    Starts,
}

/// A rule or correlation whose matches are told, and what it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The rule's `id`; its title where it has none.
    pub id: String,
    pub title: String,
    pub severity: Severity,
    /// Its log source; of a correlation those of the rules it counts.
    pub sources: BTreeSet<Source>,
}

impl Canary {
    /// The rule or correlation that has to match it, by what its matches are called.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    pub const fn need(&self) -> Need {
        match &self.told {
            Told::Lines(_, None) => Need::Log,
            Told::Lines(_, Some(_)) => Need::Journal,
            Told::Start(_) => Need::Starts,
        }
    }

    /// Whether its rule matches, where lines come in this form. `rules` are those of its document.
    pub fn matches(&self, rules: &Rules, form: Form) -> Result<bool, Error> {
        let mut detector = Detector::new(rules)?;
        let events = self.events(form);
        let mut tell = |event: &Event| detector.look(event).iter().any(|found| found.rule == self.rule);
        // All of them are told, also what comes behind a match: a correlation may ask for what is not there.
        Ok((0..self.times)
            .fold(false, |found, _| events.iter().fold(found, |found, event| tell(event) || found)))
    }

    /// Its events, decoded. They happen at once, which lies in every window.
    fn events(&self, form: Form) -> Vec<Event> {
        let at = Timestamp::default();
        match &self.told {
            Told::Lines(lines, sender) => {
                let raw = lines.iter().map(|line| raw(line));
                let read = |text: String| {
                    let line = syslog::split(&text)?;
                    Some(match form {
                        Form::LogFile => syslog::event(&line, at),
                        Form::Journal => journal::event(&line, &trusted(sender.as_ref()), at),
                    })
                };
                raw.filter_map(read).collect()
            }
            Told::Start(Start { image, command, parent, uid }) => {
                let parent_image = parent.as_deref();
                let start =
                    start::Start { image, command, parent_image, uid: *uid, ..start::Start::default() };
                vec![start::event(&start, at)]
            }
        }
    }
}

/// A line as a log has it: with its stamp, and the mark in the place of the host's name.
fn raw(line: &str) -> String {
    format!("1970-01-01T00:00:00Z {HOST} {line}")
}

fn trusted(sender: Option<&Sender>) -> journal::Sender<'_> {
    sender.map_or_else(journal::Sender::default, |sender| journal::Sender {
        command: sender.command.as_deref(),
        uid: sender.uid,
        unit: sender.unit.as_deref(),
    })
}

impl Written {
    /// The canary, where it can be one; else at which key it can't, and why. `find` gives what the matches of a
    /// rule are called that the document names like this.
    pub(crate) fn check(self, find: impl Fn(&str) -> Option<String>) -> Result<Canary, (String, String)> {
        let Written { rule, lines, sender, start, times } = self;
        let at = |key: &str, message: String| Err((key.to_owned(), message));
        let Some(rule) = find(&rule) else {
            let message = format!("no rule or correlation of this document has the id or title `{rule}`");
            return at("rule", message);
        };
        let told = match (lines, start) {
            (Some(lines), None) => Told::Lines(lines, sender),
            (None, Some(_)) if sender.is_some() => {
                return at("sender", "goes with `lines`: the start of a program has none".to_owned());
            }
            (None, Some(start)) => Told::Start(start),
            (Some(_), Some(_)) | (None, None) => {
                return at("", "takes either `lines` or `start`".to_owned());
            }
        };
        match &told {
            Told::Lines(lines, _) => {
                if lines.is_empty() {
                    return at("lines", "is empty: give the lines that must match".to_owned());
                }
                for (place, line) in lines.iter().enumerate() {
                    check_line(line).map_err(|message| (format!("lines[{place}]"), message))?;
                }
            }
            Told::Start(Start { image, command, .. }) => {
                for (key, text) in [("image", image), ("command", command)] {
                    check_text(text).map_err(|message| (format!("start.{key}"), message))?;
                }
            }
        }
        let events = match &told {
            Told::Lines(lines, _) => lines.len().saturating_mul(times),
            Told::Start(_) => times,
        };
        if !(1..=EVENTS_LIMIT).contains(&events) {
            return at(
                "times",
                format!("comes to {events} events; at least 1 and at most {EVENTS_LIMIT} may be told"),
            );
        }
        Ok(Canary { rule, told, times })
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_LIMIT {
        return Err(format!("is empty or has more than {TEXT_BYTES_LIMIT} bytes"));
    }
    if text.contains(['\n', '\r']) {
        return Err("holds a line's end: it is one line".to_owned());
    }
    Ok(())
}

fn check_line(line: &str) -> Result<(), String> {
    check_text(line)?;
    match syslog::split(&raw(line)) {
        Some(_) => Ok(()),
        None => Err("is no line behind a host's name: PROGRAM[PID]: MESSAGE".to_owned()),
    }
}

impl Rules {
    /// The rules and correlations whose matches are told: what has no severity only feeds others.
    pub fn subjects(&self) -> Vec<Subject> {
        let name = |id: &Option<String>, title: &str| id.clone().unwrap_or_else(|| title.to_owned());
        let rules = self.collection.rules.iter().map(|rule| Subject {
            id: name(&rule.id, &rule.title),
            title: rule.title.clone(),
            severity: severity(rule.level),
            sources: BTreeSet::from([source(&rule.logsource)]),
        });
        let correlations = self.collection.correlations.iter().map(|rule| {
            let mut sources = BTreeSet::new();
            self.sources(&rule.rules, DEPTH_LIMIT, &mut sources);
            let (id, title) = (name(&rule.id, &rule.title), rule.title.clone());
            Subject { id, title, severity: severity(rule.level), sources }
        });
        rules.chain(correlations).filter(|subject| subject.severity > Severity::None).collect()
    }

    /// The log sources of rules that a correlation names, by id, name or title.
    fn sources(&self, named: &[String], depth: usize, sources: &mut BTreeSet<Source>) {
        let is_named = |names: [Option<&str>; 3]| {
            names.into_iter().flatten().any(|name| named.iter().any(|other| other == name))
        };
        let rules = self.collection.rules.iter();
        let rules =
            rules.filter(|rule| is_named([rule.id.as_deref(), rule.name.as_deref(), Some(&rule.title)]));
        sources.extend(rules.map(|rule| source(&rule.logsource)));
        if depth == 0 {
            return;
        }
        let correlations = self.collection.correlations.iter();
        let correlations = correlations
            .filter(|rule| is_named([rule.id.as_deref(), rule.name.as_deref(), Some(&rule.title)]));
        correlations.for_each(|rule| self.sources(&rule.rules, depth - 1, sources));
    }
}

#[cfg(test)]
mod tests;
