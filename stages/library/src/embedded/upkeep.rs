//! Upkeep of the index and of what was erased, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{Core, fs_failed};
use crate::error::LibraryError;

/// What the thread is asked to do.
enum Task {
    /// Bring the index up to date, within the options' tolerance for what was erased.
    Index,
    /// Leave nothing of what was erased, and tell.
    Sweep(Sender<Result<(), LibraryError>>),
}

/// The thread, as long as the library is open.
pub(super) struct Upkeep {
    /// Points written since the index was last asked for.
    written: AtomicUsize,
    /// How many ask for it.
    after: usize,
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
    core: Arc<Core>,
}

impl Upkeep {
    pub(super) fn start(core: Arc<Core>) -> Result<Self, LibraryError> {
        let (tasks, todo) = mpsc::channel::<Task>();
        let its = core.clone();
        let run = move || {
            for task in todo {
                its.perform(task);
            }
        };
        let thread = std::thread::Builder::new()
            .name("library-upkeep".to_owned())
            .spawn(run)
            .map_err(|error| fs_failed(&core.options.dir, &error))?;
        Ok(Self {
            written: AtomicUsize::new(0),
            after: core.options.optimise_after_points,
            tasks: Some(tasks),
            thread: Some(thread),
            core,
        })
    }

    /// Counts written points, and has the index brought up to date when there are enough.
    pub(super) fn written(&self, points: usize) {
        let before = self.written.fetch_add(points, Ordering::Relaxed);
        if before + points >= self.after {
            self.written.store(0, Ordering::Relaxed);
            // The thread ends with the library only.
            let _ = self.send(Task::Index);
        }
    }

    /// Drops what was erased before the call from the files.
    pub(super) fn sweep(&self, deadline: Instant) -> Result<(), LibraryError> {
        let (tell, told) = mpsc::channel();
        self.send(Task::Sweep(tell))?;
        let wait = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(wait) {
            Ok(swept) => swept,
            // It goes on, and the next call finds less to do.
            Err(RecvTimeoutError::Timeout) => Err(LibraryError::DeadlineExceeded {
                at: "within the optimisation",
            }),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    fn send(&self, task: Task) -> Result<(), LibraryError> {
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task).is_ok());
        match sent {
            Some(true) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    fn ended(&self) -> LibraryError {
        LibraryError::Failed {
            place: self.core.options.dir.display().to_string(),
            what: "its upkeep has panicked; restart the process".to_owned(),
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.tasks = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the face library's upkeep had panicked");
        }
    }
}

impl Core {
    fn perform(&self, task: Task) {
        match task {
            Task::Index => {
                if let Err(error) = self.index() {
                    tracing::error!(%error, "upkeep of the face library failed; searches go on without an index");
                }
            }
            // Whoever asked may have gone.
            Task::Sweep(tell) => drop(tell.send(self.sweep())),
        }
    }

    fn index(&self) -> Result<(), LibraryError> {
        let max_bytes = self.options.log_max_mib << 20;
        self.upkeep(self.options.erased_ratio_max, |log_bytes| {
            log_bytes >= max_bytes
        })
    }

    fn sweep(&self) -> Result<(), LibraryError> {
        self.upkeep(0.0, |_| true)
    }

    /// Searches go on meanwhile, and writes wait: what is removed during an optimisation the engine keeps
    /// in memory alone until it has ended, and a process that is killed before would bring it back.
    fn upkeep(
        &self,
        erased_ratio: f64,
        is_log_due: impl FnOnce(u64) -> bool,
    ) -> Result<(), LibraryError> {
        let mut writer = self.writer.lock();
        let log_bytes = {
            let shard = self.shard.read();
            shard.optimise(erased_ratio)?;
            shard.flush()?;
            shard.log_bytes()?
        };
        writer.is_dirty = false;
        if is_log_due(log_bytes) {
            // Now searches wait, too.
            self.shard.write().renew_log(&self.options)?;
        }
        Ok(())
    }
}
