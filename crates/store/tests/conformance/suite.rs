//! What every engine has to do. Time, identifiers and salts are the tests' own.

use std::net::IpAddr;

use bartizan_core::asset::{Asset, Class, Life};
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::{Grant, Key, Refusal};
use bartizan_core::fact::PackageManager;
use bartizan_core::id::{AlertId, AssetId, EnrolmentKeyId, IncidentId, PersonId};
use bartizan_core::incident::stage::Stage;
use bartizan_core::incident::{self, Command, Event, Incident, Origin};
use bartizan_core::monitoring::alert::{self, Step};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::person::Person;
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_ledger::checkpoint::Signer;
use bartizan_ledger::entry::Body;
use bartizan_store::Store;
use bartizan_store::alert::{Batch, Place};
use bartizan_store::asset::{self as asset_store, Identity};
use bartizan_store::decision::{Decision, Outcome as Ruling};
use bartizan_store::enrolment::Request;
use bartizan_store::incident as incident_store;
use bartizan_store::log::Log;
use bartizan_store::report::{Outcome, Report, SectionBody, Verdicts};
use bartizan_store::subject::Subject;
use bartizan_store::tuple::Build;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

pub(crate) fn later(s: u32) -> Timestamp {
    NOW.plus(Duration::from_secs(s))
}

pub(crate) fn secret(word: &str) -> Digest {
    Digest::of_bytes(word.as_bytes())
}

pub(crate) async fn create_key(store: &Store, word: &str, uses: u32) {
    let grant = Grant {
        service: "shop".to_owned(),
        environment: "dev".to_owned(),
        class: Class::Server,
        labels: Labels::new(),
        networks: Vec::new(),
        approval: false,
    };
    let id = EnrolmentKeyId::mint(NOW, [u8::try_from(word.len()).unwrap(); 10]);
    let key = Key { id, uses_left: uses, expires_at: later(3_600), revoked_at: None, grant };
    store.create_enrolment_key(&key, secret(word), None, NOW).await.unwrap();
}

pub(crate) fn request(word: &str, number: u8) -> Request {
    Request {
        secret: secret(word),
        address: HERE,
        name: format!("web-{number}"),
        identity: Identity { public_key: secret(&format!("key {number}")), machine: format!("m{number}") },
        fresh: AssetId::mint(NOW, [number; 10]),
        now: NOW,
    }
}

pub(crate) async fn enrol(store: &Store, number: u8) -> Asset {
    let word = format!("secret {number}");
    let grant_id = EnrolmentKeyId::mint(NOW, [number; 10]);
    let grant = Grant {
        service: "shop".to_owned(),
        environment: "dev".to_owned(),
        class: Class::Server,
        labels: Labels::new(),
        networks: Vec::new(),
        approval: false,
    };
    let key = Key { id: grant_id, uses_left: 1, expires_at: later(3_600), revoked_at: None, grant };
    store.create_enrolment_key(&key, secret(&word), None, NOW).await.unwrap();
    store.enrol(request(&word, number)).await.unwrap().unwrap()
}

pub(crate) fn subject(rule: &str) -> Subject {
    Subject { baseline: "debian-12".to_owned(), rule: rule.to_owned(), check: secret(rule) }
}

pub(crate) fn report(asset: &Asset, sequence: u64, looks: &[(&str, Verdict)]) -> Report {
    let at = later(u32::try_from(sequence).unwrap());
    Report {
        number: asset.number,
        epoch: 1,
        sequence,
        digest: secret(&format!("{} {sequence}", asset.number)),
        root: secret("root"),
        observed_at: at,
        recorded_at: at,
        sections: Vec::new(),
        verdicts: Verdicts {
            whole: false,
            looks: looks.iter().map(|(rule, verdict)| (subject(rule), *verdict, at)).collect(),
        },
        tuples: None,
        partial: false,
        signals: Vec::new(),
        outcomes: Vec::new(),
    }
}

pub(crate) async fn commit(store: &Store, report: Report) -> Outcome {
    store.commit_reports(&[report]).await.unwrap().remove(0)
}

