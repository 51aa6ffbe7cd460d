use bartizan_core::document;

use super::*;

const FAILED: &str = "sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2";

fn rule(id: &str, logsource: &str, condition: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlevel: high\nlogsource: {logsource}\ndetection: {{s: {condition}, condition: s}}\n"
    )
}

fn packed(sigma: &str, canaries: &serde_json::Value) -> Packed {
    let written =
        serde_json::json!({"kind": "Detection", "name": "d", "spec": {"sigma": sigma, "canaries": canaries}});
    Packed::of(&document::parse("d.yaml", &written.to_string()).unwrap()[0]).unwrap()
}

/// A rule on refused logins whose canary is this line.
fn login(line: &str) -> Packed {
    let sigma = rule("login", "{product: linux, service: sshd}", "{action: login, outcome: failure}");
    packed(&sigma, &serde_json::json!([{"rule": "login", "lines": [line]}]))
}

/// A rule without a canary.
fn bare(id: &str, logsource: &str) -> Packed {
    packed(&rule(id, logsource, "{a: b}"), &serde_json::json!([]))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn unread(what: &str, reason: Reason) -> Sight {
    Sight::Unread(Unseen { what: what.to_owned(), reason })
}

fn files() -> View {
    View { files: Sight::Seen, starts: Sight::Seen, ..View::default() }
}

fn watch(documents: Vec<Packed>, view: View) -> Watch {
    let mut watch = Watch::default();
    watch.assign(documents);
    watch.see(view, at(0));
    watch
}

fn told(step: &Step) -> Vec<(State, &str)> {
    step.noticed.iter().map(|noticed| (noticed.state, noticed.summary.as_str())).collect()
}

/// What is told of these documents where the sources stand so.
fn found(documents: Vec<Packed>, view: View) -> Vec<String> {
    let step = watch(documents, view).step(usize::MAX, at(0));
    assert!(step.noticed.iter().all(|noticed| noticed.state == State::Firing));
    step.noticed.into_iter().map(|noticed| noticed.summary).collect()
}

#[test]
fn a_rule_whose_canary_matches_is_not_told_of_and_one_whose_canary_does_not_is_a_fault() {
    assert!(found(vec![login(FAILED)], files()).is_empty());
    let mut dead = watch(vec![login("sshd[9]: Connection closed")], files());
    let step = dead.step(usize::MAX, at(5));
    assert_eq!(told(&step), [(State::Firing, "Rule login can't fire: its canary does not match")]);
    let [noticed] = step.noticed.try_into().unwrap();
    assert_eq!(
        (noticed.kind, noticed.subject.as_str(), noticed.object.as_str()),
        (Kind::Canary, "login", "")
    );
    assert_eq!((noticed.severity, noticed.at), (Severity::High, at(5)));
    assert!(dead.step(usize::MAX, at(6)).noticed.is_empty(), "it is told once");
}

#[test]
fn a_log_that_can_not_be_read_is_a_fault_and_a_host_without_any_owes_nothing() {
    let both = || vec![login(FAILED), bare("bare", "{product: linux, service: sudo}")];
    let denied = View {
        journal: unread("the journal", Reason::Denied),
        files: unread("/var/log/auth.log", Reason::Error),
        ..View::default()
    };
    let why = "can't fire: the journal can't be read (denied), /var/log/auth.log can't be read (error)";
    assert_eq!(found(both(), denied.clone()), [format!("Rule bare {why}"), format!("Rule login {why}")]);
    let one = View { files: Sight::Seen, ..denied };
    assert!(found(both(), one).is_empty(), "a log file does where the journal can't be read");
    assert!(found(both(), View::default()).is_empty(), "not applicable");
}

#[test]
fn rules_without_a_canary_are_judged_by_their_source() {
    let denied = View { starts: unread("process starts", Reason::Denied), ..files() };
    let table = [
        (
            "{product: linux, category: process_creation}",
            vec!["Rule r can't fire: process starts can't be read (denied)"],
        ),
        (
            "{product: linux, category: file_event}",
            vec!["Rule r can't fire: linux/file_event has no source in this agent (unsupported)"],
        ),
        ("{product: windows, category: process_creation}", vec![]),
        ("{product: linux}", vec![]),
    ];
    for (logsource, expected) in table {
        assert_eq!(found(vec![bare("r", logsource)], denied.clone()), expected, "{logsource}");
    }
}

#[test]
fn what_only_the_journal_tells_is_asked_of_the_journal_alone() {
    let sigma = rule("forged", "{product: linux, service: sshd}", "{_COMM: logger}");
    let canary = serde_json::json!([{"rule": "forged", "lines": [FAILED], "sender": {"command": "logger"}}]);
    let forged = || vec![packed(&sigma, &canary)];
    assert!(found(forged(), View { journal: Sight::Seen, ..View::default() }).is_empty());
    assert!(found(forged(), files()).is_empty(), "a host without a journal owes nothing");
    let denied = View { journal: unread("the journal", Reason::Denied), ..files() };
    assert_eq!(found(forged(), denied), ["Rule forged can't fire: the journal can't be read (denied)"]);
}

#[test]
fn a_rule_dies_with_the_log_that_it_needs_and_comes_back_with_it_once_that_has_held_for_a_minute() {
    let mut watch = watch(vec![login(FAILED)], files());
    watch.step(usize::MAX, at(0));
    let gone = View { files: unread("/var/log/auth.log", Reason::Denied), ..files() };
    watch.see(gone.clone(), at(10));
    assert!(watch.is_at_rest(), "a log that is being rotated is gone for a moment");
    watch.see(files(), at(20));
    watch.see(gone.clone(), at(30));
    watch.see(gone.clone(), at(89));
    assert!(watch.step(usize::MAX, at(89)).noticed.is_empty());
    watch.see(gone, at(90));
    let step = watch.step(usize::MAX, at(90));
    let dead = "Rule login can't fire: /var/log/auth.log can't be read (denied)";
    assert_eq!(told(&step), [(State::Firing, dead)]);
    watch.see(files(), at(100));
    watch.see(files(), at(160));
    let step = watch.step(usize::MAX, at(160));
    assert_eq!(told(&step), [(State::Resolved, "Rule login can fire again")]);
}

#[test]
fn a_log_that_was_there_and_is_gone_is_a_fault_over_a_restart_too() {
    let mut first = watch(vec![login(FAILED)], files());
    let standing = first.step(usize::MAX, at(0)).standing.unwrap();
    let mut next = Watch::new(Some(standing));
    next.assign(vec![login(FAILED)]);
    next.see(View::default(), at(10));
    let step = next.step(usize::MAX, at(10));
    assert_eq!(told(&step), [(State::Firing, "Rule login can't fire: the log file can't be read (unseen)")]);
    assert!(!step.noticed[0].backlog, "the host was looked at before");
    // The run after that knows it: told once more, since the server may be an older one, and ended.
    let mut last = Watch::new(step.standing);
    last.assign(vec![login(FAILED)]);
    last.see(View::default(), at(20));
    assert_eq!(last.step(usize::MAX, at(20)).noticed.len(), 1);
    assert!(last.step(usize::MAX, at(4_000)).noticed.is_empty());
    last.see(files(), at(30));
    last.see(files(), at(90));
    assert_eq!(told(&last.step(usize::MAX, at(90))), [(State::Resolved, "Rule login can fire again")]);
}

#[test]
fn a_new_policy_that_breaks_a_rule_is_told_and_one_that_drops_it_ends_that() {
    let mut watch = watch(vec![login(FAILED)], files());
    assert!(watch.step(usize::MAX, at(0)).noticed.is_empty());
    watch.assign(vec![login("sshd[9]: Connection closed")]);
    assert_eq!(
        told(&watch.step(usize::MAX, at(1))),
        [(State::Firing, "Rule login can't fire: its canary does not match")]
    );
    watch.assign(Vec::new());
    assert_eq!(told(&watch.step(usize::MAX, at(2))), [(State::Resolved, "Rule login is asked for no more")]);
}

#[test]
fn of_two_rules_with_one_name_the_one_that_can_not_fire_is_told() {
    let documents = vec![login("sshd[9]: Connection closed"), login(FAILED)];
    let mut watch = watch(documents, files());
    assert_eq!(watch.step(usize::MAX, at(0)).noticed.len(), 1);
    assert!(watch.step(usize::MAX, at(4_000)).noticed.is_empty(), "an hour later it stands as it stood");
}

#[test]
fn what_the_first_turn_finds_is_backlog_over_a_restart_until_it_can_fire() {
    let dead = || login("sshd[9]: Connection closed");
    let mut first = watch(vec![dead()], files());
    let step = first.step(usize::MAX, at(0));
    assert!(step.noticed[0].backlog);
    let mut next = Watch::new(step.standing);
    next.assign(vec![dead()]);
    next.see(files(), at(10));
    let step = next.step(usize::MAX, at(10));
    assert_eq!((step.noticed[0].state, step.noticed[0].backlog), (State::Firing, true));
    for (document, state) in [(login(FAILED), State::Resolved), (dead(), State::Firing)] {
        next.assign(vec![document]);
        let [noticed] = next.step(usize::MAX, at(20)).noticed.try_into().unwrap();
        assert_eq!((noticed.state, noticed.backlog), (state, false));
    }
}

#[test]
fn after_a_loss_every_rule_that_could_not_fire_is_told_again() {
    let mut watch = watch(vec![login("sshd[9]: Connection closed")], files());
    watch.step(usize::MAX, at(0));
    let states = |noticed: Vec<Noticed>| noticed.into_iter().map(|one| one.state).collect::<Vec<_>>();
    assert_eq!(states(watch.tell_again(at(1))), [State::Firing]);
    watch.assign(vec![login(FAILED)]);
    watch.step(usize::MAX, at(2));
    assert_eq!(states(watch.tell_again(at(3))), [State::Resolved]);
}

#[test]
fn before_there_is_a_policy_nothing_is_looked_at_and_what_a_new_one_asks_for_counts_at_once() {
    let mut watch = Watch::default();
    watch.see(View::default(), at(0));
    assert!(watch.is_at_rest());
    let denied = View { files: unread("/var/log/auth.log", Reason::Denied), ..View::default() };
    watch.assign(vec![login(FAILED)]);
    watch.see(denied, at(10));
    assert_eq!(watch.step(usize::MAX, at(10)).noticed.len(), 1);
}

#[test]
fn documents_are_taken_in_turn_and_what_they_come_to_is_told_at_its_end() {
    let dead = || login("sshd[9]: Connection closed");
    let mut watch =
        watch(vec![bare("a", "{product: linux}"), dead(), bare("b", "{product: linux}")], files());
    assert!(watch.step(2, at(0)).noticed.is_empty() && !watch.is_at_rest());
    assert_eq!(watch.step(2, at(1)).noticed.len(), 1);
    assert!(watch.is_at_rest());
    watch.step(1, at(3_000));
    assert!(watch.is_at_rest(), "the next turn is due in an hour");
    watch.step(1, at(3_602));
    assert!(!watch.is_at_rest());
}

#[test]
fn rules_beyond_the_limit_are_counted() {
    let sigma: Vec<String> = (0..DEAD_LIMIT + 3)
        .map(|number| rule(&format!("r{number}"), "{product: linux, service: sshd}", "{a: b}"))
        .collect();
    let denied = View { journal: unread("the journal", Reason::Denied), ..View::default() };
    let mut watch = watch(vec![packed(&sigma.join("---\n"), &serde_json::json!([]))], denied);
    let step = watch.step(usize::MAX, at(0));
    assert_eq!((step.noticed.len(), step.dropped), (DEAD_LIMIT, 3));
}
