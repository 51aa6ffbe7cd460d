//! The console in a real browser, before a real server and simulated hosts: what a person who is
//! on call sees and does, by pointer and by keyboard, at a desk and on a phone.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it left out"
)]

use std::path::{Path, PathBuf};

use bartizan_core::role::Role;
use bartizan_core::verdict::Verdict;

use crate::browser::{Browser, ENTER, TAB, View};
use crate::fleet::Fleet;

mod access;
mod browser;
mod fleet;
mod people;
mod trend;

const DESK: View = View { name: "desk", width: 1280, height: 800, dark: false };
const PHONE: View = View { name: "phone", width: 390, height: 844, dark: false };
const DARK: View = View { name: "dark", width: 1280, height: 800, dark: true };

/// Where the navigation leads, what it says, and what the page there must say.
const PAGES: [(&str, &str, &str); 14] = [
    ("/", "Overview", "Needs a human now"),
    ("/alerts", "Alerts", "laid out in memory at random"),
    ("/incidents", "Incidents", "No open incident."),
    ("/silences", "Silences", "Nothing is silenced."),
    ("/findings", "Findings", "linux-servers/address-layout"),
    ("/vulnerabilities", "Vulnerabilities", "update openssl to 3.0.15-1"),
    ("/acceptances", "Acceptances", "Nothing is accepted."),
    ("/baselines", "Baselines", "Linux servers"),
    ("/changes", "Changes", "No change was proposed."),
    ("/environments", "Environments", "prod"),
    ("/assets", "Assets", "books-1"),
    ("/documents", "Documents", "everything"),
    ("/people", "People", "link alone"),
    ("/ledger", "Ledger", "bartizan-verify"),
];

#[expect(clippy::disallowed_methods, reason = "a test is a composition root: it reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether the browser can be had; where it must be, its absence is a failure.
fn has_browser() -> bool {
    let Some(program) = browser::missing() else { return true };
    let required = variable("BARTIZAN_TEST_BROWSER").is_some_and(|value| value == "required");
    assert!(!required, "{program} is missing");
    eprintln!("left out: the console in a browser, since {program} is missing");
    false
}

/// Where pictures go: a folder that somebody named, or one that goes with the test.
fn pictures(folder: &Path) -> PathBuf {
    let pictures = variable("BARTIZAN_SCREENSHOTS").map_or_else(|| folder.join("pictures"), PathBuf::from);
    std::fs::create_dir_all(&pictures).unwrap();
    pictures
}

/// A server with hosts, and a browser in which Ada has signed in by the button.
struct Desk {
    folder: tempfile::TempDir,
    fleet: Fleet,
    browser: Browser,
    origin: String,
}

impl Desk {
    async fn start() -> Desk {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let fleet = Fleet::start(folder.path()).await;
        let link = fleet.person(1, "Ada", &[Role::Responder]).await;
        let browser = Browser::start(folder.path()).await.unwrap();
        browser.view(DESK).await.unwrap();
        let origin = format!("https://localhost:{}", fleet.app.people().port());
        browser.open(&format!("{origin}{link}")).await.unwrap();
        browser.click("//button[text()='Sign in']").await.unwrap();
        browser.until("location.pathname === '/'").await.unwrap();
        browser.says("Ada").await.unwrap();
        let desk = Desk { folder, fleet, browser, origin };
        // The stages have taken in what the hosts told.
        desk.browser.until(&figure("configuration", "1 not met")).await.unwrap();
        desk.browser.until(&figure("monitoring", "1 open alert")).await.unwrap();
        desk.browser.until(&figure("vulnerabilities", "4 open")).await.unwrap();
        desk
    }

    async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.origin)).await.unwrap();
    }

    async fn quiet(&self) {
        let complaints = self.browser.complaints().await.unwrap();
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    }

    async fn end(self) {
        self.quiet().await;
        self.browser.end().await.unwrap();
        self.fleet.app.stop().await;
    }
}

