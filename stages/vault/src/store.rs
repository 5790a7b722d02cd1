//! The key store: opening, sealing, and how a key comes to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shiren_contract::seal::{Vault, VaultError};
use shiren_schemas::records::Sealed;

use crate::cache::Cache;
use crate::cipher::{self, NONCE_BYTES, bind};
use crate::files::{self, unreadable};
use crate::kek::{KekSource, KeyEncryption};
use crate::key_id::{Epoch, KeyId};
use crate::layout::Layout;
use crate::library_key::LibraryKey;
use crate::lock;
use crate::person_id::LibraryId;
use crate::record::{Check, KeyRecord};
use crate::ring::KekRing;
use crate::secret::SecretKey;

/// Shortest epoch, milliseconds: key ids tell epochs apart by the second.
const EPOCH_MIN_MS: u64 = 1_000;
/// Longest epoch and time to live, milliseconds: 100 years.
const SPAN_MAX_MS: u64 = 100 * 365 * 86_400_000;
/// Begins what each ciphertext is bound to.
const PURPOSE: &[u8] = b"shiren-vault/1 sealed";
/// Of a key id that is none, what an error shows at most, characters.
pub(crate) const SHOWN_MAX_CHARS: usize = 128;

/// How a store is opened. Processes that share one should give the same values.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// Folder of the store, on a file system with hard links and file locks.
    pub dir: PathBuf,
    /// Where the key-encryption key is.
    pub kek: KekSource,
    /// Length of an epoch, milliseconds, 1,000 or more.
    pub epoch_ms: u64,
    /// From an epoch's end to the destruction of its key, milliseconds.
    pub key_ttl_ms: u64,
    /// Most opened keys in memory, of tenants and of libraries each, 1 or more.
    pub cached_keys_max: usize,
    /// How long a tombstone is kept for audits, milliseconds. After it the key counts as destroyed
    /// all the same.
    pub tombstones_kept_ms: u64,
}

impl VaultOptions {
    /// Epochs of 15 minutes, keys live a day, 256 of them in memory, tombstones are kept 30 days.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, kek: KekSource) -> Self {
        Self {
            dir: dir.into(),
            kek,
            epoch_ms: 900_000,
            key_ttl_ms: 86_400_000,
            cached_keys_max: 256,
            tombstones_kept_ms: 30 * 86_400_000,
        }
    }

    pub(crate) fn check(&self) -> Result<(), VaultError> {
        let wrong = |what: String| Err(unreadable(&self.dir, what));
        if !(EPOCH_MIN_MS..=SPAN_MAX_MS).contains(&self.epoch_ms) {
            return wrong(format!("epoch_ms must be {EPOCH_MIN_MS} to {SPAN_MAX_MS}"));
        }
        if self.key_ttl_ms > SPAN_MAX_MS || self.tombstones_kept_ms > SPAN_MAX_MS {
            return wrong(format!("times to live must be at most {SPAN_MAX_MS} ms"));
        }
        if self.cached_keys_max == 0 {
            return wrong("cached_keys_max must be 1 or more".to_owned());
        }
        Ok(())
    }
}

/// An open key store. Threads share it; processes share its folder.
pub struct FileVault {
    pub(crate) options: VaultOptions,
    pub(crate) layout: Layout,
    pub(crate) cache: Cache<KeyId, SecretKey>,
    pub(crate) libraries: Cache<LibraryId, LibraryKey>,
    pub(crate) ring: KekRing,
}

/// How a key stands in the folder.
enum Standing {
    Live(KeyRecord),
    Destroyed,
    Absent,
}

impl FileVault {
    /// Opens the store and proves that its key-encryption key is the right one.
    ///
    /// # Errors
    /// [`VaultError::StoreMissing`], [`VaultError::KeyWrong`], or [`VaultError::StoreUnreadable`] for
    /// files that are damaged or open to others, and for options out of range.
    pub fn open(options: VaultOptions) -> Result<Self, VaultError> {
        options.check()?;
        let layout = Layout::new(&options.dir);
        let path = layout.check();
        let check = Check::read(&path)?.ok_or_else(|| VaultError::StoreMissing {
            dir: options.dir.display().to_string(),
        })?;
        let ring = KekRing::load(&options.kek)?;
        check.verify(ring.find(&check.kek_id, &path)?.as_ref(), &path)?;
        Ok(Self {
            cache: Cache::new(options.cached_keys_max),
            libraries: Cache::new(options.cached_keys_max),
            options,
            layout,
            ring,
        })
    }

