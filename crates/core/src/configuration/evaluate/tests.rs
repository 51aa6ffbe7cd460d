use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::configuration::baseline::FileTest;
use crate::document;

/// Answers by query; counts how often each was asked.
#[derive(Default)]
struct Answers {
    items: BTreeMap<Query, Items>,
    asked: BTreeMap<Query, usize>,
}

impl Probe for Answers {
    fn items(&mut self, query: &Query) -> Items {
        *self.asked.entry(query.clone()).or_default() += 1;
        self.items.get(query).cloned().unwrap_or(Items::Known(Vec::new()))
    }
}

const LEAVES: usize = 5;

fn path(leaf: usize) -> String {
    format!("/{leaf}")
}

fn query(leaf: usize) -> Query {
    Query::File { path: path(leaf) }
}

fn leaf(leaf: usize) -> Check {
    Check::File(Box::new(FileTest {
        path: path(leaf),
        exists: Some(true),
        or_absent: false,
        kind: None,
        mode: None,
        owner: None,
        group: None,
    }))
}

fn any_check() -> impl Strategy<Value = Check> {
    (0..LEAVES).prop_map(leaf).prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Check::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Check::Any),
            inner.prop_map(|check| Check::Not(Box::new(check))),
        ]
    })
}

/// What stands at each path: there, not there, or nobody knows.
fn any_host() -> impl Strategy<Value = Vec<Option<bool>>> {
    prop::collection::vec(prop::option::of(any::<bool>()), LEAVES)
}

fn answers(host: &[Option<bool>]) -> Answers {
    let items = |(leaf, there): (usize, &Option<bool>)| {
        let items = match there {
            Some(true) => Items::Known(vec![Item::new(path(leaf))]),
            Some(false) => Items::Known(Vec::new()),
            None => Items::Unknown { reason: Reason::Denied, message: String::new() },
        };
        (query(leaf), items)
    };
    Answers { items: host.iter().enumerate().map(items).collect(), asked: BTreeMap::new() }
}

fn evaluated(check: &Check, probe: &mut Answers) -> (Verdict, Vec<Evidence>) {
    Session { probe, answers: BTreeMap::new(), read: Vec::new() }.check(check, Sense::Asked)
}

fn verdict(check: &Check, host: &[Option<bool>]) -> Verdict {
    evaluated(check, &mut answers(host)).0
}

/// The same check over known truth alone.
fn truth(check: &Check, host: &[bool]) -> bool {
    match check {
        Check::All(checks) => checks.iter().all(|check| truth(check, host)),
        Check::Any(checks) => checks.iter().any(|check| truth(check, host)),
        Check::Not(check) => !truth(check, host),
        Check::File(test) => host[test.path[1..].parse::<usize>().unwrap()],
        _ => unreachable!("only files are made here"),
    }
}

proptest! {
    #[test]
    fn where_everything_is_known_a_check_is_plain_logic(check in any_check(), host in prop::collection::vec(any::<bool>(), LEAVES)) {
        let known: Vec<Option<bool>> = host.iter().copied().map(Some).collect();
        prop_assert_eq!(verdict(&check, &known), Verdict::from(truth(&check, &host)));
    }

    #[test]
    fn what_is_learned_later_never_turns_a_verdict_around(check in any_check(), host in any_host(), fill in prop::collection::vec(any::<bool>(), LEAVES)) {
        let known: Vec<bool> = host.iter().zip(&fill).map(|(seen, fill)| seen.unwrap_or(*fill)).collect();
        match verdict(&check, &host) {
            Verdict::Unknown(reason) => prop_assert_eq!(reason, Reason::Denied),
            decided => prop_assert_eq!(decided, Verdict::from(truth(&check, &known))),
        }
    }

    #[test]
    fn each_thing_is_read_once_and_evidence_agrees_with_the_verdict(check in any_check(), host in any_host()) {
        let mut probe = answers(&host);
        let (verdict, evidence) = evaluated(&check, &mut probe);
        prop_assert!(probe.asked.values().all(|times| *times == 1));
        prop_assert!(evidence.iter().any(|one| std::mem::discriminant(&one.verdict) == std::mem::discriminant(&verdict)));
    }
}

const DOCUMENT: &str = "\
kind: Baseline
name: n
spec:
  title: t
  profiles: {p: {title: P}, q: {title: Q}}
  rules:
    - {id: a, title: t, rationale: r, severity: low, remediation: m, profiles: [p], check: {file: {path: /0, exists: true}}}
    - {id: b, title: t, rationale: r, severity: low, remediation: m, applicable: {file: {path: /1, exists: true}}, check: {file: {path: /0, exists: false}}}
";

