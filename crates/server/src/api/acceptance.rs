//! Risk acceptances: who answers for findings that stay open, why, until when, and what holds meanwhile.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{MethodRouter, get, post};
use bartizan_core::acceptance::scope::Scope;
use bartizan_core::acceptance::{Acceptance, Approval, Control, End, Proposal, State as Life};
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::AcceptanceId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::selector::Selector;
use bartizan_core::time::{Duration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alert::{Because, Filter};
use super::openapi::Shape;
use super::person::Names;
use super::{Act, Answer, Ruled, decide_with};
use crate::acceptance::Look;
use crate::auth::{READERS, RESPONDERS};
use crate::problem::{Body, Problem, Query};
use crate::stages::acceptance::Review;
use crate::web::{Route, Web};

/// Who approves acceptances.
pub(crate) const APPROVERS: &[Role] = &[Role::Security];

/// The most findings that are named; the answer tells how many there are.
const FINDINGS_LIMIT: usize = 200;

/// One acceptance in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    /// `proposed`, `approved`, `in_force`, `flagged` or `ended`.
    pub state: String,
    /// Its scope: matchers that must all hold.
    pub scope: Vec<String>,
    pub reason: String,
    pub author: String,
    /// Who answers for the risk.
    pub owner: String,
    pub until: String,
    pub control: Guard,
    pub proposed_at: String,
    pub approved_by: Option<String>,
    pub approved_at: Option<String>,
    /// Since when its findings count as accepted.
    pub since: Option<String>,
    /// Since when, and why, nobody can say whether the control holds.
    pub flagged: Option<Flagged>,
    pub ended: Option<Ended>,
}

/// The compensating control.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Guard {
    /// `rule`, which our own checks look at, or `manual`.
    pub kind: String,
    /// The rule (`BASELINE/RULE`), or what a person looks at.
    pub name: String,
    /// By when somebody has to look at a manual one.
    pub review_by: Option<String>,
}

/// Nobody can say whether the control holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Flagged {
    pub since: String,
    pub reason: String,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    pub at: String,
    /// `expired`, `control_failed` or `withdrawn`.
    pub how: String,
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// One acceptance, with what it lies over now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    #[serde(flatten)]
    pub preview: Preview,
}

/// What a scope takes in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The findings that it takes in, those on most assets first.
    pub findings: Vec<Covered>,
    /// How many there are: each counts once for each asset that has it.
    pub found: u64,
    /// On how many assets.
    pub assets: u64,
    /// How the control stands there, where a rule was named: `met`, `not met`, or `unknown` with its reason.
    pub control_stands: Option<String>,
    /// What may be a mistake: that the scope takes in nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One finding over the fleet that a scope takes in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Covered {
    pub kind: String,
    pub subject: String,
    pub object: String,
    pub assets: u64,
}

/// Acceptances, those that end first before the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub acceptances: Vec<Row>,
}

/// A scope to be looked at before anybody asks for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scoped {
    pub(crate) scope: Selector,
    /// A rule (`BASELINE/RULE`) that would be its control.
    #[serde(default)]
    pub(crate) rule: Option<String>,
}

/// What somebody asks for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub(crate) scope: Selector,
    pub(crate) reason: String,
    /// Who answers for the risk, by name; whoever asks where it is left out.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// A time (RFC 3339), or a span from now on: `30d`.
    #[serde(default)]
    pub(crate) until: Option<String>,
    /// A rule (`BASELINE/RULE`) that our own checks look at …
    #[serde(default)]
    pub(crate) rule: Option<String>,
    /// … or what a person looks at,
    #[serde(default)]
    pub(crate) manual: Option<String>,
    /// next by this time, or within this span.
    #[serde(default)]
    pub(crate) review_by: Option<String>,
}

/// What was proposed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    pub id: String,
    #[serde(flatten)]
    pub ruled: Ruled,
    /// What may be a mistake: that the scope takes in nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Somebody looked at a manual control.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    pub(crate) holds: bool,
    /// When to look next; not needed where it does not hold.
    #[serde(default)]
    pub(crate) review_by: Option<String>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/acceptances").query::<Filter>(),
        Shape::get::<Described>("/api/v1/acceptances/{acceptance}"),
        Shape::post::<Preview>("/api/v1/acceptances/preview").body::<Scoped>(),
        Shape::post::<Proposed>("/api/v1/acceptances").body::<Wanted>(),
        Shape::post::<Ruled>("/api/v1/acceptances/{acceptance}/approve"),
        Shape::post::<Ruled>("/api/v1/acceptances/{acceptance}/review").body::<Reviewed>(),
        Shape::post::<Ruled>("/api/v1/acceptances/{acceptance}/withdraw").body::<Because>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    [asking(), judging()].into_iter().flatten().collect()
}

