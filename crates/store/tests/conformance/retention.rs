//! What is past is taken away, and nothing that somebody still needs.

use bartizan_core::digest::Digest;
use bartizan_core::id::{AlertId, PersonId};
use bartizan_core::monitoring::alert::{self, Step};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::person::Person;
use bartizan_core::posture::Change;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::matching;
use bartizan_store::Store;
use bartizan_store::alert::Batch;
use bartizan_store::matching::{Matched, Progress};
use bartizan_store::report::{Report, SectionBody};
use bartizan_store::retention::{CHANGES_KEPT, SIGNALS_KEPT, SWEEP_LIMIT};

use crate::matching::found;
use crate::posture::take_in;
use crate::suite::{builds, commit, enrol, later, report, secret, tuple};

/// Every stage has passed all transitions and changes of matches that there are.
async fn passed(store: &Store) {
    take_in(store).await;
    let head = store.head(bartizan_store::log::Log::Transition, 0).await.unwrap();
    for stage in ["alert/transition", "finding/transition", "matching/transition", "order/transition"] {
        let from = store.cursor(stage, 0).await.unwrap();
        store.commit_signals(&[], (stage, 0, from, head)).await.unwrap();
    }
}

fn after(kept: bartizan_core::time::Duration) -> Timestamp {
    later(3_600).plus(kept)
}

pub(crate) async fn a_section_that_nobody_has_is_swept_and_another_stays(store: Store) {
    let asset = enrol(&store, 1).await;
    let section = |body: &str| {
        let body = body.as_bytes().to_vec();
        SectionBody { name: "os".to_owned(), hash: Digest::of_bytes(&body), body: Some(body) }
    };
    let (old, new) = (section("1"), section("2"));
    commit(&store, Report { sections: vec![old.clone()], ..report(&asset, 1, &[]) }).await;
    assert_eq!(store.sweep_sections(None).await.unwrap().rows, 0);
    commit(&store, Report { sections: vec![new.clone()], ..report(&asset, 2, &[]) }).await;
    assert_eq!(store.sweep_sections(None).await.unwrap().rows, 1);
    assert_eq!(store.section_body(&old.hash).await.unwrap(), None);
    assert_eq!(store.section_body(&new.hash).await.unwrap(), new.body);
    // What was swept is there again when somebody tells it.
    commit(&store, Report { sections: vec![old.clone()], ..report(&asset, 3, &[]) }).await;
    assert_eq!(store.asset_section(asset.number, "os").await.unwrap(), old.body);
    let shared = store.shared_section(&[asset.number, 77], "os").await.unwrap();
    assert_eq!(shared, [(vec![asset.number], old.body.unwrap())]);
}

pub(crate) async fn old_signals_go_when_their_alert_has_ended(store: Store) {
    let asset = enrol(&store, 1).await;
    let signal = |subject: &str| Signal {
        kind: Kind::Health,
        subject: subject.to_owned(),
        asset: asset.id,
        object: String::new(),
        state: State::Firing,
        severity: Severity::High,
        labels: asset.labels(),
        summary: subject.to_owned(),
        at: later(1),
        backlog: false,
    };
    let all = [(asset.number, signal("open")), (asset.number, signal("ended"))];
    store.append_signals(&all).await.unwrap();
    let Step::Opened(open, _) =
        alert::step(None, None, &all[0].1, AlertId::mint(later(1), [1; 10]), later(1))
    else {
        panic!("it opens")
    };
    let old = later(2).plus(SIGNALS_KEPT);
    assert_eq!(store.sweep_signals(None, old).await.unwrap().rows, 0, "no stage has read them");
    let batch = Batch { cursors: vec![("alert/signal", 0, 0, 2)], alerts: vec![open], ..Batch::default() };
    store.commit_alerts(&batch, later(1)).await.unwrap();
    assert_eq!(store.sweep_signals(None, later(2)).await.unwrap().rows, 0, "they are young");
    assert_eq!(store.sweep_signals(None, old).await.unwrap().rows, 1);
    let left: Vec<String> =
        store.signals(0, 10).await.unwrap().into_iter().map(|(_, left)| left.subject).collect();
    assert_eq!(left, ["open"]);
}

