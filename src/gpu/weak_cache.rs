//! Things that live as long as somebody uses them, and the last few that were asked for a while longer.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// How many stay that nobody uses: enough that a session like the last one finds its kernels compiled.
const RECENT: usize = 64;

/// Shared things by key.
pub(super) struct Kept<K, T> {
    known: HashMap<K, Weak<T>>,
    /// The last asked for stands last.
    recent: VecDeque<Arc<T>>,
}

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Kept { known: HashMap::new(), recent: VecDeque::new() }
    }
}

impl<K: Eq + Hash, T> Kept<K, T> {
    /// What stands under a key, if it lives.
    pub(super) fn find(&mut self, key: &K) -> Option<Arc<T>> {
        let found = self.known.get(key)?.upgrade()?;
        self.touch(&found);
        Some(found)
    }

    /// Makes something known, unless there is something under this key by now; that is it then.
    pub(super) fn insert(&mut self, key: K, thing: T) -> Arc<T> {
        if let Some(found) = self.find(&key) {
            return found;
        }
        let thing = Arc::new(thing);
        self.touch(&thing);
        self.known.retain(|_, thing| thing.strong_count() > 0);
        self.known.insert(key, Arc::downgrade(&thing));
        thing
    }

    fn touch(&mut self, thing: &Arc<T>) {
        match self.recent.iter().position(|other| Arc::ptr_eq(other, thing)) {
            Some(index) => drop(self.recent.remove(index)),
            None if self.recent.len() == RECENT => drop(self.recent.pop_front()),
            None => {}
        }
        self.recent.push_back(thing.clone());
    }

    /// Lets everything go that nobody uses.
    pub(super) fn trim(&mut self) {
        self.recent.retain(|thing| Arc::strong_count(thing) > 1);
        self.known.retain(|_, thing| thing.strong_count() > 0);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.values().filter(|thing| thing.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_goes_when_enough_others_were_asked_for() {
        let mut kept = Kept::default();
        let used = kept.insert(0, "used");
        kept.insert(1, "idle");
        for key in 2..2 + RECENT {
            assert!(kept.len() <= RECENT + 1);
            kept.insert(key, "another");
        }
        assert!(kept.find(&0).is_some_and(|found| Arc::ptr_eq(&found, &used)));
        assert!(kept.find(&1).is_none());
        assert!(kept.find(&(RECENT + 1)).is_some());
    }

    #[test]
    fn what_is_asked_for_again_stays() {
        let mut kept = Kept::default();
        kept.insert(0, ());
        for key in 1..4 * RECENT {
            kept.insert(key, ());
            assert!(kept.find(&0).is_some());
        }
        assert_eq!(kept.len(), RECENT);
    }

    #[test]
    fn trimming_leaves_what_is_used() {
        let mut kept = Kept::default();
        let used = kept.insert(0, 5);
        kept.insert(1, 6);
        kept.trim();
        assert_eq!((kept.len(), kept.find(&0)), (1, Some(used)));
    }
}
