//! The ledger: its head, its newest entries, and bundles to verify elsewhere.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use bartizan_core::error::Class;
use bartizan_ledger::checkpoint::Signed;
use bartizan_ledger::entry::Body as Kept;
use bartizan_ledger::select;
use bartizan_ledger::tree::{Node, proof};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::{Problem, Query};
use crate::web::{Route, Web};

/// The most entries that one page lists.
const PAGE_LIMIT: usize = 100;

/// The media type of a bundle: a JSON value a line.
const MEDIA_TYPE: &str = "application/jsonl";

/// The most entries read at once for a bundle.
const BUNDLE_BATCH: usize = 1_000;

/// The head of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    pub size: u64,
    pub at: Option<String>,
    /// The signed note; none before the first entry.
    pub note: Option<String>,
    pub key: String,
    /// Entries that wait for their number.
    pub waiting: u64,
}

/// One entry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub leaf: u64,
    pub at: String,
    pub source: String,
    pub counter: u64,
    pub kind: String,
    /// The body; none where it was erased.
    pub body: Option<String>,
    /// Whether the leaf holds a salted commitment, and the body can be erased.
    pub salted: bool,
}

/// A page of entries, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub head: Head,
    pub entries: Vec<Row>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Page {
    /// The leaf before which the page ends; the newest where it is none.
    #[schemars(range(max = u64::MAX))]
    pub before: Option<u64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Since {
    /// The size of a checkpoint that was kept elsewhere: the proof shows that the ledger continues it.
    #[schemars(range(max = u64::MAX))]
    pub since: Option<u64>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/ledger").query::<Page>(),
        Shape::get::<Head>("/api/v1/ledger/head"),
        Shape::download("/api/v1/ledger/bundle", MEDIA_TYPE),
        Shape::download("/api/v1/ledger/proof/{leaf}", MEDIA_TYPE).query::<Since>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/ledger",
            roles: Some(READERS),
            summary: Some("The head of the ledger and its newest entries."),
            handler: get(|State(web): State<Web>, Query(page): Query<Page>| async move {
                list(&web, page.before).await.map(Json)
            }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/ledger/head",
            roles: Some(READERS),
            summary: Some("The head of the ledger: keep its note elsewhere."),
            handler: get(|State(web): State<Web>| async move { head(&web).await.map(Json) }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/ledger/bundle",
            roles: Some(READERS),
            summary: Some("The whole ledger as a bundle that `bartizan-verify` checks offline."),
            handler: get(bundle),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/ledger/proof/{leaf}",
            roles: Some(READERS),
            summary: Some(
                "One entry with the proof that the ledger has it, as a bundle that `bartizan-verify` checks.",
            ),
            handler: get(prove),
        },
    ]
}

/// The head.
pub(crate) async fn head(web: &Web) -> Result<Head, Problem> {
    let head = web.store.checkpoint().await?;
    Ok(Head {
        size: head.as_ref().map_or(0, |head| head.size),
        at: head.as_ref().map(|head| head.at.to_string()),
        note: head.map(|head| head.note),
        key: web.ledger_key.to_string(),
        waiting: web.store.staged().await?,
    })
}

/// The head and a page of entries.
pub(crate) async fn list(web: &Web, before: Option<u64>) -> Result<List, Problem> {
    let head = head(web).await?;
    let end = before.unwrap_or(head.size).min(head.size);
    let from = end.saturating_sub(PAGE_LIMIT as u64);
    let limit = usize::try_from(end - from).unwrap_or(PAGE_LIMIT);
    let mut entries: Vec<Row> = web
        .store
        .leaves(from, limit)
        .await?
        .into_iter()
        .map(|(leaf, entry)| Row {
            leaf,
            at: entry.envelope.at.to_string(),
            source: entry.envelope.source,
            counter: entry.envelope.counter,
            kind: entry.envelope.kind,
            salted: matches!(entry.body, Some(Kept::Salted { .. })),
            body: entry.body.map(|body| body.text().to_owned()),
        })
        .collect();
    entries.reverse();
    Ok(List { head, entries })
}

/// The newest signed head, opened.
async fn signed(web: &Web) -> Result<Signed, Problem> {
    let head = web.store.checkpoint().await?;
    let head = head.ok_or_else(|| Problem::new(Class::NotFound, "the ledger has no entry yet"))?;
    web.ledger_key.open(&head.note).map_err(bug)
}

fn bug(error: impl std::fmt::Display) -> Problem {
    Problem::new(Class::Bug, error)
}

fn attachment(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, MEDIA_TYPE.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, Body::from(bytes)).into_response()
}

async fn bundle(State(web): State<Web>) -> Result<Response, Problem> {
    let signed = signed(&web).await?;
    let size = signed.checkpoint().size;
    let mut entries = Vec::new();
    while (entries.len() as u64) < size {
        let left = usize::try_from(size - entries.len() as u64).unwrap_or(BUNDLE_BATCH);
        let batch = web.store.leaves(entries.len() as u64, left.min(BUNDLE_BATCH)).await?;
        if batch.is_empty() {
            return Err(bug("the ledger has fewer entries than its head says"));
        }
        entries.extend(batch.into_iter().map(|(_, entry)| entry));
    }
    let mut out = Vec::new();
    bartizan_ledger::export(&mut out, &web.ledger_key, &signed, entries).map_err(bug)?;
    Ok(attachment("ledger.bundle", out))
}

async fn prove(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(held): Query<Since>,
) -> Result<Response, Problem> {
    let signed = signed(&web).await?;
    let size = signed.checkpoint().size;
    let not_found = || {
        Problem::not_found("ledger entry", &asked)
            .hint(format_args!("entries are numbered from 0; the newest signed head covers {size}"))
    };
    let leaf: u64 = asked.parse().map_err(|_| not_found())?;
    if leaf >= size {
        return Err(not_found());
    }
    if held.since.is_some_and(|since| since > size) {
        let problem = format!("the ledger has {size} entries, fewer than the checkpoint that you hold says");
        return Err(Problem::new(Class::Conflict, problem).hint("it was cut off: keep that checkpoint"));
    }
    let entry = web.store.leaves(leaf, 1).await?.pop();
    let entry = entry.filter(|(number, _)| *number == leaf).ok_or_else(|| bug("a leaf is missing"))?;
    let since: Vec<u64> = held.since.into_iter().collect();
    let nodes = web.store.nodes(&wanted(leaf, size, &since)).await?;
    let mut out = Vec::new();
    let read = |node: Node| nodes.get(&node).copied();
    select(&mut out, &web.ledger_key, &signed, &since, [entry], read).map_err(bug)?;
    Ok(attachment(&format!("ledger-{leaf}.bundle"), out))
}

/// The stored nodes that the proofs are made of: the tree knows which they are once it is asked.
fn wanted(leaf: u64, size: u64, since: &[u64]) -> Vec<Node> {
    let mut wanted = Vec::new();
    let mut note = |node: Node| {
        wanted.push(node);
        Some(bartizan_ledger::tree::empty_root())
    };
    let _ = proof::inclusion(leaf, size, &mut note);
    for since in since {
        let _ = proof::consistency(*since, size, &mut note);
    }
    wanted
}
