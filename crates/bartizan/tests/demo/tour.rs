//! The demo in a browser: be each of its people, look at every page, and leave pictures.

use std::path::{Path, PathBuf};

use super::Demo;
use super::browser::{self, Browser, View};

const DESK: View = View { name: "desk", width: 1280, height: 900, dark: false };
const PHONE: View = View { name: "phone", width: 390, height: 844, dark: false };
const DARK: View = View { name: "dark", width: 1280, height: 900, dark: true };

#[expect(clippy::disallowed_methods, reason = "a test is a composition root: it reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether the browser can be had; where it must be, its absence is a failure.
#[expect(clippy::print_stderr, reason = "what was left out is said")]
fn has_browser() -> bool {
    let Some(program) = browser::missing() else { return true };
    let required = variable("BARTIZAN_TEST_BROWSER").is_some_and(|value| value == "required");
    assert!(!required, "{program} is missing");
    eprintln!("left out: the demo in a browser, since {program} is missing");
    false
}

/// A browser in which Ida has signed in by the link that the demo printed.
struct Tour {
    demo: Demo,
    browser: Browser,
    pictures: PathBuf,
}

impl Tour {
    async fn start(folder: &Path, demo: Demo) -> Tour {
        let pictures =
            variable("BARTIZAN_SCREENSHOTS").map_or_else(|| folder.join("pictures"), PathBuf::from);
        std::fs::create_dir_all(&pictures).unwrap();
        let browser = Browser::start(folder).await.unwrap();
        browser.view(DESK).await.unwrap();
        browser.open(&demo.link).await.unwrap();
        browser.says("This fleet is simulated").await.unwrap();
        browser.click("//button[text()='Sign in']").await.unwrap();
        browser.until("location.pathname === '/'").await.unwrap();
        Tour { demo, browser, pictures }
    }

    async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.demo.server)).await.unwrap();
    }

    /// Becomes one of the four by one click; the page stays.
    async fn be(&self, name: &str) {
        let before = self.browser.text("location.pathname").await.unwrap();
        self.browser
            .click(&format!("//form[@action='/demo/switch']//button[span[text()='{name}']]"))
            .await
            .unwrap();
        let is = "document.querySelector('.person-name')?.innerText";
        self.browser.until(&format!("{is} === '{name}'")).await.unwrap();
        assert_eq!(self.browser.text("location.pathname").await.unwrap(), before);
    }

    /// Presses the button that says this, once it is there.
    async fn press(&self, button: &str) {
        let there = format!(
            "[...document.querySelectorAll('main button')].some(button => button.innerText === '{button}')"
        );
        self.browser.until(&there).await.unwrap();
        self.browser.click(&format!("//main//button[text()='{button}']")).await.unwrap();
    }

    /// The change's page, as it looks at the way to one environment.
    async fn toward(&self, target: &str) {
        // Whoever was switched a moment ago may see the page's head before the rest of it.
        let there = format!(
            "[...document.querySelectorAll('.switch a')].some(link => link.innerText === '{target}')"
        );
        self.browser.until(&there).await.unwrap();
        self.browser.click(&format!("//p[@class='switch']/a[text()='{target}']")).await.unwrap();
        self.browser.until(&format!("location.search === '?target={target}'")).await.unwrap();
        self.browser.says(&format!("On the way to {target}")).await.unwrap();
    }

    /// Waits until a step of the way is done, by somebody.
    async fn done(&self, step: &str, by: &str) {
        let done = format!(
            "[...document.querySelectorAll('.step.done')].some(step => \
             step.innerText.includes('{step}') && step.innerText.includes('{by}'))"
        );
        self.browser.until(&done).await.unwrap();
    }

    /// Brings the change from its proposal to where nothing is missing, by the hands of three.
    async fn walk(&self) {
        self.be("Ida").await;
        self.toward("test").await;
        self.press("Apply in test").await;
        self.done("apply", "Ida").await;
        self.toward("prod").await;
        self.press("It was tested in test").await;
        self.done("test", "Ida in test").await;
        self.be("Noor").await;
        self.press("Review: it is as it should be").await;
        self.done("review", "Noor").await;
        self.be("Sam").await;
        self.press("Approve for security").await;
        self.done("approval", "Sam").await;
        self.be("Ida").await;
    }

    /// Takes a picture of a page in every view; it must fit, and have something to show.
    async fn look(&self, name: &str, path: &str) {
        for view in [DESK, PHONE, DARK] {
            self.browser.view(view).await.unwrap();
            self.open(path).await;
            self.browser.says("This fleet is simulated").await.unwrap();
            let fits = "document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(self.browser.value(fits).await.unwrap(), true, "{name} is too wide for {view:?}");
            let page = format!("demo-{name}");
            self.browser.picture(&self.pictures, &page, view).await.unwrap();
        }
        self.browser.view(DESK).await.unwrap();
    }
}

/// Without the async runtime around it: the demo's own client is a blocking one.
fn in_browser(test: impl AsyncFnOnce(&Tour)) {
    if !has_browser() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("state"));
    demo.until("Your turn");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tour = runtime.block_on(Tour::start(folder.path(), demo));
    runtime.block_on(test(&tour));
    let Tour { demo, browser, .. } = tour;
    runtime.block_on(async {
        let complaints = browser.complaints().await.unwrap();
        // Being told that somebody may not do something is no complaint about the page.
        let complaints: Vec<_> =
            complaints.into_iter().filter(|line| !line.contains("status of 40")).collect();
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
        browser.end().await.unwrap();
    });
    demo.stop();
}

