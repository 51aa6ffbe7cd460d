//! The index: which assets stand how, as bitmaps by cohort of age.
//!
//! One [`Cohorts`] is one plane of one subject in one shard: bitmaps of assets, each under the
//! hour since which its assets stand so. An asset lies in the cohort with the largest hour not
//! after its own, so that neighbours may be merged into the earlier one: then the fleet's
//! figures show it older, never younger. The exact age is in the asset's record.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::{AssetNumber, Change};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// The most cohorts of one plane, subject and shard.
pub const COHORTS_LIMIT: usize = 64;

/// What a bitmap says of its assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plane {
    /// They have the obligation (no age).
    Assigned,
    /// They meet it (no age).
    Met,
    NotMet,
    Unknown,
    /// They did not meet it at first sight, and have not been seen to meet it since (no age).
    Backlog,
    /// The package is on them.
    Present,
    /// It came to them after first sight: they are among those that it is on (no age).
    Came,
    /// They bear the label (no age).
    Is,
}

impl Plane {
    /// Its word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Plane::Assigned => "assigned",
            Plane::Met => "met",
            Plane::NotMet => "not_met",
            Plane::Unknown => "unknown",
            Plane::Backlog => "backlog",
            Plane::Present => "present",
            Plane::Came => "came",
            Plane::Is => "is",
        }
    }

    /// All of them.
    pub const ALL: [Plane; 8] = [
        Plane::Assigned,
        Plane::Met,
        Plane::NotMet,
        Plane::Unknown,
        Plane::Backlog,
        Plane::Present,
        Plane::Came,
        Plane::Is,
    ];

    /// Whether its bitmaps are kept by age.
    pub const fn ages(self) -> bool {
        matches!(self, Plane::NotMet | Plane::Unknown | Plane::Present)
    }

    /// The plane where assets with this verdict lie.
    pub const fn of(verdict: Verdict) -> Plane {
        match verdict {
            Verdict::Met => Plane::Met,
            Verdict::NotMet => Plane::NotMet,
            Verdict::Unknown(_) => Plane::Unknown,
        }
    }
}

/// A word that is no plane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no plane of the posture")]
pub struct NoPlane(String);

impl std::str::FromStr for Plane {
    type Err = NoPlane;

    fn from_str(word: &str) -> Result<Self, NoPlane> {
        let found = Plane::ALL.into_iter().find(|plane| plane.as_str() == word);
        found.ok_or_else(|| NoPlane(word.to_owned()))
    }
}

/// What a subject's bitmaps are about: the two kinds of number are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    Subject(u32),
    Tuple(u32),
}

impl About {
    /// The subject's number, where it is about one.
    pub const fn subject(self) -> Option<u32> {
        match self {
            About::Subject(number) => Some(number),
            About::Tuple(_) => None,
        }
    }

    /// The tuple's number, where it is about one.
    pub const fn tuple(self) -> Option<u32> {
        match self {
            About::Tuple(number) => Some(number),
            About::Subject(_) => None,
        }
    }
}

/// One bit to set or clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    pub asset: AssetNumber,
    pub since: Timestamp,
    pub present: bool,
}

/// All edits to each plane, in the order of the changes.
pub type Edits = BTreeMap<(About, Plane), Vec<Edit>>;

/// Which of an asset's changes are the first of their kind: what they bring is its backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First {
    pub verdicts: bool,
    pub packages: bool,
}

/// Adds the edits that one asset's changes ask for.
pub fn collect(edits: &mut Edits, asset: AssetNumber, changes: &[Change], first: First) {
    let mut put = |about, plane, since, present| {
        edits.entry((about, plane)).or_default().push(Edit { asset, since, present });
    };
    for change in changes {
        match *change {
            Change::Verdict { subject, from, to } => {
                let about = About::Subject(subject);
                if let Some(from) = from {
                    put(about, Plane::of(from.verdict), from.since, false);
                }
                if let Some(to) = to {
                    put(about, Plane::of(to.verdict), to.since, true);
                }
                match to.map(|to| (to.verdict, to.since)) {
                    Some((Verdict::NotMet, since)) if first.verdicts => {
                        put(about, Plane::Backlog, since, true)
                    }
                    // What nobody can say ends nothing.
                    Some((Verdict::NotMet | Verdict::Unknown(_), _)) => {}
                    Some((Verdict::Met, _)) | None => {
                        let was = from.filter(|from| from.verdict != Verdict::Met);
                        was.into_iter().for_each(|was| put(about, Plane::Backlog, was.since, false));
                    }
                }
                let any = from.or(to).map(|standing| standing.since);
                if let Some(since) = any.filter(|_| from.is_some() != to.is_some()) {
                    put(about, Plane::Assigned, since, to.is_some());
                }
            }
            Change::Present { tuple, from, to } => {
                let about = About::Tuple(tuple);
                if let Some(since) = from {
                    put(about, Plane::Present, since, false);
                    put(about, Plane::Came, since, false);
                }
                if let Some(since) = to {
                    put(about, Plane::Present, since, true);
                    if !first.packages {
                        put(about, Plane::Came, since, true);
                    }
                }
            }
        }
    }
}

/// One plane of one subject in one shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohorts(BTreeMap<i64, RoaringBitmap>);

impl Cohorts {
    /// The cohorts as the store has them: (hour since 1970, bitmap).
    pub fn new(stored: impl IntoIterator<Item = (i64, RoaringBitmap)>) -> Self {
        Self(stored.into_iter().collect())
    }

