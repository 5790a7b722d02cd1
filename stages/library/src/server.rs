//! The engine on a Qdrant server, over gRPC.
//!
//! - One collection holds all tenants and libraries; each request filters by them.
//! - Conditions are checked by the server as it applies a write, so that several writers may run, and
//!   one that was stopped and woken does no harm.
//! - Each call waits for the server, and for no longer than its deadline. A call that failed on the way
//!   is made once more by the client: all of them may be repeated.

mod connect;
mod filters;
mod points;
mod reading;
mod writing;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qdrant_client::{Qdrant, QdrantError};
use tokio::runtime::Runtime;
use tonic::Code;
use uuid::Uuid;

use crate::bounds::{COMPARE_ALL_MAX_KIB, Gate, LibraryBounds, SEARCH_WIDTH, in_time};
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::port::{
    FaceHit, FaceLibrary, FaceQuery, FaceWrite, FacesPage, FacesRequest, LibraryDescription,
    LibraryHead, Optimised, Standing,
};

const ENGINE: &str = "server";

/// How a library on a server is opened.
#[derive(Clone)]
pub struct ServerOptions {
    /// Address of the gRPC port, `http://host:6334`, or `https://` for TLS with the system's roots.
    pub url: String,
    /// API key, where the server asks for one. Never shown.
    pub api_key: Option<String>,
    /// Collection that holds the libraries; made where it is missing.
    pub collection: String,
    /// Length of a template, numbers. A collection keeps the one it was made with.
    pub dimension: usize,
    /// How templates are compared. A collection keeps the one it was made with.
    pub metric: Metric,
    /// Limits of a call.
    pub bounds: LibraryBounds,
    /// Candidates that a search through the index keeps (HNSW's `ef`), 1 or more. More find more.
    pub search_width: usize,
    /// Templates of the libraries asked for, in one segment, up to which they are compared one by one, KiB,
    /// 10 or more. For a collection that is made.
    pub compare_all_max_kib: usize,
    /// Longest wait for an answer to one request, milliseconds.
    pub request_max_ms: u64,
    /// Longest wait for a connection, milliseconds.
    pub connect_max_ms: u64,
    /// Connections kept, 1 or more.
    pub connections: usize,
    /// Copies of each point in a cluster; for a collection that is made.
    pub replication_factor: u32,
    /// Copies that must have a write before it counts; for a collection that is made.
    pub write_consistency_factor: u32,
    /// Parts of the collection; for one that is made. `None` lets the server choose.
    pub shards: Option<u32>,
    /// Whether templates are also kept as bytes, by which candidates are found before the templates
    /// themselves decide: a quarter of the memory. For a collection that is made.
    pub is_quantised: bool,
}