/// Whether a card of the overview shows this figure.
fn figure(card: &str, words: &str) -> String {
    format!("document.querySelector('[aria-labelledby={card}] .figure')?.innerText === '{words}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_navigation_leads_to_every_page_and_the_browser_has_nothing_to_complain_about() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    for (path, title, words) in PAGES {
        desk.browser.click(&format!("//nav[@aria-label='Main']//a[text()='{title}']")).await.unwrap();
        desk.browser.until(&format!("location.pathname === '{path}'")).await.unwrap();
        desk.browser.until(&format!("document.title === '{title} · Bartizan'")).await.unwrap();
        desk.browser.says(words).await.unwrap();
        let here = "document.querySelector('nav [aria-current=page]').innerText";
        assert_eq!(desk.browser.text(here).await.unwrap(), title);
        desk.quiet().await;
    }
    // From an asset on to what is known of its fault, and where else that is.
    desk.open(&desk.fleet.page("edge-2")).await;
    desk.browser.click("//a[text()='linux-servers/address-layout']").await.unwrap();
    desk.browser.until("location.pathname.startsWith('/findings/deviation/')").await.unwrap();
    desk.browser.says("Set kernel.randomize_va_space to 2.").await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_taken_on_and_closed_by_its_forms_and_names_who_did() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.browser.says("edge-2: not met: Programs are laid out in memory at random").await.unwrap();
    desk.browser.click("//a[@class='item' and contains(., 'at random')]").await.unwrap();
    desk.browser.until("location.pathname.startsWith('/alerts/')").await.unwrap();
    desk.browser.click("//button[text()='Acknowledge']").await.unwrap();
    let fact = |name: &str, words: &str| {
        format!(
            "[...document.querySelectorAll('.facts > div')].some(fact => \
             fact.innerText.startsWith('{name}') && fact.innerText.includes('{words}'))"
        )
    };
    desk.browser.until(&fact("Taken on by", "Ada")).await.unwrap();
    desk.browser.until("!document.body.innerText.includes('Acknowledge')").await.unwrap();
    desk.browser.fill("//input[@name='reason']", "The host is <rebuilt> tonight").await.unwrap();
    desk.browser.click("//button[text()='Close']").await.unwrap();
    desk.browser.until(&fact("Closed because", "The host is <rebuilt> tonight")).await.unwrap();
    desk.open("/").await;
    desk.browser.until(&figure("monitoring", "0 open alerts")).await.unwrap();
    desk.end().await;
}

