//! What people do on pages: incidents, silences and changes, by forms alone.

use bartizan_core::role::Role;
use bartizan_server::App;
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};

use super::{Browser, alert_with, fleet};

impl Browser {
    /// Sends a form that has to be taken: the page that it leads to.
    async fn does(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path).form(fields).send().await.unwrap();
        let status = answer.status();
        let location = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {text}");
        location.unwrap()
    }

    /// Sends a form that has to be refused with these words on a page.
    async fn may_not(&self, path: &str, fields: &[(&str, &str)], status: StatusCode, words: &str) {
        let answer = self.post(path).form(fields).send().await.unwrap();
        let found = answer.status();
        let text = answer.text().await.unwrap();
        assert!(found == status && text.contains("<h1>") && text.contains(words), "{path}: {found} {text}");
    }
}

async fn signed_in(app: &App, number: u8, name: &str, roles: &[Role]) -> Browser {
    Browser::sign_in(app, &fleet::person(app, number, name, roles).await).await
}

fn says(page: &str, words: &[&str]) {
    for word in words {
        assert!(page.contains(word), "the page does not say `{word}`:\n{page}");
    }
}

#[tokio::test]
async fn an_incident_is_opened_from_an_alert_rated_walked_and_closed_by_forms() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let ada = signed_in(&app, 1, "Ada", &[Role::Responder]).await;
    signed_in(&app, 2, "<i>Grace</i>", &[Role::IncidentManager]).await;
    let auditor = signed_in(&app, 3, "Dan", &[Role::Auditor]).await;
    says(&ada.page("/incidents").await, &["No open incident", "Open an incident"]);
    let alert = alert_with(&ada, "opened a shell").await;
    says(&ada.page(&format!("/alerts/{alert}")).await, &["Open an incident", "Silence it"]);
    let form = ada.page(&format!("/incidents/new?alert={alert}")).await;
    says(&form, &["About the alert", "&#60;script&#62;alert(1)&#60;/script&#62; opened a shell"]);

    let path = ada.does("/incidents", &[("title", "A shell on <b>queue</b>"), ("alert", &alert)]).await;
    let page = ada.page(&path).await;
    says(&page, &["A shell on &#60;b&#62;queue&#60;/b&#62;", "aria-current=\"step\"", "Advance to assess"]);
    says(&page, &["&#60;i&#62;Grace&#60;/i&#62;", "opened a shell to a stranger", "Opened by hand"]);
    assert!(!page.contains(fleet::HOSTILE) && !page.contains("<i>Grace"), "{page}");
    says(&ada.page(&format!("/alerts/{alert}")).await, &["To its incident", &path]);

    let act = |verb: &str| format!("{path}/{verb}");
    ada.may_not(&act("close"), &[("reason", "too early")], StatusCode::CONFLICT, "").await;
    ada.may_not(&act("advance"), &[("stage", "stabilise")], StatusCode::CONFLICT, "does not advance").await;
    ada.may_not(&act("advance"), &[("stage", "sleep")], StatusCode::BAD_REQUEST, "is no stage").await;
    ada.does(&act("assign"), &[("person", "<i>Grace</i>")]).await;
    ada.does(&act("advance"), &[("stage", "assess")]).await;
    let axes = [("impact", "serious"), ("spread", "many_services"), ("sensitivity", "secret")];
    ada.does(&act("rate"), &[&axes[..], &[("reason", "keys lie on that host")]].concat()).await;
    for stage in ["diagnose", "stabilise"] {
        ada.does(&act("advance"), &[("stage", stage)]).await;
    }
    ada.does(&act("note"), &[("text", "the host was <rebuilt>")]).await;
    let page = auditor.page(&path).await;
    says(&page, &["many services", "critical", "keys lie on that host", "the host was &#60;rebuilt&#62;"]);
    assert!(!page.contains("Advance to"), "who only reads is offered no act");
    ada.does(&act("close"), &[("reason", "the host is new")]).await;
    says(&ada.page(&path).await, &["Closed because", "the host is new"]);
    ada.may_not(&act("note"), &[("text", "late")], StatusCode::CONFLICT, "closed").await;
    says(&ada.page("/incidents").await, &["No open incident"]);
    says(&ada.page("/incidents?all=true").await, &["A shell on", "close"]);
    app.stop().await;
}

