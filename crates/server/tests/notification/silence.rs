//! A silence defers what it mutes; it does not swallow it.

use bartizan_core::id::PersonId;
use bartizan_core::monitoring::silence::Silence;

use crate::{House, LIMIT, now};

#[tokio::test(flavor = "multi_thread")]
async fn what_still_fires_when_a_silence_ends_is_told_then() {
    let house = House::start(now).await;
    let app = &house.app;
    // Nobody listens there: that somebody was to be told is what counts here.
    house.route_to("http://127.0.0.1:9/").await;
    let started = now();
    let silence = Silence {
        matchers: serde_json::from_value(serde_json::json!(["service=shop"])).unwrap(),
        owner: PersonId::mint(started, [1; 10]),
        reason: "work on the disks".to_owned(),
        starts_at: started,
        ends_at: started.plus(bartizan_core::time::Duration::from_hours(1)),
    };
    let id = app.web.store.create_silence(&silence, started, [0; 32]).await.unwrap();
    house.disk_fills(started).await;
    let alert = house.until("disk-space", |_| true, || {}).await;
    let mut shown = app.web.nudges.shown();
    let told = bartizan_server::api::alert::describe(&app.web, &alert.id.to_string()).await.unwrap();
    let held = told.row.silenced.unwrap();
    assert_eq!((held.silence.as_str(), held.reason.as_str()), (id.as_str(), "work on the disks"));
    let ended = now();
    let by = bartizan_store::person::By { person: silence.owner, salt: [0; 32] };
    app.web.store.end_silence(&id, by, ended).await.unwrap();
    app.web.nudges.alerts_changed();
    let told = async {
        loop {
            if let Some((sent, ..)) = app.web.store.notifications(alert.id).await.unwrap().pop() {
                return sent;
            }
            shown.changed().await.unwrap();
        }
    };
    let sent = tokio::time::timeout(LIMIT, told).await.unwrap();
    assert!(sent.sent.at >= ended, "nobody was told while it was silent");
    house.app.stop().await;
}
