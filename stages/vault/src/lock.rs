//! The store's lock: whoever makes, destroys or re-wraps a key holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use shiren_contract::seal::VaultError;

use crate::files::unreadable;

const LOCK: &str = "lock";
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(2);
/// Tries before the lock counts as stuck: its holder writes a file or two, and 10 s are enough for it.
const TRIES_MAX: u32 = 5_000;

/// The lock while it is held; the system lets go of it when the process ends.
pub(crate) struct Held {
    _file: File,
}

/// Takes the lock of the store in `dir`. Opened anew each time, so that threads of one process keep
/// each other out too.
pub(crate) fn take(dir: &Path) -> Result<Held, VaultError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| unreadable(&path, format!("cannot be opened: {error}")))?;
    for _ in 0..TRIES_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(Held { _file: file }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
            Err(TryLockError::Error(error)) => {
                return Err(unreadable(&path, format!("cannot be locked: {error}")));
            }
        }
    }
    let wait = TRY_EVERY * TRIES_MAX;
    let what = format!("another process has held the lock for {wait:?}: is it stopped?");
    Err(unreadable(&path, what))
}
