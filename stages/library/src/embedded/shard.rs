//! One open shard of `qdrant-edge`: its panics caught, its errors named, its log kept short.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use qdrant_edge::{
    CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    FieldIndexOperations, HnswIndexConfig, KeywordIndexParams, OperationError, OperationResult,
    Payload, PayloadFieldSchema, PayloadOps, PayloadSchemaParams, SetPayloadOp, UpdateOperation,
    WalOptions,
};

use super::points::path;
use super::{EmbeddedOptions, fs_failed};
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::point::{PERSON, SCOPE};

/// Folder of the shard within the library's.
const SHARD: &str = "shard";
/// Half-built segments of an optimisation that was killed.
const LEFT_OVERS: &str = "temp_segments";
const WAL: &str = "wal";
/// The vector that a face has and a marker has not.
const VECTOR: &str = "";
/// Size of a file of the write-ahead log, bytes.
const WAL_FILE_BYTES: usize = 4 << 20;
/// An open shard.
pub(super) struct Shard {
    dir: PathBuf,
    /// `None` while its log is renewed, and after a renewal that failed.
    edge: Option<EdgeShard>,
}

impl Shard {
    /// Opens the shard in the library's folder, or makes one.
    pub(super) fn open(options: &EmbeddedOptions) -> Result<Self, LibraryError> {
        let dir = options.dir.join(SHARD);
        let config = config(options);
        let failed = |error| failed(&dir, "cannot be opened", &error);
        let found = caught(&dir, || EdgeConfig::load(&dir).transpose())?.map_err(failed)?;
        let Some(found) = found else {
            return Self::make(dir, config);
        };
        same_templates(&dir, &found, &config)?;
        remove_left_overs(&dir)?;
        let edge = caught(&dir, || EdgeShard::load(&dir, Some(config)))?;
        let edge = edge.map_err(|error| self::failed(&dir, "cannot be opened", &error))?;
        let shard = Self {
            dir,
            edge: Some(edge),
        };
        shard.index_payload()?;
        Ok(shard)
    }

    fn make(dir: PathBuf, config: EdgeConfig) -> Result<Self, LibraryError> {
        std::fs::create_dir_all(&dir).map_err(|error| fs_failed(&dir, &error))?;
        let edge = caught(&dir, || EdgeShard::new(&dir, config))?;
        let edge = edge.map_err(|error| failed(&dir, "cannot be made", &error))?;
        let shard = Self {
            dir,
            edge: Some(edge),
        };
        shard.index_payload()?;
        shard.flush()?;
        Ok(shard)
    }

    /// Makes the indexes that filters use; they stay, and making one again costs nothing.
    fn index_payload(&self) -> Result<(), LibraryError> {
        for (field, is_tenant) in [(SCOPE, true), (PERSON, false)] {
            let keyword = KeywordIndexParams {
                is_tenant: Some(is_tenant),
                ..KeywordIndexParams::default()
            };
            let schema = PayloadFieldSchema::FieldParams(PayloadSchemaParams::Keyword(keyword));
            self.update(UpdateOperation::FieldIndexOperation(
                FieldIndexOperations::CreateIndex(CreateIndex {
                    field_name: path(field),
                    field_schema: Some(schema),
                }),
            ))?;
        }
        Ok(())
    }

    /// Runs one call of the engine.
    pub(super) fn call<T>(
        &self,
        what: &str,
        call: impl FnOnce(&EdgeShard) -> OperationResult<T>,
    ) -> Result<T, LibraryError> {
        let Some(edge) = &self.edge else {
            return Err(closed(&self.dir));
        };
        caught(&self.dir, || call(edge))?.map_err(|error| failed(&self.dir, what, &error))
    }

    pub(super) fn update(&self, operation: UpdateOperation) -> Result<(), LibraryError> {
        self.call("could not write", |edge| edge.update(operation))
    }

    /// What it did and should not have done.
    pub(super) fn broken(&self, what: &str) -> LibraryError {
        LibraryError::Failed {
            place: self.dir.display().to_string(),
            what: what.to_owned(),
        }
    }

    /// Brings all that was written to disk. Never beside an optimisation: the engine would panic.
    pub(super) fn flush(&self) -> Result<(), LibraryError> {
        self.call("could not flush", |edge| {
            edge.flush();
            Ok(())
        })
    }

    /// Merges, indexes and cleans segments of which more than `erased_ratio` is erased.
    pub(super) fn optimise(&self, erased_ratio: f64) -> Result<(), LibraryError> {
        self.call("could not optimise", |edge| {
            let mut optimisers = edge.config().optimizers.clone();
            optimisers.deleted_threshold = Some(erased_ratio);
            optimisers.vacuum_min_vector_number = Some(0);
            edge.set_optimizers_config(optimisers)?;
            edge.optimize().map(drop)
        })
    }

    /// Empties the write-ahead log and opens the shard anew.
    ///
    /// The engine neither replays its log nor shortens it, and it holds every template ever written. What
    /// must go on are its numbers: a write with a lower number than a point's is silently skipped. So
    /// two fillers, each as large as a file, push all else into files before the last two, and only
    /// those before are removed, as the engine's own (unused) truncation does.
    pub(super) fn renew_log(&mut self, options: &EmbeddedOptions) -> Result<(), LibraryError> {
        for _ in 0..2 {
            self.update(filler())?;
        }
        self.flush()?;
        self.close()?;
        let shortened = shorten(&self.dir.join(WAL));
        self.edge = Self::open(options)?.edge.take();
        shortened
    }