pub(crate) async fn sessions_and_links_go_when_they_have_expired(store: Store) {
    let person = Person {
        id: PersonId::mint(later(0), [1; 10]),
        name: "ada".to_owned(),
        roles: [bartizan_core::role::Role::Auditor].into(),
        services: Default::default(),
        grants: Vec::new(),
        disabled: false,
    };
    store.put_person(&person, later(0), [7; 32]).await.unwrap();
    store.open_local_session(&secret("old"), person.id, later(0), later(10)).await.unwrap();
    store.open_local_session(&secret("new"), person.id, later(0), later(20)).await.unwrap();
    store.create_sign_in_link(&secret("link"), person.id, later(10)).await.unwrap();
    assert_eq!(store.sweep_sessions(later(9)).await.unwrap(), 0);
    assert_eq!(store.sweep_sessions(later(10)).await.unwrap(), 2);
    assert!(store.session(&secret("new"), later(11)).await.unwrap().is_some());
}

pub(crate) async fn old_changes_of_matches_go_when_every_stage_has_passed_them(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, Report { tuples: builds([tuple("openssl")]), ..report(&asset, 1, &[]) }).await;
    let matches = vec![found("CVE-1", "openssl", matching::Verdict::Affected, Severity::High)];
    let matched = [Matched { tuple: 0, covered: true, matches }];
    let feeds = secret("feeds");
    store.put_matches(&matched, &feeds, Progress::Tuples(0, 1), later(1)).await.unwrap();
    take_in(&store).await;
    let old = after(CHANGES_KEPT);
    assert_eq!(store.sweep_match_changes(old).await.unwrap(), 0, "the news were not told");
    store.commit_signals(&[], ("matching/news", 0, 0, 1)).await.unwrap();
    assert_eq!(store.sweep_match_changes(old).await.unwrap(), 0, "the finding stage has not read it");
    store.commit_signals(&[], ("finding/match", 0, 0, 1)).await.unwrap();
    assert_eq!(store.sweep_match_changes(later(9)).await.unwrap(), 0, "it is young");
    assert_eq!(store.sweep_match_changes(old).await.unwrap(), 1);
    let before = store.standings().await.unwrap();
    store.drop_index().await.unwrap();
    take_in(&store).await;
    assert_eq!(store.standings().await.unwrap(), before);
}

pub(crate) async fn old_transitions_are_folded_and_the_index_is_built_from_them_anew(store: Store) {
    let asset = enrol(&store, 1).await;
    let first = Report {
        tuples: builds([tuple("openssl"), tuple("bash")]),
        ..report(&asset, 1, &[("r1", Verdict::NotMet), ("r2", Verdict::Met), ("r3", Verdict::NotMet)])
    };
    commit(&store, first).await;
    for (sequence, verdict) in (2..=9).zip([Verdict::NotMet, Verdict::Met].into_iter().cycle()) {
        commit(&store, report(&asset, sequence, &[("r2", verdict)])).await;
    }
    commit(&store, Report { tuples: builds([tuple("bash"), tuple("curl")]), ..report(&asset, 10, &[]) })
        .await;
    commit(&store, report(&asset, 11, &[("r3", Verdict::Met)])).await;
    let old = after(CHANGES_KEPT);
    assert_eq!(store.fold_transitions(0, None, old).await.unwrap().rows, 0, "no stage has passed them");
    passed(&store).await;
    assert_eq!(store.fold_transitions(0, None, later(20)).await.unwrap().rows, 0, "they are young");
    let figures = async || {
        (
            store.standings().await.unwrap(),
            store.backlog().await.unwrap(),
            store.present(&[0, 1, 2]).await.unwrap(),
        )
    };
    let before = figures().await;
    let swept = store.fold_transitions(0, None, old).await.unwrap();
    assert_eq!((swept.rows, swept.next), (8, None));
    let left = store.transitions(0, 0, SWEEP_LIMIT).await.unwrap();
    assert_eq!(
        left.iter().map(|each| each.seq).collect::<Vec<_>>(),
        [0, 9, 10],
        "the last one says as of when"
    );
    assert!(left[1].changes.iter().all(|change| !matches!(change, Change::Verdict { to: None, .. })));
    assert_eq!(figures().await, before);
    store.drop_index().await.unwrap();
    take_in(&store).await;
    assert_eq!(figures().await, before);
    assert_eq!(store.fold_transitions(0, None, old).await.unwrap().rows, 0, "there is nothing left to fold");
}
