//! Findings: one row for each binary package and vulnerability.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::fact::PackageManager;
use bartizan_core::severity;
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::advisory::Rating;
use bartizan_core::vulnerability::matching::{FixState, Match, Tuple, Verdict};
use bartizan_core::vulnerability::version::{self, Scheme};
use bartizan_feeds::epss::Estimate;
use bartizan_feeds::kev::Exploited;
use bartizan_feeds::library::Library;
use serde::Serialize;

use super::{Candidates, Inventory, Unknown};
use crate::feeds::FeedLine;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What `bartizan explain` takes: `CVE/package`, with the architecture where it is installed for several.
    pub(crate) id: String,
    pub(crate) vulnerability: String,
    pub(crate) advisories: Vec<String>,
    pub(crate) package: String,
    pub(crate) architecture: String,
    pub(crate) installed: String,
    pub(crate) source: String,
    pub(crate) source_version: String,
    pub(crate) fixed: Option<String>,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    pub(crate) fix_state: Option<FixState>,
    pub(crate) severity: Option<Score>,
    pub(crate) kev: Option<Kev>,
    pub(crate) epss: Option<Epss>,
    pub(crate) feed: Feed,
    /// What was compared with what.
    pub(crate) evidence: String,
    /// Where the package stands in the inventory.
    #[serde(skip)]
    pub(crate) tuple: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Score {
    pub(crate) rating: severity::Severity,
    /// With one decimal.
    pub(crate) score: Option<f64>,
    pub(crate) vector: Option<String>,
    version: Option<String>,
    source: String,
}

/// What CISA's catalogue says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Kev {
    name: String,
    added: String,
    pub(crate) due: String,
    ransomware: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Epss {
    pub(crate) probability: f64,
    percentile: Option<f64>,
}

/// The feed that decided.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Feed {
    pub(crate) name: String,
    digest: Option<bartizan_core::digest::Digest>,
    age: Option<bartizan_core::time::Duration>,
}

/// Judges every build of the inventory; what no feed speaks of is noted as unknown.
pub(super) fn find(
    inventory: &Inventory,
    library: &Library,
    feeds: &[FeedLine],
    unknown: &mut Vec<Unknown>,
) -> Vec<Finding> {
    let tuples = &inventory.tuples;
    note_uncovered(tuples, library, unknown);
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for tuple in tuples {
        names.entry(&tuple.package).or_default().insert(&tuple.architecture);
    }
    // Packages of one source follow each other, so that its records are read once.
    let mut order: Vec<(usize, &Tuple)> = tuples.iter().enumerate().collect();
    order.sort_by_key(|(_, tuple)| (&tuple.ecosystem, &tuple.release, &tuple.source));
    let mut findings = Vec::new();
    for (at, tuple) in order {
        let matches = match library.matches(tuple) {
            Ok(matches) => matches,
            Err(error) => {
                let what = format!("package {}", tuple.package);
                unknown.push(Unknown { what, reason: error.reason(), problem: error.to_string() });
                continue;
            }
        };
        let is_alone = names.get(tuple.package.as_str()).is_none_or(|architectures| architectures.len() < 2);
        findings.extend(matches.into_iter().map(|found| {
            let finding = of(found, tuple, library, feeds, at, is_alone);
            Finding { fix_state: installable(&finding, tuple, &inventory.candidates), ..finding }
        }));
    }
    findings.sort_by(|a, b| {
        (&a.package, &a.architecture, &a.installed, &a.vulnerability).cmp(&(
            &b.package,
            &b.architecture,
            &b.installed,
            &b.vulnerability,
        ))
    });
    findings
}

