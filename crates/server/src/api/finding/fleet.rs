//! Findings over the fleet: one group for each thing that is wrong, a page at a time.
//!
//! Vulnerabilities are rows that the posture stage keeps; they are filtered, ordered and cut in the
//! store. Deviations are as many as there are rules, with words from the documents as they are now:
//! they are laid between the rows here.

use bartizan_core::error::Class;
use bartizan_core::severity::{Severity, presumed};
use bartizan_core::vulnerability::affected::Pair;
use bartizan_store::vulnerability::{self, Summary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accepted::Overlay;
use super::{Group, act, exploitation};
use crate::api::baseline;
use crate::problem::Problem;
use crate::web::Web;

/// The groups on a page where nothing else is asked for.
const PAGE: usize = 100;

/// The most groups that may come before a page: far more than a fleet has, and far from what numbers hold.
const FROM_LIMIT: usize = 10_000_000;

/// What is asked for by this word has no severity.
const UNRATED: &str = "unrated";

/// Which findings are asked for: what is empty asks for nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// `deviation` or `vulnerability`.
    #[serde(default)]
    pub kind: String,
    /// `unrated` asks for what no feed rates.
    #[serde(default)]
    pub severity: String,
    /// What the subject, object or title holds, in any case.
    #[serde(default)]
    pub text: String,
    /// How many groups come before the page.
    #[serde(default)]
    pub from: usize,
    /// How many groups the page holds at most; 0 asks for the usual 100.
    #[serde(default)]
    pub limit: usize,
}

/// A page of what is wrong over the fleet, the worst first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub findings: Vec<Group>,
    /// How many the filter takes.
    pub found: u64,
    /// How many there are without it.
    pub all: u64,
    /// Where the next page starts; none on the last.
    pub next: Option<usize>,
}

/// What groups are ordered by: what is worst, then what most assets have.
fn rank(group: &Group) -> std::cmp::Reverse<(Severity, u64)> {
    let severity = group.severity.as_ref().and_then(|word| word.parse().ok());
    std::cmp::Reverse((presumed(severity), group.assets))
}

impl Filter {
    fn limit(&self) -> usize {
        if self.limit == 0 { PAGE } else { self.limit.min(vulnerability::PAGE_LIMIT) }
    }

    /// How many groups come before the page, within the limit.
    fn from(&self) -> Result<usize, Problem> {
        if self.from <= FROM_LIMIT {
            return Ok(self.from);
        }
        let problem = Problem::new(Class::Invalid, "the page starts after more groups than there can be");
        Err(problem.hint(format_args!("`from` is at most {FROM_LIMIT}: take it from the page before")))
    }

    fn takes(&self, group: &Group) -> bool {
        let text = self.text.trim().to_lowercase();
        let holds = |field: &str| field.to_lowercase().contains(&text);
        (self.severity.is_empty() || self.severity == group.severity.as_deref().unwrap_or(UNRATED))
            && (text.is_empty()
                || [&group.subject, &group.object, &group.title].into_iter().any(|field| holds(field)))
    }

    /// What the store is asked for; nothing where no vulnerability is.
    fn of_vulnerabilities(&self) -> Option<vulnerability::Filter> {
        let severity = match self.severity.as_str() {
            "" => None,
            UNRATED => Some(None),
            word => Some(Some(word.parse().ok()?)),
        };
        let wanted = self.kind.is_empty() || self.kind == "vulnerability";
        wanted.then(|| vulnerability::Filter { severity, text: self.text.clone() })
    }
}

