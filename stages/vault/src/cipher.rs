//! XChaCha20-Poly1305 with random nonces.
//!
//! Source: RFC 8439 for the AEAD, draft-irtf-cfrg-xchacha-03 for the 192-bit nonce. With random nonces
//! of 192 bits two of 2^64 seals under one key collide with a probability of about 2^-65: no count of
//! seals is kept.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::secret::SecretKey;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;

/// Why nothing was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherError {
    /// The system gives no random bytes.
    Random(getrandom::Error),
    /// More bytes than one nonce may encrypt, 256 GiB.
    TooLong,
}

impl std::fmt::Display for CipherError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random(error) => write!(f, "the system gives no random bytes: {error}"),
            Self::TooLong => f.write_str("more bytes than one nonce may encrypt"),
        }
    }
}

impl std::error::Error for CipherError {}

/// Nonce and ciphertext with its tag.
pub(crate) fn encrypt(
    key: &SecretKey,
    aad: &[u8],
    plain: &[u8],
) -> Result<([u8; NONCE_BYTES], Vec<u8>), CipherError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(CipherError::Random)?;
    let payload = Payload { msg: plain, aad };
    let ciphertext = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| CipherError::TooLong)?;
    Ok((nonce, ciphertext))
}

/// The plain bytes; `None` when the tag, the nonce's length, the key or `aad` is not that of the seal.
pub(crate) fn decrypt(
    key: &SecretKey,
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let payload = Payload {
        msg: ciphertext,
        aad,
    };
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt(&XNonce::from(nonce), payload)
        .ok()
}

/// Texts and bytes as one string that no other list of parts gives: each with its length in front.
pub(crate) fn bind(parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in parts {
        bound.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the tag behind the ciphertext.
    const TAG_BYTES: usize = 16;

    /// Test vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_drafts_vector_opens() {
        let hex = |text: &str| crate::hex::decode(text.as_bytes()).unwrap().to_vec();
        let key: Vec<u8> = (0x80..0xa0).collect();
        let key = SecretKey::from_slice(&key).unwrap();
        let nonce: Vec<u8> = (0x40..0x58).collect();
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let sealed = hex(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54\
             c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f6\
             15c68b13b52ec0875924c1c7987947deafd8780acf49",
        );
        let plain = decrypt(&key, &nonce, &aad, &sealed).unwrap();
        assert!(plain.starts_with(b"Ladies and Gentlemen of the class of '99"));
        assert_eq!(plain.len() + TAG_BYTES, sealed.len());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(bind(&[b"ab", b"c"]), bind(&[b"a", b"bc"]));
        assert_ne!(bind(&[b"", b"a"]), bind(&[b"a", b""]));
        assert_ne!(bind(&[b"a"]), bind(&[b"a", b""]));
    }
}
