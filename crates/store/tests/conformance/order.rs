//! Orders on every engine.

use bartizan_core::asset::Asset;
use bartizan_core::configuration::baseline::Fix;
use bartizan_core::digest::Digest;
use bartizan_core::order::{End, Ending, Order, Outcome, Step, StepOutcome};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use bartizan_store::order::{Batch, Given};
use bartizan_store::report::Report;
use bartizan_store::retention::ORDERS_KEPT;

use super::suite::{commit, enrol, report};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn given(asset: &Asset, generation: u64) -> Given {
    let fix = Fix::Sysctl { key: "kernel.kptr_restrict".to_owned(), value: "2".to_owned() };
    let order = Order {
        asset: asset.id,
        generation,
        plan: Digest::of_bytes(b"plan"),
        not_before: NOW,
        not_after: NOW.plus(Duration::from_hours(1)),
        steps: vec![Step::Fix { baseline: "linux".to_owned(), rule: "kptr".to_owned(), fix }],
    };
    Given { number: asset.number, order, signature: "00".to_owned(), given_at: NOW, end: None }
}

fn give(given: &Given) -> Batch {
    Batch { given: vec![given.clone()], ..Batch::default() }
}

pub(crate) async fn an_order_is_open_until_its_end_is_written_with_the_cursor(store: Store) {
    let asset = enrol(&store, 1).await;
    let first = given(&asset, 1);
    store.commit_orders(&give(&first), NOW).await.unwrap();
    assert_eq!(store.open_orders().await.unwrap(), [(asset.number, 1)].into());
    assert_eq!(store.order(asset.number, 1).await.unwrap(), Some(first.clone()));
    let again = store.commit_orders(&give(&first), NOW).await.unwrap_err();
    assert_eq!(again.class(), bartizan_core::error::Class::Conflict, "a generation is given once");

    let outcome = Outcome {
        generation: 1,
        digest: first.digest().unwrap(),
        at: NOW,
        ending: Ending::CarriedOut(vec![StepOutcome::Unchanged]),
    };
    let told = Report { outcomes: vec![outcome.clone()], ..report(&asset, 1, &[]) };
    commit(&store, told.clone()).await;
    commit(&store, told).await;
    let log = store.order_outcomes(0).await.unwrap();
    assert_eq!(log.len(), 1, "a repeat tells nothing");
    assert_eq!((log[0].number, &log[0].outcome), (asset.number, &outcome));

    let end = End::Told(outcome.ending);
    let over = Batch {
        cursors: vec![("order/outcome", 0, 0, log[0].seq + 1)],
        ended: vec![(first.clone(), end.clone())],
        ..Batch::default()
    };
    store.commit_orders(&over, NOW).await.unwrap();
    let late = store.commit_orders(&over, NOW).await.unwrap_err();
    assert_eq!(late.class(), bartizan_core::error::Class::Conflict, "the other replica was first");
    assert!(store.open_orders().await.unwrap().is_empty());
    assert_eq!(store.order(asset.number, 1).await.unwrap().unwrap().end, Some((NOW, end)));
}

pub(crate) async fn the_last_order_of_an_asset_is_remembered_however_old(store: Store) {
    let asset = enrol(&store, 1).await;
    for generation in 1..=3 {
        let given = given(&asset, generation);
        store.commit_orders(&give(&given), NOW).await.unwrap();
        let ended = Batch { ended: vec![(given, End::Withdrawn)], ..Batch::default() };
        store.commit_orders(&ended, NOW).await.unwrap();
    }
    let generations = |since| {
        let (store, number) = (store.clone(), asset.number);
        async move {
            let mut held = store.orders_since(&[number], since).await.unwrap();
            let held = held.remove(&number).unwrap_or_default();
            held.iter().map(|given| given.order.generation).collect::<Vec<_>>()
        }
    };
    assert_eq!(generations(NOW.minus(Duration::from_hours(1))).await, [1, 2, 3]);
    assert_eq!(generations(NOW.plus(Duration::from_hours(1))).await, [3]);
    let listed = store.orders(Some(asset.number), 2).await.unwrap();
    assert_eq!(listed.iter().map(|given| given.order.generation).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(store.orders(None, 10).await.unwrap().len(), 3);
}

pub(crate) async fn old_orders_go_and_the_last_of_an_asset_stays(store: Store) {
    let asset = enrol(&store, 1).await;
    for generation in 1..=3 {
        let given = given(&asset, generation);
        store.commit_orders(&give(&given), NOW).await.unwrap();
        let ended = Batch { ended: vec![(given, End::Withdrawn)], ..Batch::default() };
        store.commit_orders(&ended, NOW).await.unwrap();
    }
    let outcome = |generation| Outcome {
        generation,
        digest: Digest::of_bytes(b"order"),
        at: NOW,
        ending: Ending::Refused("no".to_owned()),
    };
    let told = Report { outcomes: vec![outcome(1), outcome(2)], ..report(&asset, 1, &[]) };
    commit(&store, told).await;
    let past = NOW.plus(ORDERS_KEPT);
    assert_eq!(store.sweep_orders(past).await.unwrap(), 0, "not before their time, nor before they are read");
    let read = Batch { cursors: vec![("order/outcome", 0, 0, 1)], ..Batch::default() };
    store.commit_orders(&read, NOW).await.unwrap();
    let later = past.plus(Duration::from_millis(1));
    assert_eq!(store.sweep_orders(later).await.unwrap(), 3, "two orders, and one outcome that was read");
    let left = store.orders(Some(asset.number), 10).await.unwrap();
    assert_eq!(left.iter().map(|given| given.order.generation).collect::<Vec<_>>(), [3]);
    assert_eq!(store.order_outcomes(0).await.unwrap().len(), 1);
}

pub(crate) async fn an_order_ends_once_whichever_replica_was_first(store: Store) {
    let asset = enrol(&store, 1).await;
    let given = given(&asset, 1);
    store.commit_orders(&give(&given), NOW).await.unwrap();
    let end = |end| Batch { ended: vec![(given.clone(), end)], ..Batch::default() };
    let told = End::Told(Ending::CarriedOut(vec![StepOutcome::Unchanged]));
    store.commit_orders(&end(told.clone()), NOW).await.unwrap();
    let late = store.commit_orders(&end(End::Withdrawn), NOW).await.unwrap_err();
    assert_eq!(late.class(), bartizan_core::error::Class::Conflict);
    assert_eq!(store.order(asset.number, 1).await.unwrap().unwrap().end, Some((NOW, told)));
}