    /// Makes a store, and opens it. Where the key-encryption key comes from a file that is not there, a
    /// fresh random one is made; one that is there is used, never overwritten.
    ///
    /// # Errors
    /// [`VaultError::StoreExists`]; otherwise as [`FileVault::open`].
    pub fn init(options: VaultOptions) -> Result<Self, VaultError> {
        options.check()?;
        let layout = Layout::new(&options.dir);
        files::make_dir(layout.dir())?;
        {
            let _held = lock::take(layout.dir())?;
            let path = layout.check();
            if files::exists(&path)? {
                let dir = options.dir.display().to_string();
                return Err(VaultError::StoreExists { dir });
            }
            if !layout.tenants()?.is_empty() || !layout.libraries()?.is_empty() {
                let what = "is missing, but there are keys beside it: bring it from a backup";
                return Err(unreadable(&path, what));
            }
            options.kek.make_missing()?;
            let kek = KekRing::load(&options.kek)?.first()?;
            files::create(&path, &Check::make(kek.as_ref(), &path)?)?;
        }
        Self::open(options)
    }

    /// Opens the store, or makes it where there is none: for a site of one process.
    ///
    /// # Errors
    /// As [`FileVault::open`].
    pub fn open_or_init(options: VaultOptions) -> Result<Self, VaultError> {
        match Self::open(options.clone()) {
            Err(VaultError::StoreMissing { .. }) => match Self::init(options.clone()) {
                // Another process was first.
                Err(VaultError::StoreExists { .. }) => Self::open(options),
                made => made,
            },
            opened => opened,
        }
    }

    /// Folder of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// A key that was opened before and whose file still stands: another process may have destroyed it.
    fn cached(&self, id: &KeyId) -> Result<Option<Arc<SecretKey>>, VaultError> {
        let Some(key) = self.cache.get(id) else {
            return Ok(None);
        };
        if files::exists(&self.layout.key(id))? {
            return Ok(Some(key));
        }
        self.cache.drop_key(id);
        Ok(None)
    }

    fn standing(&self, id: &KeyId) -> Result<Standing, VaultError> {
        if self.layout.is_destroyed(id)? {
            return Ok(Standing::Destroyed);
        }
        match KeyRecord::read(&self.layout.key(id)) {
            Ok(Some(record)) => Ok(Standing::Live(record)),
            // It may have been destroyed since; a tombstone is there before its key is touched.
            _ if self.layout.is_destroyed(id)? => Ok(Standing::Destroyed),
            Ok(None) => Ok(Standing::Absent),
            Err(error) => Err(error),
        }
    }

    fn unwrap_record(&self, id: &KeyId, record: &KeyRecord) -> Result<Arc<SecretKey>, VaultError> {
        let path = self.layout.key(id);
        let kek = self.ring.find(&record.kek_id, &path)?;
        let key = Arc::new(record.unwrap(kek.as_ref(), id, &path)?);
        self.cache.put(id.clone(), key.clone());
        Ok(key)
    }

    fn key_for_sealing(
        &self,
        id: &KeyId,
        epoch: Epoch,
        now_us: i64,
    ) -> Result<Arc<SecretKey>, VaultError> {
        if let Some(key) = self.cached(id)? {
            return Ok(key);
        }
        match self.standing(id)? {
            Standing::Live(record) => self.unwrap_record(id, &record),
            Standing::Destroyed => Err(destroyed(id)),
            Standing::Absent => self.make_key(id, epoch, now_us),
        }
    }

