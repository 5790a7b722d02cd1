//! The engine in this process: `qdrant-edge` in one folder, for one process at a time.
//!
//! - Writes are serial. A batch is applied, brought to disk once, then answered.
//! - Conditions are checked by reading before writing, under the lock of the only writer.
//! - Upkeep of the index has a thread of its own. Searches run beside it, and pause only while the
//!   write-ahead log is renewed ([`shard`]); writes wait for it ([`upkeep`]).

mod points;
mod reading;
mod shard;
mod upkeep;
mod writing;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use uuid::Uuid;

use self::shard::Shard;
use self::upkeep::Upkeep;
use self::writing::Batch;
use crate::bounds::{COMPARE_ALL_MAX_KIB, Gate, LibraryBounds, SEARCH_WIDTH, in_time};
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::port::{
    FaceHit, FaceLibrary, FaceQuery, FaceWrite, FacesPage, FacesRequest, LibraryDescription,
    LibraryHead, Optimised, Standing,
};

const ENGINE: &str = "embedded";
/// File that the process which has the folder keeps locked.
const LOCK: &str = "lock";

/// How an embedded library is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Its folder, on a local disk; made where it is missing.
    pub dir: PathBuf,
    /// Length of a template, numbers. A folder keeps the one it was made with.
    pub dimension: usize,
    /// How templates are compared. A folder keeps the one it was made with.
    pub metric: Metric,
    /// Limits of a call.
    pub bounds: LibraryBounds,
    /// Candidates that a search through the index keeps (HNSW's `ef`), 1 or more. More find more.
    pub search_width: usize,
    /// Templates of a segment from which on it gets an index, KiB.
    pub index_from_kib: usize,
    /// Templates of the libraries asked for, in one segment, up to which they are compared one by one, KiB.
    pub compare_all_max_kib: usize,
    /// Points written after which the index is brought up to date in the background, 1 or more.
    pub optimise_after_points: usize,
    /// Share of a segment that may be erased before upkeep in the background rewrites it, 0 to 1.
    /// [`FaceLibrary::optimise`] leaves none.
    pub erased_ratio_max: f64,
    /// Size from which on upkeep in the background renews the write-ahead log, MiB.
    pub log_max_mib: u64,
    /// Links that the index gives each template (HNSW's `m`), 2 or more. More find more, and cost memory.
    pub links: usize,
    /// Candidates that the index weighs for a template's links (HNSW's `ef_construct`), 4 or more.
    pub build_width: usize,
    /// Most threads that build the index; 0 lets the engine choose.
    pub optimise_threads_max: usize,
}

