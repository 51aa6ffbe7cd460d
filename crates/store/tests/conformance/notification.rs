//! Notifications on every engine.

use bartizan_core::id::AlertId;
use bartizan_core::monitoring::notification::{Occasion, Sent};
use bartizan_core::severity::Severity;
use bartizan_store::Store;
use bartizan_store::notification::{Notification, State as Sending};

use crate::suite::{NOW, later};

pub(crate) async fn a_notification_is_claimed_once_and_reclaimed_after_a_crash(store: Store) {
    let alert = AlertId::mint(NOW, [3; 10]);
    let claim = Notification {
        alert,
        receiver: "pager".to_owned(),
        sent: Sent { number: 1, occasion: Occasion::Opened, severity: Severity::High, at: NOW },
        idempotency_key: "key".to_owned(),
        attempts: 1,
    };
    store.claim_notification(&claim, later(30)).await.unwrap();
    let error = store.claim_notification(&claim, later(30)).await.unwrap_err();
    assert_eq!(error.class(), bartizan_core::error::Class::Conflict);
    assert_eq!(store.last_sent(alert, "pager").await.unwrap(), Some(claim.sent));
    assert_eq!(store.reclaim_notification(later(29), later(60)).await.unwrap(), None, "it is in flight");
    let again = store.reclaim_notification(later(30), later(60)).await.unwrap().unwrap();
    assert_eq!((again.attempts, again.idempotency_key.as_str()), (2, "key"));
    let failed =
        store.finish_notification(&again, Err(("refused".to_owned(), later(90))), later(31), [5; 32]).await;
    assert_eq!(failed.unwrap(), Sending::Claimed);
    let third = store.reclaim_notification(later(90), later(120)).await.unwrap().unwrap();
    store.finish_way(&third, "webhook", None, later(31)).await.unwrap();
    store.finish_way(&third, "mail:a@example.org", Some("refused"), later(31)).await.unwrap();
    // A way that was delivered stays so, whatever a late word of another replica says.
    store.finish_way(&third, "webhook", Some("cut off"), later(32)).await.unwrap();
    store.finish_way(&third, "mail:a@example.org", None, later(91)).await.unwrap();
    let ways = store.notification_ways(alert).await.unwrap();
    let shown: Vec<_> = ways.iter().map(|way| (way.way.as_str(), way.problem.as_deref(), way.at)).collect();
    assert_eq!(shown, [("mail:a@example.org", None, later(91)), ("webhook", None, later(31))]);
    let done = store.finish_notification(&third, Ok(()), later(91), [6; 32]).await;
    assert_eq!(done.unwrap(), Sending::Delivered);
    assert_eq!(store.reclaim_notification(later(9_999), later(10_000)).await.unwrap(), None);
    assert_eq!(store.notifications(alert).await.unwrap()[0].1, "delivered");
}
