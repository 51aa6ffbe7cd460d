//! People at work in the browser: an incident is walked to its end, a change to production.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bartizan_core::role::Role;
use bartizan_core::verdict::Verdict;

use super::{DARK, DESK, Desk, PHONE, has_browser, pictures};

const ROUTE: &str = "kind: Route\nname: office\nowner: office\nspec:\n  receivers:\n    - name: desk\n      webhook: {url: \"http://127.0.0.1:9/desk\"}\n  route:\n    receiver: desk\n";

impl Desk {
    /// Another person takes the chair.
    async fn hand_over(&self, number: u8, name: &str, roles: &[Role]) {
        let link = self.fleet.person(number, name, roles).await;
        self.open(&link).await;
        self.browser.click("//button[text()='Sign in']").await.unwrap();
        self.browser.until("location.pathname === '/'").await.unwrap();
        self.browser.says(name).await.unwrap();
    }

    async fn press(&self, button: &str) {
        self.browser.click(&format!("//button[text()='{button}']")).await.unwrap();
    }

    /// Opens what is folded away.
    async fn unfold(&self, summary: &str) {
        self.browser.click(&format!("//summary[text()='{summary}']")).await.unwrap();
    }

    /// Waits until the stepper stands here.
    async fn stands(&self, step: &str) {
        let here = "document.querySelector('[aria-current=step] strong')?.innerText";
        self.browser.until(&format!("{here} === '{step}'")).await.unwrap();
    }

    /// Pictures of pages in each view; none is wider than its screen.
    pub(crate) async fn photograph(&self, pages: &[(&str, &str)]) {
        let folder = pictures(self.folder.path());
        for view in [DESK, PHONE, DARK] {
            self.browser.view(view).await.unwrap();
            for (page, path) in pages {
                self.open(path).await;
                let wide = "document.documentElement.scrollWidth <= innerWidth";
                assert_eq!(self.browser.value(wide).await.unwrap(), true, "{page} is too wide for {view:?}");
                self.browser.picture(&folder, page, view).await.unwrap();
            }
        }
        self.browser.view(DESK).await.unwrap();
    }

