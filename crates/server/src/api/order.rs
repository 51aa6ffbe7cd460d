//! Orders: what agents were asked to do by enforcement, and how it ended.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::asset::Asset;
use bartizan_core::configuration::baseline::Fix;
use bartizan_core::order::{End, Ending, Order, Step, StepOutcome};
use bartizan_store::order::{Given, PAGE_LIMIT};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::{Problem, Query};
use crate::web::{Route, Web};

/// How many orders a list holds where nothing is said.
const LIMIT: usize = 100;

/// One step of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    /// The rule that it mends: `debian-12/file-passwd`.
    pub rule: String,
    /// What is to be, in the agent's fixed vocabulary.
    pub fix: Fix,
    /// `done`, `unchanged`, `failed` or `left`; none while nothing was told of it.
    pub outcome: Option<String>,
    /// How it was before, or what went wrong.
    pub told: Option<String>,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The asset's name.
    pub asset: String,
    pub asset_id: String,
    /// Counts the orders of this asset.
    pub generation: u64,
    pub digest: String,
    /// The digest of the documents that it comes from.
    pub plan: String,
    pub given_at: String,
    pub not_after: String,
    /// `carried_out`, `failed`, `refused`, `lapsed` or `withdrawn`; none while it is open.
    pub end: Option<String>,
    pub ended_at: Option<String>,
    /// Why the host does not do it.
    pub problem: Option<String>,
    pub steps: Vec<StepRow>,
}

/// Orders, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub orders: Vec<Row>,
}

/// Which orders are listed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The asset's name or identifier.
    pub asset: Option<String>,
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<usize>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<List>("/api/v1/orders").query::<Asked>()]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/orders",
        roles: Some(READERS),
        summary: Some("List what agents were asked to do, and how it ended."),
        handler: get(|State(web): State<Web>, Query(asked): Query<Asked>| async move {
            let asset = match &asked.asset {
                Some(name) => Some(super::asset::find(&web, name).await?),
                None => None,
            };
            let answer: Answer<List> =
                list(&web, asset.as_ref(), asked.limit.unwrap_or(LIMIT)).await.map(Json);
            answer
        }),
    }]
}

/// Orders, the newest first; of one asset where it is named.
pub(crate) async fn list(web: &Web, of: Option<&Asset>, limit: usize) -> Result<List, Problem> {
    let given = web.store.orders(of.map(|asset| asset.number), limit.clamp(1, PAGE_LIMIT)).await?;
    let mut numbers: Vec<_> = given.iter().map(|given| given.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let assets = web.store.assets_by_number(&numbers).await?;
    let mut orders = Vec::with_capacity(given.len());
    for given in &given {
        let name = assets
            .get(&given.number)
            .map_or_else(|| given.order.asset.to_string(), |asset| asset.name.clone());
        orders.push(row(name, given)?);
    }
    Ok(List { orders })
}

fn row(asset: String, given: &Given) -> Result<Row, Problem> {
    let order = &given.order;
    let problem = match given.told() {
        Some(Ending::Refused(reason)) => Some(reason.clone()),
        _ => None,
    };
    let outcomes: &[StepOutcome] = match given.told() {
        Some(Ending::CarriedOut(outcomes)) => outcomes,
        _ => &[],
    };
    let steps = order.steps.iter().enumerate().map(|(place, step)| {
        let Step::Fix { baseline, rule, fix } = step;
        let outcome = outcomes.get(place);
        StepRow {
            rule: format!("{baseline}/{rule}"),
            fix: fix.clone(),
            outcome: outcome.map(|outcome| word(outcome).to_owned()),
            told: outcome.and_then(StepOutcome::text).cloned(),
        }
    });
    Ok(Row {
        asset,
        asset_id: order.asset.to_string(),
        generation: order.generation,
        digest: given.digest()?.to_string(),
        plan: order.plan.to_string(),
        given_at: given.given_at.to_string(),
        not_after: order.not_after.to_string(),
        end: given.end.as_ref().map(|(_, end)| ended(end, order).to_owned()),
        ended_at: given.end.as_ref().map(|(at, _)| at.to_string()),
        problem,
        steps: steps.collect(),
    })
}

const fn word(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Unchanged => "unchanged",
        StepOutcome::Done { .. } => "done",
        StepOutcome::Failed { .. } => "failed",
        StepOutcome::Left => "left",
    }
}

fn ended(end: &End, order: &Order) -> &'static str {
    match end {
        End::Told(Ending::Refused(_)) => "refused",
        End::Told(ending @ Ending::CarriedOut(_)) if ending.is_whole(order) => "carried_out",
        End::Told(Ending::CarriedOut(_)) => "failed",
        End::Lapsed => "lapsed",
        End::Withdrawn => "withdrawn",
    }
}
