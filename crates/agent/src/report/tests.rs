use bartizan_core::monitoring::signal::{Kind, State};
use bartizan_core::severity::Severity;
use bartizan_core::verdict::{Reason, Verdict};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn look(rule: &str, verdict: Verdict) -> Look {
    let check = Digest::of_bytes(rule.as_bytes());
    Look { baseline: "b".to_owned(), rule: rule.to_owned(), check, verdict, observed_at: NOW }
}

fn signal(object: &str) -> Noticed {
    Noticed {
        kind: Kind::Health,
        subject: "disk".to_owned(),
        object: object.to_owned(),
        state: State::Firing,
        severity: Severity::High,
        summary: "full".to_owned(),
        at: NOW,
        backlog: false,
    }
}

fn next(composer: &mut Composer) -> Report {
    composer.compose(NOW, Counts::new()).unwrap().report
}

/// A server as far as sections and verdicts go: it applies what comes, and asks for what it lacks.
#[derive(Default)]
struct Server {
    sections: BTreeMap<String, Digest>,
    bodies: BTreeMap<Digest, Value>,
    verdicts: BTreeMap<Subject, Look>,
}

impl Server {
    fn take(&mut self, report: &Report) {
        for (name, section) in &report.sections {
            self.sections.insert(name.clone(), section.hash);
            if let Some(body) = &section.body {
                assert_eq!(Digest::of(body), section.hash);
                self.bodies.insert(section.hash, body.clone());
            }
        }
        if report.whole {
            self.verdicts.clear();
        }
        self.verdicts.extend(report.verdicts.iter().map(|look| (subject(look), look.clone())));
    }

    fn root(&self) -> Digest {
        root(self.sections.iter().map(|(name, hash)| (name.as_str(), *hash)))
    }

    fn wanted(&self, agents: Digest) -> Vec<String> {
        if self.root() != agents {
            return self.sections.keys().cloned().chain([VERDICTS.to_owned()]).collect();
        }
        let lacking = self.sections.iter().filter(|(name, hash)| match name.as_str() {
            VERDICTS => verdicts_hash(self.verdicts.values()) != **hash,
            _ => !self.bodies.contains_key(hash),
        });
        lacking.map(|(name, _)| name.clone()).collect()
    }
}

#[test]
fn the_first_report_is_whole_and_carries_every_section_with_its_body() {
    let mut composer = Composer::new(3);
    assert!(composer.section("os", &Value::from("debian")).unwrap());
    composer.judged_all(vec![look("r", Verdict::Met)]);
    let report = next(&mut composer);
    assert_eq!((report.epoch, report.sequence, report.whole), (3, 1, true));
    assert_eq!(report.sections["os"].body, Some(Value::from("debian")));
    assert_eq!(report.sections[VERDICTS].body, None);
    assert_eq!(report.verdicts.len(), 1);
    assert_eq!(report.root, composer.root());
}

#[test]
fn what_did_not_change_is_not_told_again() {
    let mut composer = Composer::new(1);
    composer.section("os", &Value::from("debian")).unwrap();
    composer.judged_all(vec![look("r", Verdict::Met), look("s", Verdict::Met)]);
    next(&mut composer);
    assert!(!composer.section("os", &Value::from("debian")).unwrap());
    composer.judged(vec![Look { observed_at: Timestamp::from_millis(9), ..look("r", Verdict::Met) }], &[]);
    composer.saw("auth.log", 7, 0);
    assert!(composer.compose(NOW, Counts::new()).is_none());
    composer.judged(vec![look("s", Verdict::NotMet)], &[]);
    let report = next(&mut composer);
    assert_eq!((report.whole, report.sequence), (false, 2));
    assert_eq!(report.verdicts, [look("s", Verdict::NotMet)]);
    assert_eq!(report.sections.keys().collect::<Vec<_>>(), [VERDICTS]);
    assert_eq!(report.loss["auth.log"].seen, 7);
}

#[test]
fn a_rule_that_asks_nothing_any_more_makes_all_verdicts_told() {
    let mut composer = Composer::new(1);
    composer.judged_all(vec![look("r", Verdict::Met), look("s", Verdict::Met)]);
    next(&mut composer);
    composer.judged(Vec::new(), &[("b".to_owned(), "r".to_owned())]);
    let report = next(&mut composer);
    assert!(report.whole);
    assert_eq!(report.verdicts, [look("s", Verdict::Met)]);
}

#[test]
fn a_check_that_was_rewritten_is_news_though_its_verdict_is_not() {
    let mut composer = Composer::new(1);
    composer.judged_all(vec![look("r", Verdict::Met)]);
    next(&mut composer);
    composer.judged(vec![Look { check: Digest::of_bytes(b"other"), ..look("r", Verdict::Met) }], &[]);
    assert_eq!(next(&mut composer).verdicts.len(), 1);
}

