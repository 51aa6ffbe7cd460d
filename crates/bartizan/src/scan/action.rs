//! Actions: which installs close how many findings, and what has no fix.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::vulnerability::matching::{FixState, Verdict};
use bartizan_core::vulnerability::version;
use serde::Serialize;

use super::Inventory;
use super::finding::{Finding, scheme};

/// Bringing the packages of one source to a version.
#[derive(Debug, Serialize)]
pub(super) struct Action {
    /// The binary packages to install, sorted.
    pub(super) install: Vec<String>,
    pub(super) source: String,
    /// The version that has all fixes: the source's.
    pub(super) version: String,
    /// The findings that it closes.
    pub(super) closes: usize,
    /// Whether the host's own repositories have it.
    pub(super) installable: bool,
    /// What has to be done after it: a kernel protects nobody before it runs.
    pub(super) then: Option<&'static str>,
}

/// Findings that no install closes.
#[derive(Debug, Serialize)]
pub(super) struct WithoutFix {
    pub(super) fix_state: FixState,
    pub(super) findings: usize,
    pub(super) packages: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Group<'a> {
    install: BTreeSet<&'a str>,
    version: &'a str,
    closes: usize,
    is_missing: bool,
}

pub(super) fn plan(inventory: &Inventory, findings: &[Finding]) -> (Vec<Action>, Vec<WithoutFix>) {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    let mut without: BTreeMap<FixState, WithoutFix> = BTreeMap::new();
    for found in findings.iter().filter(|found| found.verdict == Verdict::Affected) {
        if let Some(fixed) = &found.fixed {
            let group = groups.entry(&found.source).or_default();
            group.install.insert(&found.package);
            group.closes += 1;
            group.is_missing |= found.fix_state != Some(FixState::Installable);
            let manager = inventory.tuples.get(found.tuple).map(|tuple| tuple.manager);
            let is_higher = manager.is_some_and(|manager| {
                version::compare(scheme(manager), fixed, group.version) == Ok(Ordering::Greater)
            });
            if group.version.is_empty() || is_higher {
                group.version = fixed;
            }
        } else {
            let fix_state = found.fix_state.unwrap_or(FixState::NoneYet);
            let entry = without.entry(fix_state).or_insert_with(|| WithoutFix {
                fix_state,
                findings: 0,
                packages: BTreeSet::new(),
            });
            entry.findings += 1;
            entry.packages.insert(found.package.clone());
        }
    }
    let mut actions: Vec<Action> = groups.into_iter().map(|(source, group)| action(source, group)).collect();
    actions.sort_by_key(|action| Reverse(action.closes));
    (actions, without.into_values().collect())
}

fn action(source: &str, group: Group) -> Action {
    let is_kernel = group.install.iter().any(|package| {
        package.starts_with("linux-image-") || matches!(*package, "kernel" | "kernel-core" | "linux-lts")
    });
    Action {
        install: group.install.into_iter().map(str::to_owned).collect(),
        source: source.to_owned(),
        version: group.version.to_owned(),
        closes: group.closes,
        installable: !group.is_missing,
        then: is_kernel.then_some("reboot"),
    }
}
