//! Small files that a crash leaves whole: written beside, synced, then linked or renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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
    create_from(folder_of(path), path, bytes)
}

/// [`create`] that writes first in the folder `unfinished`, of the same file system.
pub(crate) fn create_from(
    unfinished: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<bool, VaultError> {
    let failed = |error| unreadable(path, format!("cannot be made: {error}"));
    let beside = write_new(unfinished_name(unfinished, path), bytes).map_err(failed)?;
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
    replace_from(folder_of(path), path, bytes)
}

/// [`replace`] that writes first in the folder `unfinished`, of the same file system.
pub(crate) fn replace_from(unfinished: &Path, path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let failed = |error| unreadable(path, format!("cannot be written: {error}"));
    let beside = write_new(unfinished_name(unfinished, path), bytes).map_err(failed)?;
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

/// [`wipe`] for a file that must be gone from its place before its bytes are touched, so that nobody
/// reads a half of it: moved to the folder `unfinished` first.
pub(crate) fn withdraw(path: &Path, unfinished: &Path) -> Result<bool, VaultError> {
    if !exists(path)? {
        return Ok(false);
    }
    let aside = unfinished_name(unfinished, path);
    // On the disk before the bytes go: a power cut must not leave the name with zeros behind it.
    std::fs::rename(path, &aside)
        .and_then(|()| sync_parent(path))
        .map_err(|error| unreadable(path, format!("cannot be destroyed: {error}")))?;
    wipe(&aside)
}

/// Removes what a crash left. Overwritten only where it is the last name of its bytes: a crash between
/// link and removal leaves a second name of a file that is used.
pub(crate) fn clear_leftover(path: &Path) -> Result<bool, VaultError> {
    let failed = |error| unreadable(path, format!("cannot be removed: {error}"));
    match std::fs::symlink_metadata(path) {
        Ok(leftover) if leftover.nlink() > 1 => {
            std::fs::remove_file(path).map_err(failed)?;
            Ok(true)
        }
        Ok(_) => wipe(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Removes the file, whose bytes are worth nothing any more.
pub(crate) fn remove(path: &Path) -> Result<(), VaultError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(unreadable(path, format!("cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Makes the folder and those around it, all of them on the disk when this returns.
pub(crate) fn make_dir(dir: &Path) -> Result<(), VaultError> {
    let there = dir.ancestors().skip(1).find(|above| above.exists());
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .and_then(|()| {
            for made in dir.ancestors() {
                sync_parent(made)?;
                if made.parent() == there {
                    break;
                }
            }
            Ok(())
        })
        .map_err(|error| unreadable(dir, format!("cannot be made: {error}")))
}

/// Tells a file from another that was put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    modified_s: i64,
    modified_ns: i64,
}

/// Of the file that is there; `None`: there is none.
pub(crate) fn stamp(path: &Path) -> Result<Option<Stamp>, VaultError> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(Some(Stamp {
            inode: file.ino(),
            modified_s: file.mtime(),
            modified_ns: file.mtime_nsec(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, format!("cannot be looked at: {error}"))),
    }
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

/// A name of this process for a file that is not done.
fn unfinished_name(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(
        ".{name}.{}.{count}{UNFINISHED}",
        std::process::id()
    ))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn write_new(beside: PathBuf, bytes: &[u8]) -> io::Result<PathBuf> {
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
