//! Deadlines: by when a finding has to be gone on its asset, computed as it is read.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::asset::Asset;
use bartizan_core::posture::AssetNumber;
use bartizan_core::posture::index::{About, Plane};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::vulnerability::response::{self, Stamps};
use bartizan_store::finding::Held;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::web::Web;

/// By when a finding has to be gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    pub at: String,
    /// `policy` by its severity, `backlog` for what first sight of the asset brought, or `exploited` by the catalogue
    /// of exploited vulnerabilities.
    pub because: String,
    /// The `ResponsePolicy` that sets it.
    pub policy: String,
    pub overdue: bool,
}

/// What a deadline follows from.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) key: String,
    /// None where nobody rates it.
    pub(super) severity: Option<Severity>,
    pub(super) since: Timestamp,
    /// By what the fault is seen: the checks that are not met, or those of its builds that are backlog where the
    /// asset brought them along.
    pub(super) by: Vec<About>,
    /// The day by which the catalogue of exploited vulnerabilities wants it gone.
    pub(super) kev_due: Option<String>,
}

/// The deadline of each of these findings of an asset, in their order; `held` are those that people have put
/// something on, which know since when longer than posture does.
pub(super) async fn deadlines(
    web: &Web,
    asset: &Asset,
    facts: &[Fact],
    held: &BTreeMap<String, Held>,
) -> Result<Vec<Option<(Timestamp, Deadline)>>, Problem> {
    let environment = web.policies.environment(&asset.environment).await?;
    let policies = environment.responses(&asset.labels());
    if policies.is_empty() {
        return Ok(vec![None; facts.len()]);
    }
    let by: Vec<About> = facts.iter().flat_map(|fact| fact.by.iter().copied()).collect();
    let brought = brought(web, asset.number, by).await?;
    let now = web.ambient.now();
    let deadline = |fact: &Fact| {
        let held = held.get(&fact.key).map(|held| &held.finding).filter(|finding| finding.is_open());
        let backlog = match held {
            Some(finding) => finding.backlog,
            None => fact.by.iter().any(|about| brought.contains(about)),
        };
        let stamps = Stamps {
            severity: fact.severity,
            first_observed: held.map_or(fact.since, |finding| finding.since.min(fact.since)),
            backlog_since: backlog.then_some(asset.enrolled_at),
            exploited_due: fact.kev_due.as_deref().and_then(end_of),
        };
        let (policy, due) = response::earliest(policies.iter().copied(), &stamps)?;
        let told = Deadline {
            at: due.at.to_string(),
            because: due.because.as_str().to_owned(),
            policy: policy.name.clone(),
            overdue: due.is_overdue(now),
        };
        Some((due.at, told))
    };
    Ok(facts.iter().map(deadline).collect())
}

/// Of these, what the first sight of an asset brought: rules that have not been met since, and builds that were there.
async fn brought(web: &Web, number: AssetNumber, by: Vec<About>) -> Result<BTreeSet<About>, Problem> {
    let (rules, builds): (Vec<About>, Vec<About>) =
        by.into_iter().partition(|about| about.subject().is_some());
    let mut brought = web.store.lies_in(number, Plane::Backlog, &rules).await?;
    let came = web.store.lies_in(number, Plane::Came, &builds).await?;
    brought.extend(builds.into_iter().filter(|about| !came.contains(about)));
    Ok(brought)
}

/// The end of a day, `YYYY-MM-DD`: what is due on it is in time until then.
fn end_of(day: &str) -> Option<Timestamp> {
    let start: Timestamp = format!("{day}T00:00:00Z").parse().ok()?;
    Some(start.plus(Duration::from_days(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_on_a_day_is_in_time_until_its_end() {
        assert_eq!(end_of("2026-02-28").map(|end| end.to_string()).as_deref(), Some("2026-03-01T00:00:00Z"));
        assert_eq!(end_of("soon"), None);
    }
}
