//! The key-encryption keys that a store's files may be wrapped by: one, and two while it is rotated.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use shiren_contract::seal::VaultError;

use crate::files::unreadable;
use crate::kek::{KekSource, KeyEncryption};

type Keks = Vec<Arc<dyn KeyEncryption>>;

/// Those of a source. A file's ring is read again when a file of the store names a KEK that is not in
/// it, so a rotation needs no restart.
pub(crate) struct KekRing {
    source: KekSource,
    keks: RwLock<Keks>,
}

impl KekRing {
    pub(crate) fn load(source: &KekSource) -> Result<Self, VaultError> {
        Ok(Self {
            source: source.clone(),
            keks: RwLock::new(source.keys()?),
        })
    }

    /// The KEK named `id`, which wraps the file at `path`.
    pub(crate) fn find(&self, id: &str, path: &Path) -> Result<Arc<dyn KeyEncryption>, VaultError> {
        if let Some(kek) = self.held(id) {
            return Ok(kek);
        }
        if let KekSource::File(_) = self.source {
            let fresh = self.source.keys()?;
            *self.keks.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        self.held(id).ok_or_else(|| self.wrong(id, path))
    }

    /// The one that a new store is wrapped by.
    pub(crate) fn first(&self) -> Result<Arc<dyn KeyEncryption>, VaultError> {
        let keks = self.keks.read().unwrap_or_else(PoisonError::into_inner);
        let none = || {
            unreadable(
                Path::new(&self.source.place()),
                "holds no key-encryption key",
            )
        };
        keks.first().cloned().ok_or_else(none)
    }

    fn held(&self, id: &str) -> Option<Arc<dyn KeyEncryption>> {
        let keks = self.keks.read().unwrap_or_else(PoisonError::into_inner);
        keks.iter().find(|kek| kek.id() == id).cloned()
    }

    fn wrong(&self, id: &str, path: &Path) -> VaultError {
        let keks = self.keks.read().unwrap_or_else(PoisonError::into_inner);
        let has: Vec<&str> = keks.iter().map(|kek| kek.id()).collect();
        VaultError::KeyWrong {
            from: self.source.place(),
            path: path.display().to_string(),
            what: format!(
                "it is key {}, the file is wrapped by key {id}",
                has.join(", ")
            ),
        }
    }
}
