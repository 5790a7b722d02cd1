//! What a register's file holds, in memory. Numbers are not in it, portraits stay in the file.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use shiren_idcard::Name;
use shiren_schemas::Sha256;
use shiren_vault::KeyEncryption;
use zeroize::Zeroizing;

use super::file::{CHUNK_BYTES, END, END_BYTES, Fault, Hashed, Header, PERSON, damaged};
use super::keys::{Keys, NumberKey};
use super::options::RegisterOptions;
use super::person::{self, RECORD_MAX_BYTES};
use super::{inaccessible, key_unusable, unreadable};
use crate::error::{AuthorityError, Unreadable};
use crate::port::Validity;
use crate::template::Template;

/// Bytes that a seal adds: nonce and tag.
const SEAL_BYTES: usize = END_BYTES;

/// A run of bytes of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// A person in memory.
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) validity: Validity,
    pub(crate) portrait: Option<Sha256>,
    pub(crate) template: Option<Template>,
    /// All of the person in the file.
    pub(super) whole: Extent,
    /// The sealed portrait; no bytes when there is none.
    pub(super) sealed_portrait: Extent,
}

/// Tells one file from another that took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp([i64; 5]);

impl Stamp {
    fn of(found: &Metadata) -> Self {
        // Which bits mean what does not matter here, only whether they are the same.
        Self([
            found.dev().cast_signed(),
            found.ino().cast_signed(),
            found.size().cast_signed(),
            found.mtime(),
            found.mtime_nsec(),
        ])
    }

    pub(super) fn of_path(path: &Path) -> Result<Self, AuthorityError> {
        let found = std::fs::metadata(path).map_err(|error| not_there(path, &error))?;
        Ok(Self::of(&found))
    }
}

/// A register as it was read.
pub(crate) struct State {
    pub(crate) keys: Keys,
    pub(crate) persons: HashMap<NumberKey, Person>,
    pub(crate) header: Header,
    pub(super) stamp: Stamp,
    pub(super) bytes: u64,
    /// Kept open, so that what was read can be copied whatever takes its place.
    file: File,
}

impl State {
    /// Reads and authenticates the whole file.
    pub(super) fn load(options: &RegisterOptions) -> Result<Self, AuthorityError> {
        let path = options.file.as_path();
        let failed = |(cause, what): Fault| unreadable(path, cause, what);
        let file = File::open(path).map_err(|error| not_there(path, &error))?;
        let found = file
            .metadata()
            .map_err(|error| inaccessible(path, &error))?;
        if !found.is_file() {
            return Err(unreadable(path, Unreadable::Inaccessible, "is no file"));
        }
        if found.len() > options.register_max_bytes {
            let what = format!("has {} bytes, more", found.len());
            return Err(options.over(&what, "register_max_bytes", options.register_max_bytes));
        }
        let mut from = Hashed::new(BufReader::with_capacity(CHUNK_BYTES, &file));
        let header = Header::read(&mut from).map_err(failed)?;
        let keys = open_keys(options, &header)?;
        let mut persons = HashMap::new();
        while let Some((key, person)) = read_person(&mut from, &keys).map_err(failed)? {
            persons.insert(key, person);
            if persons.len() > options.register_max_persons {
                let limit = options.register_max_persons as u64;
                return Err(options.over("has more persons", "register_max_persons", limit));
            }
        }
        Ok(Self {
            keys,
            persons,
            header,
            stamp: Stamp::of(&found),
            bytes: found.len(),
            file,
        })
    }

    /// Persons as they lie in the file, so that a rewrite reads it from front to end.
    pub(crate) fn in_order(&self) -> Vec<(&NumberKey, &Person)> {
        let mut all: Vec<_> = self.persons.iter().collect();
        all.sort_by_key(|(_, person)| person.whole.offset);
        all
    }

    /// Bytes of the file as it was read.
    pub(super) fn read_at(&self, extent: Extent) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(extent.bytes).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, extent.offset)?;
        Ok(bytes)
    }

    /// The file of a person's portrait, opened.
    pub(super) fn portrait(&self, of: &NumberKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.open_portrait(of, sealed)
    }
}

/// The next person; `None` at the end, of which the seal is right.
fn read_person(
    from: &mut Hashed<impl io::Read>,
    keys: &Keys,
) -> Result<Option<(NumberKey, Person)>, Fault> {
    let offset = from.offset;
    match from.array()? {
        [PERSON] => {}
        [END] => {
            let digest = from.digest();
            let is_whole = keys.is_end(&digest, &from.array::<END_BYTES>()?) && from.is_at_end()?;
            return match is_whole {
                true => Ok(None),
                false => Err(damaged("the seal over the whole does not fit")),
            };
        }
        _ => return Err(damaged("a record of no kind")),
    }
    let key: NumberKey = from.array()?;
    let length = u32::from_le_bytes(from.array()?) as usize;
    if length > RECORD_MAX_BYTES + SEAL_BYTES {
        return Err(damaged("a record is too long"));
    }
    let sealed = from.bytes(length)?;
    let plain = keys.open_record(&key, &sealed);
    let plain = plain.ok_or_else(|| damaged("a record's seal does not fit"))?;
    let stored = person::read(&plain).ok_or_else(|| damaged("a record cannot be read"))?;
    let portrait_bytes = u64::from(u32::from_le_bytes(from.array()?));
    let sealed_portrait = Extent {
        offset: from.offset,
        bytes: portrait_bytes,
    };
    from.skip(portrait_bytes)?;
    let whole = Extent {
        offset,
        bytes: from.offset - offset,
    };
    let person = Person {
        name: stored.name,
        validity: stored.validity,
        portrait: stored.portrait,
        template: stored.template,
        whole,
        sealed_portrait,
    };
    Ok(Some((key, person)))
}

fn open_keys(options: &RegisterOptions, header: &Header) -> Result<Keys, AuthorityError> {
    let path = options.file.as_path();
    let keks = options
        .kek
        .keys()
        .map_err(|error| key_unusable(path, &error))?;
    let kek: &Arc<dyn KeyEncryption> = keks
        .iter()
        .find(|kek| kek.id() == header.kek_id)
        .ok_or_else(|| {
            let has: Vec<&str> = keks.iter().map(|kek| kek.id()).collect();
            let what = format!(
                "was written under key {}, and {} holds key {}; give the key that belongs to it: nothing else opens it",
                header.kek_id,
                options.kek.place(),
                has.join(", ")
            );
            unreadable(path, Unreadable::KeyWrong, what)
        })?;
    let data = header
        .unwrap(kek.as_ref())
        .map_err(|error| key_unusable(path, &error))?;
    Ok(Keys::new(data, header.salt))
}

fn not_there(path: &Path, error: &io::Error) -> AuthorityError {
    if error.kind() == io::ErrorKind::NotFound {
        let what = "there is no register here; make one, or put it back from a backup";
        return unreadable(path, Unreadable::Missing, what);
    }
    inaccessible(path, error)
}