    /// Makes the epoch's key, or takes the one of whoever was first.
    fn make_key(
        &self,
        id: &KeyId,
        epoch: Epoch,
        now_us: i64,
    ) -> Result<Arc<SecretKey>, VaultError> {
        let _held = lock::take(self.layout.dir())?;
        if let Standing::Absent = self.standing(id)? {
            let path = self.layout.key(id);
            files::make_dir(&self.layout.tenant(id.tenant()))?;
            let key = SecretKey::random().map_err(|error| unreadable(&path, error))?;
            let kek = self.wrapping_kek()?;
            let bytes = KeyRecord::make(kek.as_ref(), &key, (id, epoch, now_us), &path)?;
            files::create(&path, &bytes)?;
        }
        match self.standing(id)? {
            Standing::Live(record) => self.unwrap_record(id, &record),
            Standing::Destroyed => Err(destroyed(id)),
            Standing::Absent => Err(unreadable(&self.layout.key(id), "was made and is gone")),
        }
    }

    /// The KEK that new keys are wrapped by; to be asked under the lock.
    pub(crate) fn wrapping_kek(&self) -> Result<Arc<dyn KeyEncryption>, VaultError> {
        for path in [self.layout.next_check(), self.layout.check()] {
            if let Some(check) = Check::read(&path)? {
                return self.ring.find(&check.kek_id, &path);
            }
        }
        Err(VaultError::StoreMissing {
            dir: self.dir().display().to_string(),
        })
    }

    fn key_for_opening(&self, id: &KeyId) -> Result<Arc<SecretKey>, VaultError> {
        if let Some(key) = self.cached(id)? {
            return Ok(key);
        }
        match self.standing(id)? {
            Standing::Live(record) => self.unwrap_record(id, &record),
            Standing::Destroyed => Err(destroyed(id)),
            Standing::Absent => {
                let what = "there is no such key, nor a record that it was destroyed: is this the store that sealed?";
                Err(unreadable(&self.layout.key(id), what))
            }
        }
    }
}

impl Vault for FileVault {
    fn seal(
        &self,
        tenant: &str,
        now_us: i64,
        aad: &[u8],
        plain: &[u8],
    ) -> Result<Sealed, VaultError> {
        let (id, epoch) = KeyId::at(tenant, now_us, self.options.epoch_ms).ok_or_else(|| {
            let what = "no key for it: the tenant's name is not [a-z0-9-]{1,32}, or the time is out of range";
            unreadable(&self.layout.keys(), what)
        })?;
        let key = self.key_for_sealing(&id, epoch, now_us)?;
        let (nonce, ciphertext) = cipher::encrypt(&key, &place(&id, aad), plain)
            .map_err(|error| unreadable(&self.layout.key(&id), error))?;
        Ok(Sealed {
            key_id: id.to_string(),
            nonce: nonce.to_vec(),
            ciphertext,
        })
    }

    fn open(&self, tenant: &str, aad: &[u8], sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        let corrupt = |what: &str| VaultError::SealedCorrupt {
            key_id: sealed.key_id.chars().take(SHOWN_MAX_CHARS).collect(),
            what: what.to_owned(),
        };
        let id = KeyId::parse(&sealed.key_id).ok_or_else(|| corrupt("this is no key id"))?;
        if id.tenant() != tenant {
            return Err(corrupt("it was sealed for another tenant"));
        }
        if sealed.nonce.len() != NONCE_BYTES {
            return Err(corrupt("the nonce has another length"));
        }
        let key = self.key_for_opening(&id)?;
        cipher::decrypt(&key, &sealed.nonce, &place(&id, aad), &sealed.ciphertext)
            .ok_or_else(|| corrupt("the tag fails: it is damaged, or was moved from another place"))
    }
}

impl std::fmt::Debug for FileVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileVault")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What a ciphertext is bound to: its key's name and the caller's words for where it stands.
fn place(id: &KeyId, aad: &[u8]) -> Vec<u8> {
    bind(&[PURPOSE, id.to_string().as_bytes(), aad])
}

fn destroyed(id: &KeyId) -> VaultError {
    VaultError::KeyDestroyed {
        key_id: id.to_string(),
    }
}
