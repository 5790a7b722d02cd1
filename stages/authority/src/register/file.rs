//! The file, byte by byte. Numbers are little-endian.
//!
//! ```text
//! header   "ShirenRg", version u16
//!          id of the key-encryption key: u8 length, UTF-8
//!          salt, 16 bytes: random, stays for the register's life
//!          wrapped data key: u16 length, bytes
//!          first 8 bytes of SHA-256 of the header so far: tells damage from a wrong key
//! person   u8 1, HMAC of the number (32 bytes)
//!          sealed record: u32 length, bytes
//!          sealed portrait: u32 length (0: none), bytes
//! end      u8 0, seal over SHA-256 of all bytes before the seal (40 bytes); nothing behind it
//! ```

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use shiren_vault::{KekError, KeyEncryption, SecretKey};

use super::keys::PURPOSE;
use crate::error::Unreadable;

const MAGIC: &[u8; 8] = b"ShirenRg";
const VERSION: u16 = 1;
pub(super) const SALT_BYTES: usize = 16;
const HEADER_CHECK_BYTES: usize = 8;
/// Begins a person.
pub(super) const PERSON: u8 = 1;
/// Begins the end.
pub(super) const END: u8 = 0;
/// A seal over nothing: nonce and tag.
pub(super) const END_BYTES: usize = 24 + 16;
/// Chunk by which bytes are passed over or copied.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Why a part of the file was not read: kind of fault, and what to say.
pub(super) type Fault = (Unreadable, String);

pub(super) fn damaged(what: &str) -> Fault {
    let words = format!("is damaged: {what}; put it back from a backup, or make it anew");
    (Unreadable::Damaged, words)
}

/// What stands in front.
pub(crate) struct Header {
    pub(super) kek_id: String,
    pub(super) salt: [u8; SALT_BYTES],
    wrapped: Vec<u8>,
}

impl Header {
    /// Of a new register.
    pub(super) fn make(kek: &dyn KeyEncryption, data: &SecretKey) -> Result<Self, KekError> {
        let kek_id = kek.id().to_owned();
        if u8::try_from(kek_id.len()).is_err() {
            return Err(KekError("its id has more than 255 bytes".to_owned()));
        }
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| KekError(error.to_string()))?;
        let wrapped = kek.wrap(&place(&salt), data)?;
        if u16::try_from(wrapped.len()).is_err() {
            return Err(KekError(
                "what it wraps has more than 65,535 bytes".to_owned(),
            ));
        }
        Ok(Self {
            kek_id,
            salt,
            wrapped,
        })
    }

    pub(super) fn unwrap(&self, kek: &dyn KeyEncryption) -> Result<SecretKey, KekError> {
        kek.unwrap(&place(&self.salt), &self.wrapped)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        // Both lengths were looked at when it was made or read.
        bytes.push(self.kek_id.len() as u8);
        bytes.extend(self.kek_id.as_bytes());
        bytes.extend(self.salt);
        bytes.extend((self.wrapped.len() as u16).to_le_bytes());
        bytes.extend(&self.wrapped);
        let check = Sha256::digest(&bytes);
        bytes.extend(check.iter().take(HEADER_CHECK_BYTES));
        bytes
    }

    pub(super) fn read(file: &mut Hashed<impl Read>) -> Result<Self, Fault> {
        if &file.array::<8>()? != MAGIC {
            return Err(damaged("it does not begin like a register"));
        }
        let version = u16::from_le_bytes(file.array()?);
        if version != VERSION {
            let what = format!(
                "has version {version}, this program reads {VERSION}; use the program that wrote it"
            );
            return Err((Unreadable::Version, what));
        }
        let [length] = file.array()?;
        let kek_id = String::from_utf8(file.bytes(usize::from(length))?);
        let salt = file.array()?;
        let length = u16::from_le_bytes(file.array()?);
        let wrapped = file.bytes(usize::from(length))?;
        let wanted = file.digest();
        if file.array::<HEADER_CHECK_BYTES>()? != wanted.first_chunk().copied().unwrap_or_default()
        {
            return Err(damaged("its header's check fails"));
        }
        let kek_id = kek_id.map_err(|_| damaged("its key's id is no text"))?;
        Ok(Self {
            kek_id,
            salt,
            wrapped,
        })
    }
}

fn place(salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    [PURPOSE, b" data key ", salt.as_slice()].concat()
}

/// Reads, and hashes what was read.
pub(super) struct Hashed<R> {
    inner: R,
    hash: Sha256,
    /// Bytes read so far.
    pub offset: u64,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            offset: 0,
        }
    }

    /// The next bytes, of a number that was looked at.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes over bytes, hashing them.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Fault> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = count;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            self.fill(chunk.get_mut(..now).unwrap_or_default())?;
            left -= now as u64;
        }
        Ok(())
    }

    /// SHA-256 of all that was read.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Fault> {
        self.inner.read(&mut [0]).map(|n| n == 0).map_err(fault)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.inner.read_exact(bytes).map_err(fault)?;
        self.hash.update(&*bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn fault(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        _ => (Unreadable::Inaccessible, format!("cannot be read: {error}")),
    }
}