#[tokio::test]
async fn a_silence_is_made_from_an_alert_and_ended_by_forms() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let ada = signed_in(&app, 1, "Ada", &[Role::Responder]).await;
    let alert = alert_with(&ada, "space left").await;
    let form = ada.page(&format!("/silences?alert={alert}")).await;
    says(&form, &["alertname=disk-full\nenvironment=dev\nservice=shop", "Nothing is silenced"]);
    let matchers = "alertname=disk-full\r\n\r\nservice=shop\r\n";
    let fields = [("matchers", matchers), ("reason", "the disk is <changed>"), ("lasts", "8h")];
    assert_eq!(ada.does("/silences", &fields).await, "/silences");
    let page = ada.page("/silences").await;
    says(&page, &["alertname=disk-full", "the disk is &#60;changed&#62;", "Ada", "in 8 h", "End it now"]);
    let nonsense = [("matchers", "nonsense"), ("reason", "x"), ("lasts", "8h")];
    ada.may_not("/silences", &nonsense, StatusCode::BAD_REQUEST, "one matcher in a line").await;
    let everything = [("matchers", " "), ("reason", "x"), ("lasts", "8h")];
    ada.may_not("/silences", &everything, StatusCode::BAD_REQUEST, "silence everything").await;
    let end = page.split('"').find(|text| text.starts_with("/silences/") && text.ends_with("/end")).unwrap();
    ada.does(end, &[]).await;
    says(&ada.page("/silences").await, &["Nothing is silenced"]);
    app.stop().await;
}

