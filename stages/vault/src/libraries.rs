//! Libraries' keys: how one comes to be, how it ends, and what is counted of them.
//!
//! Whoever makes, destroys or re-wraps a library's key holds the store's lock; whoever makes or destroys a
//! person's holds the library's. Nobody waits for the one with the other in hand.

use std::sync::Arc;

use shiren_contract::seal::VaultError;
use shiren_schemas::Id;

use crate::destroy::clear_leftovers;
use crate::files::{self, unreadable};
use crate::library_key::LibraryKey;
use crate::lock;
use crate::person_id::LibraryId;
use crate::person_record::{LibraryRecord, LibraryTombstone};
use crate::secret::SecretKey;
use crate::store::FileVault;

/// Persons' keys of a destroyed library that one upkeep removes at most; about a second on a slow disk.
const SWEPT_MAX: usize = 1_000;

/// A library of the store, without bytes of keys and labels of persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryKeys {
    /// Tenant.
    pub tenant: String,
    /// Library.
    pub library: Id,
    /// How it stands.
    pub state: LibraryState,
}

/// How a library's keys stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryState {
    /// Its persons' keys open what they sealed.
    Live {
        /// Persons with a key.
        persons: usize,
    },
    /// All gone for good.
    Destroyed,
    /// The library's key cannot be read.
    Damaged {
        /// What is wrong.
        what: String,
    },
}

/// How a library's key stands in the folder.
pub(crate) enum Standing {
    Live(Arc<LibraryKey>),
    Destroyed,
    Absent,
}

impl FileVault {
    /// The libraries of one tenant, or of all, by tenant and id, with the number of persons that have a key;
    /// destroyed ones too, for good.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`] when a folder cannot be listed.
    pub fn list_libraries(&self, tenant: Option<&str>) -> Result<Vec<LibraryKeys>, VaultError> {
        let mut libraries = Vec::new();
        for id in self.layout.libraries()? {
            if tenant.is_some_and(|tenant| tenant != id.tenant()) {
                continue;
            }
            let persons = self.layout.persons(&id)?.len();
            let state = match LibraryRecord::read(&self.layout.library_key(&id)) {
                _ if self.is_library_destroyed(&id)? => LibraryState::Destroyed,
                Ok(Some(_)) => LibraryState::Live { persons },
                // Its first key is being made.
                Ok(None) if persons == 0 => continue,
                Ok(None) => damaged(&self.lost(&id)),
                Err(error) => damaged(&error),
            };
            libraries.push(LibraryKeys {
                tenant: id.tenant().to_owned(),
                library: id.library(),
                state,
            });
        }
        Ok(libraries)
    }

    /// A tombstone is looked for first, and again behind a failure: it is there before the key is touched.
    pub(crate) fn library(&self, id: &LibraryId) -> Result<Standing, VaultError> {
        if self.is_library_destroyed(id)? {
            self.libraries.drop_key(id);
            return Ok(Standing::Destroyed);
        }
        let opened = self.open_library(id);
        match opened {
            Ok(Some(key)) => Ok(Standing::Live(key)),
            _ if self.is_library_destroyed(id)? => Ok(Standing::Destroyed),
            Ok(None) if self.layout.persons(id)?.is_empty() => Ok(Standing::Absent),
            Ok(None) => Err(self.lost(id)),
            Err(error) => Err(error),
        }
    }

    /// One in memory is used while the file it was read from is there.
    fn open_library(&self, id: &LibraryId) -> Result<Option<Arc<LibraryKey>>, VaultError> {
        let path = self.layout.library_key(id);
        let Some(stamp) = files::stamp(&path)? else {
            self.libraries.drop_key(id);
            return Ok(None);
        };
        if let Some(key) = self.libraries.get(id)
            && key.stamp == stamp
        {
            return Ok(Some(key));
        }
        let Some(record) = LibraryRecord::read(&path)? else {
            return Ok(None);
        };
        let kek = self.ring.find(&record.kek_id, &path)?;
        let root = record.unwrap(kek.as_ref(), id, &path)?;
        let key = Arc::new(LibraryKey::new(&root, stamp));
        self.libraries.put(id.clone(), key.clone());
        Ok(Some(key))
    }

