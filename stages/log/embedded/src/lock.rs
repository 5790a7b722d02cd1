//! The lock around write transactions, and the lock of the process that runs workers.
//!
//! `SQLite`'s own busy handler starves writers: one process was seen to do 1 transaction while
//! another did 52,966. So each write takes a file lock first. Two files make it fair: whoever
//! waits for the lock holds the turnstile, so that the last holder cannot pass it by.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiren_log::LogError;

use crate::ENGINE;

/// Waits between two tries, shortest and longest.
const TRY_EVERY_US: (u64, u64) = (20, 1_000);

/// The write lock between processes.
pub(crate) struct WriteLock {
    turnstile: File,
    lock: File,
    path: PathBuf,
}

/// The write lock while it is held.
pub(crate) struct Held<'a>(&'a File);

impl WriteLock {
    pub(crate) fn open(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join("write.lock");
        Ok(Self {
            turnstile: open_file(&dir.join("write-turnstile.lock"))?,
            lock: open_file(&path)?,
            path,
        })
    }

    /// Takes the lock, or fails when `deadline` passes: its holder may be stopped.
    pub(crate) fn take(&self, deadline: Instant) -> Result<Held<'_>, LogError> {
        let _turn = self.try_until(&self.turnstile, deadline)?;
        self.try_until(&self.lock, deadline)
    }

    fn try_until<'a>(&self, file: &'a File, deadline: Instant) -> Result<Held<'a>, LogError> {
        let mut wait_us = TRY_EVERY_US.0;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_micros(wait_us));
                    wait_us = (wait_us * 2).min(TRY_EVERY_US.1);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LogError::Unavailable {
                        engine: ENGINE,
                        what: format!(
                            "another process holds {} for too long: is it stopped?",
                            self.path.display()
                        ),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(lock_failed(&self.path, &error)),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::error!(%error, "the embedded log's write lock could not be released");
        }
    }
}

/// Held by a process as long as it has a worker.
pub(crate) struct WorkersLock {
    dir: PathBuf,
    /// The locked file and the workers that share it.
    held: Mutex<(Option<File>, usize)>,
}

impl WorkersLock {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            held: Mutex::new((None, 0)),
        }
    }

    /// Counts one worker in.
    ///
    /// # Errors
    /// [`LogError::WorkersElsewhere`].
    pub(crate) fn enter(&self) -> Result<(), LogError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0.is_none() {
            let path = self.dir.join("workers.lock");
            let file = open_file(&path)?;
            match file.try_lock() {
                Ok(()) => held.0 = Some(file),
                Err(TryLockError::WouldBlock) => {
                    return Err(LogError::WorkersElsewhere {
                        path: self.dir.display().to_string(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(lock_failed(&path, &error)),
            }
        }
        held.1 += 1;
        Ok(())
    }

    /// Counts one worker out; the last one opens the lock.
    pub(crate) fn leave(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.1 = held.1.saturating_sub(1);
        if held.1 == 0 {
            held.0 = None;
        }
    }
}

fn open_file(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| lock_failed(path, &error))
}

fn lock_failed(path: &Path, error: &std::io::Error) -> LogError {
    LogError::Fatal {
        engine: ENGINE,
        what: format!("cannot open or lock {}: {error}", path.display()),
    }
}
