//! Turns: two replicas read the same, each another log, and one of them is slower.

use bartizan_core::acceptance::{self, Event};
use bartizan_core::configuration::change::Actor;
use bartizan_core::error::Class;
use bartizan_core::id::{AlertId, PersonId};
use bartizan_core::monitoring::alert::{self, Step};
use bartizan_core::role::Role;
use bartizan_core::time::Duration;
use bartizan_store::Store;
use bartizan_store::acceptance::Batch as Acceptances;
use bartizan_store::alert::Batch as Alerts;

use crate::acceptance::proposed;
use crate::suite::{NOW, enrol, later, signal};

pub(crate) async fn an_alert_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost(
    store: Store,
) {
    let (one, two) = (signal(&enrol(&store, 1).await), signal(&enrol(&store, 2).await));
    let id = AlertId::mint(NOW, [3; 10]);
    let Step::Opened(alert, _) = alert::step(None, None, &one, id, NOW) else { panic!("it opens") };
    let first = Alerts { cursors: vec![("alert/turn", 0, 0, 1)], alerts: vec![alert], ..Alerts::default() };
    store.commit_alerts(&first, NOW).await.unwrap();

    // Both read it as it is; one has a signal to take in, the other an act to rule on.
    let turn = store.cursor("alert/turn", 0).await.unwrap();
    let held = store.alert(id).await.unwrap().unwrap();
    let person = PersonId::mint(NOW, [1; 10]);
    let Step::Changed(grown, _) = alert::step(Some(&held), None, &two, id, later(1)) else {
        panic!("it grows")
    };
    let batch = |log, alert| Alerts {
        cursors: vec![(log, 0, 0, 1), ("alert/turn", 0, turn, turn + 1)],
        alerts: vec![alert],
        ..Alerts::default()
    };
    store.commit_alerts(&batch("alert/signal", grown.clone()), later(1)).await.unwrap();
    let taken_on = held.acknowledge(person, later(1)).unwrap();
    let error = store.commit_alerts(&batch("alert/decision", taken_on), later(1)).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(store.alert(id).await.unwrap(), Some(grown), "the slower one overwrites nothing");
    assert_eq!(store.cursor("alert/decision", 0).await.unwrap(), 0, "its act is ruled on by its next look");

    let turn = store.cursor("alert/turn", 0).await.unwrap();
    let again = store.alert(id).await.unwrap().unwrap().acknowledge(person, later(2)).unwrap();
    let cursors = vec![("alert/decision", 0, 0, 1), ("alert/turn", 0, turn, turn + 1)];
    store
        .commit_alerts(&Alerts { cursors, alerts: vec![again], ..Alerts::default() }, later(2))
        .await
        .unwrap();
    let kept = store.alert(id).await.unwrap().unwrap();
    assert_eq!((kept.counts.firing, kept.acknowledged.map(|taken| taken.by)), (2, Some(person)));
}

pub(crate) async fn an_acceptance_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost(
    store: Store,
) {
    let actor = |number: u8, role| Actor {
        person: PersonId::mint(NOW, [number; 10]),
        roles: [role].into(),
        services: ["shop".to_owned()].into(),
        grants: Vec::new(),
    };
    let held = proposed();
    let batch = |log, turn, acceptance: &acceptance::Acceptance| Acceptances {
        cursors: vec![(log, 0, 0, 1), ("acceptance/turn", 0, turn, turn + 1)],
        acceptances: vec![(acceptance.clone(), [3; 32])],
        ..Acceptances::default()
    };
    store.commit_acceptances(&batch("acceptance/first", 0, &held), NOW).await.unwrap();

    // Both read it as it was proposed; one rules that it is approved, the other sees its time pass.
    let (approved, _) =
        acceptance::step(&held, &Event::Approved, &actor(9, Role::Security), later(1)).unwrap();
    let past = held.until.plus(Duration::from_secs(1));
    let (expired, _) = acceptance::observe(&held, acceptance::Observation::Time, past);
    assert_ne!(expired, held);
    store.commit_acceptances(&batch("acceptance/decision", 1, &approved), later(1)).await.unwrap();
    let error = store.commit_acceptances(&batch("acceptance/posture", 1, &expired), past).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(store.acceptance(held.id).await.unwrap(), Some(approved.clone()), "the approval stands");

    let turn = store.cursor("acceptance/turn", 0).await.unwrap();
    let (ended, _) = acceptance::observe(&approved, acceptance::Observation::Time, past);
    store.commit_acceptances(&batch("acceptance/posture", turn, &ended), past).await.unwrap();
    let kept = store.acceptance(held.id).await.unwrap().unwrap();
    let acceptance::State::Ended { approval, .. } = kept.state else { panic!("it has ended") };
    assert!(approval.is_some(), "who approved it is not lost");
}
