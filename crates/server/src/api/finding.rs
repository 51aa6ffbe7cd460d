//! Findings: obligations that are not met, on one asset with exact ages, or over the fleet.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::asset::Asset;
use bartizan_core::finding::Subject;
use bartizan_core::posture::Record;
use bartizan_core::posture::index::About;
use bartizan_core::severity::presumed;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::affected::severity;
use bartizan_core::vulnerability::matching;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::{Problem, Query};
use crate::web::{Route, Web};

pub mod accepted;
pub mod affected;
pub mod due;
pub mod fleet;
pub mod held;

use accepted::{Accepted, Overlay};
pub use due::Deadline;
use due::Fact;
pub use fleet::{Filter, List};

/// One finding on one asset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub key: String,
    /// `deviation` or `vulnerability`.
    pub kind: String,
    /// The rule (`BASELINE/RULE`), or the vulnerability.
    pub subject: String,
    /// The source package, for a vulnerability.
    pub object: String,
    pub title: String,
    /// None where nobody rates it.
    #[serde(default)]
    pub severity: Option<String>,
    /// `not_met`, or `unknown` with its reason.
    pub verdict: String,
    pub since: String,
    /// What to do.
    pub action: String,
    /// What a fix waits for; none for deviations.
    pub fix_state: Option<String>,
    /// The day by which the catalogue of exploited vulnerabilities wants it gone.
    pub kev_due: Option<String>,
    /// The probability of exploitation within 30 days (EPSS), in millionths.
    pub epss_millionths: Option<u32>,
    /// Set where it is accepted: it is open still.
    pub accepted: Option<Accepted>,
    /// Whose it is to mend; none where nobody took it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The newest of what people said of it, the newest first.
    #[serde(default)]
    pub comments: Vec<held::Told>,
    /// By when it has to be gone; none where no policy says, where it is accepted, or where it is unknown.
    #[serde(default)]
    pub due: Option<Deadline>,
}

/// One thing that is wrong, over the fleet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub kind: String,
    pub subject: String,
    pub object: String,
    pub title: String,
    /// None where nobody rates it.
    #[serde(default)]
    pub severity: Option<String>,
    /// How many assets have it, where nobody accepted it.
    pub assets: u64,
    /// Of how many assets nobody can say whether they have it.
    #[serde(default)]
    pub unknown: u64,
    /// On how many more it is accepted, and open still.
    #[serde(default)]
    pub accepted: u64,
    /// By which acceptances.
    #[serde(default)]
    pub accepted_by: Vec<Accepted>,
    pub action: String,
    pub fix_state: Option<String>,
    /// The day by which the catalogue of exploited vulnerabilities wants it gone.
    pub kev_due: Option<String>,
    /// The probability of exploitation within 30 days (EPSS), in millionths.
    pub epss_millionths: Option<u32>,
}

impl Finding {
    /// Whether nobody can say that it is there: it is no finding, and counted beside them.
    pub(crate) fn is_unknown(&self) -> bool {
        self.verdict.starts_with("unknown")
    }
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/findings").query::<Filter>(),
        Shape::get::<affected::Affected>("/api/v1/findings/{kind}/{subject}").query::<affected::Object>(),
    ]
    .into_iter()
    .chain(held::shapes())
    .collect()
}

pub(super) fn routes() -> Vec<Route> {
    let list = Route {
        method: Method::GET,
        path: "/api/v1/findings",
        roles: Some(READERS),
        summary: Some(
            "List what is wrong over the fleet, the worst first, each with how many assets have it.",
        ),
        handler: get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
            fleet::list(&web, &filter).await.map(Json)
        }),
    };
    [list, affected::route()].into_iter().chain(held::routes()).collect()
}

/// One finding of an asset, and what it is due and ordered by.
struct Seen {
    fact: Fact,
    finding: Finding,
    /// By when it has to be gone.
    due: Option<Timestamp>,
}

/// What is not met on one asset, and what nobody can say of it, the worst first; of one severity, what is due
/// first. What is accepted comes last.
pub(crate) async fn of_asset(web: &Web, asset: &Asset) -> Result<Vec<Finding>, Problem> {
    let record = web.store.record(asset.number).await?;
    let mut seen = deviations(web, asset, &record).await?;
    seen.extend(vulnerabilities(web, asset, record.present().collect()).await?);
    let held = held::on(web, asset).await?;
    for one in seen.iter_mut().filter(|one| !one.finding.is_unknown()) {
        let known = held.get(&one.fact.key).map(|held| &held.finding).filter(|finding| finding.is_open());
        one.fact.since = known.map_or(one.fact.since, |finding| finding.since.min(one.fact.since));
        one.finding.since = one.fact.since.to_string();
    }
    Overlay::read(web).await?.mark(asset, seen.iter_mut().map(|one| &mut one.finding));
    held::mark(web, &held, seen.iter_mut().map(|one| &mut one.finding)).await?;
    let facts: Vec<Fact> = seen.iter().map(|one| one.fact.clone()).collect();
    for (one, due) in seen.iter_mut().zip(due::deadlines(web, asset, &facts, &held).await?) {
        // What is accepted is due when its acceptance ends, and what nobody can say is no finding.
        let due = due.filter(|_| one.finding.accepted.is_none() && !one.finding.is_unknown());
        one.due = due.as_ref().map(|(at, _)| *at);
        one.finding.due = due.map(|(_, due)| due);
    }
    seen.sort_by_cached_key(|Seen { fact, finding, due }| {
        let worst_first = Reverse(presumed(fact.severity));
        let (kind, subject) = (finding.kind.clone(), finding.subject.clone());
        (finding.accepted.is_some(), worst_first, due.is_none(), *due, kind, subject)
    });
    Ok(seen.into_iter().map(|one| one.finding).collect())
}