pub(crate) fn tuple(name: &str) -> Tuple {
    Tuple {
        ecosystem: "debian".to_owned(),
        release: "bookworm".to_owned(),
        origin: None,
        source: name.to_owned(),
        source_version: "1".to_owned(),
        package: name.to_owned(),
        version: "1".to_owned(),
        architecture: "amd64".to_owned(),
        manager: PackageManager::Dpkg,
    }
}

pub(crate) fn builds(tuples: impl IntoIterator<Item = Tuple>) -> Option<Vec<Build>> {
    Some(tuples.into_iter().map(|tuple| Build::of(tuple).unwrap()).collect())
}

pub(crate) async fn the_schema_is_the_one_checked_in(store: Store) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../schema");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let (engine, dump) = (store.engine(), store.schema().await.unwrap());
    settings.bind(|| insta::assert_snapshot!(engine, dump));
}

pub(crate) async fn a_report_is_committed_once_and_its_repeat_writes_nothing(store: Store) {
    let asset = enrol(&store, 1).await;
    let first = report(&asset, 1, &[("r1", Verdict::NotMet), ("r2", Verdict::Met)]);
    let outcome = commit(&store, first.clone()).await;
    assert_eq!(outcome, Outcome::Committed { changes: 2, first: true, wanted: Vec::new() });
    let staged = store.staged().await.unwrap();
    assert_eq!(commit(&store, first).await, Outcome::Repeat);
    assert_eq!(store.staged().await.unwrap(), staged);
    let transitions = store.transitions(0, 0, 10).await.unwrap();
    assert_eq!(transitions.len(), 1);
    assert!(transitions[0].first_verdicts && transitions[0].changes.len() == 2);
    let standing = store.asset_standing(asset.number).await.unwrap().unwrap();
    assert_eq!((standing.epoch, standing.sequence, standing.reports), (1, 1, 1));
    let second = commit(&store, report(&asset, 2, &[("r1", Verdict::Met)])).await;
    assert_eq!(second, Outcome::Committed { changes: 1, first: false, wanted: Vec::new() });
    assert!(!store.transitions(0, 1, 10).await.unwrap()[0].first_verdicts);
}

pub(crate) async fn the_same_place_with_another_digest_is_a_clone(store: Store) {
    let asset = enrol(&store, 1).await;
    let first = report(&asset, 1, &[("r1", Verdict::Met)]);
    commit(&store, first.clone()).await;
    let other = Report { digest: secret("another machine"), ..report(&asset, 1, &[("r1", Verdict::NotMet)]) };
    assert_eq!(commit(&store, other).await, Outcome::Clone { held: first.digest });
    assert_eq!(store.record(asset.number).await.unwrap().verdicts().next().unwrap().1.verdict, Verdict::Met);
}