const BEFORE: &str = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, webhook: {url: \"http://127.0.0.1:9/one\"}}]\n  route: {receiver: pager}\n";

/// The digest that a change's page names.
async fn digest(browser: &Browser, path: &str) -> String {
    let answer = browser.ask(Method::GET, &format!("/api/v1{path}")).send().await.unwrap();
    let change: serde_json::Value = answer.json().await.unwrap();
    change.get("digest").and_then(serde_json::Value::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn a_change_walks_to_production_by_the_forms_of_three_people_and_an_edit_voids_what_they_decided() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let ann = signed_in(&app, 1, "Ann", &[Role::Operator]).await;
    let ben = signed_in(&app, 2, "<u>Ben</u>", &[Role::Operator]).await;
    let cleo = signed_in(&app, 3, "Cleo", &[Role::Security]).await;
    let reader = signed_in(&app, 4, "Dan", &[Role::Auditor]).await;
    says(&ann.page("/changes").await, &["No change was proposed", "Propose a change", "approved"]);
    says(&ann.page("/changes/new").await, &["<option>shop</option>"]);
    let path = ann.does("/changes", &[("service", "shop"), ("text", &BEFORE.replace('\n', "\r\n"))]).await;
    let page = ann.page(&path).await;
    says(&page, &["Route main", "new", "a passed test in a lower environment", "You wrote it"]);
    assert!(!page.contains("Apply in prod"), "what lacks its decisions is not offered");
    says(&ann.page(&format!("{path}?target=test")).await, &["Apply in test"]);

    let act = |verb: &str| format!("{path}/{verb}");
    let one = digest(&ann, &path).await;
    ann.may_not(&act("apply"), &[("digest", &one), ("target", "prod")], StatusCode::CONFLICT, "needs").await;
    let tested = |digest: &str| {
        [("digest", digest), ("target", "prod"), ("environment", "test")].map(|(a, b)| (a, b.to_owned()))
    };
    let walk = async |digest: &str| {
        ann.does(&act("apply"), &[("digest", digest), ("target", "test")]).await;
        says(&ann.page(&path).await, &["It was tested in test"]);
        let fields = tested(digest);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
        ann.does(&act("test"), &fields).await;
        let on = [("digest", digest), ("target", "prod")];
        ann.may_not(&act("review"), &on, StatusCode::FORBIDDEN, "wrote").await;
        says(&ben.page(&path).await, &["Review: it is as it should be"]);
        ben.does(&act("review"), &on).await;
        says(&cleo.page(&path).await, &["Approve for security", "&#60;u&#62;Ben&#60;/u&#62;"]);
        cleo.does(&act("approve"), &on).await;
    };
    walk(&one).await;
    says(&ann.page(&path).await, &["Apply in prod", "nothing is missing"]);

    // One byte edited: nothing that was decided counts, and the page says so.
    ann.does(&act("edit"), &[("text", &BEFORE.replace("/one", "/two"))]).await;
    ann.may_not(&act("apply"), &[("digest", &one), ("target", "prod")], StatusCode::CONFLICT, "look again")
        .await;
    let page = reader.page(&path).await;
    says(&page, &["<span class=\"badge not-met\">void</span>", "Ann edited the change after it"]);
    says(&page, &["before it was edited", "a passed test in a lower environment, the service team"]);
    assert!(!page.contains("What you can do") && !page.contains("<u>Ben"), "{page}");
    let two = digest(&ann, &path).await;
    assert_ne!(one, two);

    walk(&two).await;
    ann.does(&act("apply"), &[("digest", &two), ("target", "prod")]).await;
    let page = reader.page(&path).await;
    says(&page, &["Ann, approved", "prod has it exactly like this"]);
    says(&reader.page("/changes").await, &["approved for prod", "Route main"]);

    // What would change is told line by line.
    let next = BEFORE.replace("/one", "/<three>");
    let path = ann.does("/changes", &[("service", "shop"), ("text", &next)]).await;
    says(&reader.page(&path).await, &["class=\"goes\"", "/two", "class=\"comes\"", "/&#60;three&#62;"]);
    ann.does(&format!("{path}/withdraw"), &[("reason", "not needed")]).await;
    says(&reader.page(&path).await, &["This change was withdrawn", "not needed"]);
    app.stop().await;
}

#[tokio::test]
async fn an_environment_that_a_team_of_one_declared_says_so_on_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let ann = signed_in(&app, 1, "Ann", &[Role::Operator, Role::Admin]).await;
    let declare = "/environments/prod/declare";
    let fields = [("gate", "self-approved"), ("reason", "we are one")];
    says(&ann.page("/environments").await, &["Declare it self-approved", "Refused where somebody else"]);
    assert_eq!(ann.does(declare, &fields).await, "/environments");
    says(&ann.page("/environments").await, &["self approved", "Ask for approval again"]);
    let path = ann.does("/changes", &[("service", "shop"), ("text", BEFORE)]).await;
    let page = ann.page(&format!("{path}?target=prod")).await;
    says(&page, &["prod is declared self-approved", "Apply in prod"]);
    let digest = digest(&ann, &path).await;
    ann.does(&format!("{path}/apply"), &[("digest", &digest), ("target", "prod")]).await;
    says(&ann.page(&path).await, &["self approved"]);
    says(&ann.page("/changes").await, &["self approved"]);
    let staged = app.web.store.documents("prod").await.unwrap();
    assert_eq!(staged.len(), 1);

    // Somebody came who can approve: nobody declares around that person.
    let back = [("gate", "approved"), ("reason", "we are two")];
    signed_in(&app, 2, "Cleo", &[Role::Security]).await;
    ann.does(declare, &back).await;
    ann.may_not(declare, &fields, StatusCode::FORBIDDEN, "Cleo has or had the role security").await;
    ann.may_not(declare, &[("gate", "open"), ("reason", "x")], StatusCode::BAD_REQUEST, "").await;
    app.stop().await;
}

#[tokio::test]
async fn an_acceptance_is_proposed_from_a_finding_approved_by_security_and_withdrawn_by_forms() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let ann = signed_in(&app, 1, "<b>Ann</b>", &[Role::Operator]).await;
    let sam = signed_in(&app, 2, "Sam", &[Role::Security]).await;
    let reader = signed_in(&app, 3, "Dan", &[Role::Auditor]).await;
    says(&ann.page("/acceptances").await, &["Nothing is accepted", "Propose an acceptance"]);
    let finding = "/findings/vulnerability/CVE-2024-5535?object=openssl";
    let page = ann.page(finding).await;
    let form = page.split('"').find(|text| text.starts_with("/acceptances/new?scope=")).unwrap();
    let form = ann.page(form).await;
    says(
        &form,
        &["vulnerability=CVE-2024-5535\npackage=openssl", "What it would take in", "6 findings on 6 assets"],
    );
    says(&ann.page("/acceptances/new?scope=%3Ci%3E").await, &["`&#60;i&#62;` is not a matcher"]);
    let scope = "vulnerability=CVE-2024-5535\r\nservice=shop";
    let fields = [
        ("scope", scope),
        ("reason", "the <vendor> is slow"),
        ("owner", "<b>Ann</b>"),
        ("until", "30d"),
        ("manual", "nobody reaches it from outside"),
        ("review_by", "14d"),
    ];
    let path = ann.does("/acceptances", &fields).await;
    says(&ann.page(&path).await, &["proposed", "the &#60;vendor&#62; is slow", "4 findings on 4 assets"]);
    let approve = format!("{path}/approve");
    let status = ann.post(&approve).send().await.unwrap().status();
    assert_eq!(status, StatusCode::FORBIDDEN, "who owns the risk does not approve it");
    says(&sam.page(&path).await, &["Approve for security"]);
    sam.does(&approve, &[]).await;
    let page = reader.page(&path).await;
    says(&page, &["in force", "What it covers", "nobody reaches it from outside"]);
    assert!(!page.contains("What you can do") && !page.contains("<b>Ann"), "{page}");
    let page = reader.page(finding).await;
    says(&page, &["Accepted on", "4 assets", "&#60;b&#62;Ann&#60;/b&#62;", "Accepted until"]);
    says(&reader.page("/findings?kind=vulnerability").await, &["4 accepted"]);
    says(&reader.page("/").await, &["4 findings are accepted"]);
    says(&reader.page("/acceptances").await, &["in force", "CVE-2024-5535"]);
    sam.does(&format!("{path}/review"), &[("holds", "true"), ("review_by", "20d")]).await;
    ann.does(&format!("{path}/withdraw"), &[("reason", "it is mended")]).await;
    says(&reader.page(&path).await, &["It has ended: withdrawn", "it is mended", "Its findings are open"]);
    assert!(!reader.page(finding).await.contains("Accepted on"));
    says(&reader.page("/acceptances").await, &["Nothing is accepted"]);
    says(&reader.page("/acceptances?all=true").await, &["CVE-2024-5535", "ended"]);
    app.stop().await;
}

