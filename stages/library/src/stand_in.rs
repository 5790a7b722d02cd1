//! A stand-in for a Qdrant server, for tests: the requests of [`crate::ServerLibrary`] over gRPC on the
//! loopback, answered from a map.
//!
//! It proves this crate's side of the wire (what is asked, with which conditions, and what is made of
//! the answers), not Qdrant. What it does not understand it refuses as unimplemented, so that nothing
//! passes by accident. Where a real server may do one of two things, it does the worse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test code: a panic is how it speaks"
)]

mod filters;
mod service;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::transport::server::{Server, TcpIncoming};

use self::service::{Service, Shared};

/// Longest wait for a request that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stand-in while it runs.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// An update that does not go on until it is let go.
pub struct HeldUpdate {
    arrived: mpsc::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl StandIn {
    /// Starts one on a free port of the loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::on(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::default())
    }

    fn on(address: SocketAddr, shared: Arc<Shared>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let _within = runtime.enter();
        let incoming = TcpIncoming::bind(address).unwrap();
        let address = incoming.local_addr().unwrap();
        let service = Service(shared.clone());
        let server = Server::builder()
            .add_service(QdrantServer::new(service.clone()))
            .add_service(CollectionsServer::new(service.clone()))
            .add_service(PointsServer::new(service).max_decoding_message_size(1 << 28));
        runtime.spawn(server.serve_with_incoming(incoming));
        Self {
            address,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Its address, as [`crate::ServerOptions::url`] takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, with all connections, and starts it anew at the same address with what it held.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.stop();
        Self::on(self.address, self.shared.clone())
    }

    /// Requests that came so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// From now on it writes regardless of conditions, as a server does that is too old to know them.
    pub fn forget_conditions(&self) {
        self.shared.ignores_conditions.store(true, Ordering::SeqCst);
    }

    /// Halts the next update before it is applied; others pass.
    #[must_use]
    pub fn hold_next_update(&self) -> HeldUpdate {
        let (tell, arrived) = mpsc::channel();
        let (release, released) = oneshot::channel();
        *self.shared.hold.lock() = Some((tell, released));
        HeldUpdate { arrived, release }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waits for its tasks to be dropped, and the port to be free.
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

impl HeldUpdate {
    /// Waits until the update has come.
    pub fn wait(&self) {
        self.arrived.recv_timeout(PATIENCE).expect("no update came");
    }

    /// Lets it go on.
    pub fn release(self) {
        self.release.send(()).expect("nobody waits any more");
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
    }
}
