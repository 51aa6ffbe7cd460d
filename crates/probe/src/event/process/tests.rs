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
    let mut starts = Starts::by_table(Reason::Unsupported);
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
    assert!(starts.unknown().iter().any(|unseen| unseen.what.contains("between two looks")));
    assert_eq!(find(&starts.look(&Root::host()).unwrap(), &late), None);
}

#[test]
fn a_process_that_runs_another_file_is_seen_again() {
    let mut starts = Starts::by_table(Reason::Unsupported);
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
    let mut starts = Starts::by_table(Reason::Unsupported);
    starts.look(&Root::host()).unwrap();
    for _ in 0..3 {
        let mut child = run("/bin/true", &[]);
        child.0.wait().unwrap();
    }
    assert!(starts.look(&Root::host()).unwrap().missed_at_most >= 3);
}

#[test]
fn another_root_starts_no_processes() {
    assert_eq!(Starts::open(&tree::root(&[])).look(&tree::root(&[])), Err(Reason::Unsupported));
}

/// What the kernel tells until a look shows it; none where it does not tell here.
fn told(until: impl Fn(&Look) -> bool, act: impl FnOnce()) -> Option<Look> {
    let mut starts = Starts::open(&Root::host());
    if starts.way() != Way::ProcConnector {
        println!("left out: this kernel's process connector can't be opened here: {:?}", starts.unknown());
        return None;
    }
    assert!(starts.is_cheap());
    act();
    let mut all = Look::default();
    while !until(&all) {
        let look = starts.look(&Root::host()).unwrap();
        all.starts.extend(look.starts);
        all.dropped += look.dropped;
        all.missed_at_most += look.missed_at_most;
        std::thread::yield_now();
    }
    Some(all)
}

#[test]
fn the_kernel_tells_of_a_program_that_starts_and_of_one_that_takes_its_place() {
    let child = std::cell::RefCell::new(None);
    let is_cat = |start: &Start| start.command_line == "cat - - -";
    let seen = |look: &Look| look.starts.iter().any(is_cat);
    let Some(look) = told(seen, || *child.borrow_mut() = Some(run("/bin/sh", &["-c", "exec cat - - -"])))
    else {
        return;
    };
    let start = look.starts.iter().find(|start| is_cat(start)).unwrap();
    assert_eq!(start.pid, child.borrow().as_ref().unwrap().0.id());
    assert_eq!(start.name, "cat");
    assert!(start.executable.as_deref().unwrap().ends_with("cat"));
    assert_eq!((start.parent, start.uid), (std::process::id(), nix::unistd::getuid().as_raw()));
    assert_eq!(start.parent_executable.as_deref(), std::env::current_exe().unwrap().to_str());
}

#[test]
fn programs_that_end_at_once_are_seen_or_counted() {
    let count = |look: &Look| look.starts.len() as u64 + look.missed_at_most + look.dropped;
    told(
        |look| count(look) >= 50,
        || {
            for _ in 0..50 {
                assert!(Command::new("/bin/true").status().unwrap().success());
            }
        },
    );
}
