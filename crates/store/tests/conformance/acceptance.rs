//! Risk acceptances on every engine.

use bartizan_core::acceptance::{self, Acceptance, Control, Event, Proposal};
use bartizan_core::configuration::change::Actor;
use bartizan_core::id::{AcceptanceId, AssetId, PersonId};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::role::Role;
use bartizan_core::selector::{Labels, Selector};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use bartizan_store::acceptance::Batch;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn proposed() -> Acceptance {
    let proposal = Proposal {
        owner: PersonId::mint(NOW, [2; 10]),
        reason: "no fix is out".to_owned(),
        scope: Selector::new(vec!["vulnerability=CVE-2024-1".parse().unwrap()]),
        until: Some(NOW.plus(Duration::from_days(30))),
        control: Some(Control::Rule { baseline: "debian-12".to_owned(), rule: "r1".to_owned() }),
    };
    let author = PersonId::mint(NOW, [1; 10]);
    acceptance::propose(AcceptanceId::mint(NOW, [1; 10]), author, &proposal, NOW).unwrap()
}

pub(crate) async fn an_acceptance_that_has_ended_stays_so(store: Store) {
    let keep = |acceptance: &Acceptance| Batch {
        acceptances: vec![(acceptance.clone(), [3; 32])],
        ..Batch::default()
    };
    let first = proposed();
    let staged = store.staged().await.unwrap();
    store.commit_acceptances(&keep(&first), NOW).await.unwrap();
    assert_eq!(store.acceptance(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.acceptances(true).await.unwrap(), std::slice::from_ref(&first));
    let author = Actor {
        person: first.author,
        roles: [Role::Operator].into(),
        services: ["shop".to_owned()].into(),
        grants: Vec::new(),
    };
    let withdrawn = Event::Withdrawn { reason: "a fix is out".to_owned() };
    let (ended, _) = acceptance::step(&first, &withdrawn, &author, NOW).unwrap();
    store.commit_acceptances(&keep(&ended), NOW).await.unwrap();
    let error = store.commit_acceptances(&keep(&first), NOW).await.unwrap_err();
    assert_eq!(error.class(), bartizan_core::error::Class::Conflict);
    assert!(store.acceptances(true).await.unwrap().is_empty());
    assert_eq!(store.acceptances(false).await.unwrap(), [ended]);
    assert_eq!(store.staged().await.unwrap(), staged + 2, "each state is in the ledger");
}

pub(crate) async fn what_an_owner_has_to_be_told_is_written_with_the_acceptance_or_not_at_all(store: Store) {
    let signal = Signal {
        kind: Kind::Acceptance,
        subject: "acceptance/1".to_owned(),
        asset: AssetId::mint(NOW, [1; 10]),
        object: String::new(),
        state: State::Firing,
        severity: Severity::High,
        labels: Labels::new(),
        summary: "its control failed".to_owned(),
        at: NOW,
        backlog: false,
    };
    let batch = |cursor| Batch {
        cursors: vec![("acceptance/posture", 0, cursor, cursor + 1)],
        acceptances: vec![(proposed(), [3; 32])],
        signals: vec![(1, signal.clone())],
        ..Batch::default()
    };
    store.commit_acceptances(&batch(0), NOW).await.unwrap();
    let error = store.commit_acceptances(&batch(0), NOW).await.unwrap_err();
    assert_eq!(error.class(), bartizan_core::error::Class::Conflict, "another replica was quicker");
    let told: Vec<_> = store.signals(0, 10).await.unwrap().into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, [signal]);
}
