//! Baselines: which apply, and how the fleet stands on each of their rules.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::configuration::baseline;
use bartizan_core::digest::Digest;
use schemars::JsonSchema;
use serde::Serialize;

use super::asset::Verdicts;
use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// One baseline, over all environments that it is applied in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Row {
    pub name: String,
    pub title: String,
    pub owner: Option<String>,
    pub environments: BTreeSet<String>,
    /// Over all rules and assets.
    pub verdicts: Verdicts,
    /// Rules that have a verdict on no asset: not applicable there, or not judged yet. Agents withdraw a
    /// verdict where a rule does not apply, so that which of the two it is stands in no report.
    pub without_verdict: u64,
    pub rules: Vec<Rule>,
}

/// One rule, and on how many assets it stands how.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub rationale: String,
    pub remediation: String,
    pub severity: String,
    pub verdicts: Verdicts,
}

/// All baselines.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct List {
    pub baselines: Vec<Row>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<List>("/api/v1/baselines")]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/baselines",
        roles: Some(READERS),
        summary: Some("List the baselines, with how the fleet stands on each of their rules."),
        handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
    }]
}

impl Verdicts {
    /// Whether no asset has a verdict.
    pub(crate) fn is_none(&self) -> bool {
        self.met + self.not_met + self.unknown == 0
    }

    pub(super) fn add(&mut self, other: Verdicts) {
        self.met += other.met;
        self.not_met += other.not_met;
        self.unknown += other.unknown;
    }
}

/// All baselines.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let counts = counts(web).await?;
    let mut baselines: BTreeMap<String, Row> = BTreeMap::new();
    let ladder = web.store.ladder().await?;
    let height = |name: &str| ladder.rungs().iter().position(|rung| rung.name == name);
    let mut all = web.store.documents_of_kind(baseline::KIND).await?;
    // A baseline is told in the words of the highest environment that has it.
    all.sort_by_key(|applied| std::cmp::Reverse(height(&applied.environment)));
    for applied in all {
        let document = applied.document;
        // It was good when it was applied: a newer program wrote it.
        let Ok(read) = baseline::Baseline::from_document(&document) else { continue };
        let row = baselines.entry(document.name.clone()).or_insert_with(|| Row {
            name: document.name,
            title: read.title,
            owner: document.owner,
            environments: BTreeSet::new(),
            verdicts: Verdicts::default(),
            without_verdict: 0,
            rules: Vec::new(),
        });
        row.environments.insert(applied.environment);
        for rule in read.rules {
            if row.rules.iter().any(|held| held.id == rule.id) {
                continue;
            }
            let verdicts = counts.get(&(row.name.clone(), rule.id.clone())).copied().unwrap_or_default();
            row.verdicts.add(verdicts);
            row.without_verdict += u64::from(verdicts.is_none());
            row.rules.push(Rule {
                id: rule.id,
                title: rule.title,
                rationale: rule.rationale,
                remediation: rule.remediation,
                severity: rule.severity.to_string(),
                verdicts,
            });
        }
    }
    Ok(List { baselines: baselines.into_values().collect() })
}

/// One baseline.
pub(crate) async fn describe(web: &Web, name: &str) -> Result<Row, Problem> {
    let all = list(web).await?.baselines;
    all.into_iter().find(|row| row.name == name).ok_or_else(|| Problem::not_found("baseline", name))
}

/// The checks by which each rule is not met somewhere.
pub(crate) async fn failing(web: &Web) -> Result<BTreeMap<(String, String), Vec<Digest>>, Problem> {
    let subjects = web.store.subjects().await?;
    let mut failing: BTreeMap<(String, String), Vec<Digest>> = BTreeMap::new();
    for (number, standings) in web.store.standings().await? {
        if let Some(subject) = subjects.get(&number).filter(|_| standings.not_met > 0) {
            let named = (subject.baseline.clone(), subject.rule.clone());
            failing.entry(named).or_default().push(subject.check);
        }
    }
    Ok(failing)
}

/// On how many assets each rule stands how, whichever values its check was judged with.
pub(crate) async fn counts(web: &Web) -> Result<BTreeMap<(String, String), Verdicts>, Problem> {
    let subjects = web.store.subjects().await?;
    let stale = web.stale.read();
    let mut counts: BTreeMap<(String, String), Verdicts> = BTreeMap::new();
    for (number, standings) in web.store.standings().await? {
        let Some(subject) = subjects.get(&number) else { continue };
        let standings = stale.standings(number, standings);
        let verdicts = counts.entry((subject.baseline.clone(), subject.rule.clone())).or_default();
        verdicts.add(Verdicts { met: standings.met, not_met: standings.not_met, unknown: standings.unknown });
    }
    Ok(counts)
}
