//! Changes: what each would do, what people decided on it, what is missing, where it was applied.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use serde::Deserialize;

use super::act;
use super::frame::{Place, Section};
use super::part::{self, Now, Step};
use super::{Answer, Asked};
use crate::api::change::{self, Described, Does, Past, Proposal, Row, Stage};
use crate::api::document::File;
use crate::api::environment;
use crate::auth::{OPERATORS, READERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "change/list.html")]
struct List {
    now: Now,
    changes: Vec<Row>,
    ladder: Vec<environment::Row>,
    full: bool,
    may: bool,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "change/new.html")]
struct New {
    /// The services on whose team who looks is.
    services: Vec<String>,
}

impl HtmlSafe for New {}

#[derive(Template)]
#[template(path = "change/one.html")]
struct One {
    now: Now,
    change: Described,
    /// How far it has come on the way to the environment that is looked at.
    stage: Stage,
    steps: Vec<Step>,
    acts: Acts,
    /// The documents as one text to edit; none where it is too long, or who looks may not.
    text: Option<String>,
    pending: bool,
}

impl HtmlSafe for One {}

/// What who looks may do now; the server judges again when they do.
#[derive(Clone, Debug, Default)]
struct Acts {
    /// Anything at all.
    any: bool,
    apply: bool,
    /// The lower environments where it may be said to be tested: the content is there.
    test: Vec<String>,
    /// Those where a test may be said to have failed: also after a pass.
    fail: Vec<String>,
    review: bool,
    approve: bool,
    reject: bool,
    break_glass: bool,
    withdraw: bool,
    edit: bool,
    /// They wrote it: somebody else has to judge it.
    own: bool,
}

/// Which environment is looked at, and what became of an act.
#[derive(Debug, Default, Deserialize)]
struct Look {
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    pending: bool,
}

/// What a form says of documents: the text of all of them.
#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    service: String,
    text: String,
}

