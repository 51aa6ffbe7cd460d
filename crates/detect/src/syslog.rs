//! Lines of the system log → events with the fields that rules name.
//!
//! Reads RFC 3164 lines as files hold them, with the traditional stamp or an RFC 3339 one, and
//! takes apart the messages of sshd, sudo, su and the account tools. A line that is none of
//! these is still an event with its `message`.

use std::sync::LazyLock;

use bartizan_core::time::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

use crate::event::{Event, Source};

/// The longest line that is taken apart, in bytes; the rest of a longer one is cut off.
pub const LINE_BYTES_LIMIT: usize = 8 << 10;

/// A line of the system log in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub host: &'a str,
    pub program: &'a str,
    pub pid: Option<u32>,
    pub message: &'a str,
}

/// Takes a line apart; none where it has not the form `STAMP HOST PROGRAM[PID]: MESSAGE`.
pub fn split(line: &str) -> Option<Line<'_>> {
    let line = cut(line.trim_end_matches(['\n', '\r']));
    let rest = after_stamp(line)?;
    let (host, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(": ").or_else(|| rest.split_once(':'))?;
    let (program, pid) = match tag.split_once('[') {
        Some((program, pid)) => (program, pid.trim_end_matches(']').parse().ok()),
        None => (tag, None),
    };
    if program.is_empty() || program.contains(' ') {
        return None;
    }
    Some(Line { host, program, pid, message })
}

