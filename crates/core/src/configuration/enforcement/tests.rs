use super::*;
use crate::document;

fn read(spec: &str) -> Result<Enforcement, String> {
    let text = format!("kind: Enforcement\nname: ssh\nspec: {spec}\n");
    let documents = document::parse("e.yaml", &text).map_err(|faults| faults[0].to_string())?;
    Enforcement::from_document(&documents[0]).map_err(|fault| fault.to_string())
}

fn at(hours: u32) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus(Duration::from_hours(hours))
}

fn listed() -> Fix {
    Fix::Sysctl { key: "net.ipv4.conf.all.rp_filter".to_owned(), value: "1".to_owned() }
}

fn unlisted() -> Fix {
    Fix::Sysctl { key: "kernel.modprobe".to_owned(), value: "/sbin/modprobe".to_owned() }
}

fn wanted(rule: &str, fix: Fix, taken: Taken) -> Wanted {
    let by = [Digest::of_bytes(b"enforcement"), Digest::of_bytes(b"baseline")];
    let (baseline, within) = ("linux".to_owned(), Duration::from_hours(24));
    Wanted { baseline, rule: rule.to_owned(), fix, since: at(0), taken, by, within }
}

fn open(wanted: &[Wanted], not_after: Timestamp) -> Open {
    Open {
        plan: plan(wanted.iter().flat_map(|wanted| &wanted.by)),
        not_after,
        steps: wanted.iter().map(|wanted| (wanted.baseline.clone(), wanted.rule.clone())).collect(),
    }
}

fn tried(rule: &str, at: Timestamp, how: How) -> Tried {
    Tried { rule: ("linux".to_owned(), rule.to_owned()), fix: listed(), at, how }
}

fn order(rules: &[&str]) -> Order {
    let step =
        |rule: &&str| Step::Fix { baseline: "linux".to_owned(), rule: (*rule).to_owned(), fix: listed() };
    Order {
        asset: crate::id::AssetId::mint(at(0), [1; 10]),
        generation: 1,
        plan: Digest::of_bytes(b"plan"),
        not_before: at(0),
        not_after: at(24),
        steps: rules.iter().map(step).collect(),
    }
}

fn given(next: Next) -> Vec<String> {
    match next {
        Next::Give(draft) => {
            let name = |step: &Step| {
                let Step::Fix { rule, .. } = step;
                rule.clone()
            };
            draft.steps.iter().map(name).collect()
        }
        other => vec![format!("{other:?}")],
    }
}

fn judge(now: Timestamp, wanted: &[Wanted], open: Option<&Open>, tried: &[Tried]) -> Next {
    next(&Input { now, wanted, open, tried })
}

#[test]
fn a_document_takes_rules_by_name_or_by_their_beginning() {
    let enforcement = read("{rules: ['linux/ssh.*', linux/sysctl.core], within: 2h}").unwrap();
    assert_eq!(enforcement.within, Duration::from_hours(2));
    let table = [
        ("linux", "ssh.root", Some(Taken::Among)),
        ("linux", "sysctl.core", Some(Taken::Named)),
        ("linux", "sysctl.core2", None),
        ("other", "ssh.root", None),
    ];
    for (baseline, rule, takes) in table {
        assert_eq!(enforcement.takes(baseline, rule), takes, "{baseline}/{rule}");
    }
    let both = read("{rules: ['linux/*', linux/a]}").unwrap();
    assert_eq!(both.takes("linux", "a"), Some(Taken::Named), "by its own name, where both take it");
}

#[test]
fn a_document_that_says_too_little_or_too_much_is_refused() {
    let wrong = [
        "{}",
        "{rules: []}",
        "{rules: [linux]}",
        "{rules: ['linux/']}",
        "{rules: ['/a']}",
        "{rules: ['linux/a*b']}",
        "{rules: ['linux/*'], within: 0s}",
        "{rules: ['linux/*'], within: 8d}",
        "{rules: ['linux/*'], command: reboot}",
    ];
    for spec in wrong {
        assert!(read(spec).is_err(), "{spec}");
    }
}

#[test]
fn what_is_not_met_and_asked_for_is_ordered_once() {
    let all = [wanted("a", listed(), Taken::Among), wanted("b", listed(), Taken::Among)];
    assert_eq!(given(judge(at(1), &all, None, &[])), ["a", "b"]);
    let held = open(&all, at(24));
    assert_eq!(judge(at(1), &all, Some(&held), &[]), Next::Keep);
    assert_eq!(judge(at(1), &[], None, &[]), Next::Nothing);
}

#[test]
fn an_order_that_ran_out_is_given_anew_and_one_that_is_not_asked_for_is_withdrawn() {
    let all = [wanted("a", listed(), Taken::Among)];
    let held = open(&all, at(24));
    assert_eq!(given(judge(at(24), &all, Some(&held), &[])), ["a"]);
    assert_eq!(judge(at(1), &[], Some(&held), &[]), Next::Withdraw);
    let mut edited = all[0].clone();
    edited.by[1] = Digest::of_bytes(b"an edited baseline");
    assert_eq!(given(judge(at(1), &[edited], Some(&held), &[])), ["a"], "another plan takes its place");
}