fn route(
    method: Method,
    path: &'static str,
    roles: &'static [Role],
    summary: &'static str,
    handler: MethodRouter<Web>,
) -> Route {
    Route { method, path, roles: Some(roles), summary: Some(summary), handler }
}

/// What there is, and asking for more.
fn asking() -> Vec<Route> {
    vec![
        route(
            Method::GET,
            "/api/v1/acceptances",
            READERS,
            "List acceptances that have not ended; `all=true` lists those that have, too.",
            get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
                list(&web, filter.all).await.map(Json)
            }),
        ),
        route(
            Method::GET,
            "/api/v1/acceptances/{acceptance}",
            READERS,
            "Describe an acceptance, with the findings that it takes in now.",
            get(|State(web): State<Web>, Path(acceptance): Path<String>| async move {
                describe(&web, &acceptance).await.map(Json)
            }),
        ),
        route(
            Method::POST,
            "/api/v1/acceptances/preview",
            READERS,
            "Say which findings a scope would take in.",
            post(|State(web): State<Web>, Body(scoped): Body<Scoped>| async move {
                preview(&web, scoped).await.map(Json)
            }),
        ),
        route(
            Method::POST,
            "/api/v1/acceptances",
            RESPONDERS,
            "Propose an acceptance: it covers nothing yet.",
            post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Body(wanted): Body<Wanted>| async move {
                    let proposed: Answer<Proposed> = propose(&web, &person, wanted).await.map(Json);
                    proposed
                },
            ),
        ),
    ]
}

/// What people decide on one.
fn judging() -> Vec<Route> {
    vec![
        route(
            Method::POST,
            "/api/v1/acceptances/{acceptance}/approve",
            APPROVERS,
            "Approve an acceptance for security: it takes effect once its control is seen to hold.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(acceptance): Path<String>| async move {
                    let ruled: Answer<Ruled> = approve(&web, &person, &acceptance).await.map(Json);
                    ruled
                },
            ),
        ),
        route(
            Method::POST,
            "/api/v1/acceptances/{acceptance}/review",
            RESPONDERS,
            "Say whether a manual control holds, and when to look next.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(acceptance): Path<String>,
                 Body(reviewed): Body<Reviewed>| async move {
                    let ruled: Answer<Ruled> = review(&web, &person, &acceptance, &reviewed).await.map(Json);
                    ruled
                },
            ),
        ),
        route(
            Method::POST,
            "/api/v1/acceptances/{acceptance}/withdraw",
            RESPONDERS,
            "Take an acceptance back, or turn it down: its findings are open again.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(acceptance): Path<String>,
                 Body(because): Body<Because>| async move {
                    let ruled: Answer<Ruled> = withdraw(&web, &person, &acceptance, because).await.map(Json);
                    ruled
                },
            ),
        ),
    ]
}

/// Acceptances, those that end first before the others.
pub(crate) async fn list(web: &Web, all: bool) -> Result<List, Problem> {
    let mut names = Names::default();
    let mut rows = Vec::new();
    for acceptance in web.store.acceptances(!all).await? {
        rows.push(row(web, &acceptance, &mut names).await?);
    }
    Ok(List { acceptances: rows })
}

/// One acceptance, with what it takes in now.
pub(crate) async fn describe(web: &Web, name: &str) -> Result<Described, Problem> {
    let not_found = || Problem::not_found("acceptance", name);
    let id: AcceptanceId = name.parse().map_err(|_| not_found())?;
    let acceptance = web.store.acceptance(id).await?.ok_or_else(not_found)?;
    let rule = match &acceptance.control {
        Control::Rule { baseline, rule } => Some((baseline.as_str(), rule.as_str())),
        Control::Manual { .. } => None,
    };
    let preview = taken_in(web, &acceptance.scope, rule).await?;
    Ok(Described { row: row(web, &acceptance, &mut Names::default()).await?, preview })
}