async fn deviations(web: &Web, asset: &Asset, record: &Record) -> Result<Vec<Seen>, Problem> {
    let subjects = web.store.subjects().await?;
    let environment = web.policies.environment(&asset.environment).await?;
    let stale = web.stale.read();
    let standings =
        record.verdicts().map(|(number, standing)| (number, stale.standing(asset.number, standing)));
    let mut seen = Vec::new();
    for (number, standing) in standings.filter(|(_, standing)| standing.verdict != Verdict::Met) {
        let Some(subject) = subjects.get(&number) else { continue };
        let rule = environment.rule(&subject.baseline, &subject.rule);
        let severity = rule.map(|rule| rule.severity);
        let (baseline, name) = (subject.baseline.clone(), subject.rule.clone());
        let key = Subject::Deviation { asset: asset.id, baseline, rule: name }.key().to_string();
        let finding = Finding {
            key: key.clone(),
            kind: "deviation".to_owned(),
            subject: format!("{}/{}", subject.baseline, subject.rule),
            object: String::new(),
            title: rule.map_or_else(|| subject.rule.clone(), |rule| rule.title.clone()),
            severity: severity.map(|severity| severity.to_string()),
            verdict: standing.verdict.to_string(),
            since: standing.since.to_string(),
            action: rule.map(|rule| rule.remediation.clone()).unwrap_or_default(),
            fix_state: None,
            kev_due: None,
            epss_millionths: None,
            accepted: None,
            owner: None,
            comments: Vec::new(),
            due: None,
        };
        let by = vec![About::Subject(number)];
        let fact = Fact { key, severity, since: standing.since, by, kev_due: None };
        seen.push(Seen { fact, finding, due: None });
    }
    Ok(seen)
}

async fn vulnerabilities(
    web: &Web,
    asset: &Asset,
    present: BTreeMap<u32, Timestamp>,
) -> Result<Vec<Seen>, Problem> {
    let numbers: Vec<u32> = present.keys().copied().collect();
    // One finding for each vulnerability and source package, however many binary packages carry it.
    let mut found: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for known in web.store.matches(&numbers).await? {
        let told = &known.found;
        if matches!(told.verdict, matching::Verdict::Fixed | matching::Verdict::NotAffected) {
            continue;
        }
        let since = present.get(&known.tuple).copied().unwrap_or(known.known_at).max(known.known_at);
        let mut seen = vulnerable(web, asset, told, since);
        if known.quiet && told.verdict == matching::Verdict::Affected {
            seen.fact.by.push(About::Tuple(known.tuple));
        }
        match found.entry((told.vulnerability.clone(), told.source.clone())) {
            Entry::Vacant(entry) => drop(entry.insert(seen)),
            // Where another of its builds is affected, that of one nobody can say is no matter.
            Entry::Occupied(mut entry) if entry.get().finding.is_unknown() && !seen.finding.is_unknown() => {
                entry.insert(seen);
            }
            Entry::Occupied(mut entry) => entry.get_mut().fact.by.append(&mut seen.fact.by),
        }
    }
    Ok(found.into_values().collect())
}

fn vulnerable(web: &Web, asset: &Asset, told: &matching::Match, since: Timestamp) -> Seen {
    let severity = severity(told);
    let (id, source) = (told.vulnerability.clone(), told.source.clone());
    let key = Subject::Vulnerability { asset: asset.id, id, source_package: source }.key().to_string();
    let verdict = match told.verdict {
        matching::Verdict::Unknown(reason) => format!("unknown: {reason}"),
        _ => "not met".to_owned(),
    };
    let (kev_due, epss_millionths) = exploitation(web, &told.vulnerability);
    let finding = Finding {
        key: key.clone(),
        kind: "vulnerability".to_owned(),
        subject: told.vulnerability.clone(),
        object: told.source.clone(),
        title: told.evidence.clone(),
        severity: severity.map(|severity| severity.to_string()),
        verdict,
        since: since.to_string(),
        action: action(told),
        fix_state: told.fix_state.map(|state| state.as_str().to_owned()),
        kev_due: kev_due.clone(),
        epss_millionths,
        accepted: None,
        owner: None,
        comments: Vec::new(),
        due: None,
    };
    Seen { fact: Fact { key, severity, since, by: Vec::new(), kev_due }, finding, due: None }
}

/// What the feeds know of its exploitation: the catalogue's due day, and the probability in millionths.
pub(super) fn exploitation(web: &Web, vulnerability: &str) -> (Option<String>, Option<u32>) {
    let Some(library) = web.feeds.get() else { return (None, None) };
    let due = library.kev(vulnerability).map(|exploited| exploited.due.clone());
    (due, library.epss(vulnerability).map(|estimate| estimate.probability_millionths))
}

fn action(told: &matching::Match) -> String {
    act(&told.source, told.fixed.as_deref(), told.fix_state.map(matching::FixState::as_str))
}

/// What to do about a vulnerability of a source package.
pub(crate) fn act(source: &str, fixed: Option<&str>, fix_state: Option<&str>) -> String {
    match (fixed, fix_state) {
        (Some(fixed), _) => format!("update {source} to {fixed}"),
        (None, Some(state)) => format!("no fix: {}", state.replace('_', " ")),
        (None, None) => String::new(),
    }
}
