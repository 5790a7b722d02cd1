//! Persons' keys: sealing and opening under them, and their end.
//!
//! They are not kept in memory: reading and unwrapping one costs little more than the look whether it is
//! still there, and what is destroyed by another process stops opening at once.

use shiren_contract::seal::{PersonKeys, PersonOf, VaultError};
use shiren_schemas::Id;
use shiren_schemas::records::Sealed;

use crate::cipher::{self, NONCE_BYTES, bind};
use crate::destroy::clear_leftovers;
use crate::files::{self, unreadable};
use crate::libraries::{Standing, library_destroyed};
use crate::library_key::LibraryKey;
use crate::lock;
use crate::person_id::{LibraryId, PersonKeyId, PersonName};
use crate::person_record::PersonRecord;
use crate::secret::SecretKey;
use crate::store::{FileVault, SHOWN_MAX_CHARS};

/// Begins what each ciphertext is bound to.
const PURPOSE: &[u8] = b"shiren-vault/1 sealed for a person";
/// Stands for the generation of a key whose file is damaged.
const UNKNOWN: &str = "unknown";

/// A person as the store knows them.
struct Known<'a> {
    library: &'a LibraryId,
    by: &'a LibraryKey,
    name: PersonName,
}

impl FileVault {
    fn library_id(&self, tenant: &str, library: Id) -> Result<LibraryId, VaultError> {
        LibraryId::new(tenant, library).ok_or_else(|| {
            let what = "no key for it: the tenant's name is not [a-z0-9-]{1,32}";
            unreadable(self.layout.dir(), what)
        })
    }

    /// The person's key file; `None`: there is none. What was being overwritten while it was read is looked
    /// at again when nobody writes.
    fn person(&self, known: &Known<'_>) -> Result<Option<PersonRecord>, VaultError> {
        let path = self.layout.person(known.library, &known.name);
        PersonRecord::read(&path).or_else(|_| {
            let _held = lock::take(&self.layout.library(known.library))?;
            PersonRecord::read(&path)
        })
    }

    /// Makes the person's key, or takes the one of whoever was first.
    fn make_person(&self, known: &Known<'_>, person: &str) -> Result<PersonRecord, VaultError> {
        let _held = lock::take(&self.layout.library(known.library))?;
        if self.is_library_destroyed(known.library)? {
            return Err(library_destroyed(known.library));
        }
        let path = self.layout.person(known.library, &known.name);
        if let Some(record) = PersonRecord::read(&path)? {
            return Ok(record);
        }
        let no_bytes = |error| unreadable(&path, error);
        let key = SecretKey::random().map_err(no_bytes)?;
        let generation = known.by.generation(person).map_err(no_bytes)?;
        let of = (known.library, &known.name);
        let bytes = PersonRecord::make(known.by, &key, of, &generation, &path)?;
        files::create_from(&self.layout.unfinished(known.library), &path, &bytes)?;
        PersonRecord::read(&path)?.ok_or_else(|| unreadable(&path, "was made and is gone"))
    }

    /// The key of this id; `None`: it is gone, there may be another.
    fn person_key(
        &self,
        known: &Known<'_>,
        id: &PersonKeyId,
    ) -> Result<Option<SecretKey>, VaultError> {
        let path = self.layout.person(known.library, &known.name);
        let Some(record) = self.person(known)? else {
            return Ok(None);
        };
        if record.generation(&path)? != id.generation {
            return Ok(None);
        }
        let key = record.unwrap(known.by, (known.library, &known.name), &path)?;
        Ok(Some(key))
    }

    /// Id of the key that goes. Under the library's lock.
    fn withdraw_person(&self, known: &Known<'_>) -> Result<Option<String>, VaultError> {
        let path = self.layout.person(known.library, &known.name);
        let unfinished = self.layout.unfinished(known.library);
        // An earlier call may have stopped half way.
        clear_leftovers(&unfinished)?;
        let generation = match PersonRecord::read(&path) {
            Ok(None) => return Ok(None),
            Ok(Some(record)) => record.generation(&path).map(|g| g.to_string()).ok(),
            // It must go all the same.
            Err(_) => None,
        };
        files::withdraw(&path, &unfinished)?;
        let generation = generation.unwrap_or_else(|| UNKNOWN.to_owned());
        Ok(Some(format!("{}/{generation}", known.library)))
    }
}

