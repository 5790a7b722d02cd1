//! What lies where in a store's folder.
//!
//! `check` and `lock` at the top, while a rotation runs `check.next`, and in `keys/<tenant>/` for each
//! epoch `<epoch>.key` or `<epoch>.destroyed`, with `destroyed_up_to` once old tombstones are dropped.
//!
//! In `persons/<tenant>/<library>/` there is `library.key` with a `<name>.key` for each person, or
//! `destroyed` once the library is; beside them `lock`, and `unfinished/` for persons' keys that are being
//! made or destroyed, so that what a crash left is found without a look at 50,000 names.

use std::path::{Path, PathBuf};

use shiren_contract::seal::VaultError;

use crate::files::{self, unreadable};
use crate::key_id::{KeyId, is_tenant};
use crate::person_id::{LibraryId, PersonName};

const KEY: &str = ".key";
const DESTROYED: &str = ".destroyed";
const FLOOR: &str = "destroyed_up_to";
const LIBRARY_KEY: &str = "library.key";
const LIBRARY_DESTROYED: &str = "destroyed";

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

    fn persons_dir(&self) -> PathBuf {
        self.dir.join("persons")
    }

    pub(crate) fn library(&self, id: &LibraryId) -> PathBuf {
        self.persons_dir()
            .join(id.tenant())
            .join(id.library().to_string())
    }

    pub(crate) fn library_key(&self, id: &LibraryId) -> PathBuf {
        self.library(id).join(LIBRARY_KEY)
    }

    pub(crate) fn library_tombstone(&self, id: &LibraryId) -> PathBuf {
        self.library(id).join(LIBRARY_DESTROYED)
    }

    pub(crate) fn unfinished(&self, id: &LibraryId) -> PathBuf {
        self.library(id).join("unfinished")
    }

    pub(crate) fn person(&self, id: &LibraryId, name: &PersonName) -> PathBuf {
        self.library(id).join(format!("{name}{KEY}"))
    }

    /// Libraries that have had a key or were destroyed, by tenant and id.
    pub(crate) fn libraries(&self) -> Result<Vec<LibraryId>, VaultError> {
        let mut tenants = files::names(&self.persons_dir())?;
        tenants.retain(|name| is_tenant(name));
        let mut libraries = Vec::new();
        for tenant in tenants {
            let names = files::names(&self.persons_dir().join(&tenant))?;
            let id = |name: &String| LibraryId::parse(&tenant, name);
            libraries.extend(names.iter().filter_map(id));
        }
        Ok(libraries)
    }

    /// Files of the persons of a library.
    pub(crate) fn persons(&self, id: &LibraryId) -> Result<Vec<PathBuf>, VaultError> {
        let folder = self.library(id);
        let mut names = files::names(&folder)?;
        names.retain(|name| name.strip_suffix(KEY).is_some_and(PersonName::is_one));
        Ok(names.iter().map(|name| folder.join(name)).collect())
    }
}
