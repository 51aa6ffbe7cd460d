//! Reviews of baselines on every engine.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::review::Review;
use bartizan_core::time::Timestamp;
use bartizan_store::Store;
use bartizan_store::review::Batch;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) async fn what_was_reviewed_is_kept_until_the_next_review_is_concluded(store: Store) {
    let review = Review::new("web".to_owned(), Some("shop".to_owned()), NOW);
    let keep = |review: &Review, document: Option<&str>| Batch {
        reviews: vec![(review.clone(), document.map(Value::from), [1; 32])],
        ..Batch::default()
    };
    store.commit_reviews(&keep(&review, None), NOW).await.unwrap();
    assert_eq!(store.reviewed("web").await.unwrap(), None, "nothing was reviewed yet");
    store.commit_reviews(&keep(&review, Some("as it was")), NOW).await.unwrap();
    let told = Review { told: true, ..review };
    store.commit_reviews(&keep(&told, None), NOW).await.unwrap();
    assert_eq!(store.reviews().await.unwrap(), [told]);
    assert_eq!(store.reviewed("web").await.unwrap(), Some(Value::from("as it was")));
    assert_eq!(store.staged().await.unwrap(), 3, "each state is in the ledger");
}
