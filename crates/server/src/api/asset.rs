//! Assets: who is watched, what is known of each, and taking one out of service.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::asset::{self, Act, Asset, Class, Life, NAME_BYTES_LIMIT};
use bartizan_core::fact::{self, Name, source::Sources};
use bartizan_core::id::AssetId;
use bartizan_core::person::Person;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{self, Finding};
use super::openapi::Shape;
use super::{Answer, Ruled};
use crate::auth::{CONFIRMERS, KEEPERS, OPERATORS, READERS};
use crate::problem::{Body, Problem, Query};
use crate::stages::asset as stage;
use crate::web::{Route, Web};

/// The most assets that one page lists.
const PAGE_LIMIT: usize = 200;

/// The most assets that are declared at once.
const DECLARED_LIMIT: usize = 5_000;

/// The section that says where events come from.
const SOURCES: &str = Name::Sources.as_str();

/// One asset in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub class: String,
    pub service: String,
    pub environment: String,
    pub life: String,
    /// When it was last heard of (RFC 3339); none before its first word.
    pub last_seen: Option<String>,
    /// Since when it is absent, by the limit of the server; none where it is heard of.
    #[serde(default)]
    pub absent_since: Option<String>,
    /// What no detection sees there, each with its reason: event sources that its agent can't read.
    #[serde(default)]
    pub unseen_sources: Vec<String>,
    pub verdicts: Verdicts,
    /// Why nothing at all is known of it (`unassigned`: no agent runs on it; `unseen`: its agent has not
    /// reported yet); none where something is.
    pub unknown: Option<String>,
}

/// An asset that no agent runs on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    #[schemars(length(min = 1, max = NAME_BYTES_LIMIT))]
    pub name: String,
    #[serde(default)]
    pub class: Class,
    #[schemars(length(min = 1, max = NAME_BYTES_LIMIT))]
    pub service: String,
    #[schemars(length(min = 1, max = NAME_BYTES_LIMIT))]
    pub environment: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Assets to be written down, all of them or none.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    pub assets: Vec<Declared>,
    /// Whether nothing is to be written down, and only said what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// Why somebody acts on an asset, where they say so.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    #[serde(default)]
    pub reason: String,
}

/// How many rules stand how.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Verdicts {
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
}

/// All that is told of one asset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    pub labels: BTreeMap<String, String>,
    pub enrolled_at: String,
    pub sections: Vec<Section>,
    /// Obligations that are not met.
    pub findings: Vec<Finding>,
    /// Obligations of which nobody can say whether they are met.
    #[serde(default)]
    pub unknown_findings: Vec<Finding>,
}

/// A section of its facts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    pub name: String,
    pub hash: String,
    pub observed_at: String,
}

