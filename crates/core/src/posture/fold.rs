//! Folding: an asset's old transitions become two that lead to the same index.
//!
//! The log must stay good for building the index anew from its first row, and the index knows what came
//! with the first sight of an asset. So what still stands of that stays a row of its own, and what
//! came later is told by another; what came and went in between is forgotten.

use std::collections::BTreeMap;

use super::index::First;
use super::{Change, Standing, SubjectNumber, TupleNumber};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// What an asset's old transitions come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// What the first sight of the asset brought and the backlog still holds.
    pub first: Vec<Change>,
    /// What stands beside it, and what became of it since.
    pub later: Vec<Change>,
}

/// How a subject stands, and with which standing it came into the backlog.
#[derive(Clone, Copy)]
struct Subject {
    standing: Standing,
    backlog: Option<Standing>,
}

/// Folds transitions, given in their order from the asset's very first.
pub fn fold<'a>(transitions: impl IntoIterator<Item = (First, &'a [Change])>) -> Folded {
    let mut subjects: BTreeMap<SubjectNumber, Subject> = BTreeMap::new();
    let mut tuples: BTreeMap<TupleNumber, (Timestamp, bool)> = BTreeMap::new();
    for (first, changes) in transitions {
        for change in changes {
            match *change {
                Change::Verdict { subject, to: None, .. } => drop(subjects.remove(&subject)),
                Change::Verdict { subject, to: Some(to), .. } => {
                    let held = subjects.get(&subject).and_then(|held| held.backlog);
                    let backlog = match to.verdict {
                        Verdict::Met => None,
                        Verdict::NotMet if first.verdicts => Some(to),
                        Verdict::NotMet | Verdict::Unknown(_) => held,
                    };
                    subjects.insert(subject, Subject { standing: to, backlog });
                }
                Change::Present { tuple, to: None, .. } => drop(tuples.remove(&tuple)),
                Change::Present { tuple, to: Some(to), .. } => {
                    tuples.insert(tuple, (to, first.packages));
                }
            }
        }
    }
    let mut folded = Folded::default();
    for (subject, Subject { standing, backlog }) in subjects {
        if backlog.is_some() {
            folded.first.push(Change::Verdict { subject, from: None, to: backlog });
        }
        if backlog != Some(standing) {
            folded.later.push(Change::Verdict { subject, from: backlog, to: Some(standing) });
        }
    }
    for (tuple, (since, first)) in tuples {
        let change = Change::Present { tuple, from: None, to: Some(since) };
        if first { folded.first.push(change) } else { folded.later.push(change) }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::index::{Cohorts, Edits, collect};
    use super::*;
    use crate::verdict::Reason;

    /// Who is on which plane after some transitions; asset 1 is the only one.
    fn index<'a>(transitions: impl IntoIterator<Item = (First, &'a [Change])>) -> Vec<String> {
        let mut planes: BTreeMap<_, Cohorts> = BTreeMap::new();
        for (first, changes) in transitions {
            let mut edits = Edits::new();
            collect(&mut edits, 1, changes, first);
            for (key, edits) in edits {
                planes.entry(key).or_default().edit(key.1, &edits);
            }
        }
        let held = planes.iter().filter(|(_, cohorts)| !cohorts.is_empty());
        held.map(|((about, plane), cohorts)| format!("{about:?} {plane:?} {:?}", cohorts.all())).collect()
    }

    fn verdict(word: u8) -> Verdict {
        [Verdict::Met, Verdict::NotMet, Verdict::Unknown(Reason::Denied)][usize::from(word % 3)]
    }

    proptest! {
        #[test]
        fn folded_transitions_lead_to_the_same_index_and_so_does_what_follows(
            reports in prop::collection::vec(
                (prop::collection::vec((0_u32..5, 0_u8..4), 0..5), prop::option::of(prop::collection::btree_set(0_u32..5, 0..5))),
                1..12,
            ),
            cut in 1_usize..12,
        ) {
            let mut record = Record::default();
            let mut log: Vec<(First, Vec<Change>)> = Vec::new();
            for (at, (looks, present)) in (1_i64..).zip(reports) {
                let at = Timestamp::from_millis(at * 3_600_000);
                let first = First {
                    verdicts: record.verdicts().next().is_none(),
                    packages: record.present().next().is_none(),
                };
                let mut changes = Vec::new();
                for (subject, word) in looks {
                    let change = if word == 3 { record.withdraw(subject) } else { record.observe(subject, verdict(word), at) };
                    changes.extend(change);
                }
                if let Some(present) = present {
                    changes.extend(record.install(&present.into_iter().collect::<Vec<_>>(), at));
                }
                if !changes.is_empty() {
                    log.push((first, changes));
                }
            }
            let (old, young) = log.split_at(cut.min(log.len()));
            let each = |(first, changes): &'_ (First, Vec<Change>)| (*first, changes.clone());
            let folded = fold(old.iter().map(|(first, changes)| (*first, changes.as_slice())));
            let both = First { verdicts: true, packages: true };
            let short: Vec<(First, Vec<Change>)> = [(both, folded.first), (First::default(), folded.later)]
                .into_iter()
                .chain(young.iter().map(each))
                .collect();
            let all = |log: &[(First, Vec<Change>)]| {
                index(log.iter().map(|(first, changes)| (*first, changes.as_slice())))
            };
            prop_assert_eq!(all(&short[..2]), all(old));
            prop_assert_eq!(all(&short), all(&log));
            // Folded again, and with what came since, it comes to the same.
            let again = fold(short.iter().map(|(first, changes)| (*first, changes.as_slice())));
            let again = [(both, again.first), (First::default(), again.later)];
            prop_assert_eq!(all(&again), all(&log));
        }
    }
}