pub(crate) async fn an_older_report_overwrites_nothing(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, report(&asset, 5, &[("r1", Verdict::Met)])).await;
    assert_eq!(commit(&store, report(&asset, 4, &[("r1", Verdict::NotMet)])).await, Outcome::Older);
    assert_eq!(store.transitions(0, 0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_section_whose_body_the_asset_never_sent_is_wanted(store: Store) {
    let asset = enrol(&store, 1).await;
    let body = br#"{"id":"debian"}"#.to_vec();
    let hash = Digest::of_bytes(&body);
    let bare = SectionBody { name: "os".to_owned(), hash, body: None };
    let first = Report { sections: vec![bare.clone()], ..report(&asset, 1, &[]) };
    let wanted = Outcome::Committed { changes: 0, first: true, wanted: vec!["os".to_owned()] };
    assert_eq!(commit(&store, first).await, wanted.clone());
    let full = SectionBody { body: Some(body.clone()), ..bare.clone() };
    commit(&store, Report { sections: vec![full.clone()], ..report(&asset, 2, &[]) }).await;
    assert_eq!(store.asset_section(asset.number, "os").await.unwrap(), Some(body));
    let again = SectionBody { name: "os".to_owned(), ..bare.clone() };
    let outcome = commit(&store, Report { sections: vec![again], ..report(&asset, 3, &[]) }).await;
    assert_eq!(outcome, Outcome::Committed { changes: 0, first: false, wanted: Vec::new() });
    // Another asset that names the hash alone is not told whether somebody has such facts.
    let other = enrol(&store, 2).await;
    let outcome = commit(&store, Report { sections: vec![bare], ..report(&other, 1, &[]) }).await;
    assert_eq!(outcome, wanted);
    assert!(store.sections(other.number).await.unwrap().is_empty());
    commit(&store, Report { sections: vec![full], ..report(&other, 2, &[]) }).await;
    assert_eq!(store.sections(other.number).await.unwrap()[0].hash, hash);
}

pub(crate) async fn what_a_whole_report_leaves_out_is_withdrawn(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, report(&asset, 1, &[("r1", Verdict::NotMet), ("r2", Verdict::NotMet)])).await;
    let mut whole = report(&asset, 2, &[("r1", Verdict::NotMet)]);
    whole.verdicts.whole = true;
    commit(&store, whole).await;
    assert_eq!(store.record(asset.number).await.unwrap().verdicts().count(), 1);
    assert_eq!(store.transitions(0, 1, 10).await.unwrap()[0].changes.len(), 1);
}

pub(crate) async fn a_key_with_one_use_enrols_one_host(store: Store) {
    create_key(&store, "k", 1).await;
    let asset = store.enrol(request("k", 1)).await.unwrap().unwrap();
    assert_eq!((asset.life, asset.service.as_str()), (Life::Enrolled, "shop"));
    assert_eq!(store.enrol(request("k", 2)).await.unwrap().unwrap_err(), Refusal::Used);
    assert_eq!(store.enrol(request("no such key", 3)).await.unwrap().unwrap_err(), Refusal::Unknown);
    assert_eq!(store.assets(None, 10).await.unwrap(), std::slice::from_ref(&asset));
    assert_eq!(store.asset(asset.id).await.unwrap(), Some(asset));
}

pub(crate) async fn an_expired_key_uses_nothing_up(store: Store) {
    create_key(&store, "k", 1).await;
    let late = Request { now: later(3_600), ..request("k", 1) };
    assert_eq!(store.enrol(late).await.unwrap().unwrap_err(), Refusal::Expired(later(3_600)));
    store.enrol(request("k", 1)).await.unwrap().unwrap();
}

pub(crate) async fn retiring_clears_the_posture(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, report(&asset, 1, &[("r1", Verdict::NotMet)])).await;
    let retire = asset_store::Batch { lives: vec![(asset.clone(), Life::Retired)], ..Default::default() };
    store.commit_assets(&retire, later(9)).await.unwrap();
    crate::posture::take_in(&store).await;
    assert!(store.standings().await.unwrap().is_empty());
    let counts = store.asset_counts().await.unwrap();
    assert_eq!((counts.watched, counts.retired, counts.quarantined), (0, 1, 0));
    assert_eq!(store.record(asset.number).await.unwrap().verdicts().count(), 0);
    assert_eq!(store.asset(asset.id).await.unwrap().unwrap().life, Life::Retired);
    // A report that was on its way brings nothing back.
    assert_eq!(commit(&store, report(&asset, 2, &[("r1", Verdict::NotMet)])).await, Outcome::Retired);
    assert_eq!(store.record(asset.number).await.unwrap().verdicts().count(), 0);
}

pub(crate) async fn a_sign_in_link_works_once(store: Store) {
    let person = Person {
        id: PersonId::mint(NOW, [1; 10]),
        name: "ada".to_owned(),
        roles: [bartizan_core::role::Role::Admin].into(),
        services: ["shop".to_owned()].into(),
        grants: Vec::new(),
        disabled: false,
    };
    store.put_person(&person, NOW, [7; 32]).await.unwrap();
    let (link, session) = (secret("link"), secret("session"));
    store.create_sign_in_link(&link, person.id, later(600)).await.unwrap();
    assert_eq!(store.sign_in(&link, &session, NOW, later(60)).await.unwrap(), Some(person.id));
    assert_eq!(store.sign_in(&link, &secret("again"), NOW, later(60)).await.unwrap(), None);
    let found = store.session(&session, later(59)).await.unwrap().unwrap();
    assert_eq!((found.person, found.origin), (person.clone(), bartizan_core::factor::Origin::Link));
    assert_eq!((found.passed_at, found.has_factor), (None, false));
    assert_eq!(store.session(&session, later(60)).await.unwrap(), None);
    store.create_sign_in_link(&link, person.id, later(600)).await.unwrap();
    assert_eq!(store.sign_in(&link, &secret("late"), later(600), later(900)).await.unwrap(), None);
    store.end_session(&session).await.unwrap();
    assert_eq!(store.session(&session, NOW).await.unwrap(), None);
}

