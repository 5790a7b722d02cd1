//! The files of a store: JSON, so that an operator can read what is no secret.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shiren_contract::seal::VaultError;

use crate::cipher::bind;
use crate::files::{self, unreadable};
use crate::hex;
use crate::kek::KeyEncryption;
use crate::key_id::{Epoch, KeyId};
use crate::secret::SecretKey;

/// Format of every file.
pub(crate) const FORMAT: u32 = 1;
/// Begins what each wrapped key is bound to.
pub(crate) const PURPOSE: &[u8] = b"shiren-vault/1";

/// Proves that a key-encryption key is the store's: it wraps a random key that nothing else uses.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    format: u32,
    /// Which KEK the store's keys are wrapped by.
    pub kek_id: String,
    wrapped: String,
}

/// A tenant's key of one epoch, wrapped.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    format: u32,
    pub kek_id: String,
    pub starts_us: i64,
    pub ends_us: i64,
    pub created_us: i64,
    wrapped: String,
}

/// What stays of a key: that it was destroyed, and when.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone {
    format: u32,
    pub destroyed_us: i64,
    pub by: DestroyedBy,
}

/// Who destroyed a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestroyedBy {
    /// Its time to live was over.
    Expiry,
    /// An operator asked.
    Operator,
}

/// A record of the store.
pub(crate) trait Stored: DeserializeOwned {
    fn format(&self) -> u32;
}

impl Stored for Check {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Stored for KeyRecord {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Stored for Tombstone {
    fn format(&self) -> u32 {
        self.format
    }
}

pub(crate) fn read<T: Stored>(path: &Path) -> Result<Option<T>, VaultError> {
    let Some(bytes) = files::read(path)? else {
        return Ok(None);
    };
    let record: T = serde_json::from_slice(&bytes).map_err(|error| {
        unreadable(path, format!("is damaged: {error}; bring it from a backup"))
    })?;
    match record.format() {
        FORMAT => Ok(Some(record)),
        other => {
            let what = format!("has format {other}; this version reads {FORMAT}");
            Err(unreadable(path, what))
        }
    }
}

pub(crate) fn text(record: &impl Serialize, path: &Path) -> Result<Vec<u8>, VaultError> {
    let mut text = serde_json::to_vec(record).map_err(|error| unreadable(path, error))?;
    text.push(b'\n');
    Ok(text)
}

impl Check {
    /// A new one for `kek`.
    pub(crate) fn make(kek: &dyn KeyEncryption, path: &Path) -> Result<Vec<u8>, VaultError> {
        let key = SecretKey::random().map_err(|error| unreadable(path, error))?;
        let wrapped = kek
            .wrap(&Self::place(), &key)
            .map_err(|error| unreadable(path, error))?;
        let check = Self {
            format: FORMAT,
            kek_id: kek.id().to_owned(),
            wrapped: hex::encode(&wrapped),
        };
        text(&check, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        read(path)
    }

    /// Whether `kek` opens it.
    pub(crate) fn verify(&self, kek: &dyn KeyEncryption, path: &Path) -> Result<(), VaultError> {
        unwrap(kek, &Self::place(), &self.wrapped, path).map(|_| ())
    }

    fn place() -> Vec<u8> {
        bind(&[PURPOSE, b"check"])
    }
}

impl KeyRecord {
    /// Wraps `key`; the bytes of its file.
    pub(crate) fn make(
        kek: &dyn KeyEncryption,
        key: &SecretKey,
        about: (&KeyId, Epoch, i64),
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        let (id, Epoch { starts_us, ends_us }, created_us) = about;
        let mut record = Self {
            format: FORMAT,
            kek_id: kek.id().to_owned(),
            starts_us,
            ends_us,
            created_us,
            wrapped: String::new(),
        };
        let wrapped = kek
            .wrap(&record.place(id), key)
            .map_err(|error| unreadable(path, error))?;
        record.wrapped = hex::encode(&wrapped);
        text(&record, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        read(path)
    }

    /// The key.
    pub(crate) fn unwrap(
        &self,
        kek: &dyn KeyEncryption,
        id: &KeyId,
        path: &Path,
    ) -> Result<SecretKey, VaultError> {
        unwrap(kek, &self.place(id), &self.wrapped, path)
    }

    /// The same key wrapped by `new` instead of `old`; the bytes of its file.
    pub(crate) fn rewrap(
        &self,
        old: &dyn KeyEncryption,
        new: &dyn KeyEncryption,
        id: &KeyId,
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.unwrap(old, id, path)?;
        let epoch = Epoch {
            starts_us: self.starts_us,
            ends_us: self.ends_us,
        };
        Self::make(new, &key, (id, epoch, self.created_us), path)
    }

    /// A key cannot be moved to another tenant, epoch or span.
    fn place(&self, id: &KeyId) -> Vec<u8> {
        bind(&[
            PURPOSE,
            b"key",
            id.to_string().as_bytes(),
            &self.starts_us.to_le_bytes(),
            &self.ends_us.to_le_bytes(),
            &self.created_us.to_le_bytes(),
        ])
    }
}

impl Tombstone {
    /// The bytes of its file.
    pub(crate) fn make(
        destroyed_us: i64,
        by: DestroyedBy,
        path: &Path,
    ) -> Result<Vec<u8>, VaultError> {
        let tombstone = Self {
            format: FORMAT,
            destroyed_us,
            by,
        };
        text(&tombstone, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        read(path)
    }
}

pub(crate) fn unwrap(
    kek: &dyn KeyEncryption,
    place: &[u8],
    wrapped: &str,
    path: &Path,
) -> Result<SecretKey, VaultError> {
    let wrapped = hex::decode(wrapped.as_bytes())
        .ok_or_else(|| unreadable(path, "is damaged: the wrapped key is not hexadecimal"))?;
    kek.unwrap(place, &wrapped)
        .map_err(|error| unreadable(path, error))
}