    /// The library's key, made if there is none.
    pub(crate) fn library_for_sealing(
        &self,
        id: &LibraryId,
    ) -> Result<Arc<LibraryKey>, VaultError> {
        match self.library(id)? {
            Standing::Live(key) => Ok(key),
            Standing::Destroyed => Err(library_destroyed(id)),
            Standing::Absent => self.make_library(id),
        }
    }

    /// Makes the library's key, or takes the one of whoever was first.
    fn make_library(&self, id: &LibraryId) -> Result<Arc<LibraryKey>, VaultError> {
        let _held = lock::take(self.layout.dir())?;
        let path = self.layout.library_key(id);
        if let Standing::Absent = self.library(id)? {
            files::make_dir(&self.layout.unfinished(id))?;
            let root = SecretKey::random().map_err(|error| unreadable(&path, error))?;
            let kek = self.wrapping_kek()?;
            let bytes = LibraryRecord::make(kek.as_ref(), &root, id, &path)?;
            files::create_from(self.layout.dir(), &path, &bytes)?;
        }
        match self.library(id)? {
            Standing::Live(key) => Ok(key),
            Standing::Destroyed => Err(library_destroyed(id)),
            Standing::Absent => Err(unreadable(&path, "was made and is gone")),
        }
    }

    /// The tombstone first: from then on nobody makes the key again. `false`: there was no key. Persons' keys
    /// open nothing without it, and are left to upkeep: removing 50,000 files takes many seconds.
    pub(crate) fn end_library(&self, id: &LibraryId) -> Result<bool, VaultError> {
        let _held = lock::take(self.layout.dir())?;
        files::make_dir(&self.layout.library(id))?;
        let tombstone = self.layout.library_tombstone(id);
        let bytes = LibraryTombstone::make(&tombstone)?;
        files::create_from(self.layout.dir(), &tombstone, &bytes)?;
        let was_there = files::wipe(&self.layout.library_key(id));
        self.libraries.drop_key(id);
        was_there
    }

    /// Ends what a crash interrupted, and sweeps behind a destroyed library.
    pub(crate) fn tidy_library(&self, id: &LibraryId) -> Result<(), VaultError> {
        if self.is_library_destroyed(id)? {
            return self.sweep_library(id);
        }
        let unfinished = self.layout.unfinished(id);
        if files::names(&unfinished)?.is_empty() {
            return Ok(());
        }
        let _held = lock::take(&self.layout.library(id))?;
        clear_leftovers(&unfinished)
    }

    /// Some persons' keys of a destroyed library at a time, so that upkeep comes to all else in time. They are
    /// not overwritten: what wraps them is gone.
    fn sweep_library(&self, id: &LibraryId) -> Result<(), VaultError> {
        if files::exists(&self.layout.library_key(id))? {
            self.end_library(id)?;
        }
        let persons = self.layout.persons(id)?;
        let unfinished = self.layout.unfinished(id);
        if persons.is_empty() && files::names(&unfinished)?.is_empty() {
            return Ok(());
        }
        // Who was making a key is done when we have the lock, and whoever comes later sees the tombstone.
        let _held = lock::take(&self.layout.library(id))?;
        for path in persons.iter().take(SWEPT_MAX) {
            files::remove(path)?;
        }
        clear_leftovers(&unfinished)
    }

    pub(crate) fn is_library_destroyed(&self, id: &LibraryId) -> Result<bool, VaultError> {
        files::exists(&self.layout.library_tombstone(id))
    }

    fn lost(&self, id: &LibraryId) -> VaultError {
        let what = "is missing, but there are keys of persons beside it: bring it from a backup";
        unreadable(&self.layout.library_key(id), what)
    }
}

pub(crate) fn library_destroyed(id: &LibraryId) -> VaultError {
    VaultError::KeyDestroyed {
        key_id: id.to_string(),
    }
}

fn damaged(error: &VaultError) -> LibraryState {
    LibraryState::Damaged {
        what: error.to_string(),
    }
}
