//! A route that can't be read is no silent one.

use bartizan_core::document;
use bartizan_core::monitoring::alert::Stage;
use bartizan_store::document::Edit;

use crate::{House, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_cannot_be_read_is_an_alert_until_it_can() {
    let house = House::start(now).await;
    // As a newer program wrote it: this one would not have taken it.
    let newer = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, pigeon: {loft: 7}}]\n  route: {receiver: pager}\n";
    let edits =
        document::parse("routes.yaml", newer).unwrap().into_iter().map(|one| Edit::Put(Box::new(one)));
    house.app.web.store.edit_documents("dev", &edits.collect::<Vec<_>>(), None, now()).await.unwrap();
    let alert = house.until("route", |alert| alert.stage == Stage::Open, || {}).await;
    assert_eq!((alert.group.environment.as_str(), alert.counts.firing), ("dev", 1));
    assert!(alert.summary.contains("the route main of dev can't be read"), "{}", alert.summary);
    house.route_to("http://127.0.0.1:9/").await;
    let ended = house.until("route", |alert| matches!(alert.stage, Stage::Resolved { .. }), || {}).await;
    assert_eq!(ended.id, alert.id);
    house.app.stop().await;
}
