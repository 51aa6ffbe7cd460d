//! Entries of systemd's journal → the events that lines of the system log are, with what journald itself says
//! of the sender beside what the sender says.

use bartizan_core::time::Timestamp;
use serde_json::Value;

use crate::event::Event;
use crate::syslog::{self, Line};

/// The sender as the kernel knows it (systemd.journal-fields(7), trusted fields).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The name of its process, cut at 15 bytes by the kernel.
    pub command: Option<&'a str>,
    pub uid: Option<u32>,
    pub unit: Option<&'a str>,
}

/// The event of an entry; `at` is when journald took it. Rules read the sender under journald's names.
pub fn event(line: &Line<'_>, sender: &Sender<'_>, at: Timestamp) -> Event {
    let mut event = syslog::event(line, at);
    let trusted = [
        ("_COMM", sender.command.map(Value::from)),
        ("_UID", sender.uid.map(Value::from)),
        ("_SYSTEMD_UNIT", sender.unit.map(Value::from)),
    ];
    event.fields.extend(trusted.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Source;

    #[test]
    fn an_entry_is_the_event_of_its_line_and_says_who_really_sent_it() {
        let message = "Failed password for root from 192.0.2.7 port 4022 ssh2";
        let line = Line { host: "web-1", program: "sshd", pid: Some(9), message };
        let sender = Sender { command: Some("logger"), uid: Some(1000), unit: None };
        let event = event(&line, &sender, Timestamp::from_millis(5));
        assert_eq!((&event.source, event.at.as_millis()), (&Source::linux_service("sshd"), 5));
        assert_eq!(event.fields["source_ip"], "192.0.2.7");
        assert_eq!((&event.fields["_COMM"], &event.fields["_UID"]), (&"logger".into(), &1000.into()));
        assert!(!event.fields.contains_key("_SYSTEMD_UNIT"));
    }
}
