//! A library's key, opened: it wraps the keys of its persons, and stands for their labels.

use crate::files::Stamp;
use crate::person_id::{Generation, NAME_BYTES, PROOF_BYTES, PersonName, SALT_BYTES};
use crate::record::PURPOSE;
use crate::secret::SecretKey;

/// Two keys of one, so that no bytes are both wrapped under and hashed under the same.
pub(crate) struct LibraryKey {
    wrap: SecretKey,
    label: SecretKey,
    /// Of the file it was read from.
    pub stamp: Stamp,
}

impl LibraryKey {
    pub(crate) fn new(root: &SecretKey, stamp: Stamp) -> Self {
        Self {
            wrap: root.derived(&[PURPOSE, b"library", b"wrap"]),
            label: root.derived(&[PURPOSE, b"library", b"label"]),
            stamp,
        }
    }

    /// Wraps persons' keys.
    pub(crate) fn wrap(&self) -> &SecretKey {
        &self.wrap
    }

    /// The person's name in the store. A plain hash would give labels away: they are short, and can be
    /// tried one by one.
    pub(crate) fn name(&self, person: &str) -> PersonName {
        let hash = self.label.keyed_hash(&[b"person", person.as_bytes()]);
        PersonName(first::<NAME_BYTES>(&hash))
    }

    /// A new generation of the person's key.
    pub(crate) fn generation(&self, person: &str) -> Result<Generation, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let proof = self.proof(person, &salt);
        Ok(Generation { salt, proof })
    }

    /// Whether a generation is of a key of this person, now or before. An honest mistake (another person,
    /// another store) is told apart from an erased record by it; against forgers there is the cipher.
    pub(crate) fn is_of(&self, generation: &Generation, person: &str) -> bool {
        self.proof(person, &generation.salt) == generation.proof
    }

    fn proof(&self, person: &str, salt: &[u8; SALT_BYTES]) -> [u8; PROOF_BYTES] {
        let hash = self
            .label
            .keyed_hash(&[b"generation", salt, person.as_bytes()]);
        first::<PROOF_BYTES>(&hash)
    }
}

/// The first bytes of a hash.
fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> LibraryKey {
        let path = std::env::current_exe().unwrap();
        let stamp = crate::files::stamp(&path).unwrap().unwrap();
        LibraryKey::new(&SecretKey::from_slice(&[byte; 32]).unwrap(), stamp)
    }

    proptest! {
        #[test]
        fn names_and_generations_are_one_persons_of_one_library(a: String, b: String) {
            prop_assume!(a != b);
            let (one, other) = (key(1), key(2));
            prop_assert_eq!(one.name(&a), one.name(&a));
            prop_assert_ne!(one.name(&a), one.name(&b));
            prop_assert_ne!(one.name(&a), other.name(&a));
            let generation = one.generation(&a).unwrap();
            prop_assert_ne!(generation, one.generation(&a).unwrap());
            prop_assert!(one.is_of(&generation, &a));
            prop_assert!(!one.is_of(&generation, &b));
            prop_assert!(!other.is_of(&generation, &a));
        }
    }

    /// By Python's `hmac`: files must be found in every version.
    #[test]
    fn a_name_stays_what_it_is() {
        assert_eq!(key(1).name("anna").to_string(), NAME_OF_ANNA);
    }

    const NAME_OF_ANNA: &str = "c698173ae674862ae2807d7684115898";
}
