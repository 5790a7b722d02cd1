//! What keys a store has, and had.

use shiren_contract::seal::VaultError;

use crate::key_id::KeyId;
use crate::record::{DestroyedBy, KeyRecord, Tombstone};
use crate::store::FileVault;

/// A key of the store, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKey {
    /// Tenant and epoch.
    pub id: KeyId,
    /// How it stands.
    pub state: KeyState,
}

/// How a key stands. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It opens what it sealed.
    Live {
        /// When it was made.
        created_us: i64,
        /// First microsecond of its epoch.
        starts_us: i64,
        /// End of its epoch.
        ends_us: i64,
        /// When it is due to be destroyed.
        expires_us: i64,
    },
    /// It is gone for good.
    Destroyed {
        /// When.
        destroyed_us: i64,
        /// By whom.
        by: DestroyedBy,
    },
    /// Its file, or its tombstone, cannot be read.
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl FileVault {
    /// The keys of one tenant, or of all, by tenant and epoch; destroyed ones as long as their
    /// tombstones are kept.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`] when the folder cannot be listed.
    pub fn list(&self, tenant: Option<&str>) -> Result<Vec<EpochKey>, VaultError> {
        let mut tenants = self.layout.tenants()?;
        tenants.retain(|name| tenant.is_none_or(|tenant| name == tenant));
        let mut keys = Vec::new();
        for tenant in tenants {
            let tombstones = self.layout.tombstones(&tenant)?;
            // One with a tombstone is being destroyed.
            let live = self.layout.live(&tenant)?.into_iter();
            let live = live.filter(|id| !tombstones.contains(id));
            let mut states: Vec<EpochKey> = live.filter_map(|id| self.live_state(id)).collect();
            states.extend(
                tombstones
                    .iter()
                    .cloned()
                    .filter_map(|id| self.destroyed_state(id)),
            );
            states.sort_by(|a, b| a.id.cmp(&b.id));
            keys.extend(states);
        }
        Ok(keys)
    }

    /// `None`: it has gone since the folder was listed.
    fn live_state(&self, id: KeyId) -> Option<EpochKey> {
        let state = match KeyRecord::read(&self.layout.key(&id)) {
            Ok(record) => {
                let record = record?;
                KeyState::Live {
                    created_us: record.created_us,
                    starts_us: record.starts_us,
                    ends_us: record.ends_us,
                    expires_us: self.expires_us(&id),
                }
            }
            Err(error) => damaged(&error),
        };
        Some(EpochKey { id, state })
    }

    fn destroyed_state(&self, id: KeyId) -> Option<EpochKey> {
        let state = match Tombstone::read(&self.layout.tombstone(&id)) {
            Ok(tombstone) => {
                let tombstone = tombstone?;
                KeyState::Destroyed {
                    destroyed_us: tombstone.destroyed_us,
                    by: tombstone.by,
                }
            }
            Err(error) => damaged(&error),
        };
        Some(EpochKey { id, state })
    }
}

fn damaged(error: &VaultError) -> KeyState {
    KeyState::Damaged {
        what: error.to_string(),
    }
}
