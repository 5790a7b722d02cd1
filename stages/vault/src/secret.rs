//! Key bytes: wiped when dropped, never shown.

use zeroize::Zeroizing;

/// Bytes of every key here.
pub(crate) const KEY_BYTES: usize = 32;

/// A 256-bit key. On the heap, so that a move leaves no copy; overwritten when dropped. Swap and core
/// dumps are the system's to keep clean.
pub struct SecretKey(Box<Zeroizing<[u8; KEY_BYTES]>>);

impl SecretKey {
    /// A new key of the system's random generator.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self::zeroed();
        getrandom::fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The key of exactly 32 bytes; `None` for another length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zeroed();
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_BYTES])))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}