impl EmbeddedOptions {
    /// Comparison one by one, and no index, up to 200 MiB of templates (100,000 of 512 numbers), beyond
    /// it an index searched with width 2,048 (docs/decisions/0013-face-library-engines.md says why); upkeep every
    /// 5,000 points, 10 % erased at most, a log of 256 MiB.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, dimension: usize, metric: Metric) -> Self {
        Self {
            dir: dir.into(),
            dimension,
            metric,
            bounds: LibraryBounds::default(),
            search_width: SEARCH_WIDTH,
            index_from_kib: COMPARE_ALL_MAX_KIB,
            compare_all_max_kib: COMPARE_ALL_MAX_KIB,
            optimise_after_points: 5_000,
            erased_ratio_max: 0.1,
            log_max_mib: 256,
            links: 16,
            build_width: 100,
            optimise_threads_max: 0,
        }
    }

    fn check(&self) -> Result<(), LibraryError> {
        let is_ratio = (0.0..=1.0).contains(&self.erased_ratio_max);
        let wrong = [
            (self.dimension == 0, "dimension must be 1 or more"),
            (self.search_width == 0, "search_width must be 1 or more"),
            (
                self.optimise_after_points == 0,
                "optimise_after_points must be 1 or more",
            ),
            (self.links < 2, "links must be 2 or more"),
            (self.build_width < 4, "build_width must be 4 or more"),
            (!is_ratio, "erased_ratio_max must be 0 to 1"),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(LibraryError::OverLimit {
                what: what.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// A face library in a folder. Dropping it waits for an optimisation that is under way.
pub struct EmbeddedLibrary {
    core: Arc<Core>,
    upkeep: Upkeep,
}

/// What callers and the upkeep share.
struct Core {
    options: EmbeddedOptions,
    gate: Gate,
    /// Written to, that is taken by one alone, only to renew its log.
    shard: RwLock<Shard>,
    writer: Mutex<Writer>,
    /// Held while a search or a write has the shard; unlocked last.
    _lock: File,
}

/// What only the writer knows.
#[derive(Default)]
struct Writer {
    /// Written, but not yet known to be on disk: a flush failed, and must be made up for.
    is_dirty: bool,
}

impl EmbeddedLibrary {
    /// Opens the library in `options.dir`, or makes one.
    ///
    /// # Errors
    /// [`LibraryError::Locked`], [`LibraryError::DimensionMismatch`]; [`LibraryError::OverLimit`] for options
    /// out of range; [`LibraryError::Failed`] for a folder that cannot be read or written.
    pub fn open(options: EmbeddedOptions) -> Result<Self, LibraryError> {
        options.check()?;
        std::fs::create_dir_all(&options.dir).map_err(|error| fs_failed(&options.dir, &error))?;
        let lock = lock(&options.dir)?;
        let shard = Shard::open(&options)?;
        let core = Arc::new(Core {
            gate: Gate {
                dimension: options.dimension,
                metric: options.metric,
                bounds: options.bounds.clone(),
            },
            options,
            shard: RwLock::new(shard),
            writer: Mutex::default(),
            _lock: lock,
        });
        let upkeep = Upkeep::start(core.clone())?;
        Ok(Self { core, upkeep })
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.core.options.dir
    }
}

impl Core {
    /// The shard, while it cannot be taken away.
    fn shard(&self, deadline: Instant) -> Result<RwLockReadGuard<'_, Shard>, LibraryError> {
        let shard = self.shard.try_read_until(deadline);
        shard.ok_or(LibraryError::DeadlineExceeded {
            at: "while the log was renewed",
        })
    }

    /// Runs `change`, which tells how many points it changed, as the only writer, and brings it to disk.
    /// What was done before an error is brought there too.
    fn change<T>(
        &self,
        deadline: Instant,
        change: impl FnOnce(&Shard) -> (Result<T, LibraryError>, usize),
    ) -> Result<(T, usize), LibraryError> {
        let writer = self.writer.try_lock_until(deadline);
        let mut writer = writer.ok_or(LibraryError::DeadlineExceeded {
            at: "while another write, or upkeep of the index, ran",
        })?;
        let shard = self.shard(deadline)?;
        let (changed, points) = change(&shard);
        writer.is_dirty |= points > 0;
        if writer.is_dirty {
            shard.flush()?;
            writer.is_dirty = false;
        }
        Ok((changed?, points))
    }
}

impl FaceLibrary for EmbeddedLibrary {
    fn search(
        &self,
        queries: &[FaceQuery],
        deadline: Instant,
    ) -> Result<Vec<Vec<FaceHit>>, LibraryError> {
        self.core.gate.search(queries, deadline)?;
        let shard = self.core.shard(deadline)?;
        let search = |query| {
            in_time(deadline, "within the batch")?;
            reading::search(&shard, query, &self.core.options)
        };
        queries.iter().map(search).collect()
    }

    fn write(
        &self,
        writes: &[FaceWrite],
        deadline: Instant,
    ) -> Result<Vec<Standing>, LibraryError> {
        self.core.gate.write(writes, deadline)?;
        let write = |shard: &Shard| match Batch::begin(shard, writes, deadline) {
            Ok(mut batch) => (batch.apply(writes), batch.changes),
            Err(error) => (Err(error), 0),
        };
        let (standings, points) = self.core.change(deadline, write)?;
        self.upkeep.written(points);
        Ok(standings)
    }

    fn expire_markers(
        &self,
        tenant: &str,
        library: Uuid,
        up_to_sequence: u64,
        deadline: Instant,
    ) -> Result<u64, LibraryError> {
        self.core.gate.library(tenant, deadline)?;
        let expire = |shard: &Shard| {
            let place = (tenant, library);
            match writing::expire_markers(shard, place, up_to_sequence, deadline) {
                Ok(expired) => (Ok(expired as u64), expired),
                // Whether any is gone is not known.
                Err(error) => (Err(error), 1),
            }
        };
        let (expired, points) = self.core.change(deadline, expire)?;
        self.upkeep.written(points);
        Ok(expired)
    }

    fn faces(&self, request: &FacesRequest, deadline: Instant) -> Result<FacesPage, LibraryError> {
        self.core.gate.faces(request, deadline)?;
        let shard = self.core.shard(deadline)?;
        reading::faces(&shard, request)
    }

    fn count(&self, tenant: &str, library: Uuid, deadline: Instant) -> Result<u64, LibraryError> {
        self.core.gate.library(tenant, deadline)?;
        let shard = self.core.shard(deadline)?;
        reading::count(&shard, tenant, library)
    }

    fn head(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<Option<LibraryHead>, LibraryError> {
        self.core.gate.library(tenant, deadline)?;
        let shard = self.core.shard(deadline)?;
        reading::head(&shard, tenant, library)
    }

    fn forget_library(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<(), LibraryError> {
        self.core.gate.library(tenant, deadline)?;
        let forget = |shard: &Shard| match writing::forget(shard, (tenant, library), deadline) {
            Ok(points) => (Ok(()), points),
            // Whether any is gone is not known.
            Err(error) => (Err(error), 1),
        };
        let ((), points) = self.core.change(deadline, forget)?;
        self.upkeep.written(points);
        Ok(())
    }

    fn optimise(&self, deadline: Instant) -> Result<Optimised, LibraryError> {
        in_time(deadline, "before the optimisation")?;
        self.upkeep.sweep(deadline)?;
        Ok(Optimised::Done)
    }

    fn warm_up(&self, deadline: Instant) -> Result<(), LibraryError> {
        in_time(deadline, "before the warm-up")?;
        let shard = self.core.shard(deadline)?;
        reading::warm_up(&shard, self.core.options.dimension)
    }

    fn describe(&self, deadline: Instant) -> Result<LibraryDescription, LibraryError> {
        in_time(deadline, "before the description")?;
        let shard = self.core.shard(deadline)?;
        let info = shard.call("could not be described", |edge| Ok(edge.info()))?;
        Ok(LibraryDescription {
            engine: ENGINE,
            place: self.dir().display().to_string(),
            dimension: self.core.options.dimension,
            metric: self.core.options.metric,
            points: info.points_count as u64,
            indexed: info.indexed_vectors_count as u64,
        })
    }
}

impl std::fmt::Debug for EmbeddedLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedLibrary")
            .field("options", &self.core.options)
            .finish_non_exhaustive()
    }
}

/// The lock of the folder; the system lets go of it when the process ends.
fn lock(dir: &Path) -> Result<File, LibraryError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| fs_failed(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LibraryError::Locked {
            dir: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(fs_failed(&path, &error)),
    }
}

fn fs_failed(path: &Path, error: &std::io::Error) -> LibraryError {
    LibraryError::Failed {
        place: path.display().to_string(),
        what: format!("{error}; look at the disk and the folder's rights"),
    }
}
