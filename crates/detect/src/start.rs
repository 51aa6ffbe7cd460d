//! Starts of programs → events in the words of Sigma's `process_creation` category.

use bartizan_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::event::{Event, Source};

/// The category of process starts, as rules name it.
pub const CATEGORY: &str = "process_creation";

/// A program that started, as the host tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start<'a> {
    /// The file that runs, or the process's own name where that may not be seen.
    pub image: &'a str,
    /// The command line, words parted by single spaces.
    pub command: &'a str,
    pub pid: u32,
    pub parent: u32,
    /// The file that the parent runs.
    pub parent_image: Option<&'a str>,
    pub uid: u32,
}

/// The event of a start; `at` is the time of the look: a process may claim to be as old as it likes by its
/// parent's clock.
pub fn event(start: &Start<'_>, at: Timestamp) -> Event {
    let mut fields = Map::new();
    let mut say = |name: &str, value: &str| drop(fields.insert(name.to_owned(), Value::from(value)));
    say("Image", start.image);
    say("CommandLine", start.command);
    say("ProcessId", &start.pid.to_string());
    say("ParentProcessId", &start.parent.to_string());
    say("User", &start.uid.to_string());
    if let Some(parent) = start.parent_image {
        say("ParentImage", parent);
    }
    Event { source: Source::linux_category(CATEGORY), at, fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_in_the_words_of_the_category() {
        let start = Start { image: "/usr/bin/nc", command: "nc -l 1", pid: 7, ..Start::default() };
        let event = event(&start, Timestamp::from_millis(5));
        assert_eq!(event.source.to_string(), "linux/process_creation");
        assert_eq!(event.fields["CommandLine"], "nc -l 1");
        assert_eq!((&event.fields["ProcessId"], &event.fields["User"]), (&"7".into(), &"0".into()));
        assert!(!event.fields.contains_key("ParentImage"));
    }
}
