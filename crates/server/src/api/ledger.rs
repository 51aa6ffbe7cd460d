//! The ledger: its head, its newest entries, and bundles to verify elsewhere.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use bartizan_core::error::Class;
use bartizan_ledger::entry::Body as Kept;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// The most entries that one page lists.
const PAGE_LIMIT: usize = 100;

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

#[derive(Debug, Default, Deserialize)]
pub struct Page {
    /// The leaf before which the page ends; the newest where it is none.
    pub before: Option<u64>,
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
            path: "/api/v1/ledger/bundle",
            roles: Some(READERS),
            summary: Some("The whole ledger as a bundle that `bartizan-verify` checks offline."),
            handler: get(bundle),
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

async fn bundle(State(web): State<Web>) -> Result<Response, Problem> {
    let head = web.store.checkpoint().await?;
    let head = head.ok_or_else(|| Problem::new(Class::NotFound, "the ledger has no entry yet"))?;
    let bug = |error: String| Problem::new(Class::Bug, error);
    let signed = web.ledger_key.open(&head.note).map_err(|error| bug(error.to_string()))?;
    let mut entries = Vec::new();
    while (entries.len() as u64) < head.size {
        let left = usize::try_from(head.size - entries.len() as u64).unwrap_or(BUNDLE_BATCH);
        let batch = web.store.leaves(entries.len() as u64, left.min(BUNDLE_BATCH)).await?;
        if batch.is_empty() {
            return Err(bug("the ledger has fewer entries than its head says".to_owned()));
        }
        entries.extend(batch.into_iter().map(|(_, entry)| entry));
    }
    let mut out = Vec::new();
    bartizan_ledger::export(&mut out, &web.ledger_key, &signed, entries)
        .map_err(|error| bug(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.bundle\""),
    ];
    Ok((headers, Body::from(out)).into_response())
}