pub(crate) fn signal(asset: &Asset) -> Signal {
    Signal {
        kind: Kind::Deviation,
        subject: "debian-12/r1".to_owned(),
        asset: asset.id,
        object: String::new(),
        state: State::Firing,
        severity: Severity::High,
        labels: asset.labels(),
        summary: "root may sign in".to_owned(),
        at: NOW,
        backlog: false,
    }
}

fn decision(alert: AlertId) -> Decision {
    Decision {
        at: NOW,
        person: PersonId::mint(NOW, [1; 10]),
        role: None,
        act: "alert.acknowledge".to_owned(),
        target: alert.to_string(),
        expected: None,
        reason: "looking".to_owned(),
        details: None,
    }
}

pub(crate) async fn what_a_host_tells_is_kept_whatever_characters_it_holds(store: Store) {
    let asset = enrol(&store, 1).await;
    let signal = Signal { summary: "a\0b".to_owned(), ..signal(&asset) };
    store.append_signals(&[(asset.number, signal.clone())]).await.unwrap();
    let id = AlertId::mint(NOW, [3; 10]);
    let Step::Opened(alert, standing) = alert::step(None, None, &signal, id, signal.at) else {
        panic!("it opens")
    };
    let (object, summary) = ("/srv\0".to_owned(), signal.summary.clone());
    let place = Place { member: signal.member_key(), asset: asset.id, object, summary, standing };
    let cursors = vec![("alert/signal", 0, 0, 1)];
    let batch = Batch { cursors, alerts: vec![alert], places: vec![(id, place)], ruled: Vec::new() };
    store.commit_alerts(&batch, NOW).await.unwrap();
    let kept = store.alert_places(id).await.unwrap().remove(0);
    assert_eq!((kept.object.as_str(), kept.summary.as_str()), ("/srv\u{fffd}", "a\u{fffd}b"));
}

pub(crate) async fn alerts_and_rulings_are_one_transaction(store: Store) {
    let asset = enrol(&store, 1).await;
    let signal = signal(&asset);
    store.append_signals(&[(asset.number, signal.clone())]).await.unwrap();
    assert_eq!(store.signals(0, 10).await.unwrap(), [(0, signal.clone())]);
    let id = AlertId::mint(NOW, [3; 10]);
    let Step::Opened(alert, member) = alert::step(None, None, &signal, id, signal.at) else {
        panic!("it opens")
    };
    let place = Place {
        member: signal.member_key(),
        asset: asset.id,
        object: String::new(),
        summary: signal.summary.clone(),
        standing: member,
    };
    let seq = store.append_decision(&decision(id), [1; 32]).await.unwrap();
    let batch = Batch {
        cursors: vec![("alert/signal", 0, 0, 1)],
        alerts: vec![alert.clone()],
        places: vec![(id, place.clone())],
        ruled: vec![(seq, Ruling::Accepted, [2; 32])],
    };
    store.commit_alerts(&batch, NOW).await.unwrap();
    assert_eq!(store.open_alert(&alert.group.key()).await.unwrap(), Some(alert.clone()));
    assert_eq!(store.alert_places(id).await.unwrap(), [place]);
    assert_eq!(store.outcome(seq).await.unwrap(), Some(Ruling::Accepted));
    // A second look from the same cursor changes nothing at all.
    let closed = alert.close(PersonId::mint(NOW, [1; 10]), "done", NOW).unwrap();
    let again = Batch { cursors: vec![("alert/signal", 0, 0, 1)], alerts: vec![closed], ..Batch::default() };
    store.commit_alerts(&again, NOW).await.unwrap_err();
    assert_eq!(store.alerts(true, 10).await.unwrap(), [alert]);
}

