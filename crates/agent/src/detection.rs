//! Detection at the edge: the journal, or the ends of log files, tried against the rules.
//!
//! Where the journal can be followed it is, and the log files are not: they repeat it, and what is counted twice
//! fires too early.

use std::path::{Path, PathBuf};

use bartizan_core::fact::source::{Sources, Way};
use bartizan_core::fact::{Section, Unseen};
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_detect::detector::{Detector, Match};
use bartizan_detect::event::Event;
use bartizan_detect::{journal, syslog};
use bartizan_probe::event::journal::{Entry, Journal};
use bartizan_probe::event::tail::Tail;
use bartizan_probe::event::{add, logs_in_view};
use bartizan_probe::root::Root;

use crate::canary::{Sight, View};

pub use bartizan_probe::event::AUTHENTICATION_LOGS;

/// The most matches that one look reports; a flood beyond it is counted.
const MATCHES_LIMIT: usize = 200;

/// What is followed, and the rules that it feeds.
#[derive(Debug)]
pub struct Watch {
    detector: Detector,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Journal(Box<Journal>),
    /// Log files; and why the journal is not followed, where there is one.
    Logs(Vec<Tail>, Option<Unseen>),
}

/// What one look brought.
#[derive(Debug, Default)]
pub struct Look {
    pub noticed: Vec<Noticed>,
    /// Events that were read.
    pub seen: u64,
    /// Events and matches that had to be passed over.
    pub dropped: u64,
}

impl Watch {
    /// Follows the host's journal from behind `cursor`, or log files from their ends.
    pub fn new(root: &Root, detector: Detector, logs: &[PathBuf], cursor: Option<String>) -> Watch {
        let tails = || logs.iter().map(|path| Tail::from_end(root, path)).collect();
        let source = match Journal::find(root) {
            Some(Ok(journal)) => Source::Journal(Box::new(journal.after(cursor))),
            Some(Err(unseen)) => Source::Logs(tails(), Some(unseen)),
            None => Source::Logs(tails(), None),
        };
        Watch { detector, source }
    }

    /// Takes new rules; windows that were open start over.
    pub fn assign(&mut self, detector: Detector) {
        self.detector = detector;
    }

    /// Reads what was written since the last look.
    pub fn look(&mut self, root: &Root, now: Timestamp) -> Look {
        let mut look = Look::default();
        match &mut self.source {
            Source::Journal(journal) => {
                let found = journal.look(now);
                look.dropped += found.dropped;
                for entry in &found.entries {
                    look.seen += 1;
                    try_event(&mut self.detector, &event(entry, now), &mut look);
                }
            }
            Source::Logs(tails, _) => {
                // One that can't be read has no lines, and stands among what is unknown.
                for found in tails.iter_mut().filter_map(|tail| tail.look(root).ok()) {
                    look.dropped += found.dropped;
                    for text in found.lines {
                        look.seen += 1;
                        if let Some(line) = syslog::split(&text) {
                            // The time of reading, not the line's: whoever writes the line writes its stamp.
                            let event = syslog::event(&line, now);
                            try_event(&mut self.detector, &event, &mut look);
                        }
                    }
                }
            }
        }
        look
    }

    /// The last entry of the journal that was looked at.
    pub fn cursor(&self) -> Option<&str> {
        match &self.source {
            Source::Journal(journal) => journal.cursor(),
            Source::Logs(..) => None,
        }
    }

