use super::judge::{Outcome, already, missing};
use super::*;
use crate::document::parse;

pub(super) fn content(port: u32) -> Content {
    let text = format!("kind: Baseline\nname: ssh\nspec: {{port: {port}}}\n");
    Content::new(&parse("change.yaml", &text).unwrap(), []).unwrap()
}

pub(super) fn person(n: u8) -> PersonId {
    PersonId::mint(Timestamp::from_millis(1), [n; 10])
}

pub(super) fn actor(n: u8, roles: &[Role]) -> Actor {
    Actor {
        person: person(n),
        roles: roles.iter().copied().collect(),
        services: BTreeSet::from(["web".to_owned()]),
        grants: Vec::new(),
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn author() -> Actor {
    actor(1, &[Role::Operator, Role::Security])
}

fn reviewer() -> Actor {
    actor(2, &[Role::Operator])
}

fn approver() -> Actor {
    actor(3, &[Role::Security])
}

pub(super) fn proposed() -> Change {
    let id = ChangeId::mint(at(1), [0; 10]);
    Change::propose(id, "web", person(1), content(22), at(100))
}

fn act(change: &Change, actor: &Actor, event: Event) -> Outcome {
    step(change, &Ladder::default(), actor, &event, at(200))
}

fn prod() -> String {
    "prod".to_owned()
}

fn test_event(digest: Digest, passed: bool) -> Event {
    Event::Tested { environment: "test".into(), target: prod(), digest, passed }
}

fn review_event(digest: Digest) -> Event {
    Event::Reviewed { target: prod(), digest }
}

fn approve_event(digest: Digest) -> Event {
    Event::Approved { target: prod(), digest }
}

fn apply_event(digest: Digest) -> Event {
    Event::Applied { target: prod(), digest }
}

/// Applied to the lower environments, where tests run.
fn tried(change: Change) -> Change {
    ["dev", "test"].into_iter().fold(change, |change, target| {
        let event = Event::Applied { target: target.to_owned(), digest: change.digest };
        act(&change, &author(), event).unwrap().0
    })
}

fn tested() -> Change {
    let change = tried(proposed());
    act(&change, &author(), test_event(change.digest, true)).unwrap().0
}

fn reviewed() -> Change {
    let change = tested();
    act(&change, &reviewer(), review_event(change.digest)).unwrap().0
}

fn approved() -> Change {
    let change = reviewed();
    act(&change, &approver(), approve_event(change.digest)).unwrap().0
}

#[test]
fn tested_reviewed_and_approved_by_three_people_it_is_applied() {
    let change = approved();
    let (applied, commands) = act(&change, &author(), apply_event(change.digest)).unwrap();
    assert_eq!(applied.applied.last().unwrap().path, Path::Approved);
    let expected = Command::Apply { target: prod(), digest: change.digest, path: Path::Approved };
    assert_eq!(commands, [expected]);
    assert_eq!(act(&applied, &author(), apply_event(change.digest)), Err(already("prod")));
}

#[test]
fn no_step_is_skipped() {
    let digest = proposed().digest;
    let refused = |change: Change| act(&change, &author(), apply_event(digest)).unwrap_err().to_string();
    assert!(refused(proposed()).contains("passed test"));
    assert!(refused(tested()).contains("review"));
    assert!(refused(reviewed()).contains("approval"));
    assert!(act(&proposed(), &reviewer(), review_event(digest)).is_err());
    assert!(act(&tested(), &approver(), approve_event(digest)).is_err());
}

#[test]
fn one_byte_edited_voids_what_people_decided() {
    let change = approved();
    let (edited, commands) = act(&change, &reviewer(), Event::Edited { content: content(23) }).unwrap();
    assert_eq!(commands, [Command::Void { digest: change.digest, decisions: 3 }]);
    assert_eq!(edited.stage("prod"), &Stage::Proposed);
    let stale = Refusal::Stale { seen: change.digest, current: edited.digest };
    assert_eq!(act(&edited, &author(), apply_event(change.digest)), Err(stale));
    assert!(matches!(act(&edited, &author(), apply_event(edited.digest)), Err(Refusal::Missing { .. })));
}

#[test]
fn an_edit_that_changes_nothing_voids_nothing() {
    assert_eq!(
        act(&approved(), &reviewer(), Event::Edited { content: content(22) }),
        Err(Refusal::Unchanged)
    );
}

#[test]
fn who_wrote_or_edited_a_change_may_neither_review_nor_approve_it() {
    let change = tested();
    assert_eq!(act(&change, &author(), review_event(change.digest)), Err(Refusal::OwnChange("review")));
    let change = reviewed();
    assert_eq!(act(&change, &author(), approve_event(change.digest)), Err(Refusal::OwnChange("approve")));
    let (edited, _) = act(&change, &reviewer(), Event::Edited { content: content(23) }).unwrap();
    let edited = tried(edited);
    let (edited, _) = act(&edited, &author(), test_event(edited.digest, true)).unwrap();
    assert_eq!(act(&edited, &reviewer(), review_event(edited.digest)), Err(Refusal::OwnChange("review")));
}

#[test]
fn who_reviewed_may_not_approve_too() {
    let change = tested();
    let both = actor(2, &[Role::Operator, Role::Security]);
    let (change, _) = act(&change, &both, review_event(change.digest)).unwrap();
    assert_eq!(act(&change, &both, approve_event(change.digest)), Err(Refusal::SamePerson));
}

#[test]
fn a_role_or_credential_made_since_by_the_author_or_one_admin_does_not_count() {
    let change = reviewed();
    let approve = |what, ms, by: &[u8]| {
        let grant = Grant { what, at: at(ms), by: by.iter().copied().map(person).collect() };
        act(&change, &Actor { grants: vec![grant], ..approver() }, approve_event(change.digest)).map(|_| ())
    };
    let role = Granted::Role(Role::Security);
    assert_eq!(approve(role, 150, &[1, 9]), Err(Refusal::FreshGrant), "the author took part");
    assert_eq!(approve(Granted::Credential, 150, &[9]), Err(Refusal::FreshGrant), "an admin alone");
    assert_eq!(approve(role, 150, &[3]), Err(Refusal::FreshGrant), "to oneself");
    assert_eq!(approve(role, 100, &[1]), Err(Refusal::FreshGrant), "in the moment of proposing");
    assert_eq!(approve(role, 99, &[1, 9]), Ok(()), "before it was proposed");
    assert_eq!(approve(role, 150, &[8, 9]), Ok(()), "by two others");
    assert_eq!(approve(Granted::Credential, 150, &[3]), Ok(()), "one's own new key");
}

#[test]
fn a_credential_that_the_author_alone_made_does_not_count_until_a_third_person_stood_by_it() {
    let change = reviewed();
    let approve = |grants: &[(Granted, &[u8])]| {
        let grants = grants.iter().map(|(what, by)| Grant {
            what: *what,
            at: at(10),
            by: by.iter().copied().map(person).collect(),
        });
        let approver = Actor { grants: grants.collect(), ..approver() };
        act(&change, &approver, approve_event(change.digest)).map(|_| ())
    };
    let role = Granted::Role(Role::Security);
    let reset = (Granted::Credential, [1].as_slice());
    assert_eq!(approve(&[reset]), Err(Refusal::FreshGrant), "long before the change was proposed");
    assert_eq!(approve(&[(role, &[1, 9]), reset]), Err(Refusal::FreshGrant), "reset after the role");
    assert_eq!(approve(&[reset, (role, &[1, 9])]), Ok(()), "somebody else agreed to the role since");
    assert_eq!(approve(&[reset, (role, &[1, 3])]), Err(Refusal::FreshGrant), "but not they themselves");
    assert_eq!(approve(&[(Granted::Credential, &[9])]), Ok(()), "who made it wrote nothing here");
}

#[test]
fn each_act_takes_its_role() {
    let change = tested();
    let stranger = Actor { services: BTreeSet::new(), ..reviewer() };
    assert!(matches!(act(&change, &stranger, review_event(change.digest)), Err(Refusal::Role { .. })));
    let admin = actor(4, &[Role::Admin]);
    let change = reviewed();
    assert!(matches!(act(&change, &admin, approve_event(change.digest)), Err(Refusal::Role { .. })));
    let change = approved();
    assert!(matches!(act(&change, &admin, apply_event(change.digest)), Err(Refusal::Role { .. })));
}

#[test]
fn a_test_counts_only_from_a_lower_environment_where_the_digest_was_applied() {
    let change = proposed();
    assert_eq!(
        act(&change, &author(), test_event(change.digest, true)),
        Err(missing("prod", "to be applied where it was tested"))
    );
    let change = tried(change);
    let test = |environment: &str| {
        let (environment, digest) = (environment.to_owned(), change.digest);
        act(&change, &author(), Event::Tested { environment, target: prod(), digest, passed: true })
    };
    assert!(test("dev").is_ok());
    assert!(matches!(test("prod"), Err(Refusal::NotLower { .. })));
    assert_eq!(test("moon"), Err(Refusal::NoSuchEnvironment("moon".into())));
}

#[test]
fn a_failed_test_takes_back_what_was_decided_on_the_pass() {
    let change = approved();
    let (failed, commands) = act(&change, &author(), test_event(change.digest, false)).unwrap();
    assert_eq!(failed.stage("prod"), &Stage::Proposed);
    assert_eq!(commands, [Command::Void { digest: change.digest, decisions: 3 }]);
}

#[test]
fn a_rejection_sends_it_back_with_a_reason() {
    let change = approved();
    let reject = |reason: &str| {
        let (target, digest, reason) = (prod(), change.digest, reason.to_owned());
        act(&change, &approver(), Event::Rejected { target, digest, reason })
    };
    assert_eq!(reject(" "), Err(Refusal::Reason));
    assert_eq!(reject("not on a Friday").unwrap().0.stage("prod"), &Stage::Proposed);
}

#[test]
fn an_open_environment_asks_for_nothing_and_a_self_approved_one_says_so() {
    let rung = |name: &str, gate| Rung { name: name.to_owned(), gate };
    let ladder = Ladder::new(vec![rung("dev", Gate::Open), rung("prod", Gate::SelfApproved)]);
    let change = proposed();
    for (target, path) in [("dev", Path::Open), ("prod", Path::SelfApproved)] {
        let event = Event::Applied { target: target.to_owned(), digest: change.digest };
        let (applied, _) = step(&change, &ladder, &author(), &event, at(200)).unwrap();
        assert_eq!(applied.applied.last().unwrap().path, path);
    }
}

#[test]
fn breaking_the_glass_pages_and_its_clock_runs_until_the_decisions_came() {
    let change = proposed();
    let (target, digest, reason) = (prod(), change.digest, "site is down".to_owned());
    let (change, commands) = act(&change, &author(), Event::GlassBroken { target, digest, reason }).unwrap();
    let due = at(200).plus(BREAK_GLASS_LIMIT);
    assert_eq!(commands, [Command::Page { target: prod(), due }]);
    let (change, _) = act(&change, &author(), apply_event(digest)).unwrap();
    assert_eq!(change.applied.last().unwrap().path, Path::BreakGlass);
    assert_eq!(change.overdue(due).count(), 0);
    assert_eq!(change.overdue(due.plus(Duration::from_millis(1))).count(), 1);
    let change = tried(change);
    let (change, _) = act(&change, &author(), test_event(digest, true)).unwrap();
    let (change, _) = act(&change, &reviewer(), review_event(digest)).unwrap();
    let (change, commands) = act(&change, &approver(), approve_event(digest)).unwrap();
    assert_eq!(commands, [Command::Settle { target: prod() }]);
    assert_eq!(change.overdue(at(i64::MAX)).count(), 0);
}

#[test]
fn an_edit_does_not_stop_the_clock_of_a_broken_glass_nor_let_other_bytes_through() {
    let change = proposed();
    let (target, digest, reason) = (prod(), change.digest, "site is down".to_owned());
    let (change, _) = act(&change, &author(), Event::GlassBroken { target, digest, reason }).unwrap();
    let (edited, _) = act(&change, &author(), Event::Edited { content: content(23) }).unwrap();
    assert_eq!(edited.overdue(at(i64::MAX)).count(), 1);
    assert!(matches!(act(&edited, &author(), apply_event(edited.digest)), Err(Refusal::Missing { .. })));
}

fn broken(change: &Change, by: &Actor) -> Change {
    let digest = change.digest;
    let event = Event::GlassBroken { target: prod(), digest, reason: "the shop is down".into() };
    act(change, by, event).unwrap().0
}

fn withdrawn() -> Event {
    Event::Withdrawn { reason: "done".into() }
}

#[test]
fn what_was_brought_by_breaking_the_glass_is_not_withdrawn_before_it_is_settled() {
    let change = broken(&proposed(), &author());
    let (change, _) = act(&change, &author(), apply_event(change.digest)).unwrap();
    let refused = Err(Refusal::Unsettled { target: prod() });
    assert_eq!(act(&change, &author(), withdrawn()), refused);
    let (edited, _) = act(&change, &author(), Event::Edited { content: content(23) }).unwrap();
    assert_eq!(act(&edited, &author(), withdrawn()), refused, "an edit does not bring it back");
    let change = tried(change);
    let (change, _) = act(&change, &author(), test_event(change.digest, true)).unwrap();
    let (change, _) = act(&change, &reviewer(), review_event(change.digest)).unwrap();
    let (change, _) = act(&change, &approver(), approve_event(change.digest)).unwrap();
    assert!(act(&change, &author(), withdrawn()).unwrap().0.withdrawn);
}

#[test]
fn broken_glass_by_which_nothing_was_brought_is_settled_when_the_change_is_withdrawn() {
    let change = broken(&proposed(), &author());
    let (change, commands) = act(&change, &author(), withdrawn()).unwrap();
    assert_eq!(commands, [Command::Settle { target: prod() }]);
    assert!(change.withdrawn && change.broken_glass.is_empty());
}

#[test]
fn the_alert_of_broken_glass_is_closed_by_security_other_than_who_broke_it() {
    let breaker = author();
    let change = broken(&proposed(), &breaker);
    assert_eq!(change.closes_glass("prod", &breaker), Err(Refusal::OwnGlass));
    assert!(matches!(change.closes_glass("prod", &reviewer()), Err(Refusal::Role { .. })));
    let by = BTreeSet::from([breaker.person]);
    let grants = vec![Grant { what: Granted::Credential, at: at(1), by }];
    let puppet = Actor { grants, ..approver() };
    assert_eq!(change.closes_glass("prod", &puppet), Err(Refusal::OwnGlass));
    assert_eq!(change.closes_glass("prod", &approver()), Ok(()));
    assert_eq!(proposed().closes_glass("prod", &reviewer()), Ok(()), "settled, it is as any other");
}

#[test]
fn only_its_authors_its_team_and_security_edit_a_change() {
    let change = approved();
    let edit = || Event::Edited { content: content(23) };
    let stranger = Actor { services: BTreeSet::from(["bank".to_owned()]), ..reviewer() };
    assert!(matches!(act(&change, &stranger, edit()), Err(Refusal::Role { .. })));
    let left = Actor { services: BTreeSet::new(), roles: BTreeSet::new(), ..author() };
    for actor in [left, reviewer(), approver()] {
        assert!(act(&change, &actor, edit()).is_ok(), "{actor:?}");
    }
}

#[test]
fn a_withdrawn_change_takes_no_more_acts() {
    let change = approved();
    let (withdrawn, _) = act(&change, &author(), Event::Withdrawn { reason: "not needed".into() }).unwrap();
    assert_eq!(act(&withdrawn, &author(), apply_event(change.digest)), Err(Refusal::Withdrawn));
}

#[test]
fn a_change_reads_back_from_json() {
    let change = approved();
    let json = serde_json::to_string(&change).unwrap();
    assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
}