impl ServerOptions {
    /// Collection `faces`, 5 s a request, 3 connections, one copy, quantised; searches as in
    /// [`EmbeddedOptions::new`](crate::EmbeddedOptions::new).
    #[must_use]
    pub fn new(url: impl Into<String>, dimension: usize, metric: Metric) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            collection: "faces".to_owned(),
            dimension,
            metric,
            bounds: LibraryBounds::default(),
            search_width: SEARCH_WIDTH,
            compare_all_max_kib: COMPARE_ALL_MAX_KIB,
            request_max_ms: 5_000,
            connect_max_ms: 5_000,
            connections: 3,
            replication_factor: 1,
            write_consistency_factor: 1,
            shards: None,
            is_quantised: true,
        }
    }

    fn check(&self) -> Result<(), LibraryError> {
        let wrong = [
            (self.dimension == 0, "dimension must be 1 or more"),
            (self.collection.is_empty(), "collection must have a name"),
            (self.search_width == 0, "search_width must be 1 or more"),
            (
                self.compare_all_max_kib < 10,
                "compare_all_max_kib must be 10 or more",
            ),
            (self.request_max_ms == 0, "request_max_ms must be 1 or more"),
            (self.connect_max_ms == 0, "connect_max_ms must be 1 or more"),
            (self.connections == 0, "connections must be 1 or more"),
            (
                self.replication_factor == 0,
                "replication_factor must be 1 or more",
            ),
            (
                !(1..=self.replication_factor).contains(&self.write_consistency_factor),
                "write_consistency_factor must be 1 to replication_factor",
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(LibraryError::OverLimit {
                what: what.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn place(&self) -> String {
        format!("collection {} at {}", self.collection, self.url)
    }
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("url", &self.url)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("collection", &self.collection)
            .field("dimension", &self.dimension)
            .field("metric", &self.metric)
            .finish_non_exhaustive()
    }
}

/// A face library on a Qdrant server. Its calls block, and panic on an async thread.
pub struct ServerLibrary {
    options: ServerOptions,
    gate: Gate,
    client: Qdrant,
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
    /// Whether the server was seen to heed conditions on writes.
    heeds_conditions: AtomicBool,
}

impl ServerLibrary {
    /// Connects, and makes the collection and its indexes where they are missing.
    ///
    /// # Errors
    /// [`LibraryError::Unavailable`], [`LibraryError::DimensionMismatch`]; [`LibraryError::OverLimit`] for
    /// options out of range; [`LibraryError::Failed`] for a server that refuses.
    pub fn open(options: ServerOptions, deadline: Instant) -> Result<Self, LibraryError> {
        options.check()?;
        in_time(deadline, "before connecting")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("library-client")
            .enable_all()
            .build()
            .map_err(|error| failed(&options, format!("no thread for its client: {error}")))?;
        let library = Self {
            gate: Gate {
                dimension: options.dimension,
                metric: options.metric,
                bounds: options.bounds.clone(),
            },
            client: connect::client(&options)?,
            options,
            runtime: Some(runtime),
            heeds_conditions: AtomicBool::new(false),
        };
        connect::prepare(&library, deadline)?;
        Ok(library)
    }

    /// Waits for an answer of the server.
    fn ask<T>(
        &self,
        deadline: Instant,
        request: impl Future<Output = Result<T, QdrantError>>,
    ) -> Result<T, LibraryError> {
        in_time(deadline, "before a request")?;
        let Some(runtime) = &self.runtime else {
            return Err(failed(&self.options, "is closed"));
        };
        // The client's own timeout is for one attempt; two may be made, and connections too.
        let patience =
            Duration::from_millis(2 * self.options.request_max_ms + self.options.connect_max_ms);
        let until = deadline.min(Instant::now() + patience);
        let answer =
            runtime.block_on(async { tokio::time::timeout_at(until.into(), request).await });
        match answer {
            Ok(answer) => answer.map_err(|error| refusal(&self.options, &error)),
            Err(_) if until == deadline => Err(LibraryError::DeadlineExceeded {
                at: "while the server was asked",
            }),
            Err(_) => Err(LibraryError::Unavailable {
                place: self.options.place(),
                what: format!("no answer within {patience:?}"),
            }),
        }
    }
}

impl FaceLibrary for ServerLibrary {
    fn search(
        &self,
        queries: &[FaceQuery],
        deadline: Instant,
    ) -> Result<Vec<Vec<FaceHit>>, LibraryError> {
        self.gate.search(queries, deadline)?;
        reading::search(self, queries, deadline)
    }

    fn write(
        &self,
        writes: &[FaceWrite],
        deadline: Instant,
    ) -> Result<Vec<Standing>, LibraryError> {
        self.gate.write(writes, deadline)?;
        if !self.heeds_conditions.load(Ordering::Relaxed) {
            writing::try_conditions(self, deadline)?;
            self.heeds_conditions.store(true, Ordering::Relaxed);
        }
        writing::write(self, writes, deadline)
    }

    fn expire_markers(
        &self,
        tenant: &str,
        library: Uuid,
        up_to_sequence: u64,
        deadline: Instant,
    ) -> Result<u64, LibraryError> {
        self.gate.library(tenant, deadline)?;
        writing::expire_markers(self, (tenant, library), up_to_sequence, deadline)
    }

    fn faces(&self, request: &FacesRequest, deadline: Instant) -> Result<FacesPage, LibraryError> {
        self.gate.faces(request, deadline)?;
        reading::faces(self, request, deadline)
    }

    fn count(&self, tenant: &str, library: Uuid, deadline: Instant) -> Result<u64, LibraryError> {
        self.gate.library(tenant, deadline)?;
        let faces = filters::faces_of(tenant, library);
        reading::count(self, faces, deadline)
    }

    fn head(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<Option<LibraryHead>, LibraryError> {
        self.gate.library(tenant, deadline)?;
        reading::head(self, tenant, library, deadline)
    }

    fn forget_library(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<(), LibraryError> {
        self.gate.library(tenant, deadline)?;
        writing::forget(self, (tenant, library), deadline)
    }

    fn optimise(&self, deadline: Instant) -> Result<Optimised, LibraryError> {
        in_time(deadline, "before the optimisation")?;
        // No request makes a server clean its segments, nor tells that it has.
        Ok(Optimised::LeftToEngine)
    }

    fn warm_up(&self, deadline: Instant) -> Result<(), LibraryError> {
        reading::warm_up(self, deadline)
    }

    fn describe(&self, deadline: Instant) -> Result<LibraryDescription, LibraryError> {
        let info = connect::info(self, deadline)?;
        Ok(LibraryDescription {
            engine: ENGINE,
            place: self.options.place(),
            dimension: self.options.dimension,
            metric: self.options.metric,
            points: info.points_count.unwrap_or(0),
            indexed: info.indexed_vectors_count.unwrap_or(0),
        })
    }
}

impl Drop for ServerLibrary {
    fn drop(&mut self) {
        // A plain drop would wait, and panic on an async thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for ServerLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerLibrary")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn failed(options: &ServerOptions, what: impl Into<String>) -> LibraryError {
    LibraryError::Failed {
        place: options.place(),
        what: what.into(),
    }
}

fn refusal(options: &ServerOptions, error: &QdrantError) -> LibraryError {
    let status = match error {
        QdrantError::ResponseError { status }
        | QdrantError::ResourceExhaustedError { status, .. } => status,
        other => return failed(options, other.to_string()),
    };
    let message = status.message();
    let is_down = match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::ResourceExhausted => true,
        // So the client names a connection that was refused, and one that broke.
        Code::Internal => message.starts_with("Failed to connect"),
        Code::Unknown => message.contains("transport error"),
        _ => false,
    };
    if is_down {
        return LibraryError::Unavailable {
            place: options.place(),
            what: format!("{:?}: {message}", status.code()),
        };
    }
    let advice = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => "; look at the API key and its rights",
        Code::NotFound => "; it is gone, open the library anew to make it",
        _ => "",
    };
    failed(options, format!("{:?}: {message}{advice}", status.code()))
}
