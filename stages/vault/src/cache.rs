//! Opened keys, kept in memory up to a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Entry<K> {
    key: Arc<K>,
    used: u64,
}

struct Entries<I, K> {
    by_id: HashMap<I, Entry<K>>,
    /// Counts uses, for the order of them.
    uses: u64,
}

/// The keys `K` used last, by their ids `I`. A key that leaves is wiped when its last user is done.
pub(crate) struct Cache<I, K> {
    max: usize,
    entries: Mutex<Entries<I, K>>,
}

impl<I: Clone + Eq + Hash, K> Cache<I, K> {
    pub(crate) fn new(max: usize) -> Self {
        let entries = Entries {
            by_id: HashMap::new(),
            uses: 0,
        };
        Self {
            max,
            entries: Mutex::new(entries),
        }
    }

    pub(crate) fn get(&self, id: &I) -> Option<Arc<K>> {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_id.get_mut(id)?;
        entry.used = used;
        Some(entry.key.clone())
    }

    pub(crate) fn put(&self, id: I, key: Arc<K>) {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        entries.by_id.insert(id, Entry { key, used });
        while entries.by_id.len() > self.max {
            let oldest = entries.by_id.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            entries.by_id.remove(&oldest);
        }
    }

    pub(crate) fn drop_key(&self, id: &I) {
        self.entries().by_id.remove(id);
    }

    /// Drops the keys that are not to be kept.
    pub(crate) fn retain(&self, keep: impl Fn(&I) -> bool) {
        self.entries().by_id.retain(|id, _| keep(id));
    }

    fn entries(&self) -> MutexGuard<'_, Entries<I, K>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_id::KeyId;
    use crate::secret::SecretKey;

    #[test]
    fn the_key_used_longest_ago_leaves_first() {
        let cache = Cache::new(2);
        let id = |epoch| KeyId::new("t", epoch).unwrap();
        for epoch in [1, 2] {
            cache.put(id(epoch), Arc::new(SecretKey::random().unwrap()));
        }
        assert!(cache.get(&id(1)).is_some());
        cache.put(id(3), Arc::new(SecretKey::random().unwrap()));
        let held = [1, 2, 3].map(|epoch| cache.get(&id(epoch)).is_some());
        assert_eq!(held, [true, false, true]);
        cache.drop_key(&id(3));
        assert!(cache.get(&id(3)).is_none());
        cache.retain(|id| id.epoch() != 1);
        assert!(cache.get(&id(1)).is_none());
    }
}
