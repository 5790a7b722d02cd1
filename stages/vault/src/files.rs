//! Small files that a crash leaves whole: written beside, synced, then linked or renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use shiren_contract::seal::VaultError;

/// Largest file of a store; what is larger is none of it.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// Mode of every file: its owner alone.
const FILE_MODE: u32 = 0o600;
/// Mode of every folder.
const DIR_MODE: u32 = 0o700;
/// Ends the name of a file that is being written. One that is found under the store's lock was left
/// by a crash.
pub(crate) const UNFINISHED: &str = ".tmp";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// [`VaultError::StoreUnreadable`] of `path`.
pub(crate) fn unreadable(path: &Path, what: impl std::fmt::Display) -> VaultError {
    VaultError::StoreUnreadable {
        path: path.display().to_string(),
        what: what.to_string(),
    }
}

/// The file's bytes; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, format!("cannot be opened: {error}"))),
    };
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes);
    match read {
        Ok(_) if bytes.len() as u64 > FILE_MAX_BYTES => {
            let what =
                format!("has more than {FILE_MAX_BYTES} bytes, so it is no file of a key store");
            Err(unreadable(path, what))
        }
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(unreadable(path, format!("cannot be read: {error}"))),
    }
}

/// Whether something is there.
pub(crate) fn exists(path: &Path) -> Result<bool, VaultError> {
    path.try_exists()
        .map_err(|error| unreadable(path, format!("cannot be looked at: {error}")))
}

/// Makes the file, whole or not at all. `false`: another was first, and is kept.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool, VaultError> {
    let failed = |error| unreadable(path, format!("cannot be made: {error}"));
    let beside = write_beside(path, bytes).map_err(failed)?;
    let linked = std::fs::hard_link(&beside, path);
    let removed = std::fs::remove_file(&beside);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    removed.and_then(|()| sync_parent(path)).map_err(failed)?;
    Ok(true)
}

/// Puts the bytes in the file's place, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let failed = |error| unreadable(path, format!("cannot be written: {error}"));
    let beside = write_beside(path, bytes).map_err(failed)?;
    std::fs::rename(&beside, path)
        .and_then(|()| sync_parent(path))
        .map_err(failed)
}

/// Moves a file over another.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), VaultError> {
    std::fs::rename(from, to)
        .and_then(|()| sync_parent(to))
        .map_err(|error| {
            unreadable(
                from,
                format!("cannot be moved to {}: {error}", to.display()),
            )
        })
}

/// Overwrites the file and removes it. On flash and on file systems that copy on write the old bytes
/// may live on beneath. `false`: there was none.
pub(crate) fn wipe(path: &Path) -> Result<bool, VaultError> {
    let failed = |error| unreadable(path, format!("cannot be destroyed: {error}"));
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => overwrite(file).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // What cannot be overwritten is removed all the same.
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "not overwritten before it is removed")
        }
    }
    std::fs::remove_file(path)
        .and_then(|()| sync_parent(path))
        .map_err(failed)?;
    Ok(true)
}

/// Zeros over the whole file, on the disk when this returns.
pub(crate) fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len().min(FILE_MAX_BYTES);
    let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
    file.write_all(&zeros)?;
    file.sync_all()
}

/// Makes the folder and those around it.
pub(crate) fn make_dir(dir: &Path) -> Result<(), VaultError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .and_then(|()| sync_parent(dir))
        .map_err(|error| unreadable(dir, format!("cannot be made: {error}")))
}

/// Names in a folder; none when it is not there.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, VaultError> {
    let failed = |error: io::Error| unreadable(dir, format!("cannot be listed: {error}"));
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_file_name(format!(
        ".{name}.{}.{count}{UNFINISHED}",
        std::process::id()
    ));
    // One that is there was left by a crashed process of the same id.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(beside)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