/// Releases that no feed speaks of, and packages that others than the distribution built.
fn note_uncovered(tuples: &[Tuple], library: &Library, unknown: &mut Vec<Unknown>) {
    let mut releases: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut origins: BTreeMap<&str, usize> = BTreeMap::new();
    for tuple in tuples {
        *releases.entry((&tuple.ecosystem, &tuple.release)).or_default() += 1;
        if !tuple.is_distribution_build() {
            *origins.entry(tuple.origin.as_deref().unwrap_or_default()).or_default() += 1;
        }
    }
    for ((ecosystem, release), packages) in releases {
        if !library.covers(ecosystem, release) {
            unknown.push(Unknown {
                what: format!("{ecosystem} {release}"),
                reason: Reason::Unassigned,
                problem: format!("no feed speaks of this release; it has {packages} packages"),
            });
        }
    }
    for (origin, packages) in origins {
        unknown.push(Unknown {
            what: format!("packages of {origin}"),
            reason: Reason::Unassigned,
            problem: format!("no feed speaks of these builds; there are {packages}"),
        });
    }
}

fn of(
    found: Match,
    tuple: &Tuple,
    library: &Library,
    feeds: &[FeedLine],
    at: usize,
    is_alone: bool,
) -> Finding {
    let id = if is_alone {
        format!("{}/{}", found.vulnerability, tuple.package)
    } else {
        format!("{}/{}:{}", found.vulnerability, tuple.package, tuple.architecture)
    };
    let line = feeds.iter().find(|line| line.name == found.feed);
    Finding {
        id,
        kev: library.kev(&found.vulnerability).map(Kev::from),
        epss: library.epss(&found.vulnerability).map(Epss::from),
        vulnerability: found.vulnerability,
        advisories: found.advisories,
        package: tuple.package.clone(),
        architecture: tuple.architecture.clone(),
        installed: tuple.version.clone(),
        source: found.source,
        source_version: tuple.source_version.clone(),
        fixed: found.fixed,
        verdict: found.verdict,
        fix_state: found.fix_state,
        severity: found.severity.map(Score::from),
        feed: Feed { name: found.feed, digest: line.map(|line| line.digest), age: line.map(|line| line.age) },
        evidence: found.evidence,
        tuple: at,
    }
}

/// A published fix that the host's own repositories have is installable. A fix names the source's version:
/// it says something about a binary package only where both go by the same one, a rebuild aside.
fn installable(finding: &Finding, tuple: &Tuple, candidates: &Candidates) -> Option<FixState> {
    let (Verdict::Affected, Some(FixState::Published), Some(fixed)) =
        (finding.verdict, finding.fix_state, &finding.fixed)
    else {
        return finding.fix_state;
    };
    let rebuild = tuple.version.strip_prefix(tuple.source_version.as_str());
    if !rebuild.is_some_and(|rest| rest.is_empty() || rest.starts_with("+b")) {
        return finding.fix_state;
    }
    let offered = candidates.get(&(tuple.package.clone(), tuple.architecture.clone()));
    let is_there = offered.into_iter().flatten().any(|offer| {
        version::compare(scheme(tuple.manager), offer, fixed).is_ok_and(|order| order != Ordering::Less)
    });
    if is_there { Some(FixState::Installable) } else { finding.fix_state }
}

/// The order of a package manager's versions.
pub(super) const fn scheme(manager: PackageManager) -> Scheme {
    match manager {
        PackageManager::Dpkg => Scheme::Deb,
        PackageManager::Rpm => Scheme::Rpm,
        PackageManager::Apk => Scheme::Apk,
    }
}

impl From<Rating> for Score {
    fn from(rating: Rating) -> Self {
        Score {
            rating: rating.rating,
            score: rating.score_tenths.map(|tenths| f64::from(tenths) / 10.0),
            vector: rating.vector,
            version: rating.version,
            source: rating.source,
        }
    }
}

impl From<&Exploited> for Kev {
    fn from(entry: &Exploited) -> Self {
        Kev {
            name: entry.name.clone(),
            added: entry.added.clone(),
            due: entry.due.clone(),
            ransomware: entry.ransomware,
        }
    }
}

impl From<Estimate> for Epss {
    fn from(estimate: Estimate) -> Self {
        let share = |millionths: u32| f64::from(millionths) / 1e6;
        Epss {
            probability: share(estimate.probability_millionths),
            percentile: estimate.percentile_millionths.map(share),
        }
    }
}