pub(crate) async fn open_alerts_are_counted_and_searched_beyond_a_page(store: Store) {
    let asset = enrol(&store, 1).await;
    let mut batch = Batch::default();
    for number in 0..=u16::try_from(bartizan_store::alert::PAGE_LIMIT).unwrap() {
        let kind = if number == 0 { Kind::Absence } else { Kind::Deviation };
        let signal = Signal { kind, subject: format!("r{number}"), ..signal(&asset) };
        let [high, low] = number.to_be_bytes();
        let id = AlertId::mint(later(u32::from(number)), [high, low, 0, 0, 0, 0, 0, 0, 0, 0]);
        let Step::Opened(mut alert, standing) = alert::step(None, None, &signal, id, signal.at) else {
            panic!("it opens")
        };
        if number == 1 {
            alert = alert.acknowledge(PersonId::mint(NOW, [1; 10]), NOW).unwrap();
        }
        let (member, summary) = (signal.member_key(), signal.summary);
        let place = Place { member, asset: asset.id, object: String::new(), summary, standing };
        batch.alerts.push(alert);
        batch.places.push((id, place));
    }
    store.commit_alerts(&batch, NOW).await.unwrap();
    let open = bartizan_store::alert::PAGE_LIMIT as u64 + 1;
    assert_eq!(store.open_alert_counts().await.unwrap(), (open, open - 1));
    // The one that is silent is the oldest: it lies beyond the newest page.
    assert_eq!(store.firing_assets(Kind::Absence).await.unwrap(), [asset.id].into());
}

async fn open_alert(store: &Store, asset: &Asset, number: u8) -> alert::Alert {
    let signal = Signal { subject: format!("debian-12/r{number}"), ..signal(asset) };
    let id = AlertId::mint(later(u32::from(number)), [number; 10]);
    let Step::Opened(alert, _) = alert::step(None, None, &signal, id, signal.at) else { panic!("it opens") };
    let batch = Batch { alerts: vec![alert.clone()], ..Batch::default() };
    store.commit_alerts(&batch, NOW).await.unwrap();
    alert
}

/// What opening an incident by a rule writes.
fn opening(number: u8, alert: &alert::Alert) -> (Incident, incident_store::Batch) {
    let id = IncidentId::mint(NOW, [number; 10]);
    let origin = Origin::of("severe", alert);
    let (incident, commands) = incident::open_by_rule(id, "a title", origin, alert, NOW).unwrap();
    let batch = written(&incident, commands);
    (incident, batch)
}

fn written(incident: &Incident, commands: Vec<Command>) -> incident_store::Batch {
    let mut batch = incident_store::Batch { incidents: vec![incident.clone()], ..Default::default() };
    for command in commands {
        match command {
            Command::Write(entry) => batch.entries.push((incident.id, entry, [5; 32])),
            Command::Take(alert) => batch.taken.push((alert, incident.id)),
        }
    }
    batch
}

pub(crate) async fn an_incident_its_timeline_and_its_alerts_are_one_transaction(store: Store) {
    let asset = enrol(&store, 1).await;
    let alert = open_alert(&store, &asset, 1).await;
    let decided = Decision { act: "incident.advance".to_owned(), ..decision(alert.id) };
    let seq = store.append_decision(&decided, [1; 32]).await.unwrap();
    let (incident, mut batch) = opening(1, &alert);
    batch.cursors = vec![("incident/decision", 0, 0, 1)];
    batch.ruled = vec![(seq, Ruling::Accepted, [2; 32])];
    store.commit_incidents(&batch, NOW).await.unwrap();
    assert_eq!(store.incident(incident.id).await.unwrap(), Some(incident.clone()));
    assert_eq!(store.incident_entries(incident.id, 0).await.unwrap().len(), 2);
    assert_eq!(store.incident_entries(incident.id, 1).await.unwrap().len(), 1);
    assert_eq!(store.outcome(seq).await.unwrap(), Some(Ruling::Accepted));
    // Two who looked at the same state: the second one's entry has a number that is taken.
    let advanced = Event::Advanced { by: PersonId::mint(NOW, [1; 10]), to: Stage::Assess };
    let (next, commands) = incident::step(&incident, &advanced, NOW).unwrap();
    let batch = written(&next, commands);
    store.commit_incidents(&batch, NOW).await.unwrap();
    let error = store.commit_incidents(&batch, NOW).await.unwrap_err();
    assert_eq!(error.class(), bartizan_core::error::Class::Conflict);
    assert_eq!(store.incidents(true, 10).await.unwrap(), std::slice::from_ref(&next));
    let closed = Event::Closed { by: PersonId::mint(NOW, [1; 10]), reason: "a false alarm".to_owned() };
    let (closed, commands) = incident::step(&next, &closed, later(1)).unwrap();
    store.commit_incidents(&written(&closed, commands), later(1)).await.unwrap();
    assert!(store.incidents(true, 10).await.unwrap().is_empty());
    assert_eq!(store.incidents(false, 10).await.unwrap(), [closed]);
}

