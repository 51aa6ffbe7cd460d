//! What posture and the feeds say of one finding now.
//!
//! A rule that is met and a build that is gone are two ways to mend a fault. That nobody asks for the
//! rule any more, or that the feed takes back what it said of a build which is still there, mends nothing.

use std::collections::BTreeSet;

use crate::posture::{Standing, SubjectNumber, TupleNumber};
use crate::time::Timestamp;
use crate::verdict::Verdict;
use crate::vulnerability::matching;

/// How the obligation stands on its asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The fault is there, since then and by this.
    Seen { since: Timestamp, seen_by: BTreeSet<u32> },
    /// It was looked for, and is gone.
    Gone { observed_at: Timestamp },
    /// Nobody asks for it any more, or not in the same way.
    TakenBack,
    /// Nobody can say.
    Unknown,
}

/// A build of the finding's source package that is on the asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    pub tuple: TupleNumber,
    /// Since when it is there.
    pub since: Timestamp,
    /// What the feeds say of it; nothing where no feed speaks of its release, or nobody has looked yet.
    pub told: Option<Told>,
}

/// What the feeds say of a build and a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: the vulnerability is not known of it.
    Nothing,
    Matched {
        verdict: matching::Verdict,
        known_at: Timestamp,
    },
}

/// How a rule stands, given its verdict under every check that it had there. `seen_by` are the checks by which the
/// fault was seen last, and `applies` says whether the rule is asked for on the asset.
pub fn of_rule(
    standings: &[(SubjectNumber, Standing)],
    seen_by: &BTreeSet<SubjectNumber>,
    applies: bool,
) -> Look {
    let unmet = standings.iter().filter(|(_, standing)| standing.verdict == Verdict::NotMet);
    if let Some(since) = unmet.clone().map(|(_, standing)| standing.since).min() {
        return Look::Seen { since, seen_by: unmet.map(|(number, _)| *number).collect() };
    }
    let met = standings.iter().filter(|(_, standing)| standing.verdict == Verdict::Met);
    let same = met.clone().filter(|(number, _)| seen_by.contains(number));
    if let Some(observed_at) = same.map(|(_, standing)| standing.since).max() {
        return Look::Gone { observed_at };
    }
    // Met under another check: what was asked for before is asked for no more.
    let any_met = met.clone().next().is_some();
    if any_met || (standings.is_empty() && !applies) { Look::TakenBack } else { Look::Unknown }
}

/// How a vulnerability stands, given every build of its source package on the asset. `seen_by` are the builds by which
/// it was seen last; `observed_at` is when the asset's packages were last looked at.
pub fn of_builds(builds: &[Build], seen_by: &BTreeSet<TupleNumber>, observed_at: Timestamp) -> Look {
    let affected = builds.iter().filter_map(|build| match build.told {
        Some(Told::Matched { verdict: matching::Verdict::Affected, known_at }) => {
            Some((build.tuple, build.since.max(known_at)))
        }
        _ => None,
    });
    if let Some(since) = affected.clone().map(|(_, since)| since).min() {
        return Look::Seen { since, seen_by: affected.map(|(tuple, _)| tuple).collect() };
    }
    let unknown = |build: &Build| {
        matches!(build.told, None | Some(Told::Matched { verdict: matching::Verdict::Unknown(_), .. }))
    };
    if builds.iter().any(unknown) {
        return Look::Unknown;
    }
    let stays = builds.iter().any(|build| seen_by.contains(&build.tuple));
    if stays { Look::TakenBack } else { Look::Gone { observed_at } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    const NOT_MET: Verdict = Verdict::NotMet;
    const MET: Verdict = Verdict::Met;
    const DENIED: Verdict = Verdict::Unknown(Reason::Denied);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_rule_is_mended_where_the_check_that_saw_it_unmet_sees_it_met() {
        let table = [
            (vec![(1, NOT_MET)], true, Look::Seen { since: at(1), seen_by: [1].into() }),
            (vec![(1, MET)], true, Look::Gone { observed_at: at(1) }),
            (vec![(1, DENIED)], true, Look::Unknown),
            (vec![(2, MET)], true, Look::TakenBack),
            (vec![(2, NOT_MET)], true, Look::Seen { since: at(2), seen_by: [2].into() }),
            (vec![(2, DENIED)], true, Look::Unknown),
            (vec![], true, Look::Unknown),
            (vec![], false, Look::TakenBack),
        ];
        for (standings, applies, expected) in table {
            let standing = |(number, verdict): &(u32, Verdict)| {
                (*number, Standing { verdict: *verdict, since: at(i64::from(*number)) })
            };
            let standings: Vec<(u32, Standing)> = standings.iter().map(standing).collect();
            assert_eq!(of_rule(&standings, &[1].into(), applies), expected, "{standings:?}");
        }
    }

    #[test]
    fn a_vulnerability_is_mended_where_the_build_that_had_it_is_gone() {
        let matched = |verdict| Some(Told::Matched { verdict, known_at: at(5) });
        let affected = matched(matching::Verdict::Affected);
        let fixed = matched(matching::Verdict::Fixed);
        let unknown = matched(matching::Verdict::Unknown(Reason::Unparsable));
        let gone = Look::Gone { observed_at: at(9) };
        let table = [
            (vec![(1, affected)], Look::Seen { since: at(5), seen_by: [1].into() }),
            (vec![(1, affected), (2, fixed)], Look::Seen { since: at(5), seen_by: [1].into() }),
            (vec![(2, fixed)], gone.clone()),
            (vec![(2, Some(Told::Nothing))], gone.clone()),
            (vec![], gone),
            (vec![(2, None)], Look::Unknown),
            (vec![(2, fixed), (3, unknown)], Look::Unknown),
            (vec![(1, fixed)], Look::TakenBack),
            (vec![(1, Some(Told::Nothing))], Look::TakenBack),
            (vec![(1, None)], Look::Unknown),
        ];
        for (builds, expected) in table {
            let build = |(tuple, told)| Build { tuple, since: at(3), told };
            let builds: Vec<Build> = builds.into_iter().map(build).collect();
            assert_eq!(of_builds(&builds, &[1].into(), at(9)), expected, "{builds:?}");
        }
    }
}
