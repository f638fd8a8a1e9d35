//! A cache of shared things: each lives as long as somebody uses it, and the last few that were asked for live on.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// How many of those that nobody uses stay: enough that a session like the last one finds its kernels compiled.
const RECENT: usize = 64;

/// Shared things by key.
pub(super) struct WeakCache<K, T> {
    known: HashMap<K, Weak<T>>,
    /// The last asked for stands last.
    recent: VecDeque<Arc<T>>,
}

impl<K, T> Default for WeakCache<K, T> {
    fn default() -> Self {
        WeakCache { known: HashMap::new(), recent: VecDeque::new() }
    }
}

impl<K: Eq + Hash, T> WeakCache<K, T> {
    /// What stands under a key, if it lives.
    pub(super) fn find(&mut self, key: &K) -> Option<Arc<T>> {
        let found = self.known.get(key)?.upgrade()?;
        self.touch(&found);
        Some(found)
    }

    /// Puts a thing under a key and returns it; or returns the thing that stands there by now.
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

    /// Drops everything that nobody uses.
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
    fn unused_things_go_when_enough_others_were_asked_for() {
        let mut cache = WeakCache::default();
        let used = cache.insert(0, "used");
        cache.insert(1, "idle");
        for key in 2..2 + RECENT {
            assert!(cache.len() <= RECENT + 1);
            cache.insert(key, "another");
        }
        assert!(cache.find(&0).is_some_and(|found| Arc::ptr_eq(&found, &used)));
        assert!(cache.find(&1).is_none());
        assert!(cache.find(&(RECENT + 1)).is_some());
    }

    #[test]
    fn things_that_are_asked_for_again_stay() {
        let mut cache = WeakCache::default();
        cache.insert(0, ());
        for key in 1..4 * RECENT {
            cache.insert(key, ());
            assert!(cache.find(&0).is_some());
        }
        assert_eq!(cache.len(), RECENT);
    }

    #[test]
    fn trimming_leaves_things_in_use() {
        let mut cache = WeakCache::default();
        let used = cache.insert(0, 5);
        cache.insert(1, 6);
        cache.trim();
        assert_eq!((cache.len(), cache.find(&0)), (1, Some(used)));
    }
}