pub(crate) async fn an_alert_is_taken_by_one_incident_alone(store: Store) {
    let asset = enrol(&store, 1).await;
    let (one, two) = (open_alert(&store, &asset, 1).await, open_alert(&store, &asset, 2).await);
    assert_eq!(store.untaken_alerts(None, 10).await.unwrap(), [one.clone(), two.clone()]);
    let after = Some((one.opened_at, one.id));
    assert_eq!(store.untaken_alerts(after, 10).await.unwrap(), std::slice::from_ref(&two));
    let (first, batch) = opening(1, &one);
    store.commit_incidents(&batch, NOW).await.unwrap();
    assert_eq!(store.untaken_alerts(None, 10).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(store.incident_of(one.id).await.unwrap(), Some(first.id));
    assert_eq!(store.incident_of(two.id).await.unwrap(), None);
    let (second, batch) = opening(2, &one);
    let error = store.commit_incidents(&batch, NOW).await.unwrap_err();
    assert_eq!(error.class(), bartizan_core::error::Class::Conflict);
    assert_eq!(store.incident(second.id).await.unwrap(), None);
    let origin = Origin::of("severe", &two);
    let id = IncidentId::mint(NOW, [9; 10]);
    let (ruled, commands) = incident::open_by_rule(id, "it fires", origin.clone(), &two, NOW).unwrap();
    store.commit_incidents(&written(&ruled, commands), NOW).await.unwrap();
    assert_eq!(store.open_incidents_of(&origin).await.unwrap(), [ruled]);
    let other = Origin::of("another", &two);
    assert!(store.open_incidents_of(&other).await.unwrap().is_empty());
}

pub(crate) use super::asset::declared_assets_are_listed_until_they_are_retired;
pub(crate) use super::document::documents_are_put_deleted_and_digested;
pub(crate) use crate::acceptance::{
    an_acceptance_that_has_ended_stays_so,
    what_an_owner_has_to_be_told_is_written_with_the_acceptance_or_not_at_all,
};
pub(crate) use crate::access::{
    one_code_passes_one_of_two_that_show_it_at_once, who_is_disabled_has_no_session_and_no_link_any_more,
};
pub(crate) use crate::drift::an_object_has_the_last_explanation_until_it_is_old;
pub(crate) use crate::enrolment::a_revoked_key_is_listed_as_such_and_enrols_nobody;
pub(crate) use crate::finding::{
    a_finding_and_its_history_are_one_transaction,
    an_asset_lies_in_the_backlog_of_what_its_first_sight_brought,
    findings_are_found_by_owner_asset_and_what_they_are_about,
};
pub(crate) use crate::matching::{
    a_match_that_comes_back_is_known_since_it_came_back,
    a_partial_report_takes_no_package_away_that_it_does_not_replace, changed_matches_are_logged_once,
    matches_keep_their_first_time,
};
pub(crate) use crate::notification::a_notification_is_claimed_once_and_reclaimed_after_a_crash;
pub(crate) use crate::order::{
    an_order_ends_once_whichever_replica_was_first,
    an_order_is_open_until_its_end_is_written_with_the_cursor, old_orders_go_and_the_last_of_an_asset_stays,
    the_last_order_of_an_asset_is_remembered_however_old,
};
pub(crate) use crate::posture::{
    figures_equal_a_full_count_after_any_moves, looks_that_meet_take_in_each_transition_once,
    the_index_follows_the_transitions_and_can_be_rebuilt, vulnerabilities_are_paged_the_worst_first,
};
pub(crate) use crate::retention::{
    a_section_that_nobody_has_is_swept_and_another_stays,
    old_changes_of_matches_go_when_every_stage_has_passed_them, old_signals_go_when_their_alert_has_ended,
    old_transitions_are_folded_and_the_index_is_built_from_them_anew,
    sessions_and_links_go_when_they_have_expired,
};
pub(crate) use crate::review::what_was_reviewed_is_kept_until_the_next_review_is_concluded;

fn sign(signer: &Signer) -> impl Fn(u64, Digest) -> Result<String, String> {
    move |size, root| {
        signer.sign(size, root).map(|signed| signed.note().to_owned()).map_err(|error| error.to_string())
    }
}

pub(crate) async fn the_ledger_numbers_each_sources_entries_in_order_and_verifies(store: Store) {
    let signer = Signer::new("bartizan.test", &[9; 32]).unwrap();
    // Times that run backwards must not put a source's entries out of order.
    for (at, word) in [(5, "a"), (3, "b"), (4, "c")] {
        store.stage("intake", "test", later(at), &Body::Open(format!("\"{word}\""))).await.unwrap();
        let salted = Body::Salted { text: format!("\"{word}\""), salt: [1; 32] };
        store.stage("decision", "test", later(at), &salted).await.unwrap();
    }
    assert_eq!(store.number_leaves(NOW, sign(&signer)).await.unwrap(), 6);
    assert_eq!(store.number_leaves(NOW, sign(&signer)).await.unwrap(), 0);
    store.stage("intake", "test", NOW, &Body::Open("1".to_owned())).await.unwrap();
    store.number_leaves(NOW, sign(&signer)).await.unwrap();
    let head = store.checkpoint().await.unwrap().unwrap();
    assert_eq!((head.size, store.staged().await.unwrap()), (7, 0));
    let leaves = store.leaves(0, 100).await.unwrap();
    let counters: Vec<u64> = leaves
        .iter()
        .filter(|(_, entry)| entry.envelope.source == "intake")
        .map(|(_, entry)| entry.envelope.counter)
        .collect();
    assert_eq!(counters, [1, 2, 3, 4]);
    let signed = signer.key().open(&head.note).unwrap();
    let mut bundle = Vec::new();
    let entries = leaves.into_iter().map(|(_, entry)| entry);
    bartizan_ledger::export(&mut bundle, signer.key(), &signed, entries).unwrap();
    bartizan_ledger::verify(bundle.as_slice(), &bartizan_ledger::bundle::verify::Held::default()).unwrap();
}

pub(crate) async fn replicas_that_number_at_once_lose_nothing(store: Store) {
    let signer = Signer::new("bartizan.test", &[9; 32]).unwrap();
    for number in 0..20 {
        store.stage("intake", "test", NOW, &Body::Open(number.to_string())).await.unwrap();
    }
    let (one, two) =
        tokio::join!(store.number_leaves(NOW, sign(&signer)), store.number_leaves(NOW, sign(&signer)));
    let numbered = one.unwrap_or(0) + two.unwrap_or(0);
    assert_eq!(numbered, 20);
    assert_eq!(store.checkpoint().await.unwrap().unwrap().size, 20);
}

pub(crate) async fn concurrent_reports_of_many_assets_number_their_transitions_in_order(store: Store) {
    let mut tasks = Vec::new();
    for number in 1..=8 {
        let asset = enrol(&store, number).await;
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for sequence in 1..=5 {
                let verdict = if sequence % 2 == 0 { Verdict::Met } else { Verdict::NotMet };
                let report = report(&asset, sequence, &[("r1", verdict)]);
                // Two that number the same new subject at once: one is told to look again.
                while let Err(error) = store.commit_reports(std::slice::from_ref(&report)).await {
                    assert_eq!(error.class(), bartizan_core::error::Class::Conflict, "{error}");
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let transitions = store.transitions(0, 0, 100).await.unwrap();
    let numbers: Vec<i64> = transitions.iter().map(|transition| transition.seq).collect();
    assert_eq!(numbers, (0..40).collect::<Vec<i64>>());
    assert_eq!(store.head(Log::Transition, 0).await.unwrap(), 40);
}
pub(crate) use crate::trend::{
    a_backlog_is_what_first_sight_brought_and_ends_by_what_is_seen, a_store_that_only_reads_changes_nothing,
    the_last_figures_of_a_step_are_kept_and_hold_on,
};
pub(crate) use crate::turn::{
    an_acceptance_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost,
    an_alert_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost,
};