/// Which findings a scope would take in.
pub(crate) async fn preview(web: &Web, scoped: Scoped) -> Result<Preview, Problem> {
    let scope = Scope::new(scoped.scope).map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    let rule = scoped.rule.as_deref().map(pair).transpose()?;
    let mut preview = taken_in(web, &scope, rule).await?;
    preview.warnings = warnings(&preview);
    Ok(preview)
}

/// What whoever asks for a scope has to be told of it.
fn warnings(preview: &Preview) -> Vec<String> {
    let none = "the scope takes in no finding now; what comes to be like that later is taken in at once";
    preview.findings.is_empty().then(|| none.to_owned()).into_iter().collect()
}

/// Who may answer for a risk, by name.
pub(crate) async fn owners(web: &Web) -> Result<Vec<String>, Problem> {
    let people = web.store.people().await?.into_iter().filter(|person| !person.disabled);
    Ok(people.map(|person| person.name).collect())
}

async fn taken_in(web: &Web, scope: &Scope, rule: Option<(&str, &str)>) -> Result<Preview, Problem> {
    let mut look = Look::new(&web.store);
    let (mut preview, mut assets) = (Preview::default(), roaring::RoaringBitmap::new());
    for (fault, having) in look.covered(scope).await? {
        let [kind, subject, object] = fault.names();
        preview.found += having.len();
        preview.findings.push(Covered { kind, subject, object, assets: having.len() });
        assets |= having;
    }
    preview.findings.sort_by_key(|one| std::cmp::Reverse(one.assets));
    preview.findings.truncate(FINDINGS_LIMIT);
    preview.assets = assets.len();
    if let Some((baseline, rule)) = rule.filter(|_| !assets.is_empty()) {
        preview.control_stands =
            Some(look.control(baseline, rule, &assets, &web.stale.read()).await?.to_string());
    }
    Ok(preview)
}

/// A rule by its baseline and name.
fn pair(rule: &str) -> Result<(&str, &str), Problem> {
    rule.split_once('/').ok_or_else(|| {
        Problem::new(Class::Invalid, format_args!("`{rule}` is no rule"))
            .hint("a rule is named by its baseline and its id: openssh/permit-root-login")
    })
}

async fn row(web: &Web, acceptance: &Acceptance, names: &mut Names) -> Result<Row, Problem> {
    let now = web.ambient.now();
    let (approval, since, flag) = match &acceptance.state {
        Life::Proposed => (None, None, None),
        Life::Approved { approval } => (Some(*approval), None, None),
        Life::InForce { approval, since, flag } => (Some(*approval), Some(*since), *flag),
        Life::Ended { approval, .. } => (*approval, None, None),
    };
    let approved_by = match approval {
        Some(Approval { by, .. }) => Some(names.name(web, by).await?),
        None => None,
    };
    Ok(Row {
        id: acceptance.id.to_string(),
        state: acceptance.word(now).to_owned(),
        scope: acceptance.scope.selector().matchers().iter().map(ToString::to_string).collect(),
        reason: acceptance.reason.clone(),
        author: names.name(web, acceptance.author).await?,
        owner: names.name(web, acceptance.owner).await?,
        until: acceptance.until.to_string(),
        control: guard(&acceptance.control),
        proposed_at: acceptance.proposed_at.to_string(),
        approved_by,
        approved_at: approval.map(|approval| approval.at.to_string()),
        since: since.map(|since| since.to_string()),
        flagged: flag.map(|flag| Flagged { since: flag.since.to_string(), reason: flag.reason.to_string() }),
        ended: ended(web, acceptance, names, now).await?,
    })
}

fn guard(control: &Control) -> Guard {
    match control {
        Control::Rule { baseline, rule } => {
            Guard { kind: "rule".to_owned(), name: format!("{baseline}/{rule}"), review_by: None }
        }
        Control::Manual { name, review_by } => {
            Guard { kind: "manual".to_owned(), name: name.clone(), review_by: Some(review_by.to_string()) }
        }
    }
}

