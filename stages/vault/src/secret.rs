//! Key bytes: wiped when dropped, never shown.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::cipher::{self, CipherError, NONCE_BYTES, bind};

/// Bytes of every key here.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of SHA-256's block, to which HMAC fills a key.
const BLOCK_BYTES: usize = 64;

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

    /// Encrypts by XChaCha20-Poly1305 under a random nonce: nonce, ciphertext and tag. `place` binds it to
    /// where it stands, part by part: who opens must give the same parts.
    ///
    /// # Errors
    /// [`CipherError`]: no random bytes, or more bytes than one nonce may encrypt.
    pub fn seal(&self, place: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, ciphertext) = cipher::encrypt(self, &bind(place), plain)?;
        Ok([nonce.as_slice(), ciphertext.as_slice()].concat())
    }

    /// The plain bytes of [`SecretKey::seal`]; `None` when they are damaged, or key or place is another.
    #[must_use]
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES)?;
        cipher::decrypt(self, nonce, &bind(place), ciphertext).map(Zeroizing::new)
    }

    /// HMAC-SHA-256 (RFC 2104) over parts, each with its length in front.
    pub(crate) fn keyed_hash(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        // Filled up to a block by hand, so that nothing can fail.
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        for (to, from) in block.iter_mut().zip(self.bytes()) {
            *to = *from;
        }
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        mac.update(&bind(parts));
        mac.finalize().into_bytes().into()
    }

    /// The key that this one gives for a purpose; it does not lead back.
    pub(crate) fn derived(&self, purpose: &[&[u8]]) -> Self {
        let hash = Zeroizing::new(self.keyed_hash(purpose));
        let mut key = Self::zeroed();
        key.0.copy_from_slice(hash.as_slice());
        key
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python's `hmac.new(bytes([11]) * 32, ..., "sha256")` gives: files must be found in every version.
    #[test]
    fn the_keyed_hash_is_hmac_sha_256() {
        let key = SecretKey::from_slice(&[0x0b; 32]).unwrap();
        assert_eq!(
            crate::hex::encode(&key.keyed_hash(&[b"ab", b""])),
            "e8b8052067f901c3c6013ebf7aae09b2a9ed366e9af64ce5fef255c47c743870"
        );
        assert_eq!(key.derived(&[b"ab", b""]).bytes()[..2], [0xe8, 0xb8]);
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_alone() {
        let key = SecretKey::random().unwrap();
        let sealed = key.seal(&[b"a", b"b"], b"plain").unwrap();
        let plain = key.open(&[b"a", b"b"], &sealed).unwrap();
        assert_eq!(plain.as_slice(), b"plain");
        assert!(key.open(&[b"ab", b""], &sealed).is_none());
        assert!(
            SecretKey::random()
                .unwrap()
                .open(&[b"a", b"b"], &sealed)
                .is_none()
        );
        for end in 0..sealed.len() {
            assert!(key.open(&[b"a", b"b"], &sealed[..end]).is_none(), "{end}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&[b"a", b"b"], &damaged).is_none(), "{at}");
        }
    }
}
