use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::tree;

/// A process of this test that ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, words: &[&str]) -> Running {
    let mut command = Command::new(program);
    Running(command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

fn find<'a>(look: &'a Look, child: &Running) -> Option<&'a Start> {
    look.starts.iter().find(|start| start.pid == child.0.id())
}

#[test]
fn a_process_that_started_since_the_last_look_is_seen_once() {
    let mut starts = Starts::default();
    let early = run("/bin/cat", &[]);
    assert_eq!(starts.look(&Root::host()).unwrap().starts, []);
    let late = run("/bin/cat", &["-", "-"]);
    let look = starts.look(&Root::host()).unwrap();
    assert_eq!(find(&look, &early), None);
    let start = find(&look, &late).unwrap();
    assert_eq!((start.name.as_str(), start.command_line.as_str()), ("cat", "/bin/cat - -"));
    assert!(start.executable.as_deref().unwrap().ends_with("cat"));
    assert_eq!(start.parent, std::process::id());
    assert_eq!(start.parent_executable.as_deref(), std::env::current_exe().unwrap().to_str());
    assert_eq!(look.unknown[0].reason, Reason::Unsupported);
    assert_eq!(find(&starts.look(&Root::host()).unwrap(), &late), None);
}

#[test]
fn a_process_that_runs_another_file_is_seen_again() {
    let mut starts = Starts::default();
    let mut child = run("/bin/sh", &["-c", "read line; exec cat"]);
    starts.look(&Root::host()).unwrap();
    // The shell reads a line and becomes cat, which repeats the next one.
    child.0.stdin.as_mut().unwrap().write_all(b"go\nagain\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "again\n");
    let look = starts.look(&Root::host()).unwrap();
    assert_eq!(find(&look, &child).unwrap().name, "cat");
}

#[test]
fn what_came_and_went_between_two_looks_is_counted_at_most() {
    let mut starts = Starts::default();
    starts.look(&Root::host()).unwrap();
    for _ in 0..3 {
        let mut child = run("/bin/true", &[]);
        child.0.wait().unwrap();
    }
    assert!(starts.look(&Root::host()).unwrap().missed_at_most >= 3);
}

#[test]
fn another_root_starts_no_processes() {
    assert_eq!(Starts::default().look(&tree::root(&[])), Err(Reason::Unsupported));
}