pub(super) fn routes() -> Vec<Route> {
    let page = |path, roles, handler| Route {
        method: Method::GET,
        path,
        roles: Some(roles),
        summary: None,
        handler,
    };
    let does =
        |path, handler| Route { method: Method::POST, path, roles: Some(OPERATORS), summary: None, handler };
    vec![
        page("/changes", READERS, get(list)),
        page("/changes/new", OPERATORS, get(new)),
        page("/changes/{change}", READERS, get(one)),
        does("/changes", post(propose)),
        does("/changes/{change}/edit", post(edit)),
        does("/changes/{change}/{act}", post(act)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked) -> Answer {
    let changes = change::list(&web).await?.changes;
    let full = changes.len() >= change::PAGE_LIMIT;
    let place = Place::new(Section::Changes, "Changes")
        .lead("What people propose, on its way to production: tested, reviewed, approved, by its digest.");
    let (ladder, may) = (environment::list(&web).await?.environments, asked.may(OPERATORS));
    let part = List { now: asked.now, changes, ladder, full, may };
    asked.answer(place, part)
}

async fn new(asked: Asked) -> Answer {
    let services = asked.person.iter().flat_map(|person| person.services.iter().cloned()).collect();
    let place = Place::new(Section::Changes, "Propose a change")
        .below("Changes", "/changes")
        .lead("Whole documents, as they are to be. Proposing moves nothing.")
        .still();
    asked.answer(place, New { services })
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(look): Query<Look>,
) -> Answer {
    let change = change::describe(&web, &name, look.target.as_deref()).await?;
    let row = &change.row;
    let found = row.stages.iter().find(|stage| stage.target == change.against).cloned();
    let stage = found.ok_or_else(|| crate::problem::Problem::not_found("environment", &change.against))?;
    let acts = acts(&change, &stage, asked.person.as_ref());
    let text = if acts.edit { change::text(&web, &name).await? } else { None };
    let place = Place::new(Section::Changes, title(row)).below("Changes", "/changes").lead(format!(
        "A change of the service {}, proposed by {}",
        row.service,
        row.authors.join(", ")
    ));
    let steps = steps(row, &stage);
    let part = One { now: asked.now, stage, steps, acts, text, pending: look.pending, change };
    asked.answer(place, part)
}

/// What a change is called: by its first document, and how many more it has.
fn title(row: &Row) -> String {
    let first = row.documents.first().map(|first| format!("{} {}", first.kind, first.name));
    match (first, row.documents.len().saturating_sub(1)) {
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} and {more} more"),
        (None, _) => row.id.clone(),
    }
}

/// The way to one environment: what it asks for, what lies behind, what is next.
fn steps(row: &Row, stage: &Stage) -> Vec<Step> {
    let mut steps = vec![Step::new("propose").note(row.authors.join(", ")).done()];
    if stage.gate == "approved" {
        for (place, name) in ["test", "review", "approval"].into_iter().enumerate() {
            let held = stage.steps.iter().find(|step| step.step == name);
            let step = match held {
                Some(held) => {
                    let by = held.by.clone().unwrap_or_default();
                    let place = held.environment.as_ref().map(|place| format!(" in {place}"));
                    Step::new(name).note(format!("{by}{}", place.unwrap_or_default())).done()
                }
                None if place == stage.decisions && !row.withdrawn => {
                    Step::new(name).note("is missing").here()
                }
                None => Step::new(name).note("is missing"),
            };
            steps.push(step);
        }
    }
    let applied = row.applied.iter().rev().find(|one| one.target == stage.target && one.digest == row.digest);
    steps.push(match applied {
        Some(applied) => {
            Step::new("apply").note(format!("{}, {}", applied.by, part::plain(&applied.path))).done()
        }
        None if stage.missing.is_empty() && !row.withdrawn => {
            Step::new("apply").note("nothing is missing").here()
        }
        None => Step::new("apply").note(format!("in {}", stage.target)),
    });
    steps
}

fn acts(change: &Described, stage: &Stage, person: Option<&Person>) -> Acts {
    let row = &change.row;
    let Some(person) = person.filter(|person| person.has_any(OPERATORS) && !row.withdrawn) else {
        return Acts::default();
    };
    let own = row.authors.contains(&person.name);
    let team = person.has_any(&[Role::Operator]) && person.services.contains(&row.service);
    let security = person.has_any(&[Role::Security]);
    let has = |target: &str| row.applied.iter().any(|one| one.target == target && one.digest == row.digest);
    let below = row.stages.iter().take_while(|rung| rung.target != stage.target);
    let gated = stage.gate == "approved";
    let tested: Vec<String> = below.map(|rung| rung.target.clone()).filter(|target| has(target)).collect();
    let broken = change.broken_glass.iter().any(|glass| glass.target == stage.target);
    let open = !stage.missing.is_empty();
    let let_in =
        change.broken_glass.iter().any(|glass| glass.target == stage.target && glass.digest == row.digest);
    Acts {
        any: true,
        apply: team && (!open || let_in) && !has(&stage.target),
        test: if team && gated && stage.decisions == 0 { tested.clone() } else { Vec::new() },
        fail: if team && gated { tested } else { Vec::new() },
        review: team && gated && stage.decisions == 1 && !own,
        approve: security && gated && stage.decisions == 2 && !own,
        reject: gated && stage.decisions > 0 && (security || team) && !own,
        break_glass: team && gated && open && !broken,
        withdraw: team || own,
        edit: team || own || security,
        own,
    }
}

async fn propose(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Form(Written { service, text }): Form<Written>,
) -> Answer {
    let proposal = Proposal { service, files: vec![file(text)], deleted: Vec::new() };
    let proposed = change::propose(&web, &person, proposal).await?;
    Ok(act::back(&path(&proposed.id, ""), &proposed.ruled))
}

async fn edit(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(change): Path<String>,
    Form(written): Form<Written>,
) -> Answer {
    // The form holds what the change writes; what it deletes stays as it is.
    let deleted = change::deleted(&web, &change).await?;
    let files: Vec<File> = if written.text.trim().is_empty() { Vec::new() } else { vec![file(written.text)] };
    let edited = change::edit(&web, &person, &change, &files, &deleted).await?;
    Ok(act::back(&path(&change, ""), &edited.ruled))
}

async fn act(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path((change, verb)): Path<(String, String)>,
    Form(does): Form<Does>,
) -> Answer {
    let target = does.target.clone();
    let ruled = change::act(&web, &person, &change, &verb, does).await?;
    Ok(act::back(&path(&change, &target), &ruled))
}

/// The text of a form as a file; browsers send lines as CRLF.
fn file(text: String) -> File {
    File { name: "documents.yaml".to_owned(), text: text.replace("\r\n", "\n") }
}

/// To the change's page, where it looks at an environment.
fn path(change: &str, target: &str) -> String {
    let change = part::segment(change);
    if target.is_empty() {
        format!("/changes/{change}")
    } else {
        format!("/changes/{change}?target={}", part::segment(target))
    }
}

/// How an act stands, as a badge.
fn standing(past: &Past) -> part::Badge {
    match past.state.as_str() {
        "void" => part::state("void"),
        "refused" => part::state("refused"),
        "pending" => part::state("pending"),
        _ => part::word(&past.act),
    }
}

/// The class of a line by its mark.
fn tone(mark: &char) -> &'static str {
    match mark {
        '+' => "comes",
        '-' => "goes",
        '@' => "gap",
        _ => "stays",
    }
}