    /// Says what is followed, and what can't be; gives how the journal and the log files stand for rules.
    pub fn describe(&self, root: &Root, section: &mut Section<Sources>) -> View {
        let mut view = View::default();
        let unknown = match &self.source {
            Source::Journal(journal) => {
                add(section, Way::Journal, "");
                let unknown = journal.unknown();
                view.journal = unknown.clone().map_or(Sight::Seen, Sight::Unread);
                unknown.into_iter().collect()
            }
            Source::Logs(tails, journal) => {
                let logs: Vec<&Path> = tails.iter().map(Tail::path).collect();
                let (followed, mut unseen) = logs_in_view(root, &logs);
                followed.iter().for_each(|path| add(section, Way::LogFile, path));
                // A log that is not there is none that can't be read.
                let unread = unseen.iter().find(|unseen| unseen.reason != Reason::Unseen);
                view.files = match (followed.is_empty(), unread) {
                    (false, _) => Sight::Seen,
                    (true, Some(unread)) => Sight::Unread(unread.clone()),
                    (true, None) => Sight::Absent,
                };
                view.journal = journal.as_ref().map_or(Sight::Absent, |unseen| {
                    Sight::Unread(Unseen { what: "the journal".to_owned(), ..unseen.clone() })
                });
                unseen.extend(journal.clone());
                unseen
            }
        };
        unknown.into_iter().for_each(|unseen| section.miss(unseen.what, unseen.reason));
        view
    }

    /// Tries one event that came another way (a process start).
    pub fn try_event(&mut self, event: &Event) -> Look {
        let mut look = Look { seen: 1, ..Look::default() };
        try_event(&mut self.detector, event, &mut look);
        look
    }
}

/// An entry of the journal as the rules know it. Its time is journald's own; a clock that was set back since
/// must not make it the future's.
fn event(entry: &Entry, now: Timestamp) -> Event {
    let line = syslog::Line {
        host: &entry.host,
        program: &entry.identifier,
        pid: entry.pid,
        message: &entry.message,
    };
    let sender =
        journal::Sender { command: entry.command.as_deref(), uid: entry.uid, unit: entry.unit.as_deref() };
    journal::event(&line, &sender, entry.at.min(now))
}

fn try_event(detector: &mut Detector, event: &Event, look: &mut Look) {
    for found in detector.look(event) {
        // What only feeds a correlation has no severity of its own, and is no signal.
        if found.severity == bartizan_core::severity::Severity::None {
            continue;
        }
        if look.noticed.len() >= MATCHES_LIMIT {
            look.dropped += 1;
            continue;
        }
        look.noticed.push(notice(&found, event.at));
    }
}

fn notice(found: &Match, at: Timestamp) -> Noticed {
    let fields: Vec<String> = found.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Noticed {
        kind: Kind::Detection,
        subject: found.rule.clone(),
        // One place for each thing the match is about: a second address is a second member.
        object: fields.join(" "),
        state: State::Firing,
        severity: found.severity,
        summary: if fields.is_empty() {
            found.title.clone()
        } else {
            format!("{}: {}", found.title, fields.join(" "))
        },
        at,
        backlog: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_detect::rules::Rules;

    const RULES: &str = include_str!("../../../content/detections/linux/ssh-failed-login.yml");

    #[test]
    fn failed_logins_in_a_log_file_become_one_signal() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        std::fs::write(
            &log,
            "Nov 23 20:00:00 h sshd[1]: Failed password for old from 192.0.2.1 port 1 ssh2\n",
        )
        .unwrap();
        let root = Root::at(folder.path()).unwrap();
        let mut rules = Rules::default();
        rules.read("r.yml", RULES);
        let detector = Detector::new(&rules).unwrap();
        let mut watch =
            Watch::new(&root, detector, &[PathBuf::from("/auth.log"), PathBuf::from("/absent")], None);
        assert_eq!(
            watch.look(&root, Timestamp::from_millis(0)).seen,
            0,
            "what stood there before is no news"
        );
        let line = "Nov 23 20:34:38 h sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2\n";
        let mut text = std::fs::read_to_string(&log).unwrap();
        text += &line.repeat(5);
        std::fs::write(&log, text).unwrap();
        let look = watch.look(&root, Timestamp::from_millis(1_000));
        assert_eq!((look.seen, look.dropped), (5, 0));
        assert_eq!(look.noticed.len(), 1, "{:?}", look.noticed);
        assert_eq!(look.noticed[0].object, "source_ip=192.0.2.7");
    }
}
