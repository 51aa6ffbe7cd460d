//! Process starts, tried against the rules that ask for them.

use bartizan_core::time::Timestamp;
use bartizan_detect::event::{Event, Source};
use bartizan_probe::event::process::{Start, Starts};
use bartizan_probe::root::Root;
use serde_json::{Map, Value};

use super::Observation;
use crate::detection;

/// The name under which starts are counted.
const SOURCE: &str = "process";

/// Looks at the starts since the last look. What could not be seen is not counted as lost: the
/// source says of itself what it does not see.
pub(super) fn look(
    starts: &mut Starts,
    watch: &mut detection::Watch,
    root: &Root,
    now: Timestamp,
) -> Vec<Observation> {
    // A root that is no running host has no processes to tell of.
    let Ok(look) = starts.look(root) else { return Vec::new() };
    let mut noticed = Vec::new();
    let mut dropped = look.dropped;
    let seen = look.starts.len() as u64;
    for start in &look.starts {
        let found = watch.try_event(&event(start, now));
        noticed.extend(found.noticed);
        dropped += found.dropped;
    }
    let mut told = Vec::new();
    if !noticed.is_empty() || dropped > 0 {
        told.push(Observation::Tally { source: SOURCE, seen, sent: noticed.len() as u64, dropped });
    }
    if !noticed.is_empty() {
        told.push(Observation::Noticed(noticed));
    }
    told
}

/// A start in the words of Sigma's `process_creation` category.
fn event(start: &Start, now: Timestamp) -> Event {
    let mut fields = Map::new();
    let mut say = |name: &str, value: String| drop(fields.insert(name.to_owned(), Value::String(value)));
    say("Image", start.executable.clone().unwrap_or_else(|| start.name.clone()));
    say("CommandLine", start.command_line.clone());
    say("ProcessId", start.pid.to_string());
    say("ParentProcessId", start.parent.to_string());
    say("User", start.uid.to_string());
    if let Some(parent) = &start.parent_executable {
        say("ParentImage", parent.clone());
    }
    // The time of the look: a process may claim to be as old as it likes by its parent's clock.
    Event { source: Source::linux_category("process_creation"), at: now, fields }
}
