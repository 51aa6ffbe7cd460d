//! Explanations of drift on every engine.

use bartizan_core::configuration::drift::Explained;
use bartizan_core::id::PersonId;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use bartizan_store::drift::{Batch, EXPLANATIONS_KEPT, Explanation};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn explanation(number: u32, object: &str, after: Option<&str>, at: Timestamp) -> Explanation {
    Explanation {
        number,
        explained: Explained { object: object.to_owned(), after: after.map(str::to_owned), at },
        person: PersonId::mint(NOW, [7; 10]),
        at,
        reason: "tuned".to_owned(),
    }
}

pub(crate) async fn an_object_has_the_last_explanation_until_it_is_old(store: Store) {
    let later = NOW.plus(Duration::from_secs(1));
    let first = explanation(1, "file:/etc/a", Some("0600 0:0"), NOW);
    let other = explanation(2, "file:/etc/a", None, NOW);
    let second = explanation(1, "file:/etc/a", Some("0640 0:0"), later);
    for (from, all) in [(0, vec![first, other.clone()]), (1, vec![second.clone()])] {
        let explanations = all.into_iter().map(|one| (one, [1; 32])).collect();
        let cursor = Some(("drift/decision", from, from + 1));
        let batch = Batch { cursor, explanations, ..Batch::default() };
        store.commit_explanations(&batch, NOW).await.unwrap();
        store.commit_explanations(&batch, NOW).await.unwrap_err();
    }
    assert_eq!(store.explanations().await.unwrap(), [second.clone(), other]);
    assert_eq!(store.sweep_explanations(NOW).await.unwrap(), 0);
    assert_eq!(store.sweep_explanations(later.plus(EXPLANATIONS_KEPT)).await.unwrap(), 1);
    assert_eq!(store.explanations().await.unwrap(), [second]);
}