/// A page of assets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub assets: Vec<Row>,
    /// Where the next page starts; none on the last.
    pub after: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Page {
    /// Where the page starts: what the page before it ended with.
    #[schemars(range(max = u32::MAX))]
    pub after: Option<u32>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/assets").query::<Page>(),
        Shape::get::<Described>("/api/v1/assets/{asset}"),
        Shape::get::<serde_json::Value>("/api/v1/assets/{asset}/facts/{section}"),
        Shape::post::<List>("/api/v1/assets").body::<Declaration>(),
        Shape::post::<Row>("/api/v1/assets/{asset}/retire").body::<Option<Because>>(),
        Shape::post::<Row>("/api/v1/assets/{asset}/approve").body::<Option<Because>>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/assets",
            roles: Some(READERS),
            summary: Some("List assets."),
            handler: get(|State(web): State<Web>, Query(page): Query<Page>| async move {
                list(&web, page.after).await.map(Json)
            }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/assets/{asset}",
            roles: Some(READERS),
            summary: Some("Describe an asset, by its name or identifier."),
            handler: get(|State(web): State<Web>, Path(asset): Path<String>| async move {
                describe(&web, &asset).await.map(Json)
            }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/assets/{asset}/facts/{section}",
            roles: Some(READERS),
            summary: Some("Read a section of an asset's facts."),
            handler: get(
                |State(web): State<Web>, Path((asset, section)): Path<(String, String)>| async move {
                    let asset = find(&web, &asset).await?;
                    let told: Answer<serde_json::Value> = facts(&web, &asset, &section).await.map(Json);
                    told
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/assets",
            roles: Some(OPERATORS),
            summary: Some(
                "Write down assets that no agent runs on: they are listed, and unknown, until they are retired.",
            ),
            handler: post(declare),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/assets/{asset}/retire",
            roles: Some(KEEPERS),
            summary: Some("Take an asset out of service: nobody misses its reports any more."),
            handler: post(|web, person, asset, because| {
                does(web, person, asset, because, (Act::Retired, stage::RETIRE))
            }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/assets/{asset}/approve",
            roles: Some(CONFIRMERS),
            summary: Some("Let a host in that waits in quarantine."),
            handler: post(|web, person, asset, because| {
                does(web, person, asset, because, (Act::Approved, stage::APPROVE))
            }),
        },
    ]
}

/// The asset of this name or identifier; a name that several bear is a conflict.
pub(crate) async fn find(web: &Web, name: &str) -> Result<Asset, Problem> {
    if let Ok(id) = name.parse() {
        return web.store.asset(id).await?.ok_or_else(|| Problem::not_found("asset", name));
    }
    let mut named = web.store.assets_named(name).await?;
    named.sort_by_key(|asset| asset.life);
    let enrolled = named.iter().filter(|asset| asset.life != Life::Retired).count();
    if enrolled > 1 {
        let ids: Vec<String> = named.iter().map(|asset| asset.id.to_string()).collect();
        let problem = Problem::new(
            bartizan_core::error::Class::Conflict,
            format_args!("{enrolled} assets are called `{name}`"),
        );
        return Err(problem.hint(format_args!("name one by its identifier: {}", ids.join(", "))));
    }
    named.into_iter().next().ok_or_else(|| Problem::not_found("asset", name))
}

/// When an asset was last heard of, by this replica or its last report.
pub(crate) async fn last_seen(web: &Web, asset: &Asset) -> Result<Option<Timestamp>, Problem> {
    let standing = web.store.asset_standing(asset.number).await?;
    Ok(web.last_seen.of(asset.number).max(standing.map(|standing| standing.recorded_at)))
}

async fn row(web: &Web, asset: &Asset) -> Result<Row, Problem> {
    let mut verdicts = Verdicts::default();
    let stale = web.stale.read();
    for (_, standing) in web.store.record(asset.number).await?.verdicts() {
        match stale.standing(asset.number, standing).verdict {
            Verdict::Met => verdicts.met += 1,
            Verdict::NotMet => verdicts.not_met += 1,
            Verdict::Unknown(_) => verdicts.unknown += 1,
        }
    }
    let last_seen = last_seen(web, asset).await?;
    let unknown = match (asset.life, last_seen) {
        (Life::Declared, _) => Some(Reason::Unassigned),
        (Life::Enrolled | Life::Quarantined, None) => Some(Reason::Unseen),
        _ => None,
    };
    Ok(Row {
        unknown: unknown.map(|reason| reason.to_string()),
        id: asset.id.to_string(),
        name: asset.name.clone(),
        class: asset.class.to_string(),
        service: asset.service.clone(),
        environment: asset.environment.clone(),
        life: asset.life.to_string(),
        last_seen: last_seen.map(|at| at.to_string()),
        absent_since: stale.since(asset.number).map(|at| at.to_string()),
        unseen_sources: Vec::new(),
        verdicts,
    })
}

/// A page of assets.
pub(crate) async fn list(web: &Web, after: Option<u32>) -> Result<List, Problem> {
    let assets = web.store.assets(after, PAGE_LIMIT).await?;
    let after = (assets.len() == PAGE_LIMIT).then(|| assets.last().map(|asset| asset.number)).flatten();
    let mut rows = Vec::with_capacity(assets.len());
    let numbers: Vec<AssetNumber> = assets.iter().map(|asset| asset.number).collect();
    let mut unseen = unseen_sources(web, &numbers).await?;
    for asset in &assets {
        let unseen_sources = unseen.remove(&asset.number).unwrap_or_default();
        rows.push(Row { unseen_sources, ..row(web, asset).await? });
    }
    Ok(List { assets: rows, after })
}

/// What of their event sources assets can't read. Most share one body, which is read once.
async fn unseen_sources(
    web: &Web,
    numbers: &[AssetNumber],
) -> Result<BTreeMap<AssetNumber, Vec<String>>, Problem> {
    let mut found = BTreeMap::new();
    for (assets, body) in web.store.shared_section(numbers, SOURCES).await? {
        // What an agent sent may make no sense: its facts show it as it is.
        let Ok(section) = serde_json::from_slice::<fact::Section<Sources>>(&body) else { continue };
        let told = section.unknown.iter().map(|unseen| format!("{}: {}", unseen.what, unseen.reason));
        let told: Vec<String> = told.collect();
        found.extend(assets.into_iter().map(|number| (number, told.clone())));
    }
    Ok(found)
}

/// All that is told of one asset.
pub(crate) async fn describe(web: &Web, name: &str) -> Result<Described, Problem> {
    let asset = find(web, name).await?;
    let sections = web.store.sections(asset.number).await?.into_iter().map(|section| Section {
        name: section.name,
        hash: section.hash.to_string(),
        observed_at: section.observed_at.to_string(),
    });
    let (unknown_findings, findings) =
        finding::of_asset(web, &asset).await?.into_iter().partition(Finding::is_unknown);
    let mut unseen = unseen_sources(web, &[asset.number]).await?;
    let unseen_sources = unseen.remove(&asset.number).unwrap_or_default();
    Ok(Described {
        row: Row { unseen_sources, ..row(web, &asset).await? },
        labels: asset.labels(),
        enrolled_at: asset.enrolled_at.to_string(),
        sections: sections.collect(),
        findings,
        unknown_findings,
    })
}

/// A section of an asset's facts.
pub(crate) async fn facts(web: &Web, asset: &Asset, section: &str) -> Result<serde_json::Value, Problem> {
    let body = web.store.asset_section(asset.number, section).await?;
    let body = body.ok_or_else(|| Problem::not_found("section", section))?;
    serde_json::from_slice(&body).map_err(|error| Problem::new(bartizan_core::error::Class::Bug, error))
}

/// Writes assets down that no agent runs on.
async fn declare(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Body(declaration): Body<Declaration>,
) -> Answer<List> {
    let wrong = |what: String| Problem::new(bartizan_core::error::Class::Invalid, what);
    if declaration.assets.is_empty() || declaration.assets.len() > DECLARED_LIMIT {
        return Err(wrong(format!("`assets` has from 1 to {DECLARED_LIMIT} entries")));
    }
    let (now, actor) = (web.ambient.now(), person.actor());
    let mut assets = Vec::with_capacity(declaration.assets.len());
    for declared in declaration.assets {
        let Declared { name, class, service, environment, labels } = declared;
        for (what, text) in [("name", &name), ("service", &service), ("environment", &environment)] {
            let fits = !text.trim().is_empty() && text.len() <= NAME_BYTES_LIMIT;
            if !fits || text.chars().any(char::is_control) {
                let limit = format!("takes 1 to {NAME_BYTES_LIMIT} bytes, none of them a control character");
                return Err(wrong(format!("`{what}` of asset `{name}` {limit}")));
            }
        }
        asset::check_labels(&labels).map_err(|what| wrong(format!("asset `{name}`: {what}")))?;
        let life = asset::declare(&service, &actor)
            .map_err(|refusal| Problem::new(refusal.class(), format_args!("`{name}`: {refusal}")))?;
        let (id, number) = (AssetId::mint(now, web.ambient.random()), 0);
        assets.push(Asset { id, number, name, class, service, environment, labels, life, enrolled_at: now });
    }
    let mut names: Vec<&str> = assets.iter().map(|asset| asset.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(wrong(format!("`{name}` stands there twice")));
    }
    if !declaration.dry_run {
        tracing::info!(person.id = %person.id, assets = assets.len(), "assets declared");
        assets = web.store.declare_assets(assets, person.id, now).await?;
        web.nudges.show();
    }
    let mut rows = Vec::with_capacity(assets.len());
    for asset in &assets {
        rows.push(row(&web, asset).await?);
    }
    Ok(Json(List { assets: rows, after: None }))
}

/// Lets a host in that waits in quarantine.
pub async fn approve(web: &Web, person: &Person, name: &str, because: &Because) -> Result<Ruled, Problem> {
    act(web, person, name, (Act::Approved, stage::APPROVE), because).await
}

async fn act(
    web: &Web,
    person: &Person,
    name: &str,
    (act, word): (Act, &str),
    because: &Because,
) -> Result<Ruled, Problem> {
    let asset = find(web, name).await?;
    // The stage judges the same again: this is for a good message.
    let judged = asset::step(asset.life, &asset.service, &person.actor(), act);
    judged.map_err(|refusal| Problem::new(refusal.class(), format_args!("`{}`: {refusal}", asset.name)))?;
    super::decide(web, person, word, &asset.id.to_string(), &because.reason).await
}

/// What a program asks for: an act, and the asset as it stands after it.
async fn does(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    Body(because): Body<Option<Because>>,
    what: (Act, &str),
) -> Answer<Row> {
    let id = find(&web, &name).await?.id.to_string();
    act(&web, &person, &id, what, &because.unwrap_or_default()).await?;
    row(&web, &find(&web, &id).await?).await.map(Json)
}