/// The time that a line's stamp tells. The traditional stamp has no year and no zone: it is read
/// in UTC and in `year`.
pub fn stamp(line: &str, year: i16) -> Option<Timestamp> {
    if line.starts_with(|c: char| c.is_ascii_digit()) {
        return line.split(' ').next()?.parse().ok();
    }
    let month = MONTHS.iter().position(|name| line.starts_with(name))? + 1;
    let day = line.get(4..6)?.trim();
    let time = line.get(7..15)?;
    format!("{year:04}-{month:02}-{day:0>2}T{time}Z").parse().ok()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The event that a line of the authentication log is; `at` is when it was read.
pub fn event(line: &Line<'_>, at: Timestamp) -> Event {
    let mut fields = Map::new();
    let mut put = |name: &str, value: &str| {
        fields.insert(name.to_owned(), Value::from(value));
    };
    put("message", line.message);
    put("program", line.program);
    put("host", line.host);
    // Some daemons log under the name of the part of them that does: sshd-session, sudo-rs.
    let service = line.program.split_once('-').map_or(line.program, |(service, _)| service);
    for pattern in PATTERNS.iter().filter(|pattern| pattern.service == service) {
        let Some(found) = pattern.expression.captures(line.message) else { continue };
        put("action", pattern.action);
        put("outcome", pattern.outcome);
        for name in pattern.expression.capture_names().flatten() {
            if let Some(value) = found.name(name) {
                put(name, value.as_str());
            }
        }
        break;
    }
    if let Some(pid) = line.pid {
        fields.insert("pid".to_owned(), Value::from(pid));
    }
    Event { source: Source::linux_service(service), at, fields }
}

fn cut(line: &str) -> &str {
    let mut end = line.len().min(LINE_BYTES_LIMIT);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default()
}

fn after_stamp(line: &str) -> Option<&str> {
    // `2026-01-31T09:30:00.123456+00:00 host …`
    if line.starts_with(|c: char| c.is_ascii_digit()) {
        let (stamp, rest) = line.split_once(' ')?;
        return stamp.parse::<Timestamp>().ok().map(|_| rest);
    }
    // `Jan  1 09:30:00 host …`
    let stamp = line.get(..15)?;
    let colons = stamp.bytes().filter(|byte| *byte == b':').count();
    (colons == 2 && stamp.is_ascii()).then(|| line.get(16..)).flatten()
}

struct Pattern {
    service: &'static str,
    action: &'static str,
    outcome: &'static str,
    expression: Regex,
}

/// What the daemons say, in the order in which the more telling pattern comes first. The words
/// are those of OpenSSH, sudo, shadow and pam_unix.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let table = [
        (
            "sshd",
            "login",
            "failure",
            r"^Failed (?<method>\S+) for (?:invalid user )?(?<user>\S*) from (?<source_ip>\S+) port (?<source_port>\d+)",
        ),
        (
            "sshd",
            "login",
            "success",
            r"^Accepted (?<method>\S+) for (?<user>\S+) from (?<source_ip>\S+) port (?<source_port>\d+)",
        ),
        (
            "sshd",
            "login",
            "failure",
            r"^Invalid user (?<user>\S*) from (?<source_ip>\S+)(?: port (?<source_port>\d+))?",
        ),
        (
            "sshd",
            "login",
            "failure",
            r"^maximum authentication attempts exceeded for (?:invalid user )?(?<user>\S+) from (?<source_ip>\S+)",
        ),
        (
            "sudo",
            "elevate",
            "failure",
            r"^\s*(?<user>\S+) : (?:\d+ incorrect password attempts?|user NOT in sudoers|command not allowed) ;.*COMMAND=(?<command>.*)$",
        ),
        (
            "sudo",
            "elevate",
            "success",
            r"^\s*(?<user>\S+) : (?:TTY=\S+ ; )?PWD=\S+ ; USER=(?<target_user>\S+) ; COMMAND=(?<command>.*)$",
        ),
        (
            "su",
            "elevate",
            "failure",
            r"^(?:FAILED SU \(to (?<target_user>\S+)\) (?<user>\S+)|pam_unix\(su(?:-l)?:auth\): authentication failure;.* ruser=(?<ruser>\S*).* user=(?<target>\S+))",
        ),
        ("su", "elevate", "success", r"^\(to (?<target_user>\S+)\) (?<user>\S+) on"),
        ("useradd", "account_added", "success", r"^new user: name=(?<user>[^,]+), UID=(?<uid>\d+)"),
        ("userdel", "account_removed", "success", r"^delete user '(?<user>[^']+)'"),
        ("usermod", "group_changed", "success", r"^add '(?<user>[^']+)' to group '(?<group>[^']+)'"),
        ("groupadd", "group_added", "success", r"^new group: name=(?<group>[^,]+), GID=(?<gid>\d+)"),
        ("passwd", "password_changed", "success", r"password changed for (?<user>\S+)"),
    ];
    table
        .into_iter()
        .filter_map(|(service, action, outcome, expression)| {
            let expression = Regex::new(expression).ok()?;
            Some(Pattern { service, action, outcome, expression })
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Event {
        event(&split(line).unwrap(), Timestamp::from_millis(0))
    }

    #[test]
    fn every_pattern_can_be_compiled() {
        assert_eq!(PATTERNS.len(), 13);
    }

    #[test]
    fn both_stamps_are_read() {
        for stamp in ["Nov 23 20:34:38", "Nov  3 20:34:38", "2026-11-23T20:34:38.123456+00:00"] {
            let text = format!("{stamp} web-1 sshd[12]: hello: there");
            let line = split(&text).unwrap();
            let expected = Line { host: "web-1", program: "sshd", pid: Some(12), message: "hello: there" };
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_stamp_without_a_year_is_read_in_the_year_that_is_given() {
        let read = |line: &str| stamp(line, 2026).map(|at| at.to_string());
        assert_eq!(read("Nov  3 20:34:38 h p: m").as_deref(), Some("2026-11-03T20:34:38Z"));
        assert_eq!(read("2025-11-03T20:34:38+01:00 h p: m").as_deref(), Some("2025-11-03T19:34:38Z"));
        assert_eq!(read("Foo  3 20:34:38 h p: m"), None);
    }

    #[test]
    fn a_line_that_is_no_log_line_is_none() {
        for bad in [
            "",
            "x",
            "Nov 23 20:34:38",
            "Nov 23 20:34:38 host",
            "2026-99-99T00:00:00Z h p: m",
            "not a line at all: x",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn failed_and_accepted_logins_carry_who_and_from_where() {
        let failed = read(
            "Nov 23 20:34:38 h sshd-session[9]: Failed password for invalid user bob from 192.0.2.7 port 4022 ssh2",
        );
        assert_eq!(failed.source, Source::linux_service("sshd"));
        assert_eq!(failed.fields["user"], "bob");
        assert_eq!(failed.fields["source_ip"], "192.0.2.7");
        assert_eq!(failed.fields["outcome"], "failure");
        let accepted = read(
            "Nov 23 20:34:38 h sshd[9]: Accepted publickey for ann from 2001:db8::1 port 50 ssh2: ED25519 x",
        );
        assert_eq!(
            (&accepted.fields["outcome"], &accepted.fields["method"]),
            (&"success".into(), &"publickey".into())
        );
    }

    #[test]
    fn a_user_name_can_not_pretend_to_be_an_address() {
        let line =
            read("Nov 23 20:34:38 h sshd[9]: Failed password for invalid user a from 192.0.2.7 port 22 ssh2");
        assert_eq!(line.fields["source_ip"], "192.0.2.7");
        let forged = read("Nov 23 20:34:38 h cron[9]: Failed password for root from 192.0.2.9 port 22 ssh2");
        assert!(!forged.fields.contains_key("outcome"), "another program's words are no login");
    }

    #[test]
    fn accounts_and_elevation_are_told_apart() {
        let table = [
            (
                "sudo[1]:      ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/bin/ls",
                "elevate",
                "success",
            ),
            (
                "sudo[1]:      bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
                "elevate",
                "failure",
            ),
            (
                "useradd[1]: new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/sh",
                "account_added",
                "success",
            ),
            ("usermod[1]: add 'eve' to group 'sudo'", "group_changed", "success"),
        ];
        for (text, action, outcome) in table {
            let event = read(&format!("Nov 23 20:34:38 h {text}"));
            assert_eq!(event.fields["action"], action, "{text}");
            assert_eq!(event.fields["outcome"], outcome, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in any::<String>()) {
            if let Some(line) = split(&line) {
                event(&line, Timestamp::from_millis(0));
            }
        }
    }
}
