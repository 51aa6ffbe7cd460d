//! Who is affected: one thing that is wrong, with the assets that have it.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::posture::index::{About, Plane};
use bartizan_core::posture::{Record, Standing, SubjectNumber};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::affected::severity;
use bartizan_core::vulnerability::matching;
use bartizan_store::log::Log;
use bartizan_store::matching::Known;
use roaring::RoaringBitmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accepted::{Accepted, Overlay};
use super::due::{self, Deadline, Fact};
use super::{Group, fleet, held};
use crate::acceptance::Fault;
use crate::api::Answer;
use crate::api::person::Names;
use crate::auth::READERS;
use crate::problem::{Problem, Query};
use crate::web::{Route, Web};

/// The most assets that are named; the group tells how many there are.
const ASSETS_LIMIT: usize = 200;

/// One thing that is wrong, with the assets that have it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Affected {
    #[serde(flatten)]
    pub finding: Group,
    /// The first of them, by the order in which they enrolled.
    pub on: Vec<On>,
}

/// One asset that has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct On {
    pub id: String,
    pub name: String,
    pub service: String,
    pub environment: String,
    pub since: String,
    /// Set where the finding is accepted on this asset: it is open still.
    pub accepted: Option<Accepted>,
    /// The finding on this asset.
    pub key: String,
    /// Whose it is to mend there; none where nobody took it.
    pub owner: Option<String>,
    /// By when it has to be gone there; none where no policy says, or where it is accepted.
    pub due: Option<Deadline>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Object {
    /// The source package; empty for deviations.
    #[serde(default)]
    pub object: String,
}

/// Where a finding lies in posture records.
enum Lies {
    Rules(Vec<SubjectNumber>),
    Builds(Vec<Known>),
}

pub(super) fn route() -> Route {
    Route {
        method: Method::GET,
        path: "/api/v1/findings/{kind}/{subject}",
        roles: Some(READERS),
        summary: Some("Describe a finding over the fleet, with the assets that have it."),
        handler: get(
            |State(web): State<Web>,
             Path((kind, subject)): Path<(String, String)>,
             Query(about): Query<Object>| async move {
                let told: Answer<Affected> = affected(&web, &kind, &subject, &about.object).await.map(Json);
                told
            },
        ),
    }
}

/// A finding by its kind, subject and object, with the assets that have it.
pub(crate) async fn affected(
    web: &Web,
    kind: &str,
    subject: &str,
    object: &str,
) -> Result<Affected, Problem> {
    let finding = fleet::one(web, kind, subject, object).await?.ok_or_else(|| {
        Problem::not_found("finding", subject)
            .hint("nothing in the fleet has it now: it was fixed or withdrawn, or never was")
    })?;
    let (lies, assets) = match kind {
        "vulnerability" => builds(web, subject, object).await?,
        _ => rules(web, subject).await?,
    };
    let overlay = Overlay::read(web).await?;
    let fault = Fault::named(kind, subject, object).ok_or_else(|| Problem::not_found("finding", subject))?;
    let (held, mut names) = (held::about(web, &fault).await?, Names::default());
    let mut on = Vec::new();
    for number in assets.iter().take(ASSETS_LIMIT) {
        let Some(asset) = web.store.asset_by_number(number).await? else { continue };
        // The index may be a moment behind the record, which has the exact age.
        let Some(mut seen) = lies.on(&web.store.record(number).await?) else { continue };
        let key = fault.on(asset.id).key().to_string();
        let ours = held.get(&key).map(|held| &held.finding);
        if let Some(finding) = ours.filter(|finding| finding.is_open()) {
            seen.since = seen.since.min(finding.since);
        }
        let since = seen.since;
        let severity = match &fault {
            Fault::Rule { baseline, rule } => {
                let environment = web.policies.environment(&asset.environment).await?;
                environment.rule(baseline, rule).map(|rule| rule.severity)
            }
            Fault::Vulnerability { .. } => seen.severity,
        };
        let kev_due = finding.kev_due.clone();
        let fact = Fact { key: key.clone(), severity, since, by: seen.by, kev_due };
        let accepted = overlay.of(&fault, &asset);
        let due = due::deadlines(web, &asset, &[fact], &held).await?.pop().flatten().map(|(_, due)| due);
        on.push(On {
            id: asset.id.to_string(),
            due: due.filter(|_| accepted.is_none()),
            accepted,
            key,
            owner: held::name(web, ours.and_then(|finding| finding.owner), &mut names).await?,
            name: asset.name,
            service: asset.service,
            environment: asset.environment,
            since: since.to_string(),
        });
    }
    Ok(Affected { finding, on })
}

async fn rules(web: &Web, subject: &str) -> Result<(Lies, RoaringBitmap), Problem> {
    let subjects = web.store.subjects().await?.into_iter();
    let named = subjects.filter(|(_, rule)| format!("{}/{}", rule.baseline, rule.rule) == subject);
    let numbers: Vec<SubjectNumber> = named.map(|(number, _)| number).collect();
    let mut assets = RoaringBitmap::new();
    for shard in web.store.shards(Log::Transition).await? {
        for number in &numbers {
            assets |= web.store.cohorts(shard, (About::Subject(*number), Plane::NotMet)).await?.all();
        }
    }
    Ok((Lies::Rules(numbers), assets))
}

async fn builds(web: &Web, vulnerability: &str, source: &str) -> Result<(Lies, RoaringBitmap), Problem> {
    let mut known = web.store.matches_of(vulnerability).await?;
    known.retain(|known| known.found.verdict == matching::Verdict::Affected && known.found.source == source);
    let tuples: Vec<u32> = known.iter().map(|known| known.tuple).collect();
    let assets = web.store.present(&tuples).await?;
    Ok((Lies::Builds(known), assets))
}

/// How an asset has it.
struct Seen {
    since: Timestamp,
    /// How bad its build is; none for rules, and where no feed rates it.
    severity: Option<Severity>,
    by: Vec<About>,
}

impl Lies {
    /// How an asset has it; none where it does not.
    fn on(&self, record: &Record) -> Option<Seen> {
        match self {
            Lies::Rules(numbers) => {
                let standings =
                    numbers.iter().filter_map(|number| Some((*number, record.standing(*number)?)));
                let unmet = standings.filter(|(_, standing)| standing.verdict == Verdict::NotMet);
                let unmet: Vec<(SubjectNumber, Standing)> = unmet.collect();
                let since = unmet.iter().map(|(_, standing)| standing.since).min()?;
                let by = unmet.iter().map(|(number, _)| About::Subject(*number)).collect();
                Some(Seen { since, severity: None, by })
            }
            Lies::Builds(known) => {
                let here = record.present().filter_map(|(tuple, since)| {
                    let found = known.iter().find(|known| known.tuple == tuple)?;
                    Some((since.max(found.known_at), found))
                });
                let here: Vec<(Timestamp, &Known)> = here.collect();
                let since = here.iter().map(|(since, _)| *since).min()?;
                let quiet = here.iter().filter(|(_, known)| known.quiet);
                let by = quiet.map(|(_, known)| About::Tuple(known.tuple)).collect();
                let severity = here.first().and_then(|(_, known)| severity(&known.found));
                Some(Seen { since, severity, by })
            }
        }
    }
}
