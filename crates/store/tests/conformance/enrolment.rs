//! Enrolment keys on every engine.

use bartizan_core::enrolment::Refusal;
use bartizan_core::id::PersonId;
use bartizan_store::Store;
use bartizan_store::person::By;

use crate::suite::{NOW, create_key, later, request};

pub(crate) async fn a_revoked_key_is_listed_as_such_and_enrols_nobody(store: Store) {
    create_key(&store, "secret", 2).await;
    assert!(store.enrol(request("secret", 1)).await.unwrap().is_ok());
    let made = store.enrolment_keys(false, NOW).await.unwrap().remove(0);
    assert_eq!((made.key.uses_left, made.by, made.at), (1, None, NOW));
    let by = By { person: PersonId::mint(NOW, [1; 10]), salt: [2; 32] };
    store.revoke_enrolment_key(made.key.id, by, later(1)).await.unwrap();
    store.revoke_enrolment_key(made.key.id, by, later(2)).await.unwrap_err();
    let refused = store.enrol(request("secret", 2)).await.unwrap();
    assert_eq!(refused, Err(Refusal::Revoked(later(1))));
    assert!(store.enrolment_keys(false, NOW).await.unwrap().is_empty());
    let all = store.enrolment_keys(true, NOW).await.unwrap();
    assert_eq!((all[0].revoked_by, all[0].key.uses_left), (Some(by.person), 1));
}