/// Takes what is wrong with a host, and says something of it: the page where that is.
async fn take_a_finding(desk: &Desk) -> String {
    desk.open(&desk.fleet.page("edge-2")).await;
    let owner = "//tr[contains(., 'linux-servers/address-layout')]/td[@data-label='Owner']/a";
    desk.browser.click(owner).await.unwrap();
    desk.browser.until("location.pathname.startsWith('/findings/by-key/')").await.unwrap();
    desk.browser.click("//button[text()='Take it']").await.unwrap();
    desk.browser.until("!document.body.innerText.includes('Take it')").await.unwrap();
    desk.browser.fill("//textarea[@name='text']", "The host is <rebuilt> tonight").await.unwrap();
    desk.browser.click("//button[text()='Comment']").await.unwrap();
    desk.browser.says("The host is <rebuilt> tonight").await.unwrap();
    desk.browser.text("location.pathname + location.search").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_taken_and_commented_on_its_page_and_is_in_its_owners_hands() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    let page = take_a_finding(&desk).await;
    desk.open("/findings").await;
    desk.browser.click("//a[text()=\"In somebody's hands\"]").await.unwrap();
    desk.browser.click("//a[text()='Mine']").await.unwrap();
    desk.browser.until("location.search === '?owner=Ada'").await.unwrap();
    desk.browser.click("//a[text()='linux-servers/address-layout']").await.unwrap();
    desk.browser.until(&format!("location.pathname + location.search === '{page}'")).await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_shows_the_next_fault_by_itself_and_moves_nothing_under_a_hand() {
    if !has_browser() {
        return;
    }
    let mut desk = Desk::start().await;
    desk.browser.value("window.stayed = true").await.unwrap();
    desk.fleet.report("cart-1", [Verdict::NotMet, Verdict::Met, Verdict::Met]).await;
    desk.browser.until(&figure("configuration", "2 not met")).await.unwrap();
    desk.browser.until(&figure("monitoring", "2 open alerts")).await.unwrap();
    desk.browser.says("traced by their parents alone").await.unwrap();
    assert_eq!(desk.browser.text("window.stayed").await.unwrap(), "true", "the page was not loaded anew");

    // Somebody is in the part by keyboard: a line says that there is news, and the part stays.
    desk.browser.value("document.querySelector('#part a').focus()").await.unwrap();
    desk.fleet.report("mail-1", [Verdict::Met, Verdict::NotMet, Verdict::Met]).await;
    desk.browser.says("There is news.").await.unwrap();
    assert_eq!(desk.browser.value(&figure("configuration", "2 not met")).await.unwrap(), true);
    desk.browser.click("//*[@id='news']/a").await.unwrap();
    desk.browser.until(&figure("configuration", "3 not met")).await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_reaches_the_skip_link_first_and_then_the_whole_navigation() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.open("/").await;
    desk.browser.press(TAB).await.unwrap();
    let seen = "(() => { const skip = document.activeElement, box = skip.getBoundingClientRect(); \
                return skip.classList.contains('skip') && box.top >= 0 && box.left >= 0 && box.height > 10; })()";
    desk.browser.until(seen).await.unwrap();
    desk.browser.press(TAB).await.unwrap();
    assert_eq!(desk.browser.text("document.activeElement.className").await.unwrap(), "brand");
    for (path, title, _) in PAGES {
        desk.browser.press(TAB).await.unwrap();
        let here = "document.activeElement.getAttribute('href') + ' ' + document.activeElement.innerText";
        assert_eq!(desk.browser.text(here).await.unwrap(), format!("{path} {title}"));
        let ring = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert_eq!(desk.browser.value(ring).await.unwrap(), true, "{title} shows that it has the focus");
    }
    desk.open("/").await;
    desk.browser.press(TAB).await.unwrap();
    desk.browser.press(ENTER).await.unwrap();
    desk.browser.until("document.activeElement.id === 'main'").await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_a_desk_and_a_phone_by_day_and_by_night() {
    if !has_browser() {
        return;
    }
    let mut desk = Desk::start().await;
    let folder = pictures(desk.folder.path());
    desk.fleet.report("cart-1", [Verdict::NotMet, Verdict::Met, Verdict::Met]).await;
    desk.browser.until(&figure("monitoring", "2 open alerts")).await.unwrap();
    let alert = "document.querySelector('a.item[href^=\"/alerts/\"]').getAttribute('href')";
    let alert = desk.browser.text(alert).await.unwrap();
    let pages = [
        ("overview", "/".to_owned()),
        ("asset", desk.fleet.page("edge-2")),
        ("alert", alert),
        ("findings", "/findings".to_owned()),
        ("finding", take_a_finding(&desk).await),
        ("held", "/findings/held".to_owned()),
        ("affected", "/findings/deviation/linux-servers%2Faddress-layout".to_owned()),
    ];
    for view in [DESK, PHONE, DARK] {
        desk.browser.view(view).await.unwrap();
        for (page, path) in &pages {
            desk.open(path).await;
            let wide = "document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(desk.browser.value(wide).await.unwrap(), true, "{page} is too wide for {view:?}");
            let file = desk.browser.picture(&folder, page, view).await.unwrap();
            assert!(std::fs::metadata(&file).unwrap().len() > 5_000, "{} is empty", file.display());
        }
        let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(desk.browser.value(dark).await.unwrap(), view.dark);
    }
    desk.end().await;
}