#[test]
fn every_page_of_the_navigation_has_something_to_show_and_fits_desk_and_phone() {
    in_browser(async |tour| {
        tour.open("/").await;
        let links = "JSON.stringify([...document.querySelectorAll('nav[aria-label=Main] a')].map(a => a.getAttribute('href')))";
        let links: Vec<String> = serde_json::from_str(&tour.browser.text(links).await.unwrap()).unwrap();
        assert!(links.len() >= 8, "{links:?}");
        for link in &links {
            let name = if link == "/" { "overview" } else { link.trim_start_matches('/') };
            tour.look(name, link).await;
            let empty = "document.querySelectorAll('#part .empty').length";
            // The story accepts no risk: the page says so, and how one is proposed.
            let expected = usize::from(name == "acceptances");
            assert_eq!(tour.browser.value(empty).await.unwrap(), expected, "{name} has an empty place");
        }
        for (name, list, item) in [
            ("asset", "/assets", "//th/a[text()='shop-edge-1']"),
            ("alert", "/alerts", "//a[contains(., 'Password guessing')]"),
            ("incident", "/incidents", "//a[contains(., 'Password guessing')]"),
            ("change", "/changes", "//a[contains(., 'shop-ssh')]"),
            ("finding", "/vulnerabilities", "//a[contains(., 'CVE-2026-90117')]"),
            ("baseline", "/baselines", "//h2/a[contains(., 'OpenSSH')]"),
        ] {
            tour.open(list).await;
            tour.browser.click(item).await.unwrap();
            tour.browser.until(&format!("location.pathname !== '{list}'")).await.unwrap();
            let path = tour.browser.text("location.pathname + location.search").await.unwrap();
            tour.look(name, &path).await;
        }
    });
}

#[test]
fn one_click_makes_somebody_else_who_acknowledges_an_alert() {
    in_browser(async |tour| {
        tour.be("Mira").await;
        tour.open("/alerts").await;
        tour.browser.click("//a[contains(., 'Password guessing')]").await.unwrap();
        tour.browser.until("location.pathname.startsWith('/alerts/')").await.unwrap();
        tour.browser.click("//button[text()='Acknowledge']").await.unwrap();
        let taken = "[...document.querySelectorAll('.facts > div')].some(fact => \
                     fact.innerText.startsWith('Taken on by') && fact.innerText.includes('Mira'))";
        tour.browser.until(taken).await.unwrap();
        tour.be("Sam").await;
        tour.browser.until(taken).await.unwrap();
    });
}

/// What the page answers to a form that was filled in before the change was edited.
fn stale(path: &str, digest: &str) -> String {
    format!(
        "fetch('{path}/apply', {{method: 'POST', body: new URLSearchParams({{digest: '{digest}', target: 'prod'}})}})\
         .then(answer => answer.status)"
    )
}

#[test]
fn the_pages_lead_a_change_to_production_and_one_edited_byte_voids_it() {
    in_browser(async |tour| {
        let page = &tour.browser;
        tour.open("/changes").await;
        page.click("//a[contains(., 'shop-ssh')]").await.unwrap();
        page.says("On the way to").await.unwrap();
        let path = page.text("location.pathname").await.unwrap();
        let digest = "document.querySelector('input[name=digest]').value";
        let seen = page.text(digest).await.unwrap();
        tour.walk().await;
        page.says("Apply in prod").await.unwrap();
        tour.look("change-approved", &format!("{path}?target=prod")).await;

        page.click("//summary[text()='Edit it']").await.unwrap();
        let edit = "(() => { const text = document.querySelector('textarea[name=text]'); \
                    const before = text.value; text.value = before.replace(/(at_most\"?: ?)3/, '$12'); \
                    return text.value !== before; })()";
        assert_eq!(page.value(edit).await.unwrap(), true, "there is a byte to edit");
        page.click("//button[text()='Save the edit']").await.unwrap();
        page.until("document.querySelectorAll('.void').length >= 3").await.unwrap();
        tour.look("change-void", &format!("{path}?target=prod")).await;
        assert_eq!(page.value("document.body.innerText.includes('Apply in prod')").await.unwrap(), false);
        assert_eq!(
            page.value(&stale(&path, &seen)).await.unwrap(),
            409,
            "what was approved is not what it is now"
        );

        tour.walk().await;
        tour.press("Apply in prod").await;
        tour.done("apply", "Ida").await;
        tour.open("/baselines").await;
        page.says("SSH on the shop").await.unwrap();
        let judged = "(() => { const card = [...document.querySelectorAll('.card')].find(card => \
                      card.innerText.includes('shop-ssh')); return card?.innerText.includes('prod') && \
                      /(^|\\s)[1-9][0-9]* met/.test(card.innerText); })()";
        page.until(judged).await.unwrap();
    });
}

#[test]
fn the_lead_takes_an_incident_on_and_walks_it_to_its_end() {
    in_browser(async |tour| {
        let page = &tour.browser;
        tour.be("Mira").await;
        tour.open("/incidents").await;
        page.click("//a[contains(., 'Password guessing')]").await.unwrap();
        page.until("location.pathname.startsWith('/incidents/')").await.unwrap();
        let owner = "[...document.querySelectorAll('.facts > div')].some(fact => \
                     fact.innerText.startsWith('Owner') && fact.innerText.includes('Mira'))";
        tour.press("Acknowledge").await;
        page.until(owner).await.unwrap();
        for stage in ["assess", "diagnose", "stabilise"] {
            tour.press(&format!("Advance to {stage}")).await;
        }
        page.says("Close it").await.unwrap();
        page.click("//summary[text()='Close it']").await.unwrap();
        page.fill("//input[@id='reason']", "The address is blocked, and no login came through")
            .await
            .unwrap();
        page.click("//form[contains(@action, '/close')]//button").await.unwrap();
        page.says("Closed because").await.unwrap();
        let path = page.text("location.pathname").await.unwrap();
        tour.look("incident-closed", &path).await;
    });
}