    /// Size of the write-ahead log on disk, bytes.
    pub(super) fn log_bytes(&self) -> Result<u64, LibraryError> {
        let wal = self.dir.join(WAL);
        let mut bytes = 0;
        for entry in std::fs::read_dir(&wal).map_err(|error| fs_failed(&wal, &error))? {
            let size = entry.and_then(|entry| entry.metadata());
            bytes += size.map_err(|error| fs_failed(&wal, &error))?.len();
        }
        Ok(bytes)
    }

    /// Closes the shard, which flushes.
    fn close(&mut self) -> Result<(), LibraryError> {
        let edge = self.edge.take();
        caught(&self.dir, || drop(edge))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the face library was not closed cleanly");
        }
    }
}

fn config(options: &EmbeddedOptions) -> EdgeConfig {
    let hnsw = HnswIndexConfig {
        m: options.links,
        ef_construct: options.build_width,
        full_scan_threshold: options.compare_all_max_kib,
        max_indexing_threads: options.optimise_threads_max,
        ..HnswIndexConfig::default()
    };
    let distance = match options.metric {
        Metric::Cosine => Distance::Cosine,
        Metric::Euclidean => Distance::Euclid,
    };
    EdgeConfig {
        vectors: [(
            VECTOR.to_owned(),
            EdgeVectorParams::builder(options.dimension, distance).build(),
        )]
        .into(),
        hnsw_config: hnsw,
        optimizers: EdgeOptimizersConfig {
            indexing_threshold: Some(options.index_from_kib),
            ..EdgeOptimizersConfig::default()
        },
        wal_options: Some(WalOptions {
            segment_capacity: WAL_FILE_BYTES,
            ..WalOptions::default()
        }),
        ..EdgeConfig::default()
    }
}

fn same_templates(dir: &Path, found: &EdgeConfig, wanted: &EdgeConfig) -> Result<(), LibraryError> {
    let shape = |config: &EdgeConfig| {
        let vector = config.vectors.get(VECTOR);
        vector.map(|vector| (vector.size, vector.distance))
    };
    if shape(found) == shape(wanted) {
        return Ok(());
    }
    let said = |config: &EdgeConfig| match shape(config) {
        Some((size, distance)) => format!("{size} numbers under {distance:?}"),
        None => "another kind".to_owned(),
    };
    Err(LibraryError::DimensionMismatch {
        place: dir.display().to_string(),
        found: said(found),
        wanted: said(wanted),
    })
}

/// They hold templates, and the engine lets them lie.
fn remove_left_overs(dir: &Path) -> Result<(), LibraryError> {
    let left_overs = dir.join(LEFT_OVERS);
    match std::fs::remove_dir_all(&left_overs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(fs_failed(&left_overs, &error))
        }
        _ => Ok(()),
    }
}

/// An operation that changes nothing and fills a file of the log.
fn filler() -> UpdateOperation {
    let pad = serde_json::Value::String("0".repeat(WAL_FILE_BYTES));
    let payload = Payload([("filler".to_owned(), pad)].into_iter().collect());
    UpdateOperation::PayloadOperation(PayloadOps::SetPayload(SetPayloadOp {
        payload,
        points: Some(vec![]),
        filter: None,
        key: None,
    }))
}

/// Removes all files of a log but the last closed one and the open one.
fn shorten(wal: &Path) -> Result<(), LibraryError> {
    let mut closed = closed_files(wal)?;
    closed.pop();
    for (_, path) in closed {
        std::fs::remove_file(&path).map_err(|error| fs_failed(&path, &error))?;
    }
    let synced = std::fs::File::open(wal).and_then(|dir| dir.sync_all());
    synced.map_err(|error| fs_failed(wal, &error))
}

/// Closed files of the log by the number of their first entry, oldest first.
fn closed_files(wal: &Path) -> Result<Vec<(u64, PathBuf)>, LibraryError> {
    let mut files = vec![];
    for entry in std::fs::read_dir(wal).map_err(|error| fs_failed(wal, &error))? {
        let path = entry.map_err(|error| fs_failed(wal, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let first = name.and_then(|name| name.strip_prefix("closed-")?.parse().ok());
        files.extend(first.map(|first| (first, path)));
    }
    files.sort();
    Ok(files)
}

/// Runs what may panic; the engine's `expect`s say so when a disk is full.
fn caught<T>(dir: &Path, call: impl FnOnce() -> T) -> Result<T, LibraryError> {
    // The engine's locks do not poison, and after a failure the caller is told to reopen.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| LibraryError::Failed {
        place: dir.display().to_string(),
        what: format!("the engine panicked: {}", said(panic.as_ref())),
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

fn failed(dir: &Path, what: &str, error: &OperationError) -> LibraryError {
    LibraryError::Failed {
        place: dir.display().to_string(),
        what: format!("{what}: {error}; look at disk and memory, then open it anew"),
    }
}

fn closed(dir: &Path) -> LibraryError {
    LibraryError::Failed {
        place: dir.display().to_string(),
        what: "could not be opened again after upkeep, see the error before; restart the process"
            .to_owned(),
    }
}
