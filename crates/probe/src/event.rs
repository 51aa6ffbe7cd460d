//! Event sources: what happens on a host, as it happens.
//!
//! A source is asked for what is new; it never blocks, never holds more than its limit, and
//! counts what it had to pass over. The `sources` section says which there are, and what none of them sees.

pub mod journal;
pub mod process;
pub mod tail;

use std::path::Path;

use bartizan_core::fact::source::{Source, Sources, Way};
use bartizan_core::fact::{Section, Unseen};
use bartizan_core::verdict::Reason;

use crate::root::{Error, Root};
use journal::Journal;
use process::Starts;

/// Where Linux hosts keep their authentication log: Debian's family, Red Hat's family.
pub const AUTHENTICATION_LOGS: [&str; 2] = ["/var/log/auth.log", "/var/log/secure"];

/// The sources that this host has, each opened for a moment.
pub fn collect(root: &Root) -> Section<Sources> {
    let mut section = Section::new(Sources::default());
    let (journal, unknown) = match Journal::find(root) {
        Some(Ok(_)) => (true, Vec::new()),
        Some(Err(unseen)) => (false, vec![unseen]),
        None => (false, Vec::new()),
    };
    unknown.into_iter().for_each(|unseen| section.miss(unseen.what, unseen.reason));
    if journal {
        add(&mut section, Way::Journal, "");
    } else {
        let logs: Vec<&Path> = AUTHENTICATION_LOGS.iter().map(Path::new).collect();
        let (followed, unseen) = logs_in_view(root, &logs);
        followed.iter().for_each(|path| add(&mut section, Way::LogFile, path));
        unseen.into_iter().for_each(|unseen| section.miss(unseen.what, unseen.reason));
    }
    let starts = Starts::open(root);
    if root.is_host() {
        add(&mut section, starts.way(), "");
        starts.unknown().into_iter().for_each(|unseen| section.miss(unseen.what, unseen.reason));
    } else {
        section.miss("process starts", Reason::Unsupported);
    }
    section
}

/// Of log files, those that can be followed, and what can't. Distributions have one of several names for
/// theirs: a missing one is told only where none is there.
pub fn logs_in_view(root: &Root, logs: &[&Path]) -> (Vec<String>, Vec<Unseen>) {
    let (mut followed, mut unseen) = (Vec::new(), Vec::new());
    for path in logs {
        let what = path.display().to_string();
        match root.open(path) {
            Ok(_) => followed.push(what),
            Err(Error::Missing { .. }) => {}
            Err(error) => unseen.push(Unseen { what, reason: error.reason() }),
        }
    }
    if followed.is_empty() && unseen.is_empty() && !logs.is_empty() {
        let what = logs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ");
        unseen.push(Unseen { what, reason: Reason::Unseen });
    }
    (followed, unseen)
}

/// Notes a source in its section, once and in order.
pub fn add(section: &mut Section<Sources>, way: Way, place: &str) {
    let source = Source { way, place: place.to_owned() };
    if let Err(at) = section.body.sources.binary_search(&source) {
        section.body.sources.insert(at, source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_host_with_a_log_follows_it_and_one_without_says_what_is_missing() {
        let root = tree::root(&[("var/log/secure", "")]);
        let section = collect(&root);
        assert_eq!(section.body.sources, [Source { way: Way::LogFile, place: "/var/log/secure".to_owned() }]);
        let none = collect(&tree::root(&[]));
        assert_eq!(none.body.sources, []);
        assert!(none.unknown.iter().any(|unseen| {
            unseen.what == "/var/log/auth.log or /var/log/secure" && unseen.reason == Reason::Unseen
        }));
    }

    #[test]
    fn a_log_that_is_no_file_is_named_with_its_reason() {
        let root = tree::root(&[("var/log/auth.log/x", ""), ("var/log/secure", "")]);
        let section = collect(&root);
        assert_eq!(section.body.sources.len(), 1);
        assert!(section.unknown.iter().any(|unseen| unseen.what == "/var/log/auth.log"));
    }

    #[test]
    fn this_host_says_by_which_way_it_sees_processes_start() {
        let section = collect(&Root::host());
        let ways: Vec<Way> = section.body.sources.iter().map(|source| source.way).collect();
        assert!(ways.contains(&Way::ProcConnector) || ways.contains(&Way::ProcTable), "{ways:?}");
    }
}
