//! The key-encryption key (KEK) that wraps all keys of a store, and the port to where it is.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use shiren_contract::seal::VaultError;
use zeroize::Zeroizing;

use crate::cipher::{self, NONCE_BYTES};
use crate::files::{self, unreadable};
use crate::hex;
use crate::secret::{KEY_BYTES, SecretKey};

/// Bits of a file's mode that let others than its owner in.
const OTHERS: u32 = 0o077;
/// Bytes of the hash that names a KEK.
const ID_BYTES: usize = 8;

/// Wraps and unwraps the keys of a store: the port for a key management service (KMS).
pub trait KeyEncryption: Send + Sync {
    /// Names the key-encryption key; kept beside everything it wraps. No secret, and not empty.
    fn id(&self) -> &str;

    /// Wraps a key and binds it to `place`, which names file and metadata.
    ///
    /// # Errors
    /// The service cannot, or does not answer.
    fn wrap(&self, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, KekError>;

    /// Unwraps what [`KeyEncryption::wrap`] gave for the same `place`.
    ///
    /// # Errors
    /// The bytes are damaged, of another place or another KEK; the service does not answer.
    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, KekError>;
}

/// Why a key was not wrapped or unwrapped; never with bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekError(pub String);

impl std::fmt::Display for KekError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KekError {}

/// Where the key-encryption key comes from.
#[derive(Clone)]
pub enum KekSource {
    /// A file with 32 bytes, raw or as 64 hexadecimal digits, that its owner alone may read.
    File(PathBuf),
    /// 64 hexadecimal digits, from the environment.
    Text {
        /// Name of the variable, for messages.
        variable: String,
        /// The digits.
        digits: Zeroizing<String>,
    },
    /// A service of your own.
    Port(Arc<dyn KeyEncryption>),
}

impl KekSource {
    /// Where it is, in words.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text { variable, .. } => variable.clone(),
            Self::Port(port) => format!("the service (key {})", port.id()),
        }
    }

    /// The keys that are there now, one or more: of a file two while it is rotated.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: there is none, or it cannot be used.
    pub fn keys(&self) -> Result<Vec<Arc<dyn KeyEncryption>>, VaultError> {
        let mut keks: Vec<Arc<dyn KeyEncryption>> = Vec::new();
        match self {
            Self::File(path) => {
                for file in [path.clone(), next_file(path)] {
                    if let Some(kek) = LocalKek::from_file(&file)? {
                        keks.push(Arc::new(kek));
                    }
                }
                if keks.is_empty() {
                    let what = "there is no key-encryption key here; put it back: without it nothing sealed can be opened";
                    return Err(unreadable(path, what));
                }
            }
            Self::Text { variable, digits } => {
                keks.push(Arc::new(LocalKek::from_text(variable, digits)?));
            }
            Self::Port(port) => keks.push(port.clone()),
        }
        Ok(keks)
    }

    /// Makes a fresh random key where the key comes from a file that is not there. One that is there is
    /// never overwritten.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: the file cannot be made.
    pub fn make_missing(&self) -> Result<(), VaultError> {
        let Self::File(file) = self else {
            return Ok(());
        };
        if files::exists(file)? {
            return Ok(());
        }
        if let Some(parent) = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            files::make_dir(parent)?;
        }
        let key = SecretKey::random().map_err(|error| unreadable(file, error))?;
        files::create(file, &LocalKek::new(key).file_text())?;
        Ok(())
    }
}

impl std::fmt::Debug for KekSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KekSource({})", self.place())
    }
}

/// Where a rotation puts the new KEK until it is done.
pub(crate) fn next_file(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".next");
    file.with_file_name(name)
}

/// A key-encryption key in this process's memory.
pub struct LocalKek {
    key: SecretKey,
    id: String,
}

impl LocalKek {
    /// Of a key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"shiren-vault/1 id of a key-encryption key");
        hash.update(key.bytes());
        let hash = hash.finalize();
        let id = hex::encode(hash.get(..ID_BYTES).unwrap_or_default());
        Self { key, id }
    }

    /// From a file; `None` when there is none.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: others may read it, or it holds no key.
    pub fn from_file(path: &Path) -> Result<Option<Self>, VaultError> {
        let Some(bytes) = files::read(path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let mode = std::fs::metadata(path)
            .map_err(|error| unreadable(path, format!("cannot be looked at: {error}")))?
            .permissions()
            .mode();
        if mode & OTHERS != 0 {
            let what = format!(
                "mode {:03o} lets others than its owner read the key-encryption key; chmod 600, and think of it as known",
                mode & 0o777
            );
            return Err(unreadable(path, what));
        }
        let key = SecretKey::from_slice(&bytes).or_else(|| from_digits(&bytes));
        let what = "holds no key-encryption key: 32 bytes, or 64 hexadecimal digits";
        key.map(|key| Some(Self::new(key)))
            .ok_or_else(|| unreadable(path, what))
    }

    /// From hexadecimal digits; `variable` is where they were found.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: they are not 64 hexadecimal digits.
    pub fn from_text(variable: &str, digits: &str) -> Result<Self, VaultError> {
        from_digits(digits.as_bytes())
            .map(Self::new)
            .ok_or_else(|| VaultError::StoreUnreadable {
                path: variable.to_owned(),
                what: "holds no key-encryption key: 64 hexadecimal digits".to_owned(),
            })
    }

    /// HMAC-SHA-256 under it, over parts.
    pub(crate) fn keyed_hash(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        self.key.keyed_hash(parts)
    }

    /// The text of its file.
    pub(crate) fn file_text(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(hex::encode(self.key.bytes()).into_bytes());
        text.push(b'\n');
        text
    }
}

fn from_digits(text: &[u8]) -> Option<SecretKey> {
    let digits = text.trim_ascii();
    let is_whole = digits.len() == 2 * KEY_BYTES;
    SecretKey::from_slice(&hex::decode(digits).filter(|_| is_whole)?)
}

impl KeyEncryption for LocalKek {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap(&self, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, KekError> {
        let (nonce, wrapped) = cipher::encrypt(&self.key, place, key.bytes())
            .map_err(|error| KekError(error.to_string()))?;
        Ok([nonce.as_slice(), wrapped.as_slice()].concat())
    }

    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, KekError> {
        let damaged = || KekError("the wrapped key or what stands beside it is damaged".to_owned());
        let (nonce, wrapped) = wrapped.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let plain = cipher::decrypt(&self.key, nonce, place, wrapped).map(Zeroizing::new);
        plain
            .and_then(|plain| SecretKey::from_slice(&plain))
            .ok_or_else(damaged)
    }
}

impl std::fmt::Debug for LocalKek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKek({})", self.id)
    }
}
