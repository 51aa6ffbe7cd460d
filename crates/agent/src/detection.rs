//! Detection at the edge: the ends of log files, tried against the rules.

use std::path::PathBuf;

use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_detect::detector::{Detector, Match};
use bartizan_detect::event::Event;
use bartizan_detect::syslog;
use bartizan_probe::event::tail::Tail;
use bartizan_probe::root::Root;

/// Where Linux hosts keep their authentication log: Debian's family, Red Hat's family.
pub const AUTHENTICATION_LOGS: [&str; 2] = ["/var/log/auth.log", "/var/log/secure"];

/// The most matches that one look reports; a flood beyond it is counted.
const MATCHES_LIMIT: usize = 200;

/// Log files under watch, and the rules that they feed.
#[derive(Debug)]
pub struct Watch {
    detector: Detector,
    tails: Vec<Tail>,
}

/// What one look brought.
#[derive(Debug, Default)]
pub struct Look {
    pub noticed: Vec<Noticed>,
    /// Events that were read.
    pub seen: u64,
    /// Events and matches that had to be passed over.
    pub dropped: u64,
    /// Files that could not be read, and why.
    pub unknown: Vec<(PathBuf, Reason)>,
}

impl Watch {
    /// Follows log files from their ends.
    pub fn new(root: &Root, detector: Detector, paths: impl IntoIterator<Item = PathBuf>) -> Watch {
        Watch { detector, tails: paths.into_iter().map(|path| Tail::from_end(root, path)).collect() }
    }

    /// Takes new rules; windows that were open start over.
    pub fn assign(&mut self, detector: Detector) {
        self.detector = detector;
    }

    /// Reads what was written since the last look.
    pub fn look(&mut self, root: &Root, now: Timestamp) -> Look {
        let mut look = Look::default();
        for tail in &mut self.tails {
            match tail.look(root) {
                Ok(found) => {
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
                Err(reason) => look.unknown.push((tail.path().to_owned(), reason)),
            }
        }
        look
    }

    /// Tries one event that came another way (a process start).
    pub fn try_event(&mut self, event: &Event) -> Look {
        let mut look = Look { seen: 1, ..Look::default() };
        try_event(&mut self.detector, event, &mut look);
        look
    }
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
        let mut watch = Watch::new(&root, detector, [PathBuf::from("/auth.log"), PathBuf::from("/absent")]);
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
