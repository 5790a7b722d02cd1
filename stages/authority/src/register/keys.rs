//! The keys of a register: one that seals, and one that stands for numbers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shiren_idcard::IdNumber;
use shiren_vault::{CipherError, SecretKey};
use zeroize::Zeroizing;

use super::file::SALT_BYTES;

/// Begins what each ciphertext and each derived key is bound to.
pub(super) const PURPOSE: &[u8] = b"shiren-authority/1 register";
/// Bytes of SHA-256's block, to which HMAC fills a key.
const BLOCK_BYTES: usize = 64;

/// Stands for a number: its HMAC-SHA-256. Without the register's key it says nothing.
pub(crate) type NumberKey = [u8; 32];

/// Of one register.
pub(crate) struct Keys {
    data: SecretKey,
    index: Zeroizing<[u8; 32]>,
    salt: [u8; SALT_BYTES],
}

impl Keys {
    pub(super) fn new(data: SecretKey, salt: [u8; SALT_BYTES]) -> Self {
        let index = hmac(data.bytes(), &[PURPOSE, b"index", &salt]);
        let index = Zeroizing::new(index);
        Self { data, index, salt }
    }

    /// Stands for a number.
    pub(crate) fn number(&self, number: &IdNumber) -> NumberKey {
        hmac(&self.index, &[b"number", number.expose().as_bytes()])
    }

    /// Stands for some texts, to tell whether they are the same again.
    pub(crate) fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.index, &[&[b"fingerprint".as_slice()], parts].concat())
    }

    pub(crate) fn seal_record(&self, of: &NumberKey, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        self.data.seal(&[PURPOSE, b"record", &self.salt, of], plain)
    }

    pub(super) fn open_record(&self, of: &NumberKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.data
            .open(&[PURPOSE, b"record", &self.salt, of], sealed)
    }

    pub(crate) fn seal_portrait(
        &self,
        of: &NumberKey,
        plain: &[u8],
    ) -> Result<Vec<u8>, CipherError> {
        self.data
            .seal(&[PURPOSE, b"portrait", &self.salt, of], plain)
    }

    pub(super) fn open_portrait(
        &self,
        of: &NumberKey,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.data
            .open(&[PURPOSE, b"portrait", &self.salt, of], sealed)
    }

    /// Seals the whole file by its digest: no record can be dropped, moved or brought back.
    pub(super) fn seal_end(&self, digest: &[u8; 32]) -> Result<Vec<u8>, CipherError> {
        self.data.seal(&[PURPOSE, b"end", &self.salt, digest], &[])
    }

    pub(super) fn is_end(&self, digest: &[u8; 32], sealed: &[u8]) -> bool {
        let place: &[&[u8]] = &[PURPOSE, b"end", &self.salt, digest];
        self.data.open(place, sealed).is_some()
    }
}

/// HMAC-SHA-256 (RFC 2104) over parts, each with its length in front.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python's `hmac.new(key, ..., "sha256")` gives: a register must open in every version.
    #[test]
    fn the_keyed_hash_is_hmac_sha_256() {
        let mac = hmac(&[0x0b; 32], &[b"ab", b""]);
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "e8b8052067f901c3c6013ebf7aae09b2a9ed366e9af64ce5fef255c47c743870"
        );
    }

    #[test]
    fn keys_differ_by_register() {
        let data = || SecretKey::from_slice(&[7; 32]).unwrap();
        let (one, other) = (
            Keys::new(data(), [1; SALT_BYTES]),
            Keys::new(data(), [2; SALT_BYTES]),
        );
        assert_ne!(one.fingerprint(&[b"x"]), other.fingerprint(&[b"x"]));
        assert_ne!(one.fingerprint(&[b"x", b""]), one.fingerprint(&[b"", b"x"]));
        let sealed = one.seal_record(&[3; 32], b"plain").unwrap();
        assert!(one.open_record(&[3; 32], &sealed).is_some());
        assert!(one.open_record(&[4; 32], &sealed).is_none());
        assert!(one.open_portrait(&[3; 32], &sealed).is_none());
        assert!(other.open_record(&[3; 32], &sealed).is_none());
    }
}
