//! Numbers that were given once and for ever, to subjects and to builds: whoever has read one need not
//! ask for it again.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::digest::Digest;

use crate::subject::Subject;

/// The most numbers of subjects that are remembered: some for each rule that was ever applied.
const SUBJECTS_LIMIT: usize = 100_000;

/// The most numbers of builds that are remembered, some 40 bytes each: as many as a fleet of a
/// million hosts carries.
const TUPLES_LIMIT: usize = 500_000;

/// What this replica has read, or given itself in a transaction that was committed.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) subjects: Remembered<Subject>,
    pub(crate) tuples: Remembered<Digest>,
}

impl Default for Known {
    fn default() -> Self {
        Self { subjects: Remembered::new(SUBJECTS_LIMIT), tuples: Remembered::new(TUPLES_LIMIT) }
    }
}

/// Numbers of one kind; beyond the limit all of them are forgotten, and read again.
#[derive(Clone, Debug)]
pub(crate) struct Remembered<K> {
    by_key: Arc<RwLock<HashMap<K, u32>>>,
    limit: usize,
}

/// The numbers that a transaction works with.
#[derive(Debug)]
pub(crate) struct Numbered<K> {
    pub(crate) by_key: HashMap<K, u32>,
    /// Those to be remembered once it is committed.
    pub(crate) fresh: Vec<(K, u32)>,
}

impl<K: Eq + Hash + Clone> Remembered<K> {
    fn new(limit: usize) -> Self {
        Self { by_key: Arc::default(), limit }
    }

    /// The numbers that are known, and the keys whose are not, each once and in no order.
    pub(crate) fn look_up<'a>(&self, keys: impl Iterator<Item = &'a K>) -> (HashMap<K, u32>, Vec<&'a K>)
    where
        K: 'a,
    {
        let known = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        let distinct: HashSet<&K> = keys.collect();
        for key in distinct {
            match known.get(key) {
                Some(number) => drop(found.insert(key.clone(), *number)),
                None => missing.push(key),
            }
        }
        (found, missing)
    }

    /// Remembers numbers that were committed.
    pub(crate) fn learn(&self, fresh: Vec<(K, u32)>) {
        if fresh.is_empty() {
            return;
        }
        let mut known = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + fresh.len() > self.limit {
            known.clear();
        }
        known.extend(fresh.into_iter().take(self.limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_known_and_beyond_the_limit_it_is_asked_for_again() {
        let numbers: Remembered<String> = Remembered::new(2);
        let key = |word: &str| word.to_owned();
        numbers.learn(vec![(key("a"), 1), (key("b"), 2)]);
        let asked = [key("a"), key("c"), key("a"), key("c")];
        let (found, missing) = numbers.look_up(asked.iter());
        assert_eq!(found, HashMap::from([(key("a"), 1)]));
        assert_eq!(missing, [&key("c")], "each once");
        numbers.learn(vec![(key("c"), 3)]);
        let (found, missing) = numbers.look_up(asked.iter());
        assert_eq!((found.get("c"), missing), (Some(&3), vec![&key("a")]));
    }
}
