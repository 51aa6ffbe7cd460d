//! Second factors, sessions and requests for roles on every engine.

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::factor::{Factor, Origin, Shown};
use bartizan_core::id::{PersonId, RequestId};
use bartizan_core::person::{Command, Person, Request};
use bartizan_core::role::Role;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use bartizan_store::factor::Told;
use bartizan_store::person::Batch;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn later(seconds: u32) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

async fn ada(store: &Store) -> Person {
    let person = Person {
        id: PersonId::mint(NOW, [1; 10]),
        name: "ada".to_owned(),
        roles: [Role::Admin].into(),
        services: Default::default(),
        grants: Vec::new(),
        disabled: false,
    };
    store.put_person(&person, NOW, [7; 32]).await.unwrap();
    person
}

async fn session(store: &Store, person: &Person, word: &str) -> Digest {
    let (link, token) =
        (Digest::of_bytes(format!("link {word}").as_bytes()), Digest::of_bytes(word.as_bytes()));
    store.create_sign_in_link(&link, person.id, later(600)).await.unwrap();
    store.sign_in(&link, &token, NOW, later(3_600)).await.unwrap();
    token
}

pub(crate) async fn one_code_passes_one_of_two_that_show_it_at_once(store: Store) {
    let person = ada(&store).await;
    let (one, other) = (session(&store, &person, "one").await, session(&store, &person, "other").await);
    store.make_factor(person.id, vec![1], &Factor::new(NOW)).await.unwrap();
    // Begun again before it was confirmed: the newer secret counts.
    store.make_factor(person.id, vec![2], &Factor::new(NOW)).await.unwrap();
    assert!(!store.session(&one, NOW).await.unwrap().unwrap().has_factor, "nothing counts before a code");
    let held = store.factor(person.id).await.unwrap().unwrap();
    assert_eq!(held.sealed, [2]);
    let (next, judged) = held.factor.judge(Shown::Code { step: 7 }, later(1));
    assert_eq!(judged, Ok(()));
    let staged = store.staged().await.unwrap();
    let told = Some(Told { what: "confirmed", salt: [1; 32] });
    store.move_factor(person.id, &held, &next, Some(&one), told, later(1)).await.unwrap();
    assert_eq!(store.staged().await.unwrap(), staged + 1);
    let again = store.move_factor(person.id, &held, &next, Some(&other), None, later(1)).await.unwrap_err();
    assert_eq!(again.class(), Class::Conflict);
    let (one, other) = (store.session(&one, NOW).await.unwrap(), store.session(&other, NOW).await.unwrap());
    let passed =
        [one, other].map(|session| session.unwrap()).map(|session| (session.has_factor, session.passed_at));
    assert_eq!(passed, [(true, Some(later(1))), (true, None)]);
    let error = store.make_factor(person.id, vec![3], &Factor::new(NOW)).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict, "one that is confirmed is not replaced");
    assert_eq!(store.factor_holders().await.unwrap(), [person.id].into());
    assert_eq!(store.signed_in(NOW).await.unwrap(), [person.id].into());
    store.remove_factor(person.id, later(2), [2; 32]).await.unwrap();
    assert_eq!(store.factor(person.id).await.unwrap(), None);
}

pub(crate) async fn who_is_disabled_has_no_session_and_no_link_any_more(store: Store) {
    let person = ada(&store).await;
    let token = session(&store, &person, "one").await;
    let (link, local) = (Digest::of_bytes(b"unused"), Digest::of_bytes(b"local"));
    store.create_sign_in_link(&link, person.id, later(600)).await.unwrap();
    store.open_local_session(&local, person.id, NOW, later(600)).await.unwrap();
    assert_eq!(store.session(&local, NOW).await.unwrap().unwrap().origin, Origin::Local);
    let request = Request {
        id: RequestId::mint(NOW, [4; 10]),
        person: person.id,
        role: Role::Security,
        services: ["shop".to_owned()].into(),
        by: PersonId::mint(NOW, [2; 10]),
        at: NOW,
        open: true,
    };
    let keep = |request: &Request| Batch {
        commands: vec![(Command::Keep(request.clone()), [3; 32])],
        ..Batch::default()
    };
    store.commit_people(&keep(&request), NOW).await.unwrap();
    assert_eq!(store.role_requests().await.unwrap(), std::slice::from_ref(&request));
    store.commit_people(&keep(&Request { open: false, ..request }), NOW).await.unwrap();
    assert!(store.role_requests().await.unwrap().is_empty());
    let disabled = Person { disabled: true, ..person.clone() };
    let batch = Batch {
        cursor: Some(("person/decision", 0, 1)),
        commands: vec![(Command::Put(disabled), [1; 32]), (Command::EndSessions(person.id), [2; 32])],
        ruled: Vec::new(),
    };
    store.commit_people(&batch, NOW).await.unwrap();
    assert_eq!(store.commit_people(&batch, NOW).await.unwrap_err().class(), Class::Conflict);
    let enabled = Batch { commands: vec![(Command::Put(person), [3; 32])], ..Batch::default() };
    store.commit_people(&enabled, NOW).await.unwrap();
    for token in [token, local] {
        assert_eq!(store.session(&token, NOW).await.unwrap(), None, "ended, and not merely shut out");
    }
    assert_eq!(store.sign_in(&link, &Digest::of_bytes(b"x"), NOW, later(9)).await.unwrap(), None);
}