fn outcomes(profile: Option<&str>, host: &[Option<bool>]) -> Vec<String> {
    let documents = document::parse("b.yaml", DOCUMENT).unwrap();
    let baseline = Baseline::from_document(&documents[0]).unwrap();
    let mut probe = answers(host);
    let results = run(&baseline, profile, &mut probe);
    assert!(probe.asked.values().all(|times| *times == 1), "each thing is read once in a run");
    for result in &results {
        let written = serde_json::to_string(result).unwrap();
        assert_eq!(serde_json::from_str::<RuleResult>(&written).unwrap(), *result);
    }
    results.iter().map(|result| format!("{}: {}", result.rule, result.outcome)).collect()
}

#[test]
fn a_rule_whose_condition_does_not_hold_asks_nothing_and_one_whose_condition_is_unknown_is_unknown() {
    let table = [
        ([Some(true), Some(true)], ["a: met", "b: not met"]),
        ([Some(true), Some(false)], ["a: met", "b: not applicable"]),
        ([Some(false), None], ["a: not met", "b: unknown: denied"]),
        ([None, Some(true)], ["a: unknown: denied", "b: unknown: denied"]),
    ];
    for (host, expected) in table {
        assert_eq!(outcomes(None, &host), expected, "{host:?}");
    }
}

#[test]
fn a_profile_asks_its_own_rules_and_an_unknown_profile_passes_nothing() {
    let host = [Some(true), Some(true)];
    assert_eq!(outcomes(Some("p"), &host), ["a: met", "b: not met"]);
    assert_eq!(outcomes(Some("q"), &host), ["a: not applicable", "b: not met"]);
    assert_eq!(outcomes(Some("none"), &host), ["a: unknown: unassigned", "b: unknown: unassigned"]);
}

#[test]
fn a_result_says_what_its_rule_read() {
    let documents = document::parse("b.yaml", DOCUMENT).unwrap();
    let baseline = Baseline::from_document(&documents[0]).unwrap();
    let result = run_rule(&baseline, "b", &mut answers(&[Some(true), Some(true)])).unwrap();
    assert_eq!(result.read, [query(1), query(0)]);
    assert!(run_rule(&baseline, "c", &mut Answers::default()).is_none());
}

#[test]
fn evidence_is_bounded_and_what_fails_stands_first() {
    let met = Evidence {
        object: "m".into(),
        expected: String::new(),
        actual: String::new(),
        verdict: Verdict::Met,
    };
    let bad = Evidence { verdict: Verdict::NotMet, object: "x".into(), ..met.clone() };
    let mut evidence = vec![met; EVIDENCE_LIMIT + 5];
    evidence.push(bad);
    let short = shorten(evidence);
    assert_eq!(short.len(), EVIDENCE_LIMIT + 1);
    assert_eq!((short[0].object.as_str(), short[EVIDENCE_LIMIT].object.as_str()), ("x", "6 more"));
}

#[test]
fn a_probe_that_answers_too_much_is_not_believed() {
    let items = Items::Known(vec![Item::new("x"); ITEMS_LIMIT + 1]);
    let mut probe = Answers { items: [(query(0), items)].into(), asked: BTreeMap::new() };
    assert_eq!(evaluated(&leaf(0), &mut probe).0, Verdict::Unknown(Reason::Unsupported));
}

#[test]
fn that_nothing_was_found_meets_nothing_where_its_folder_was_not_seen() {
    let unseen = |folder: &str| {
        let items = Items::Unproven { items: Vec::new(), folder: folder.to_owned() };
        Answers { items: BTreeMap::from([(query(0), items)]), asked: BTreeMap::new() }
    };
    let unknown = Verdict::Unknown(Reason::Unseen);
    let not = |check| Check::Not(Box::new(check));
    let absent = not(leaf(0));
    let judged = |check: &Check| evaluated(check, &mut unseen("/etc/apt")).0;
    assert_eq!(judged(&absent), unknown, "a missing folder must not meet `not there`");
    assert_eq!(judged(&leaf(0)), Verdict::NotMet, "what is required was not found");
    assert_eq!(judged(&not(not(leaf(0)))), Verdict::NotMet);
    assert_eq!(judged(&Check::Any(vec![absent, leaf(0)])), unknown);

    let condition = |folder: &str| {
        let mut probe = unseen(folder);
        let mut session = Session { probe: &mut probe, answers: BTreeMap::new(), read: Vec::new() };
        session.rule(Some(&leaf(0)), &leaf(1)).0
    };
    assert!(matches!(condition("/etc/apt"), Outcome::NotApplicable { .. }), "/etc was seen");
    assert_eq!(condition("/etc"), Outcome::Judged(unknown));
}