impl PersonKeys for FileVault {
    fn seal_person(
        &self,
        of: PersonOf<'_>,
        aad: &[u8],
        plain: &[u8],
    ) -> Result<Sealed, VaultError> {
        let library = self.library_id(of.tenant, of.library)?;
        let by = self.library_for_sealing(&library)?;
        let known = Known {
            library: &library,
            by: &by,
            name: by.name(of.person),
        };
        let record = match self.person(&known)? {
            Some(record) => record,
            None => self.make_person(&known, of.person)?,
        };
        let path = self.layout.person(&library, &known.name);
        let generation = record.generation(&path)?;
        let key = record.unwrap(&by, (&library, &known.name), &path)?;
        let key_id = PersonKeyId {
            library: library.clone(),
            generation,
        }
        .to_string();
        let (nonce, ciphertext) = cipher::encrypt(&key, &place(&key_id, aad), plain)
            .map_err(|error| unreadable(&path, error))?;
        Ok(Sealed {
            key_id,
            nonce: nonce.to_vec(),
            ciphertext,
        })
    }

    fn open_person(
        &self,
        of: PersonOf<'_>,
        aad: &[u8],
        sealed: &Sealed,
    ) -> Result<Vec<u8>, VaultError> {
        let corrupt = |what: &str| VaultError::SealedCorrupt {
            key_id: sealed.key_id.chars().take(SHOWN_MAX_CHARS).collect(),
            what: what.to_owned(),
        };
        let id = PersonKeyId::parse(&sealed.key_id)
            .ok_or_else(|| corrupt("this is no key id of a person"))?;
        if Some(&id.library) != LibraryId::new(of.tenant, of.library).as_ref() {
            return Err(corrupt("it was sealed for another tenant or library"));
        }
        if sealed.nonce.len() != NONCE_BYTES {
            return Err(corrupt("the nonce has another length"));
        }
        let gone = || VaultError::KeyDestroyed {
            key_id: sealed.key_id.clone(),
        };
        let by = match self.library(&id.library)? {
            Standing::Live(key) => key,
            Standing::Destroyed => return Err(gone()),
            Standing::Absent => {
                let what = "there is no such library, nor a record that it was destroyed: is this the store that sealed?";
                return Err(unreadable(&self.layout.library_key(&id.library), what));
            }
        };
        // Before a missing key counts as destroyed: else each mistake would pass for an erasure.
        if !by.is_of(&id.generation, of.person) {
            return Err(corrupt(
                "it was sealed for another person, or in another store",
            ));
        }
        let known = Known {
            library: &id.library,
            by: &by,
            name: by.name(of.person),
        };
        let key = self.person_key(&known, &id)?.ok_or_else(gone)?;
        let place = place(&sealed.key_id, aad);
        cipher::decrypt(&key, &sealed.nonce, &place, &sealed.ciphertext)
            .ok_or_else(|| corrupt("the tag fails: it is damaged, or was moved from another place"))
    }

    fn destroy_person(&self, of: PersonOf<'_>) -> Result<Option<String>, VaultError> {
        let library = self.library_id(of.tenant, of.library)?;
        let Standing::Live(by) = self.library(&library)? else {
            return Ok(None);
        };
        let known = Known {
            library: &library,
            by: &by,
            name: by.name(of.person),
        };
        let _held = lock::take(&self.layout.library(&library))?;
        self.withdraw_person(&known)
    }

    fn destroy_library(&self, tenant: &str, library: Id) -> Result<bool, VaultError> {
        self.end_library(&self.library_id(tenant, library)?)
    }
}

/// What a ciphertext is bound to: its key's name and the caller's words for where it stands.
fn place(key_id: &str, aad: &[u8]) -> Vec<u8> {
    bind(&[PURPOSE, key_id.as_bytes(), aad])
}
