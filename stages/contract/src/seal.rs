//! The port to the vault: pictures and other bytes of people are sealed before they are written.

use std::fmt;

use shiren_schemas::Id;
use shiren_schemas::records::Sealed;

use crate::codes::{self, Code};

/// Most bytes that a [`Sealed`] has beyond the plain bytes: key id, nonce and tag, without framing. The key
/// id of a person's key is the longest, 102 bytes.
pub const SEALED_OVERHEAD_MAX_BYTES: usize = 160;

/// Seals and opens pictures; implemented by the vault, driven by the runtime.
pub trait Vault: PersonKeys {
    /// Encrypts under the tenant's key of the epoch that holds `now_us` (microseconds since the Unix
    /// epoch), made if there is none. `aad` binds the ciphertext to its place (case id and field): who
    /// opens must give the same bytes.
    ///
    /// # Errors
    /// [`VaultError::KeyDestroyed`] when the epoch's key was destroyed, which is never made again;
    /// [`VaultError::KeyWrong`] or [`VaultError::StoreUnreadable`] when a new key cannot be kept.
    fn seal(
        &self,
        tenant: &str,
        now_us: i64,
        aad: &[u8],
        plain: &[u8],
    ) -> Result<Sealed, VaultError>;

    /// Decrypts.
    ///
    /// # Errors
    /// [`VaultError::KeyDestroyed`] is an answer: the picture is erased. Everything else is a fault;
    /// [`VaultError::SealedCorrupt`] when the bytes are damaged, of another tenant or another place.
    fn open(&self, tenant: &str, aad: &[u8], sealed: &Sealed) -> Result<Vec<u8>, VaultError>;
}

/// A person of a library.
#[derive(Clone, Copy)]
pub struct PersonOf<'a> {
    /// Tenant, `[a-z0-9-]{1,32}`.
    pub tenant: &'a str,
    /// Library; its id is never used again once it is destroyed.
    pub library: Id,
    /// The person's label: any text, taken byte by byte. No key id, file name or message shows it.
    pub person: &'a str,
}

/// Without the label, which is personal data.
impl fmt::Debug for PersonOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonOf")
            .field("tenant", &self.tenant)
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

/// A key of its own for each person of a library: whatever copies there are of what it sealed cannot be
/// read once it is destroyed. Unlike a tenant's keys it has no time to live.
pub trait PersonKeys: Send + Sync {
    /// Encrypts under the person's key, made if there is none; whoever races to make it, all seal under
    /// one. `aad` as for [`Vault::seal`].
    ///
    /// # Errors
    /// [`VaultError::KeyDestroyed`] when the library was destroyed, which no later call undoes;
    /// [`VaultError::KeyWrong`] or [`VaultError::StoreUnreadable`] when a key cannot be read or kept.
    fn seal_person(&self, of: PersonOf<'_>, aad: &[u8], plain: &[u8])
    -> Result<Sealed, VaultError>;

    /// Decrypts.
    ///
    /// # Errors
    /// [`VaultError::KeyDestroyed`] is an answer: the person's key, or the library's, is gone, or the
    /// person was enrolled again since and has another. [`VaultError::SealedCorrupt`] when the bytes are
    /// damaged, of another person, library, tenant or place, or of a store that is not this one.
    fn open_person(
        &self,
        of: PersonOf<'_>,
        aad: &[u8],
        sealed: &Sealed,
    ) -> Result<Vec<u8>, VaultError>;

    /// Destroys the person's key; a later [`PersonKeys::seal_person`] makes another. The id of the key that
    /// is gone now; `None`: there was none, or an earlier call destroyed it. A key whose file is damaged goes
    /// too, as `<tenant>/<library>/unknown`.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`] or [`VaultError::KeyWrong`]: it may still be there; call again.
    fn destroy_person(&self, of: PersonOf<'_>) -> Result<Option<String>, VaultError>;

    /// Destroys the keys of all persons of a library at once, and for good: nothing is sealed in it again,
    /// even if nothing ever was. `false`: there were none, or an earlier call destroyed them.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: they may still be there; call again.
    fn destroy_library(&self, tenant: &str, library: Id) -> Result<bool, VaultError>;
}

/// What the vault answers instead. No variant carries bytes of a key or of a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key is gone for good.
    #[error("key {key_id} was destroyed: what it sealed is erased")]
    KeyDestroyed {
        /// `<tenant>/<start of the epoch, Unix seconds>`, `<tenant>/<library>/<generation>` of a person, or
        /// `<tenant>/<library>`.
        key_id: String,
    },
    /// No store there.
    #[error("there is no key store in {dir}; run `shiren vault init`")]
    StoreMissing {
        /// Folder of the store.
        dir: String,
    },
    /// A store where a new one was to be made.
    #[error("there is a key store in {dir} already; it is not overwritten")]
    StoreExists {
        /// Folder of the store.
        dir: String,
    },
    /// A part of the store cannot be used.
    #[error("key store: {path}: {what}")]
    StoreUnreadable {
        /// File or folder.
        path: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The key-encryption key is another one.
    #[error("key store: the key-encryption key of {from} does not open {path}: {what}")]
    KeyWrong {
        /// Where the key-encryption key was taken from.
        from: String,
        /// File that it does not open.
        path: String,
        /// Which key was wanted, by id, and what to do.
        what: String,
    },
    /// The sealed bytes are not what they should be.
    #[error("sealed bytes of key {key_id:?}: {what}")]
    SealedCorrupt {
        /// Key id as it stands in the record, cut to a legal length.
        key_id: String,
        /// What is wrong.
        what: String,
    },
}

impl VaultError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::KeyDestroyed { .. } => codes::KEY_DESTROYED,
            Self::StoreMissing { .. } => codes::KEY_STORE_MISSING,
            Self::StoreExists { .. } => codes::KEY_STORE_EXISTS,
            Self::StoreUnreadable { .. } => codes::KEY_STORE_UNREADABLE,
            Self::KeyWrong { .. } => codes::KEY_WRONG,
            Self::SealedCorrupt { .. } => codes::SEALED_CORRUPT,
        }
    }
}
