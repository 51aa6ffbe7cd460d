//! The second factor and the people, as a browser shows them.

use bartizan_server::auth::factor::Secret;

use super::{DARK, DESK, Desk, PHONE, has_browser, pictures};

/// What a device reads: base 32 (RFC 4648) in groups.
fn device(groups: &str) -> Secret {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let values = groups.chars().filter_map(|letter| letters.find(letter));
    let bits: Vec<u8> =
        values.flat_map(|value| (0..5).rev().map(move |bit| u8::from(value >> bit & 1 == 1))).collect();
    let bytes = bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit));
    Secret::from_bytes(bytes.collect())
}

/// Pictures of the page that is open, at a desk, on a phone and in the dark.
async fn seen(desk: &Desk, page: &str) {
    let folder = pictures(desk.folder.path());
    for view in [PHONE, DARK, DESK] {
        desk.browser.view(view).await.unwrap();
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(desk.browser.value(wide).await.unwrap(), true, "{page} is too wide for {view:?}");
        desk.browser.picture(&folder, page, view).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_from_a_picture_that_the_server_drew() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.browser.click("//a[text()='Second factor']").await.unwrap();
    desk.browser.says("You have no second factor").await.unwrap();
    desk.browser.click("//button[text()='Set up a second factor']").await.unwrap();
    desk.browser.says("Let your device read this").await.unwrap();
    let drawn = "(() => { const box = document.querySelector('svg.qr path').getBoundingClientRect(); \
                 return box.width > 150 && Math.abs(box.width - box.height) < 1; })()";
    desk.browser.until(drawn).await.unwrap();
    seen(&desk, "factor").await;
    let secret = desk.browser.text("document.querySelector('[aria-label=Secret]').innerText").await.unwrap();
    let code = device(&secret).code(desk.fleet.app.web.ambient.now());
    desk.browser.fill("//input[@name='code']", &code).await.unwrap();
    desk.browser.click("//button[text()='Confirm']").await.unwrap();
    desk.browser.says("Your second factor is set up").await.unwrap();
    seen(&desk, "recovery-codes").await;
    desk.open("/people").await;
    desk.browser.says("link and second factor").await.unwrap();
    seen(&desk, "people").await;
    desk.end().await;
}