#[test]
fn a_fix_that_did_not_help_waits_a_day_and_one_that_was_refused_an_hour() {
    let all = [wanted("a", listed(), Taken::Among)];
    let failed = [tried("a", at(1), How::Tried)];
    assert_eq!(judge(at(24), &all, None, &failed), Next::Nothing);
    assert_eq!(given(judge(at(25), &all, None, &failed)), ["a"]);
    let refused = [tried("a", at(1), How::Refused)];
    assert_eq!(judge(Timestamp::from_millis(at(2).as_millis() - 1), &all, None, &refused), Next::Nothing);
    assert_eq!(given(judge(at(2), &all, None, &refused)), ["a"]);
    let mut other = all[0].clone();
    other.fix = Fix::Sysctl { key: "net.ipv4.conf.all.rp_filter".to_owned(), value: "2".to_owned() };
    assert_eq!(given(judge(at(2), &[other], None, &failed)), ["a"], "another fix is tried at once");
}

#[test]
fn what_drifts_again_is_mended_again_but_not_for_ever() {
    let mut again = wanted("a", listed(), Taken::Among);
    again.since = at(2);
    let once = [tried("a", at(1), How::Tried)];
    assert_eq!(given(judge(at(3), &[again.clone()], None, &once)), ["a"]);
    let often = vec![tried("a", at(1), How::Tried); TRIES_LIMIT];
    assert_eq!(judge(at(3), &[again], None, &often), Next::Nothing);
}

#[test]
fn a_rule_that_comes_to_be_missed_waits_for_the_order_under_way() {
    let first = [wanted("a", listed(), Taken::Among)];
    let held = open(&first, at(24));
    let mut other = wanted("z", listed(), Taken::Among);
    other.by[1] = Digest::of_bytes(b"another baseline");
    let both = [first[0].clone(), other];
    assert_eq!(judge(at(1), &both, Some(&held), &[]), Next::Keep);
}

#[test]
fn an_answer_for_fewer_steps_is_no_success_and_is_not_asked_for_again_at_once() {
    let order = order(&["a", "b"]);
    let done = StepOutcome::Done { before: "0".to_owned() };
    let failed = StepOutcome::Failed { problem: "it is mounted read-only".to_owned() };
    let table = [
        (vec![], false, [How::Tried, How::Tried]),
        (vec![StepOutcome::Left, StepOutcome::Left], false, [How::Tried, How::Tried]),
        (vec![done.clone()], false, [How::Tried, How::Tried]),
        (vec![done.clone(), done.clone()], true, [How::Tried, How::Tried]),
        (vec![StepOutcome::Unchanged, done.clone(), done.clone()], false, [How::Tried, How::Tried]),
        (vec![failed, StepOutcome::Left], false, [How::Tried, How::Left]),
    ];
    for (steps, whole, how) in table {
        let ending = Ending::CarriedOut(steps);
        assert_eq!(ending.is_whole(&order), whole, "{ending:?}");
        let found = super::tried(&order, &End::Told(ending.clone()), at(1));
        assert_eq!(found.iter().map(|tried| tried.how).collect::<Vec<_>>(), how, "{ending:?}");
    }
    assert!(!Ending::Refused("no".to_owned()).is_whole(&order));
}

#[test]
fn a_host_whose_verdicts_flap_gets_so_many_orders_a_day() {
    let mut again = wanted("a", listed(), Taken::Among);
    again.since = at(2);
    let few = vec![tried("a", at(1), How::Left); ORDERS_LIMIT - 1];
    assert_eq!(given(judge(at(3), &[again.clone()], None, &few)), ["a"]);
    let many = vec![tried("a", at(1), How::Left); ORDERS_LIMIT];
    assert_eq!(judge(at(3), &[again], None, &many), Next::Nothing);
}

#[test]
fn what_only_the_host_allows_is_ordered_by_name_and_alone() {
    let all = [
        wanted("a", unlisted(), Taken::Among),
        wanted("b", unlisted(), Taken::Named),
        wanted("c", listed(), Taken::Among),
    ];
    assert_eq!(given(judge(at(1), &all, None, &[])), ["c"]);
    assert_eq!(given(judge(at(1), &all[..2], None, &[])), ["b"]);
    assert_eq!(judge(at(1), &all[..1], None, &[]), Next::Nothing);
}

#[test]
fn a_plan_is_known_by_its_documents_whatever_their_order() {
    let (a, b) = (Digest::of_bytes(b"a"), Digest::of_bytes(b"b"));
    assert_eq!(plan([&a, &b]), plan([&b, &a, &a]));
    assert_ne!(plan([&a]), plan([&a, &b]));
}
