//! When each asset is to be looked at next: the one that was heard longest ago comes first, and nobody
//! else is looked at.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;

/// Who is watched. A check-in does not touch it: whoever is due and was heard meanwhile is put off.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    next: BTreeSet<(Timestamp, AssetNumber)>,
    of: BTreeMap<AssetNumber, Timestamp>,
}

impl Schedule {
    /// Looks at an asset at this time, and not before.
    pub(super) fn put(&mut self, number: AssetNumber, at: Timestamp) {
        self.forget(number);
        self.of.insert(number, at);
        self.next.insert((at, number));
    }

    /// Looks at an asset no more.
    pub(super) fn forget(&mut self, number: AssetNumber) {
        if let Some(at) = self.of.remove(&number) {
            self.next.remove(&(at, number));
        }
    }

    /// Whoever is due now, the longest overdue first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = AssetNumber> {
        self.next.range(..=(now, AssetNumber::MAX)).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn who_is_put_off_is_due_once_and_later() {
        let mut schedule = Schedule::default();
        schedule.put(1, at(10));
        schedule.put(2, at(5));
        assert_eq!(schedule.due(at(10)).collect::<Vec<_>>(), [2, 1]);
        schedule.put(2, at(11));
        assert_eq!(schedule.due(at(10)).collect::<Vec<_>>(), [1]);
        schedule.forget(1);
        assert_eq!(schedule.due(at(11)).collect::<Vec<_>>(), [2]);
    }

    proptest! {
        /// Held against a look at everybody, each second.
        #[test]
        fn the_schedule_finds_whoever_a_look_at_everybody_would_find(
            beats in prop::collection::vec((0_u32..8, 1_i64..60), 1..80)
        ) {
            const LIMIT: i64 = 30;
            let mut heard: BTreeMap<AssetNumber, i64> = (0..8).map(|number| (number, 0)).collect();
            let mut schedule = Schedule::default();
            heard.keys().for_each(|number| schedule.put(*number, at(LIMIT)));
            let mut absent = BTreeSet::new();
            let mut now = 0;
            for (number, wait) in beats {
                for second in now..now + wait {
                    let due: Vec<AssetNumber> = schedule.due(at(second)).collect();
                    for number in due {
                        if second - heard[&number] >= LIMIT {
                            schedule.forget(number);
                            absent.insert(number);
                        } else {
                            schedule.put(number, at(heard[&number] + LIMIT));
                        }
                    }
                    let all = heard.iter().filter(|(_, heard)| second - **heard >= LIMIT);
                    prop_assert_eq!(&absent, &all.map(|(number, _)| *number).collect::<BTreeSet<_>>());
                }
                now += wait;
                heard.insert(number, now);
                if absent.remove(&number) {
                    schedule.put(number, at(now + LIMIT));
                }
            }
        }
    }
}