#[tokio::test]
async fn a_finding_is_taken_given_and_commented_by_forms_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let assets = fleet::fill(&app).await;
    let ada = signed_in(&app, 1, "Ada", &[Role::Responder]).await;
    signed_in(&app, 2, "<i>Grace</i>", &[Role::Operator]).await;
    let auditor = signed_in(&app, 3, "Dan", &[Role::Auditor]).await;
    says(&ada.page("/findings/held").await, &["No open finding is in anybody's hands"]);
    let group = "/findings/vulnerability/CVE-2024-5535?object=openssl";
    let page = ada.page(group).await;
    let path = page.split('"').find(|text| text.starts_with("/findings/by-key/")).unwrap().to_owned();
    let page = ada.page(&path).await;
    says(
        &page,
        &["Nobody has put anything on it", "Take it", "&#60;i&#62;Grace&#60;/i&#62;", "Who else has it"],
    );
    let (key, asset) = path.split_once("?asset=").unwrap();
    let act = |verb: &str| format!("{key}/{verb}");
    assert_eq!(ada.does(&act("assign"), &[("asset", asset)]).await, path);
    says(&ada.page("/findings/held?owner=Ada").await, &["CVE-2024-5535", "web-1"]);
    let given = [("asset", asset), ("owner", "<i>Grace</i>"), ("reason", "she knows <TLS>")];
    ada.does(&act("assign"), &given).await;
    ada.does(&act("comment"), &[("asset", asset), ("text", "the <update> comes on Monday")]).await;
    ada.may_not(&act("comment"), &[("asset", asset), ("text", " ")], StatusCode::BAD_REQUEST, "").await;
    let page = auditor.page(&path).await;
    says(
        &page,
        &["she knows &#60;TLS&#62;", "the &#60;update&#62; comes on Monday", "assigned", "commented"],
    );
    assert!(!page.contains("Take it") && !page.contains("<i>Grace"), "{page}");
    let host = auditor.page(&format!("/assets/{}", assets[0].id)).await;
    says(&host, &["&#60;i&#62;Grace&#60;/i&#62;", "the &#60;update&#62; comes on Monday"]);
    says(&auditor.page(group).await, &["&#60;i&#62;Grace&#60;/i&#62;"]);
    let refused =
        auditor.post(&act("comment")).form(&[("asset", asset), ("text", "x")]).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    app.stop().await;
}