    async fn here(&self) -> String {
        self.browser.text("location.pathname").await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_opened_from_an_alert_and_closed_through_its_page() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.browser.click("//a[@class='item' and contains(., 'at random')]").await.unwrap();
    desk.browser.says("Who was told").await.unwrap();
    let alert = desk.here().await;
    desk.browser.click("//a[text()='Open an incident']").await.unwrap();
    desk.browser.says("About the alert").await.unwrap();
    desk.press("Open it").await;
    desk.stands("detect").await;
    let incident = desk.here().await;
    desk.press("Advance to assess").await;
    desk.stands("assess").await;
    desk.unfold("Judge its severity anew").await;
    desk.browser.fill("//select[@name='impact']", "serious").await.unwrap();
    desk.browser.fill("//details//input[@id='why']", "Its memory can be read").await.unwrap();
    desk.press("Rate").await;
    desk.browser.says("Its memory can be read").await.unwrap();
    desk.press("Advance to diagnose").await;
    desk.stands("diagnose").await;
    desk.browser.fill("//textarea[@name='text']", "A boot parameter of the last image").await.unwrap();
    desk.press("Write it down").await;
    desk.browser.says("A boot parameter of the last image").await.unwrap();
    desk.press("Advance to stabilise").await;
    desk.stands("stabilise").await;
    desk.photograph(&[("incident", &incident), ("incidents", "/incidents"), ("alert-taken", &alert)]).await;
    desk.open(&incident).await;
    desk.unfold("Close it").await;
    desk.browser.fill("//input[@id='reason']", "The parameter is gone").await.unwrap();
    desk.press("Close").await;
    desk.browser.says("Closed because").await.unwrap();
    assert_eq!(desk.browser.value("document.querySelectorAll('.step.done').length").await.unwrap(), 5);
    desk.open("/incidents").await;
    desk.browser.says("No open incident.").await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_made_from_an_alert_and_ended_through_its_page() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.browser.click("//a[@class='item' and contains(., 'at random')]").await.unwrap();
    desk.browser.click("//a[text()='Silence it']").await.unwrap();
    desk.browser
        .until("document.querySelector('#matchers')?.value.includes('service=storefront')")
        .await
        .unwrap();
    desk.browser.fill("//input[@name='reason']", "The image is built anew tonight").await.unwrap();
    desk.press("Silence").await;
    desk.browser.says("The image is built anew tonight").await.unwrap();
    desk.photograph(&[("silences", "/silences")]).await;
    desk.press("End it now").await;
    desk.browser.says("Nothing is silenced.").await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_walked_to_production_by_three_people_and_an_edited_byte_voids_it() {
    if !has_browser() {
        return;
    }
    let desk = Desk::start().await;
    desk.hand_over(2, "Ann", &[Role::Operator]).await;
    desk.browser.click("//nav[@aria-label='Main']//a[text()='Changes']").await.unwrap();
    desk.browser.click("//a[text()='Propose a change']").await.unwrap();
    desk.browser.says("Whole documents").await.unwrap();
    desk.browser.fill("//textarea", ROUTE).await.unwrap();
    desk.press("Propose").await;
    desk.browser.says("You wrote it").await.unwrap();
    let change = desk.here().await;
    desk.walk(&change, 10).await;
    desk.open(&change).await;
    desk.stands("apply").await;
    // Somebody edits one byte before it is applied: everybody sees that nothing counts any more.
    desk.unfold("Edit it").await;
    desk.browser.fill("//textarea[@name='text']", "# again").await.unwrap();
    let edit = "(() => { const text = document.querySelector('textarea[name=text]'); \
                text.value = text.value.replace('# again', '').replace('9/desk', '9/desks'); return true; })()";
    desk.browser.value(edit).await.unwrap();
    desk.press("Save the edit").await;
    desk.stands("test").await;
    desk.browser.until("document.querySelectorAll('.text.void').length === 3").await.unwrap();
    desk.photograph(&[("change-void", &change)]).await;
    desk.walk(&change, 20).await;
    desk.open(&change).await;
    desk.press("Apply in prod").await;
    desk.browser.says("prod has it exactly like this").await.unwrap();
    let pages = [
        ("change", change.as_str()),
        ("changes", "/changes"),
        ("environments", "/environments"),
        ("enrolment-keys", "/enrolment-keys?all=true"),
    ];
    desk.photograph(&pages).await;
    desk.photograph(&[("change-new", "/changes/new"), ("design", "/design")]).await;
    desk.end().await;
}

impl Desk {
    /// A change gets its test, its review and its approval; in the end its author sits here again.
    async fn walk(&self, change: &str, number: u8) {
        self.open(&format!("{change}?target=test")).await;
        self.press("Apply in test").await;
        self.browser.says("test has it exactly like this").await.unwrap();
        self.open(change).await;
        self.press("It was tested in test").await;
        self.stands("review").await;
        self.hand_over(number, &format!("Ben {number}"), &[Role::Operator]).await;
        self.open(change).await;
        self.press("Review: it is as it should be").await;
        self.stands("approval").await;
        self.hand_over(number + 1, &format!("Cleo {number}"), &[Role::Security]).await;
        self.open(change).await;
        self.press("Approve for security").await;
        self.stands("apply").await;
        self.hand_over(2, "Ann", &[Role::Operator]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_accepted_by_two_people_and_its_failing_control_opens_it_again() {
    if !has_browser() {
        return;
    }
    let mut desk = Desk::start().await;
    desk.hand_over(2, "Ann", &[Role::Operator]).await;
    desk.open("/findings/deviation/linux-servers%2Faddress-layout").await;
    desk.browser.click("//a[text()='Propose to accept it']").await.unwrap();
    desk.browser.says("1 finding on 1 asset").await.unwrap();
    let finding = "baseline=linux-servers\\nrule=address-layout";
    desk.browser.until(&format!("document.querySelector('#scope').value === '{finding}'")).await.unwrap();
    desk.browser.fill("//input[@name='reason']", "An old compiler needs it until spring").await.unwrap();
    desk.browser.fill("//input[@name='rule']", "linux-servers/traced-by-parents").await.unwrap();
    desk.press("Look what it takes in").await;
    desk.browser.says("its control is there").await.unwrap();
    let draft = desk.browser.text("location.pathname + location.search").await.unwrap();
    desk.press("Propose").await;
    desk.browser.says("by nobody yet").await.unwrap();
    let acceptance = desk.here().await;
    desk.hand_over(3, "Sam", &[Role::Security]).await;
    desk.open(&acceptance).await;
    desk.press("Approve for security").await;
    desk.browser.says("What it covers").await.unwrap();
    let finding = "/findings/deviation/linux-servers%2Faddress-layout";
    let asset = desk.fleet.page("edge-2");
    desk.photograph(&[
        ("acceptance", &acceptance),
        ("acceptance-new", &draft),
        ("acceptances", "/acceptances"),
        ("finding-accepted", finding),
        ("asset-accepted", &asset),
    ])
    .await;
    desk.open("/").await;
    desk.browser.says("1 finding is accepted").await.unwrap();
    // The control is seen to fail on that host: the acceptance ends, and its owner is told.
    desk.fleet.report("edge-2", [Verdict::NotMet, Verdict::NotMet, Verdict::Met]).await;
    desk.open(&acceptance).await;
    desk.browser.says("It has ended: control failed").await.unwrap();
    desk.open("/alerts").await;
    desk.browser.says("its control linux-servers/traced-by-parents failed").await.unwrap();
    desk.photograph(&[("acceptance-ended", &acceptance)]).await;
    desk.end().await;
}