async fn ended(
    web: &Web,
    acceptance: &Acceptance,
    names: &mut Names,
    now: Timestamp,
) -> Result<Option<Ended>, Problem> {
    let Life::Ended { at, end, .. } = &acceptance.state else {
        // Its time is over, though nobody wrote that down yet.
        let expired = acceptance.has_ended(now).then(|| Ended {
            at: acceptance.until.to_string(),
            how: "expired".to_owned(),
            by: None,
            reason: None,
        });
        return Ok(expired);
    };
    let (how, by, reason) = match end {
        End::Expired => ("expired", None, None),
        End::ControlFailed => ("control_failed", None, None),
        End::Withdrawn { by, reason } => {
            ("withdrawn", Some(names.name(web, *by).await?), Some(reason.clone()))
        }
    };
    Ok(Some(Ended { at: at.to_string(), how: how.to_owned(), by, reason }))
}

/// A time as it stands (RFC 3339), or so long from now on.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let span = text.parse::<Duration>().map(|span| now.plus(span));
    span.or_else(|_| text.parse::<Timestamp>()).map_err(|_| {
        Problem::new(Class::Invalid, format_args!("`{text}` is neither a time nor a span"))
            .hint("write 2026-12-31T00:00:00Z, or 30d from now on")
    })
}

/// The same, where nothing is said by an empty field of a form.
fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Proposes an acceptance.
pub(crate) async fn propose(web: &Web, person: &Person, wanted: Wanted) -> Result<Proposed, Problem> {
    let now = web.ambient.now();
    let owner = match said(wanted.owner.as_deref()) {
        None => person.id,
        Some(name) => {
            let named = web.store.people().await?.into_iter().find(|person| person.name == name);
            named.ok_or_else(|| Problem::not_found("person", name))?.id
        }
    };
    let until = said(wanted.until.as_deref()).map(|text| time(text, now)).transpose()?;
    let control = match (said(wanted.rule.as_deref()), said(wanted.manual.as_deref())) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(Class::Invalid, "name one control: a rule, or what a person looks at"));
        }
        (Some(rule), None) => {
            let (baseline, id) = pair(rule)?;
            if web.policies.rule(baseline, id, &[]).await?.is_none() {
                return Err(Problem::not_found("rule", rule).hint("a control is a rule that is applied"));
            }
            Some(Control::Rule { baseline: baseline.to_owned(), rule: id.to_owned() })
        }
        (None, Some(name)) => {
            let by = said(wanted.review_by.as_deref()).map(|text| time(text, now)).transpose()?;
            let unsaid = || Problem::new(Class::Invalid, "say by when somebody looks at the manual control");
            Some(Control::Manual { name: name.to_owned(), review_by: by.ok_or_else(unsaid)? })
        }
        (None, None) => None,
    };
    let warnings = match Scope::new(wanted.scope.clone()) {
        Ok(scope) => warnings(&taken_in(web, &scope, None).await?),
        // The judge says what is wrong with it.
        Err(_) => Vec::new(),
    };
    let proposal = Proposal { owner, reason: wanted.reason, scope: wanted.scope, until, control };
    let id = AcceptanceId::mint(now, web.ambient.random()).to_string();
    let details = value(&proposal)?;
    let ruled = decide_with(web, person, Act { details, ..Act::new("acceptance.propose", &id) }).await;
    let ruled = ruled.map_err(|problem| problem.warn(warnings.clone()))?;
    Ok(Proposed { id, ruled, warnings })
}

fn value(details: &impl Serialize) -> Result<Option<Value>, Problem> {
    Value::from_data(details).map(Some).map_err(|error| Problem::new(Class::Invalid, error))
}

/// Approves an acceptance for security.
pub(crate) async fn approve(web: &Web, person: &Person, acceptance: &str) -> Result<Ruled, Problem> {
    decide_with(web, person, Act::new("acceptance.approve", acceptance)).await
}

/// Says whether a manual control holds.
pub(crate) async fn review(
    web: &Web,
    person: &Person,
    acceptance: &str,
    reviewed: &Reviewed,
) -> Result<Ruled, Problem> {
    let now = web.ambient.now();
    let next = said(reviewed.review_by.as_deref()).map(|text| time(text, now)).transpose()?;
    let details = value(&Review { holds: reviewed.holds, review_by: next.unwrap_or(now) })?;
    decide_with(web, person, Act { details, ..Act::new("acceptance.review", acceptance) }).await
}

/// Takes an acceptance back, or turns it down.
pub(crate) async fn withdraw(
    web: &Web,
    person: &Person,
    acceptance: &str,
    because: Because,
) -> Result<Ruled, Problem> {
    let act = Act { reason: because.reason, ..Act::new("acceptance.withdraw", acceptance) };
    decide_with(web, person, act).await
}