    /// Every cohort, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &RoaringBitmap)> {
        self.0.iter().map(|(hour, bitmap)| (*hour, bitmap))
    }

    /// How many are in the plane: nobody is in two cohorts of it.
    pub fn len(&self) -> u64 {
        self.0.values().map(RoaringBitmap::len).sum()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everybody in the plane.
    pub fn all(&self) -> RoaringBitmap {
        roaring::MultiOps::union(self.0.values())
    }

    /// Those who have stood so since `hour` or longer.
    pub fn since(&self, hour: i64) -> RoaringBitmap {
        roaring::MultiOps::union(self.0.range(..=hour).map(|(_, bitmap)| bitmap))
    }

    /// Makes the edits of a plane, then merges until there are at most [`COHORTS_LIMIT`].
    pub fn edit(&mut self, plane: Plane, edits: &[Edit]) {
        for edit in edits {
            let hour = if plane.ages() { edit.since.hour() } else { 0 };
            if edit.present {
                // The cohort of this hour exactly: an earlier one would make the asset older than it need be.
                self.0.entry(hour).or_default().insert(edit.asset);
            } else if let Some((_, bitmap)) = self.0.range_mut(..=hour).next_back()
                && bitmap.remove(edit.asset)
            {
            } else {
                // Merged into an earlier cohort before this hour's was made again.
                for bitmap in self.0.values_mut() {
                    bitmap.remove(edit.asset);
                }
            }
        }
        self.0.retain(|_, bitmap| !bitmap.is_empty());
        while self.0.len() > COHORTS_LIMIT {
            self.merge();
        }
    }

    /// Joins the two neighbours that lie closest, into the earlier one.
    fn merge(&mut self) {
        let hours: Vec<i64> = self.0.keys().copied().collect();
        let closest = hours.windows(2).filter_map(|pair| match pair {
            [earlier, later] => Some((later - earlier, *earlier, *later)),
            _ => None,
        });
        let Some((_, earlier, later)) = closest.min() else { return };
        if let Some(younger) = self.0.remove(&later)
            && let Some(older) = self.0.get_mut(&earlier)
        {
            *older |= younger;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000 + 5)
    }

    proptest! {
        #[test]
        fn the_index_holds_whoever_came_and_did_not_go_and_never_younger(
            steps in prop::collection::vec((0_u32..50, 0_i64..300), 1..400)
        ) {
            let mut truth: BTreeMap<u32, i64> = BTreeMap::new();
            let mut cohorts = Cohorts::default();
            for (asset, hour) in steps {
                let edit = match truth.remove(&asset) {
                    Some(since) => Edit { asset, since: at(since), present: false },
                    None => {
                        truth.insert(asset, hour);
                        Edit { asset, since: at(hour), present: true }
                    }
                };
                cohorts.edit(Plane::NotMet, &[edit]);
            }
            prop_assert_eq!(cohorts.all().iter().collect::<Vec<_>>(), truth.keys().copied().collect::<Vec<_>>());
            prop_assert!(cohorts.iter().count() <= COHORTS_LIMIT);
            for (hour, bitmap) in cohorts.iter() {
                for asset in bitmap {
                    prop_assert!(hour <= truth[&asset], "shown younger than it is");
                }
            }
        }
    }

    #[test]
    fn a_backlog_is_what_first_sight_found_until_it_is_seen_to_be_well() {
        use crate::posture::Standing;
        use crate::verdict::Reason;
        let standing = |verdict| Some(Standing { verdict, since: at(1) });
        let unknown = Verdict::Unknown(Reason::Denied);
        let verdict = |from: Option<Verdict>, to: Option<Verdict>| Change::Verdict {
            subject: 1,
            from: from.and_then(standing),
            to: to.and_then(standing),
        };
        let mut cohorts = Cohorts::default();
        let mut see = |first, from, to| {
            let mut edits = Edits::new();
            let first = First { verdicts: first, packages: first };
            collect(&mut edits, 7, &[verdict(from, to)], first);
            let key = (About::Subject(1), Plane::Backlog);
            cohorts.edit(Plane::Backlog, edits.get(&key).map_or(&[], Vec::as_slice));
            cohorts.len()
        };
        let (bad, well) = (Some(Verdict::NotMet), Some(Verdict::Met));
        assert_eq!(see(true, None, bad), 1);
        assert_eq!(see(false, bad, Some(unknown)), 1, "unknown closes nothing");
        assert_eq!(see(false, Some(unknown), bad), 1);
        assert_eq!(see(false, bad, well), 0);
        assert_eq!(see(false, well, bad), 0, "what comes later is no backlog");
        assert_eq!((see(true, None, bad), see(false, bad, None)), (1, 0));
    }

    #[test]
    fn a_package_of_first_sight_did_not_come_later() {
        let change = |from: Option<i64>, to: Option<i64>| Change::Present {
            tuple: 1,
            from: from.map(at),
            to: to.map(at),
        };
        let mut cohorts = Cohorts::default();
        let mut see = |packages, from, to| {
            let mut edits = Edits::new();
            collect(&mut edits, 7, &[change(from, to)], First { verdicts: false, packages });
            let key = (About::Tuple(1), Plane::Came);
            cohorts.edit(Plane::Came, edits.get(&key).map_or(&[], Vec::as_slice));
            cohorts.len()
        };
        assert_eq!(see(true, None, Some(1)), 0);
        assert_eq!((see(false, Some(1), None), see(false, None, Some(2))), (0, 1));
        assert_eq!(see(false, Some(2), None), 0);
    }

    #[test]
    fn planes_without_age_keep_one_cohort() {
        let mut cohorts = Cohorts::default();
        let came = [1, 2, 3].map(|asset| Edit { asset, since: at(i64::from(asset)), present: true });
        cohorts.edit(Plane::Met, &came);
        assert_eq!(cohorts.iter().map(|(hour, bitmap)| (hour, bitmap.len())).collect::<Vec<_>>(), [(0, 3)]);
    }
}
