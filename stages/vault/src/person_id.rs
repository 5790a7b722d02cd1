//! What names a library, a person in it and a generation of the person's key.

use std::fmt;

use shiren_schemas::Id;

use crate::hex;
use crate::key_id::is_tenant;

/// Bytes of a person's name in the store: 128 bits, so that no two persons meet.
pub(crate) const NAME_BYTES: usize = 16;
/// Random bytes of a generation; they tell a person's keys of all times apart.
pub(crate) const SALT_BYTES: usize = 8;
/// Bytes of a generation's proof that it is the person's.
pub(crate) const PROOF_BYTES: usize = 8;
const GENERATION_BYTES: usize = SALT_BYTES + PROOF_BYTES;

/// A tenant's library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LibraryId {
    tenant: String,
    library: Id,
}

impl LibraryId {
    /// `None` for a tenant's name of another form, which could leave the folder.
    pub(crate) fn new(tenant: &str, library: Id) -> Option<Self> {
        is_tenant(tenant).then(|| Self {
            tenant: tenant.to_owned(),
            library,
        })
    }

    /// Of texts, the library's in its one form.
    pub(crate) fn parse(tenant: &str, library: &str) -> Option<Self> {
        let id: Id = library.parse().ok()?;
        let is_the_one = id.to_string() == library;
        Self::new(tenant, id).filter(|_| is_the_one)
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(crate) fn library(&self) -> Id {
        self.library
    }
}

impl fmt::Display for LibraryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.library)
    }
}

/// Stands for a person in file names: a hash of the label under the library's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PersonName(pub [u8; NAME_BYTES]);

impl PersonName {
    /// Whether a text is a name in its one form.
    pub(crate) fn is_one(text: &str) -> bool {
        text.len() == 2 * NAME_BYTES && is_lower_hex(text)
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// Tells a person's keys apart, of before and after an unenrolment: random bytes, and a hash of them and
/// the label under the library's key. Two of one person have nothing in common for who has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub salt: [u8; SALT_BYTES],
    pub proof: [u8; PROOF_BYTES],
}

impl Generation {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.as_bytes()).filter(|_| is_lower_hex(text))?;
        let (salt, proof) = bytes.split_at_checked(SALT_BYTES)?;
        Some(Self {
            salt: salt.try_into().ok()?,
            proof: proof.try_into().ok()?,
        })
    }

    pub(crate) fn bytes(&self) -> [u8; GENERATION_BYTES] {
        let mut bytes = [0; GENERATION_BYTES];
        let both = self.salt.iter().chain(&self.proof);
        for (to, from) in bytes.iter_mut().zip(both) {
            *to = *from;
        }
        bytes
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes()))
    }
}

/// Names a key of a person: `<tenant>/<library>/<generation>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonKeyId {
    pub library: LibraryId,
    pub generation: Generation,
}

impl PersonKeyId {
    /// Reads the text of a key id, in its one form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (tenant, rest) = text.split_once('/')?;
        let (library, generation) = rest.split_once('/')?;
        Some(Self {
            library: LibraryId::parse(tenant, library)?,
            generation: Generation::parse(generation)?,
        })
    }
}

impl fmt::Display for PersonKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.library, self.generation)
    }
}

fn is_lower_hex(text: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_id_is_read_as_it_was_written(
            tenant in "[a-z0-9-]{1,32}", library: [u8; 16], salt: [u8; 8], proof: [u8; 8],
        ) {
            let library = LibraryId::new(&tenant, Id(library)).unwrap();
            let id = PersonKeyId { library, generation: Generation { salt, proof } };
            let text = id.to_string();
            prop_assert!(text.len() <= 102);
            prop_assert_eq!(PersonKeyId::parse(&text), Some(id));
            prop_assert_eq!(crate::key_id::KeyId::parse(&text), None);
            for other in [text.to_uppercase(), format!("{text}0"), format!("{text}00"), text.replace('-', "")] {
                prop_assert!(other == text || PersonKeyId::parse(&other).is_none(), "{}", other);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,120}") {
            prop_assert_eq!(PersonKeyId::parse(&text), None);
            prop_assert!(!PersonName::is_one(&text));
        }
    }
}
