//! One entry of the journal as JSON (systemd.journal-fields(7); the JSON format of journalctl's manual).

use bartizan_core::time::Timestamp;
use serde_json::{Map, Value};

/// What was said, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands in the journal.
    pub cursor: String,
    /// When journald took it: the host's clock, not the sender's word.
    pub at: Timestamp,
    pub host: String,
    /// What the sender calls itself; the name of its process where it does not.
    pub identifier: String,
    pub message: String,
    /// The sender as the kernel knows it: its process, its name (`comm`), its user, its unit.
    pub pid: Option<u32>,
    pub command: Option<String>,
    pub uid: Option<u32>,
    pub unit: Option<String>,
}

impl Entry {
    /// The fields that the reader writes; it adds the cursor and the time by itself.
    pub(super) const FIELDS: &'static str =
        "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_COMM,_PID,_UID,_SYSTEMD_UNIT,_HOSTNAME";

    /// Reads an entry; none where the line is none, or has no message: one that is longer than 4 KiB.
    pub fn parse(line: &[u8]) -> Option<Entry> {
        let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let text = |name: &str| fields.get(name).and_then(text);
        let microseconds: i64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
        let command = text("_COMM");
        Some(Entry {
            cursor: text("__CURSOR")?,
            at: Timestamp::from_millis(microseconds.div_euclid(1_000)),
            host: text("_HOSTNAME").unwrap_or_default(),
            identifier: text("SYSLOG_IDENTIFIER").or_else(|| command.clone()).unwrap_or_default(),
            message: text("MESSAGE")?,
            pid: text("_PID").and_then(|pid| pid.parse().ok()),
            command,
            uid: text("_UID").and_then(|uid| uid.parse().ok()),
            unit: text("_SYSTEMD_UNIT"),
        })
    }
}

/// A field's text. What is no UTF-8 comes as numbers, one a byte; what was set several times as a list of
/// texts, of which the first counts: the sender can add, but not put before.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(items) => items.first().and_then(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1764000000123456","_HOSTNAME":"web-1",
        "SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_PID":"12","_UID":"0","_SYSTEMD_UNIT":"ssh.service","MESSAGE":"hello"}"#;

    #[test]
    fn an_entry_tells_what_was_said_and_who_said_it() {
        let entry = Entry::parse(LINE.as_bytes()).unwrap();
        assert_eq!((entry.cursor.as_str(), entry.at.as_millis()), ("s=1;i=2", 1_764_000_000_123));
        assert_eq!((entry.identifier.as_str(), entry.message.as_str()), ("sshd", "hello"));
        assert_eq!((entry.pid, entry.uid, entry.unit.as_deref()), (Some(12), Some(0), Some("ssh.service")));
    }

    #[test]
    fn a_message_of_bytes_or_of_several_is_read_and_one_that_was_left_out_is_no_entry() {
        let read = |message: &str| {
            Entry::parse(LINE.replace(r#""hello""#, message).as_bytes()).map(|entry| entry.message)
        };
        assert_eq!(read("[104,105,255]").as_deref(), Some("hi\u{fffd}"));
        assert_eq!(read(r#"["one","two"]"#).as_deref(), Some("one"));
        assert_eq!(read("[104,300]"), None);
        assert_eq!(read("null"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
            let _ = Entry::parse(&bytes);
            let mut torn = LINE.as_bytes().to_vec();
            let at = at.min(torn.len());
            torn.splice(at..at, bytes);
            let _ = Entry::parse(&torn);
        }
    }
}