/// A page of findings.
pub(crate) async fn list(web: &Web, filter: &Filter) -> Result<List, Problem> {
    let (from, limit) = (filter.from()?, filter.limit());
    let mut deviations = deviations(web).await?;
    let all =
        deviations.len() as u64 + web.store.count_vulnerabilities(&vulnerability::Filter::default()).await?;
    deviations.retain(|group| filter.kind != "vulnerability" && filter.takes(group));
    // Whichever way they lie between each other, the page's rows are among these.
    let skipped = from.saturating_sub(deviations.len());
    deviations.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.subject.cmp(&b.subject)));
    let mut found = deviations.len() as u64;
    let mut groups = deviations;
    if let Some(asked) = filter.of_vulnerabilities() {
        found += web.store.count_vulnerabilities(&asked).await?;
        let mut at = skipped;
        while at < from + limit {
            let rows = web.store.vulnerabilities(&asked, at, from + limit - at).await?;
            if rows.is_empty() {
                break;
            }
            at += rows.len();
            groups.extend(rows.into_iter().map(|row| group(web, row)));
        }
    }
    // Stable: rows of one rank stay as the store orders them, behind the deviations of that rank.
    groups.sort_by_cached_key(rank);
    let mut findings: Vec<Group> = groups.into_iter().skip(from - skipped).take(limit).collect();
    Overlay::read(web).await?.lay_over(&mut findings).await?;
    // Stable: what is open somewhere stays in its order, before what is accepted everywhere.
    findings.sort_by_key(|group| group.assets == 0);
    let end = from + findings.len();
    let next = (!findings.is_empty() && (end as u64) < found).then_some(end);
    Ok(List { findings, found, all, next })
}

/// One group by its kind, subject and object.
pub(crate) async fn one(
    web: &Web,
    kind: &str,
    subject: &str,
    object: &str,
) -> Result<Option<Group>, Problem> {
    let mut found = if kind == "vulnerability" {
        let pair = Pair { vulnerability: subject.to_owned(), source: object.to_owned() };
        let row = web.store.vulnerability(&pair).await?.filter(|row| row.affected > 0);
        row.map(|row| group(web, row))
    } else {
        let named = |group: &Group| group.kind == kind && group.subject == subject && group.object == object;
        deviations(web).await?.into_iter().find(named)
    };
    Overlay::read(web).await?.lay_over(found.as_mut_slice()).await?;
    Ok(found)
}

/// A vulnerability of a source package as a group.
pub(crate) fn group(web: &Web, row: Summary) -> Group {
    let (kev_due, epss_millionths) = exploitation(web, &row.pair.vulnerability);
    Group {
        kind: "vulnerability".to_owned(),
        action: act(&row.pair.source, row.fixed.as_deref(), row.fix_state.as_deref()),
        subject: row.pair.vulnerability,
        object: row.pair.source,
        title: row.title,
        severity: row.severity.map(|severity| severity.to_string()),
        assets: row.affected,
        accepted: 0,
        accepted_by: Vec::new(),
        unknown: row.unknown,
        fix_state: row.fix_state,
        kev_due,
        epss_millionths,
    }
}

async fn deviations(web: &Web) -> Result<Vec<Group>, Problem> {
    let mut groups = Vec::new();
    let failing = baseline::failing(web).await?;
    // Whichever values a rule was judged with, it is one.
    for ((baseline, name), verdicts) in baseline::counts(web).await? {
        if verdicts.not_met == 0 {
            continue;
        }
        let named = (baseline, name);
        let checks = failing.get(&named).map(Vec::as_slice).unwrap_or_default();
        let rule = web.policies.rule(&named.0, &named.1, checks).await?;
        let (baseline, name) = named;
        let severity = rule.as_ref().map(|rule| rule.severity);
        groups.push(Group {
            kind: "deviation".to_owned(),
            subject: format!("{baseline}/{name}"),
            object: String::new(),
            title: rule.as_ref().map_or(name, |rule| rule.title.clone()),
            severity: severity.map(|severity| severity.to_string()),
            assets: verdicts.not_met,
            accepted: 0,
            accepted_by: Vec::new(),
            unknown: verdicts.unknown,
            action: rule.map(|rule| rule.remediation).unwrap_or_default(),
            fix_state: None,
            kev_due: None,
            epss_millionths: None,
        });
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_starts_beyond_the_limit_is_a_mistake_of_whoever_asks() {
        let starts = |from| Filter { from, ..Filter::default() }.from();
        assert_eq!(starts(FROM_LIMIT).ok(), Some(FROM_LIMIT));
        for from in [FROM_LIMIT + 1, usize::MAX] {
            assert_eq!(starts(from).err().map(|problem| problem.status().as_u16()), Some(400));
        }
    }
}
