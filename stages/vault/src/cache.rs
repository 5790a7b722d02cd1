//! Opened keys, kept in memory up to a bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key_id::KeyId;
use crate::secret::SecretKey;

struct Entry {
    key: Arc<SecretKey>,
    used: u64,
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<KeyId, Entry>,
    /// Counts uses, for the order of them.
    uses: u64,
}

/// The keys used last. A key that leaves is wiped when its last user is done.
pub(crate) struct Cache {
    max: usize,
    entries: Mutex<Entries>,
}

impl Cache {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, id: &KeyId) -> Option<Arc<SecretKey>> {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_id.get_mut(id)?;
        entry.used = used;
        Some(entry.key.clone())
    }

    pub(crate) fn put(&self, id: KeyId, key: Arc<SecretKey>) {
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

    pub(crate) fn drop_key(&self, id: &KeyId) {
        self.entries().by_id.remove(id);
    }

    /// Drops the keys that are not to be kept.
    pub(crate) fn retain(&self, keep: impl Fn(&KeyId) -> bool) {
        self.entries().by_id.retain(|id, _| keep(id));
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
