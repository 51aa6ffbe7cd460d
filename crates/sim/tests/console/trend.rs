//! How the fleet came to stand as it does, in the browser: curves, their words, and their tables.

use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::trend::{Backlog, Figures};

use super::{Desk, ENTER, has_browser};

/// How a fleet may have stood so many days ago: it mends, and once something new is found.
fn stood(back: u32, first: Timestamp) -> Figures {
    let back = u64::from(back);
    let news = if back < 12 { 60 } else { 0 };
    Figures {
        assets: 5,
        met: 900 - 6 * back,
        not_met: 40 + 5 * back,
        unknown: 20 + back,
        vulnerabilities: Some(120 + 4 * back + news),
        severe: 30 + 2 * back + news / 3,
        unrated: 0,
        exploited: Some(u64::from(back < 12)),
        open_alerts: 2,
        backlog: Backlog { open: 20 * back, ended: 620 - 20 * back, first: Some(first), last: Some(first) },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_shows_how_the_fleet_came_to_stand_so_to_eyes_and_in_words() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    let (store, now) = (&desk.fleet.app.web.store, desk.fleet.app.web.ambient.now());
    let ago = |days: u32| now.minus(Duration::from_days(days));
    for back in (1..=31).rev() {
        store.put_trend(ago(back), &stood(back, ago(31))).await.unwrap();
    }
    desk.open("/").await;
    desk.browser.says("Backlog burn-down").await.unwrap();
    let curves = "[...document.querySelectorAll('svg.curve')].every(svg => \
        svg.querySelector('title').textContent && svg.querySelector('desc').textContent) \
        && document.querySelectorAll('svg.curve').length === 3";
    desk.browser.until(curves).await.unwrap();
    desk.browser.says("The last is due on").await.unwrap();
    // Whoever does not see curves opens the table, by keyboard.
    desk.browser.value("document.querySelector('.plot summary').focus()").await.unwrap();
    desk.browser.press(ENTER).await.unwrap();
    let rows = "document.querySelectorAll('.plot details[open] tbody tr').length === 32";
    desk.browser.until(rows).await.unwrap();
    desk.photograph(&[("trend", "/")]).await;
    desk.end().await;
}
