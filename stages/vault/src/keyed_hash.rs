//! A keyed hash for what must be recognised and not known.

use shiren_contract::seal::VaultError;

use crate::hex;
use crate::kek::{KekSource, LocalKek};

/// Bytes that are kept of a hash: 128 bits, so that no two texts meet.
const HASH_BYTES: usize = 16;

/// HMAC-SHA-256 under a key of its own, cut to 128 bits.
pub struct KeyedHash(LocalKek);

impl KeyedHash {
    /// Under the key of a file or of the environment.
    ///
    /// # Errors
    /// [`VaultError::StoreUnreadable`]: there is none, it cannot be used, or it is a service's, which hashes nothing.
    pub fn open(source: &KekSource) -> Result<Self, VaultError> {
        let missing = |what: &str| VaultError::StoreUnreadable {
            path: source.place(),
            what: what.to_owned(),
        };
        let key = match source {
            KekSource::File(file) => LocalKek::from_file(file)?
                .ok_or_else(|| missing("there is no key here; make one with `shiren vault make-key`, and give all hosts the same"))?,
            KekSource::Text { variable, digits } => LocalKek::from_text(variable, digits)?,
            KekSource::Port(_) => return Err(missing("a service's key hashes nothing")),
        };
        Ok(Self(key))
    }

    /// Of a text, for a purpose: 32 hexadecimal digits.
    #[must_use]
    pub fn of(&self, purpose: &str, text: &str) -> String {
        let hash = self.0.keyed_hash(&[purpose.as_bytes(), text.as_bytes()]);
        hex::encode(hash.get(..HASH_BYTES).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]
    use std::path::PathBuf;

    use zeroize::Zeroizing;

    use super::*;

    fn under(digits: &str) -> KeyedHash {
        let digits = Zeroizing::new(digits.repeat(64));
        let variable = "KEY".to_owned();
        KeyedHash::open(&KekSource::Text { variable, digits }).unwrap()
    }

    /// The expected text is Python's: `n = struct.pack("<Q", 1); hmac.new(bytes.fromhex("11" * 32), n + b"p" + n + b"t", "sha256")`.
    #[test]
    fn it_is_the_hmac_of_purpose_and_text() {
        assert_eq!(under("1").of("p", "t"), "80ad9b8a81602a97add86f2a607aa947");
        for other in [
            under("1").of("pt", ""),
            under("1").of("p", "u"),
            under("2").of("p", "t"),
        ] {
            assert_ne!(other, under("1").of("p", "t"));
        }
    }

    #[test]
    fn a_missing_key_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("key");
        let error = KeyedHash::open(&KekSource::File(file.clone()))
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("shiren vault make-key"),
            "{error}"
        );
        KekSource::File(file.clone()).make_missing().unwrap();
        let [one, again] =
            [(); 2].map(|()| KeyedHash::open(&KekSource::File(file.clone())).unwrap());
        assert_eq!(one.of("p", "t"), again.of("p", "t"));
    }
}
