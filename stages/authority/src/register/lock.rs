//! The register's lock: whoever writes it holds it. Readers need none.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::inaccessible;
use crate::error::AuthorityError;

/// The lock while it is held; the system lets go of it when the process ends.
pub(crate) struct Held {
    _file: File,
}

impl Held {
    /// Takes the lock of the register at `path`, or says that it is taken: who writes may import for
    /// hours, so nobody waits for it. Opened anew each time, so that threads keep each other out too.
    pub(crate) fn take(path: &Path) -> Result<Self, AuthorityError> {
        let lock = beside(path, ".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .map_err(|error| inaccessible(&lock, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(AuthorityError::RegisterLocked {
                path: path.display().to_string(),
            }),
            Err(TryLockError::Error(error)) => Err(inaccessible(&lock, &error)),
        }
    }
}

/// A file that belongs to the register's.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

/// The folder that the register lies in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes that folder, for its owner alone, where it is not there.
pub(super) fn make_parent(path: &Path) -> Result<(), AuthorityError> {
    let parent = parent(path);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|error| inaccessible(parent, &error))
}
