//! Writing a register anew: beside itself, synced, then renamed into place.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file::{CHUNK_BYTES, END, Header, PERSON};
use super::keys::{Keys, NumberKey};
use super::options::RegisterOptions;
use super::state::{Extent, Person, State};
use super::{inaccessible, key_unusable, lock};
use crate::error::AuthorityError;

/// A register that is being written. Dropped before it is finished, it leaves no trace. Whoever has
/// one holds the register's lock.
pub(crate) struct Rewrite<'a> {
    options: &'a RegisterOptions,
    keys: &'a Keys,
    beside: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    persons: usize,
    is_done: bool,
}

impl<'a> Rewrite<'a> {
    pub(crate) fn begin(
        options: &'a RegisterOptions,
        keys: &'a Keys,
        header: &Header,
    ) -> Result<Self, AuthorityError> {
        let beside = lock::beside(&options.file, ".tmp");
        let file = create(&beside).map_err(|error| inaccessible(&beside, &error))?;
        let mut rewrite = Self {
            options,
            keys,
            beside,
            out: BufWriter::with_capacity(CHUNK_BYTES, file),
            hash: Sha256::new(),
            bytes: 0,
            persons: 0,
            is_done: false,
        };
        rewrite.write(&header.bytes())?;
        Ok(rewrite)
    }

    /// Adds a person: record and portrait, sealed.
    pub(crate) fn put(
        &mut self,
        of: &NumberKey,
        record: &[u8],
        portrait: &[u8],
    ) -> Result<(), AuthorityError> {
        self.count()?;
        self.write(&[PERSON])?;
        self.write(of)?;
        for sealed in [record, portrait] {
            let length = u32::try_from(sealed.len());
            let length = length.map_err(|_| {
                self.options
                    .over("has a portrait of more bytes", "u32", u32::MAX.into())
            })?;
            self.write(&length.to_le_bytes())?;
            self.write(sealed)?;
        }
        Ok(())
    }

    /// Takes a person over as it stands.
    pub(crate) fn copy(&mut self, state: &State, person: &Person) -> Result<(), AuthorityError> {
        self.count()?;
        let mut left = person.whole;
        while left.bytes > 0 {
            let now = Extent {
                bytes: left.bytes.min(CHUNK_BYTES as u64),
                ..left
            };
            let bytes = state
                .read_at(now)
                .map_err(|error| inaccessible(&self.options.file, &error))?;
            self.write(&bytes)?;
            left = Extent {
                offset: left.offset + now.bytes,
                bytes: left.bytes - now.bytes,
            };
        }
        Ok(())
    }

    /// Seals the whole and puts it in the register's place.
    pub(crate) fn finish(mut self) -> Result<(), AuthorityError> {
        self.write(&[END])?;
        let digest = self.hash.clone().finalize().into();
        let end = self.keys.seal_end(&digest);
        let path = self.options.file.as_path();
        let end = end.map_err(|error| key_unusable(path, &error))?;
        self.write(&end)?;
        let put = self
            .out
            .flush()
            .and_then(|()| self.out.get_ref().sync_all());
        let put = put.and_then(|()| rename(&self.beside, path));
        put.map_err(|error| inaccessible(path, &error))?;
        self.is_done = true;
        Ok(())
    }

    fn count(&mut self) -> Result<(), AuthorityError> {
        self.persons += 1;
        if self.persons > self.options.register_max_persons {
            let limit = self.options.register_max_persons as u64;
            return Err(self.options.over(
                "would have more persons",
                "register_max_persons",
                limit,
            ));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), AuthorityError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.options.register_max_bytes {
            let limit = self.options.register_max_bytes;
            return Err(self
                .options
                .over("would have more bytes", "register_max_bytes", limit));
        }
        self.hash.update(bytes);
        self.out
            .write_all(bytes)
            .map_err(|error| inaccessible(&self.beside, &error))
    }
}

impl Drop for Rewrite<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be removed is overwritten by the next rewrite.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

/// A new file for its owner alone, in the place of what a crash may have left.
fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    File::open(lock::parent(to))?.sync_all()
}