#[test]
fn a_section_that_can_not_be_seen_any_more_stays_and_is_said_to_be_unknown() {
    let mut composer = Composer::new(1);
    let body = Value::parse(r#"{"body":["many"],"unknown":[]}"#).unwrap();
    composer.section("packages", &body).unwrap();
    next(&mut composer);
    assert!(composer.unseen("packages", Reason::Timeout).unwrap());
    let told = next(&mut composer).sections["packages"].body.clone().unwrap().to_canonical();
    assert_eq!(told, r#"{"body":["many"],"unknown":[{"reason":"timeout","what":"packages"}]}"#);
    assert!(!composer.unseen("packages", Reason::Timeout).unwrap());
    assert!(!composer.unseen("os", Reason::Timeout).unwrap(), "what was never seen is not told");
    assert!(composer.section("packages", &body).unwrap(), "seen again");
}

#[test]
fn signals_beyond_the_limit_are_counted_and_long_texts_are_cut() {
    let mut composer = Composer::new(1);
    let long = "é".repeat(TEXT_BYTES_LIMIT);
    let dropped = composer.noticed((0..SIGNALS_LIMIT + 3).map(|_| signal(&long)));
    assert_eq!(dropped, Counts::from([("health".to_owned(), 3)]));
    let composed = composer.compose(NOW, dropped).unwrap();
    assert_eq!(composed.report.signals.len(), SIGNALS_LIMIT);
    assert_eq!(composed.report.signals[0].object.len(), TEXT_BYTES_LIMIT);
    assert_eq!(composed.carries["health"], SIGNALS_LIMIT as u64);
    assert_eq!(composed.report.loss["health"].dropped, 3);
}

#[test]
fn a_wanted_section_comes_with_its_body_and_one_that_we_do_not_have_is_passed_over() {
    let mut composer = Composer::new(1);
    composer.section("os", &Value::from("debian")).unwrap();
    composer.section("kernel", &Value::from("6.1")).unwrap();
    next(&mut composer);
    composer.want(&["os".to_owned(), "firmware".to_owned()]);
    let report = next(&mut composer);
    assert!(report.sections["os"].body.is_some());
    assert_eq!(report.sections["kernel"].body, None);
    assert!(!report.whole);
    assert!(!report.sections.contains_key("firmware"));
}

#[test]
fn bodies_beyond_the_room_of_one_report_come_in_the_next() {
    let mut composer = Composer::new(1);
    let large = Value::from("x".repeat(BODIES_BYTES_LIMIT - 100));
    composer.section("a", &large).unwrap();
    composer.section("b", &large).unwrap();
    let first = next(&mut composer);
    assert!(first.sections["a"].body.is_some() && first.sections["b"].body.is_none());
    let second = next(&mut composer);
    assert!(second.sections["b"].body.is_some());
    assert!(composer.compose(NOW, Counts::new()).is_none());
    assert!(composer.section("c", &Value::from("x".repeat(SECTION_BYTES_LIMIT))).is_err());
}

/// What may happen between an agent and its server.
#[derive(Clone, Debug)]
enum Step {
    Section(u8, u8),
    Judge(u8, bool),
    Gone(u8),
    Policy(Vec<(u8, bool)>),
    /// A report goes out and comes to the server, or is dropped by the spool.
    Send {
        arrives: bool,
    },
    /// The server forgets a section's hash, a body, or a verdict: it was restored from a backup.
    Forget(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, 0..3u8).prop_map(|(name, value)| Step::Section(name, value)),
        (0..4u8, any::<bool>()).prop_map(|(rule, met)| Step::Judge(rule, met)),
        (0..4u8).prop_map(Step::Gone),
        prop::collection::vec((0..4u8, any::<bool>()), 0..4).prop_map(Step::Policy),
        any::<bool>().prop_map(|arrives| Step::Send { arrives }),
        (0..4u8).prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn the_servers_root_bodies_and_verdicts_meet_the_agents_after_any_losses(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut composer = Composer::new(1);
        let mut server = Server::default();
        let rule = |rule: u8, met: bool| look(&format!("r{rule}"), Verdict::from(met));
        for step in steps {
            match step {
                Step::Section(name, value) => {
                    composer.section(&format!("s{name}"), &Value::from(i32::from(value))).unwrap();
                }
                Step::Judge(number, met) => composer.judged(vec![rule(number, met)], &[]),
                Step::Gone(number) => composer.judged(Vec::new(), &[("b".to_owned(), format!("r{number}"))]),
                Step::Policy(rules) => {
                    composer.judged_all(rules.into_iter().map(|(number, met)| rule(number, met)).collect());
                }
                Step::Send { arrives } => {
                    if let Some(composed) = composer.compose(NOW, Counts::new()) {
                        if arrives {
                            server.take(&composed.report);
                        } else {
                            composer.resync();
                        }
                    }
                }
                Step::Forget(number) => {
                    if let Some(hash) = server.sections.remove(&format!("s{number}")) {
                        server.bodies.remove(&hash);
                    }
                    server.verdicts.remove(&("b".to_owned(), format!("r{number}")));
                }
            }
        }
        // Everything arrives from here on; each round is one report or one check-in.
        for _ in 0..4 {
            if let Some(composed) = composer.compose(NOW, Counts::new()) {
                server.take(&composed.report);
            }
            let wanted = server.wanted(composer.root());
            if !wanted.is_empty() {
                composer.want(&wanted);
            }
        }
        prop_assert_eq!(server.root(), composer.root());
        prop_assert_eq!(&server.verdicts, &composer.verdicts);
        prop_assert!(server.wanted(composer.root()).is_empty());
        prop_assert!(composer.compose(NOW, Counts::new()).is_none());
    }
}
