//! Process starts, tried against the rules that ask for them.

use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_detect::event::Event;
use bartizan_detect::start;
use bartizan_probe::event::process::{Start, Starts};
use bartizan_probe::root::Root;

use super::Observation;
use crate::detection;

/// The name under which starts are counted.
const SOURCE: &str = "process";

/// Looks at the starts since the last look; an error says why there is nothing to look at. What could not be
/// seen is not counted as lost: the source says of itself what it does not see.
pub(super) fn look(
    starts: &mut Starts,
    watch: &mut detection::Watch,
    root: &Root,
    now: Timestamp,
) -> Result<Vec<Observation>, Reason> {
    let look = starts.look(root)?;
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
    Ok(told)
}

fn event(told: &Start, now: Timestamp) -> Event {
    let start = start::Start {
        image: told.executable.as_deref().unwrap_or(&told.name),
        command: &told.command_line,
        pid: told.pid,
        parent: told.parent,
        parent_image: told.parent_executable.as_deref(),
        uid: told.uid,
    };
    start::event(&start, now)
}
