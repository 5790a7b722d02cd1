//! Rotating the key-encryption key (KEK). Data keys stay as they are, so nothing is sealed anew.
//!
//! 1. The new KEK is put beside the old (`<kek file>.next`), and `check.next` says so: from now on new
//!    keys are wrapped by it, and processes that hold the old one find the new one there.
//! 2. Every key is wrapped anew, one file at a time.
//! 3. `check.next` becomes `check`: the store is the new KEK's. Then the KEK's file is replaced.
//!
//! A crash at any point leaves a store that opens; the same call goes on where it stopped.

use std::fs::OpenOptions;
use std::path::Path;

use shiren_contract::seal::VaultError;

use crate::files::{self, unreadable};
use crate::kek::{KekSource, KeyEncryption, LocalKek, next_file};
use crate::key_id::KeyId;
use crate::layout::Layout;
use crate::lock;
use crate::person_id::LibraryId;
use crate::person_record::LibraryRecord;
use crate::record::{Check, KeyRecord};
use crate::ring::KekRing;
use crate::store::{FileVault, VaultOptions};

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Id of the new key-encryption key.
    pub kek_id: String,
    /// Keys that this call wrapped anew; fewer than there are when it went on with an earlier one.
    pub rewrapped: usize,
}

impl FileVault {
    /// Wraps all keys by the KEK in `new_file` instead of the one of `options`. Where that one comes
    /// from a file, the new KEK takes its place there and the old one is overwritten.
    ///
    /// # Errors
    /// [`VaultError::StoreMissing`]; [`VaultError::KeyWrong`] when the KEK of `options` is not the
    /// store's; [`VaultError::StoreUnreadable`] for a damaged file, or when a rotation to yet another
    /// KEK is unfinished.
    pub fn rotate_kek(options: &VaultOptions, new_file: &Path) -> Result<Rotated, VaultError> {
        options.check()?;
        let layout = Layout::new(&options.dir);
        let new = LocalKek::from_file(new_file)?
            .ok_or_else(|| unreadable(new_file, "there is no key-encryption key here"))?;
        let path = layout.check();
        let check = Check::read(&path)?.ok_or_else(|| VaultError::StoreMissing {
            dir: options.dir.display().to_string(),
        })?;
        let mut rewrapped = 0;
        if check.kek_id == new.id() {
            check.verify(&new, &path)?;
        } else {
            let ring = KekRing::load(&options.kek)?;
            check.verify(ring.find(&check.kek_id, &path)?.as_ref(), &path)?;
            announce(&layout, &options.kek, &new)?;
            rewrapped += rewrap_each(&layout, &ring, &new)?;
            rewrapped += finish(&layout, &ring, &new)?;
        }
        if let KekSource::File(file) = &options.kek {
            install(&layout, file, &new)?;
        }
        Ok(Rotated {
            kek_id: new.id().to_owned(),
            rewrapped,
        })
    }
}

fn announce(layout: &Layout, source: &KekSource, new: &LocalKek) -> Result<(), VaultError> {
    let _held = lock::take(layout.dir())?;
    let path = layout.next_check();
    if let Some(next) = Check::read(&path)?
        && next.kek_id != new.id()
    {
        let what = format!(
            "a rotation to key-encryption key {} is unfinished: end it with that key's file first",
            next.kek_id
        );
        return Err(unreadable(&path, what));
    }
    if let KekSource::File(file) = source {
        files::replace(&next_file(file), &new.file_text())?;
    }
    files::create(&path, &Check::make(new, &path)?)?;
    Ok(())
}

/// A key that the KEK wraps. Persons' keys are wrapped by their library's, and stay as they are.
enum Wrapped {
    Epoch(KeyId),
    Library(LibraryId),
}

fn all_wrapped(layout: &Layout) -> Result<Vec<Wrapped>, VaultError> {
    let mut all = Vec::new();
    for tenant in layout.tenants()? {
        all.extend(layout.live(&tenant)?.into_iter().map(Wrapped::Epoch));
    }
    all.extend(layout.libraries()?.into_iter().map(Wrapped::Library));
    Ok(all)
}

/// Key by key, so that workers can make new ones in between.
fn rewrap_each(layout: &Layout, ring: &KekRing, new: &LocalKek) -> Result<usize, VaultError> {
    let mut count = 0;
    for key in all_wrapped(layout)? {
        let _held = lock::take(layout.dir())?;
        count += usize::from(rewrap(layout, ring, new, &key)?);
    }
    Ok(count)
}

/// With the lock held: nothing is left that the new KEK does not open.
fn finish(layout: &Layout, ring: &KekRing, new: &LocalKek) -> Result<usize, VaultError> {
    let _held = lock::take(layout.dir())?;
    let mut count = 0;
    for key in all_wrapped(layout)? {
        count += usize::from(rewrap(layout, ring, new, &key)?);
    }
    files::rename(&layout.next_check(), &layout.check())?;
    Ok(count)
}

/// `false`: it was wrapped anew before, or destroyed since the folder was listed.
fn rewrap(
    layout: &Layout,
    ring: &KekRing,
    new: &LocalKek,
    key: &Wrapped,
) -> Result<bool, VaultError> {
    match key {
        Wrapped::Epoch(id) => {
            let path = layout.key(id);
            let record = KeyRecord::read(&path)?.filter(|record| record.kek_id != new.id());
            let Some(record) = record else {
                return Ok(false);
            };
            let old = ring.find(&record.kek_id, &path)?;
            files::replace(&path, &record.rewrap(old.as_ref(), new, id, &path)?)?;
        }
        Wrapped::Library(id) => {
            let path = layout.library_key(id);
            let record = LibraryRecord::read(&path)?.filter(|record| record.kek_id != new.id());
            let Some(record) = record else {
                return Ok(false);
            };
            let old = ring.find(&record.kek_id, &path)?;
            let bytes = record.rewrap(old.as_ref(), new, id, &path)?;
            files::replace_from(layout.dir(), &path, &bytes)?;
        }
    }
    Ok(true)
}

/// Puts the new KEK in the old one's file, which is overwritten beneath.
fn install(layout: &Layout, file: &Path, new: &LocalKek) -> Result<(), VaultError> {
    let _held = lock::take(layout.dir())?;
    let next = next_file(file);
    let old = LocalKek::from_file(file)?;
    if old.is_some_and(|old| old.id() == new.id()) {
        files::wipe(&next)?;
        return Ok(());
    }
    files::replace(&next, &new.file_text())?;
    let beneath = OpenOptions::new().write(true).open(file);
    files::rename(&next, file)?;
    if let Ok(beneath) = beneath {
        files::overwrite(beneath).map_err(|error| {
            unreadable(
                file,
                format!("the old key's bytes were not overwritten: {error}"),
            )
        })?;
    }
    Ok(())
}
