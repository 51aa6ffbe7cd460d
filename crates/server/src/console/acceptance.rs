//! Risk acceptances: what stays open on purpose, by whom, until when, and what holds meanwhile.

use std::str::FromStr as _;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::selector::{Matcher, Selector};
use serde::Deserialize;

use super::act::{self, Said};
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::acceptance::{self, Described, Preview, Reviewed, Row, Scoped, Wanted};
use crate::api::alert::{Because, Filter};
use crate::auth::{READERS, RESPONDERS};
use crate::problem::Problem;
use crate::web::{Route, Web};

/// How long an acceptance made on the page may last: as it is asked for, and as people say it.
const SPANS: [(&str, &str); 5] =
    [("7d", "a week"), ("30d", "30 days"), ("90d", "90 days"), ("180d", "half a year"), ("365d", "a year")];

/// How long it lasts where nobody chooses.
const SPAN: &str = "30d";

#[derive(Template)]
#[template(path = "acceptance/list.html")]
struct List {
    now: Now,
    acceptances: Vec<Row>,
    all: bool,
    may: bool,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "acceptance/new.html")]
struct New {
    draft: Draft,
    /// What the scope takes in, where it says anything that can be looked up.
    preview: Option<Preview>,
    /// Why it can't be.
    problem: Option<String>,
    me: String,
    owners: Vec<String>,
}

impl HtmlSafe for New {}

#[derive(Template)]
#[template(path = "acceptance/one.html")]
struct One {
    now: Now,
    acceptance: Described,
    may_approve: bool,
    may_review: bool,
    may_withdraw: bool,
    pending: bool,
}

impl HtmlSafe for One {}

/// What somebody writes before they ask: a page of it can be linked to.
#[derive(Clone, Debug, Default, Deserialize)]
struct Draft {
    /// One matcher in a line.
    #[serde(default)]
    scope: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    manual: String,
    #[serde(default)]
    review_by: String,
}

/// Somebody looked at a manual control.
#[derive(Debug, Deserialize)]
struct Looked {
    holds: bool,
    #[serde(default)]
    review_by: String,
}

pub(super) fn routes() -> Vec<Route> {
    let page = |path, roles, handler| Route {
        method: Method::GET,
        path,
        roles: Some(roles),
        summary: None,
        handler,
    };
    let does = |path, roles, handler| Route {
        method: Method::POST,
        path,
        roles: Some(roles),
        summary: None,
        handler,
    };
    vec![
        page("/acceptances", READERS, get(list)),
        page("/acceptances/new", RESPONDERS, get(new)),
        page("/acceptances/{acceptance}", READERS, get(one)),
        does("/acceptances", RESPONDERS, post(propose)),
        does("/acceptances/{acceptance}/approve", acceptance::APPROVERS, post(approve)),
        does("/acceptances/{acceptance}/review", RESPONDERS, post(review)),
        does("/acceptances/{acceptance}/withdraw", RESPONDERS, post(withdraw)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let acceptances = acceptance::list(&web, filter.all).await?.acceptances;
    let place = Place::new(Section::Acceptances, "Acceptances").lead(
        "Findings that stay open on purpose: somebody answers for them, for a while, behind a control that holds.",
    );
    let may = asked.may(RESPONDERS);
    let part = List { now: asked.now, acceptances, all: filter.all, may };
    asked.answer(place, part)
}

async fn new(State(web): State<Web>, asked: Asked, Query(draft): Query<Draft>) -> Answer {
    let (preview, problem) = match looked_up(&web, &draft).await {
        Ok(preview) => (preview, None),
        Err(problem) => (None, Some(problem.title().to_owned())),
    };
    let place = Place::new(Section::Acceptances, "Propose an acceptance")
        .below("Acceptances", "/acceptances")
        .lead("Look first which findings the scope takes in. Security approves it, by somebody else.")
        .still();
    let me = asked.person.as_ref().map(|person| person.name.clone()).unwrap_or_default();
    let owners = acceptance::owners(&web).await?;
    asked.answer(place, New { draft, preview, problem, me, owners })
}

async fn looked_up(web: &Web, draft: &Draft) -> Result<Option<Preview>, Problem> {
    if draft.scope.trim().is_empty() {
        return Ok(None);
    }
    let rule = Some(draft.rule.clone()).filter(|rule| !rule.trim().is_empty());
    acceptance::preview(web, Scoped { scope: selector(&draft.scope)?, rule }).await.map(Some)
}

fn selector(lines: &str) -> Result<Selector, Problem> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let matchers: Result<Vec<Matcher>, _> = lines.map(Matcher::from_str).collect();
    let matchers = matchers.map_err(|error| {
        Problem::new(Class::Invalid, error).hint("write one matcher in a line, as vulnerability=CVE-2024-1")
    })?;
    Ok(Selector::new(matchers))
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let acceptance = acceptance::describe(&web, &name).await?;
    let row = &acceptance.row;
    let me = asked.person.as_ref();
    let theirs = me.is_some_and(|person| [&row.author, &row.owner].contains(&&person.name));
    let (security, open) = (asked.may(acceptance::APPROVERS), row.ended.is_none());
    let place = Place::new(Section::Acceptances, row.scope.join(", "))
        .below("Acceptances", "/acceptances")
        .lead(row.reason.clone());
    let part = One {
        now: asked.now,
        may_approve: security && row.state == "proposed" && !theirs,
        may_review: security && open && row.control.kind == "manual" && row.state != "proposed" && !theirs,
        may_withdraw: open
            && asked.may(RESPONDERS)
            && (theirs || me.is_some_and(|me| me.has_any(&[Role::Security]))),
        pending: said.pending,
        acceptance,
    };
    asked.answer(place, part)
}

async fn propose(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Form(draft): Form<Draft>,
) -> Answer {
    let wanted = Wanted {
        scope: selector(&draft.scope)?,
        reason: draft.reason,
        owner: Some(draft.owner),
        until: Some(draft.until),
        rule: Some(draft.rule),
        manual: Some(draft.manual),
        review_by: Some(draft.review_by),
    };
    let proposed = acceptance::propose(&web, &person, wanted).await?;
    Ok(act::back(&path(&proposed.id), &proposed.ruled))
}

async fn approve(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(acceptance): Path<String>,
) -> Answer {
    let ruled = acceptance::approve(&web, &person, &acceptance).await?;
    Ok(act::back(&path(&acceptance), &ruled))
}

async fn review(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(acceptance): Path<String>,
    Form(Looked { holds, review_by }): Form<Looked>,
) -> Answer {
    let reviewed = Reviewed { holds, review_by: Some(review_by) };
    let ruled = acceptance::review(&web, &person, &acceptance, &reviewed).await?;
    Ok(act::back(&path(&acceptance), &ruled))
}

async fn withdraw(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(acceptance): Path<String>,
    Form(because): Form<Because>,
) -> Answer {
    let ruled = acceptance::withdraw(&web, &person, &acceptance, because).await?;
    Ok(act::back(&path(&acceptance), &ruled))
}

fn path(acceptance: &str) -> String {
    format!("/acceptances/{}", part::segment(acceptance))
}
