//! What lies where in a store's folder.
//!
//! `check` and `lock` at the top, while a rotation runs `check.next`, and in `keys/<tenant>/` for each
//! epoch `<epoch>.key` or `<epoch>.destroyed`, with `destroyed_up_to` once old tombstones are dropped.

use std::path::{Path, PathBuf};

use shiren_contract::seal::VaultError;

use crate::files::{self, unreadable};
use crate::key_id::{KeyId, is_tenant};

const KEY: &str = ".key";
const DESTROYED: &str = ".destroyed";
const FLOOR: &str = "destroyed_up_to";

/// Paths of a store.
#[derive(Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn check(&self) -> PathBuf {
        self.dir.join("check")
    }

    /// The check of the KEK that a rotation is going to.
    pub(crate) fn next_check(&self) -> PathBuf {
        self.dir.join("check.next")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub(crate) fn tenant(&self, tenant: &str) -> PathBuf {
        self.keys().join(tenant)
    }

    pub(crate) fn key(&self, id: &KeyId) -> PathBuf {
        self.of(id, KEY)
    }

    pub(crate) fn tombstone(&self, id: &KeyId) -> PathBuf {
        self.of(id, DESTROYED)
    }

    fn of(&self, id: &KeyId, end: &str) -> PathBuf {
        self.tenant(id.tenant())
            .join(format!("{}{end}", id.epoch()))
    }

    /// Every key of this epoch (Unix seconds) and before was destroyed, though its tombstone is gone.
    fn floor(&self, tenant: &str) -> PathBuf {
        self.tenant(tenant).join(FLOOR)
    }

    pub(crate) fn destroyed_up_to(&self, tenant: &str) -> Result<Option<i64>, VaultError> {
        let path = self.floor(tenant);
        let Some(bytes) = files::read(&path)? else {
            return Ok(None);
        };
        let epoch = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let damaged = || unreadable(&path, "is damaged; bring it from a backup");
        epoch.map(Some).ok_or_else(damaged)
    }

    pub(crate) fn set_destroyed_up_to(&self, tenant: &str, epoch: i64) -> Result<(), VaultError> {
        files::replace(&self.floor(tenant), format!("{epoch}\n").as_bytes())
    }

    /// Whether the key was destroyed, so that it is never made again.
    pub(crate) fn is_destroyed(&self, id: &KeyId) -> Result<bool, VaultError> {
        if files::exists(&self.tombstone(id))? {
            return Ok(true);
        }
        let floor = self.destroyed_up_to(id.tenant())?;
        Ok(floor.is_some_and(|floor| id.epoch() <= floor))
    }

    /// Tenants that have had a key.
    pub(crate) fn tenants(&self) -> Result<Vec<String>, VaultError> {
        let mut names = files::names(&self.keys())?;
        names.retain(|name| is_tenant(name));
        Ok(names)
    }

    /// Ids of a tenant's live keys, by epoch.
    pub(crate) fn live(&self, tenant: &str) -> Result<Vec<KeyId>, VaultError> {
        self.ids(tenant, KEY)
    }

    /// Ids of a tenant's destroyed keys whose tombstones are there, by epoch.
    pub(crate) fn tombstones(&self, tenant: &str) -> Result<Vec<KeyId>, VaultError> {
        self.ids(tenant, DESTROYED)
    }

    fn ids(&self, tenant: &str, end: &str) -> Result<Vec<KeyId>, VaultError> {
        let names = files::names(&self.tenant(tenant))?;
        let id = |name: &String| KeyId::parse(&format!("{tenant}/{}", name.strip_suffix(end)?));
        let mut ids: Vec<KeyId> = names.iter().filter_map(id).collect();
        ids.sort();
        Ok(ids)
    }
}