/// What a change does to a document, as a badge.
fn fate(fate: &str) -> part::Badge {
    match fate {
        "deleted" => part::state("deleted"),
        fate => part::word(fate),
    }
}

/// What somebody did, as a sentence goes on after their name: what was refused, or waits for its ruling, was
/// asked for and not done.
fn did(past: &Past) -> String {
    let asked = asked(past);
    match past.state.as_str() {
        "refused" => format!("asked to {asked}; it was refused"),
        "pending" => format!("asked to {asked}; it waits for its ruling"),
        _ => done(past),
    }
}

/// The same, as what they asked for.
fn asked(past: &Past) -> String {
    let Past { target, environment, .. } = past;
    match past.act.as_str() {
        "propose" => "propose it".to_owned(),
        "edit" => "edit it".to_owned(),
        "test" if past.failed => format!("fail its test in {environment} on the way to {target}"),
        "test" => format!("pass its test in {environment} on the way to {target}"),
        "review" => format!("review it for {target}"),
        "approve" => format!("approve it for {target}"),
        "reject" => format!("reject it for {target}"),
        "break-glass" => format!("break the glass for {target}"),
        "apply" => format!("apply it in {target}"),
        "withdraw" => "withdraw it".to_owned(),
        other => format!("do: {other}"),
    }
}

fn done(past: &Past) -> String {
    let Past { target, environment, .. } = past;
    match past.act.as_str() {
        "propose" => "proposed it".to_owned(),
        "edit" => "edited it".to_owned(),
        "test" if past.failed => format!("saw its test fail in {environment} on the way to {target}"),
        "test" => format!("tested it in {environment} on the way to {target}"),
        "review" => format!("reviewed it for {target}"),
        "approve" => format!("approved it for {target}"),
        "reject" => format!("rejected it for {target}"),
        "break-glass" => format!("broke the glass for {target}"),
        "apply" => format!("applied it in {target}"),
        "withdraw" => "withdrew it".to_owned(),
        other => format!("did: {other}"),
    }
}

/// Whether nobody decided anything on it.
fn untouched(row: &Row) -> bool {
    row.stages.iter().all(|stage| stage.decisions == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_that_was_refused_reads_as_asked_for_and_not_as_done() {
        let past = |state: &str| Past {
            at: String::new(),
            by: "ann".to_owned(),
            act: "approve".to_owned(),
            target: "prod".to_owned(),
            environment: String::new(),
            failed: false,
            digest: None,
            reason: String::new(),
            state: state.to_owned(),
            why: None,
        };
        let table = [
            ("stands", "approved it for prod"),
            ("void", "approved it for prod"),
            ("refused", "asked to approve it for prod; it was refused"),
            ("pending", "asked to approve it for prod; it waits for its ruling"),
        ];
        for (state, words) in table {
            assert_eq!(did(&past(state)), words);
        }
    }
}
