//! The files of libraries and persons.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shiren_contract::seal::VaultError;

use crate::cipher::bind;
use crate::files::unreadable;
use crate::hex;
use crate::kek::KeyEncryption;
use crate::library_key::LibraryKey;
use crate::person_id::{Generation, LibraryId, PersonName};
use crate::record::{self, FORMAT, PURPOSE, Stored};
use crate::secret::SecretKey;

/// A library's key, wrapped by the key-encryption key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LibraryRecord {
    format: u32,
    pub kek_id: String,
    wrapped: String,
}

/// A person's key, wrapped by the library's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonRecord {
    format: u32,
    generation: String,
    wrapped: String,
}

/// Stays of a library for good. When, its file's own time says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LibraryTombstone {
    format: u32,
}

impl Stored for LibraryRecord {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Stored for PersonRecord {
    fn format(&self) -> u32 {
        self.format
    }
}

impl LibraryRecord {
    /// Wraps `root`; the bytes of its file.
    pub(crate) fn make(
        kek: &dyn KeyEncryption,
        root: &SecretKey,
        id: &LibraryId,
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        let wrapped = kek
            .wrap(&Self::place(id), root)
            .map_err(|error| unreadable(path, error))?;
        let record = Self {
            format: FORMAT,
            kek_id: kek.id().to_owned(),
            wrapped: hex::encode(&wrapped),
        };
        record::text(&record, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        record::read(path)
    }

    /// The key.
    pub(crate) fn unwrap(
        &self,
        kek: &dyn KeyEncryption,
        id: &LibraryId,
        path: &Path,
    ) -> Result<SecretKey, VaultError> {
        record::unwrap(kek, &Self::place(id), &self.wrapped, path)
    }

    /// The same key wrapped by `new` instead of `old`; the bytes of its file.
    pub(crate) fn rewrap(
        &self,
        old: &dyn KeyEncryption,
        new: &dyn KeyEncryption,
        id: &LibraryId,
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        Self::make(new, &self.unwrap(old, id, path)?, id, path)
    }

    /// A key cannot be moved to another tenant or library.
    fn place(id: &LibraryId) -> Vec<u8> {
        bind(&[PURPOSE, b"library", id.to_string().as_bytes()])
    }
}

/// Where a person's key stands: it cannot be moved to another library, person or generation.
type Standing<'a> = (&'a LibraryId, &'a PersonName);

impl PersonRecord {
    /// Wraps `key`; the bytes of its file.
    pub(crate) fn make(
        by: &LibraryKey,
        key: &SecretKey,
        of: Standing<'_>,
        generation: &Generation,
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        let wrapped = by.wrap().seal(&[&place(of, generation)], key.bytes());
        let record = Self {
            format: FORMAT,
            generation: generation.to_string(),
            wrapped: hex::encode(&wrapped.map_err(|error| unreadable(path, error))?),
        };
        record::text(&record, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        record::read(path)
    }

    /// Which of the person's keys it is.
    pub(crate) fn generation(&self, path: &Path) -> Result<Generation, VaultError> {
        Generation::parse(&self.generation).ok_or_else(|| damaged(path))
    }

    /// The key.
    pub(crate) fn unwrap(
        &self,
        by: &LibraryKey,
        of: Standing<'_>,
        path: &Path,
    ) -> Result<SecretKey, VaultError> {
        let place = place(of, &self.generation(path)?);
        hex::decode(self.wrapped.as_bytes())
            .and_then(|wrapped| by.wrap().open(&[&place], &wrapped))
            .and_then(|key| SecretKey::from_slice(&key))
            .ok_or_else(|| damaged(path))
    }
}

impl LibraryTombstone {
    /// The bytes of its file.
    pub(crate) fn make(path: &Path) -> Result<Vec<u8>, VaultError> {
        record::text(&Self { format: FORMAT }, path)
    }
}

fn place((library, name): Standing<'_>, generation: &Generation) -> Vec<u8> {
    let library = library.to_string();
    bind(&[
        PURPOSE,
        b"person",
        library.as_bytes(),
        &name.0,
        &generation.bytes(),
    ])
}

fn damaged(path: &Path) -> VaultError {
    let what = "is damaged, or was moved here: bring it from a backup, or unenrol the person and enrol them again";
    unreadable(path, what)
}
