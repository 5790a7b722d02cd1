//! Destroying keys, which erases what they sealed.

use std::ops::RangeInclusive;
use std::path::Path;

use shiren_contract::seal::VaultError;

use crate::files::{self, UNFINISHED};
use crate::key_id::KeyId;
use crate::lock;
use crate::record::{DestroyedBy, KeyRecord, Tombstone};
use crate::store::FileVault;

const US_A_MS: i64 = 1_000;

/// What was destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Keys.
    pub count: usize,
}

impl FileVault {
    /// Destroys every key whose epoch ended more than the time to live before `now_us`, and drops
    /// tombstones past theirs. One key that cannot be destroyed does not spare the others.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`], the first one met.
    pub fn destroy_expired(&self, now_us: i64) -> Result<Destroyed, VaultError> {
        let mut sweep = Sweep::default();
        sweep.take(self.tidy_top());
        for tenant in sweep.take(self.layout.tenants()) {
            for id in sweep.take(self.layout.live(&tenant)) {
                if self.expires_us(&id) <= now_us {
                    sweep.count(self.destroy_key(&id, now_us, DestroyedBy::Expiry));
                }
            }
            sweep.take(self.tidy(&tenant, now_us));
        }
        for library in sweep.take(self.layout.libraries()) {
            sweep.take(self.tidy_library(&library));
        }
        // Those that another process destroyed leave this one's memory too.
        self.cache
            .retain(|id| files::exists(&self.layout.key(id)).unwrap_or(false));
        self.libraries
            .retain(|id| files::exists(&self.layout.library_key(id)).unwrap_or(false));
        sweep.done()
    }

    /// Destroys a tenant's keys whose epochs start in this range (Unix seconds), whatever their age.
    /// Nothing more can be sealed in an epoch whose key is destroyed.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`], the first one met.
    pub fn destroy(
        &self,
        tenant: &str,
        epochs: RangeInclusive<i64>,
        now_us: i64,
    ) -> Result<Destroyed, VaultError> {
        let mut sweep = Sweep::default();
        for id in sweep.take(self.layout.live(tenant)) {
            if epochs.contains(&id.epoch()) {
                sweep.count(self.destroy_key(&id, now_us, DestroyedBy::Operator));
            }
        }
        sweep.done()
    }

    /// When the key's time to live is over, microseconds since the Unix epoch.
    pub(crate) fn expires_us(&self, id: &KeyId) -> i64 {
        // A key whose file is damaged expires by its name.
        let ends_us = match KeyRecord::read(&self.layout.key(id)) {
            Ok(Some(record)) => record.ends_us,
            _ => id.epoch_of(self.options.epoch_ms).ends_us,
        };
        ends_us.saturating_add(us(self.options.key_ttl_ms))
    }

    /// The tombstone first: from then on nobody makes the key again, and who misses it knows why.
    fn destroy_key(&self, id: &KeyId, now_us: i64, by: DestroyedBy) -> Result<bool, VaultError> {
        let _held = lock::take(self.layout.dir())?;
        let key = self.layout.key(id);
        if !files::exists(&key)? {
            return Ok(false);
        }
        let tombstone = self.layout.tombstone(id);
        files::create(&tombstone, &Tombstone::make(now_us, by, &tombstone)?)?;
        let wiped = files::wipe(&key);
        self.cache.drop_key(id);
        wiped
    }

    /// Removes what a crash left half written, and tombstones past their time: a floor takes their
    /// place, so that an epoch before it is destroyed for good.
    fn tidy(&self, tenant: &str, now_us: i64) -> Result<(), VaultError> {
        let _held = lock::take(self.layout.dir())?;
        clear_leftovers(&self.layout.tenant(tenant))?;
        let first_live = self.layout.live(tenant)?.into_iter().next();
        let mut old = Vec::new();
        for id in self.layout.tombstones(tenant)? {
            let below = first_live.as_ref().is_none_or(|live| id < *live);
            if below && self.is_past_audit(&id, now_us)? {
                old.push(id);
            }
        }
        let Some(last) = old.last() else {
            return Ok(());
        };
        let floor = self.layout.destroyed_up_to(tenant)?;
        let floor = floor.map_or(last.epoch(), |floor| floor.max(last.epoch()));
        self.layout.set_destroyed_up_to(tenant, floor)?;
        for id in &old {
            files::wipe(&self.layout.tombstone(id))?;
        }
        Ok(())
    }

    fn tidy_top(&self) -> Result<(), VaultError> {
        let _held = lock::take(self.layout.dir())?;
        clear_leftovers(self.layout.dir())
    }

    fn is_past_audit(&self, id: &KeyId, now_us: i64) -> Result<bool, VaultError> {
        let tombstone = Tombstone::read(&self.layout.tombstone(id))?;
        let kept_us = us(self.options.tombstones_kept_ms);
        Ok(tombstone.is_some_and(|t| t.destroyed_us.saturating_add(kept_us) <= now_us))
    }
}

/// Removes what a crash left half written in a folder; to be called under the lock of its writers.
pub(crate) fn clear_leftovers(dir: &Path) -> Result<(), VaultError> {
    for name in files::names(dir)? {
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            files::clear_leftover(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Goes on after a failure, and tells of the first.
#[derive(Default)]
struct Sweep {
    destroyed: Destroyed,
    failed: Option<VaultError>,
}

impl Sweep {
    fn take<T: Default>(&mut self, result: Result<T, VaultError>) -> T {
        result.unwrap_or_else(|error| {
            tracing::warn!(%error, "keys could not be destroyed, it is tried again");
            self.failed.get_or_insert(error);
            T::default()
        })
    }

    fn count(&mut self, destroyed: Result<bool, VaultError>) {
        if self.take(destroyed) {
            self.destroyed.count += 1;
        }
    }

    fn done(self) -> Result<Destroyed, VaultError> {
        self.failed.map_or(Ok(self.destroyed), Err)
    }
}

fn us(ms: u64) -> i64 {
    i64::try_from(ms).map_or(i64::MAX, |ms| ms.saturating_mul(US_A_MS))
}
