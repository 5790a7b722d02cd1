//! The chain on real Apache Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod chain;
mod crashes;
mod ledger;
mod library;
mod log;
mod memory;
mod poison;
mod policy;
mod python;
mod scaling;
mod telemetry;
mod validate;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use shiren::site::Site;
use shiren::stages;
use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::site;
use shiren_library::stand_in::StandIn;
use shiren_log::Log;
use shiren_vault::FileVault;
use tempfile::TempDir;

/// A broker with a site of one process a stage on it, and a stand-in for a Qdrant server.
struct Cluster {
    workers: Vec<Worker>,
    topology: PathBuf,
    site: Arc<Site>,
    log: Arc<dyn Log>,
    broker: Broker,
    library: StandIn,
    folder: TempDir,
}

impl Cluster {
    /// Starts broker and topics, and one process for each segment of the topology.
    fn start(changes: &[(&str, &str)]) -> Self {
        let mut cluster = Self::without_workers(changes);
        let segments = cluster.site.topology.segments.iter();
        let workers = segments.map(|segment| cluster.start_worker(&segment.name, 0));
        cluster.workers = workers.collect();
        cluster
    }

    /// Starts broker and topics.
    fn without_workers(changes: &[(&str, &str)]) -> Self {
        let broker = Broker::start();
        let folder = tempfile::tempdir().unwrap();
        let servers = format!("[log.kafka]\nbootstrap_servers = {:?}", broker.bootstrap());
        let stand_in = StandIn::start();
        let library = site::library_at(&stand_in.url());
        let vault = site::vault_in(folder.path());
        let dir = format!("dir = {:?}", folder.path().join("library"));
        let mut all = vec![
            ("[log]\nengine = \"embedded\"", "[log]\nengine = \"kafka\""),
            ("[log.kafka]\n", servers.as_str()),
            (library.0, library.1.as_str()),
            ("dir = \"library\"", dir.as_str()),
        ];
        all.extend(vault.iter().map(|(from, to)| (*from, to.as_str())));
        all.extend_from_slice(changes);
        let topology = folder.path().join("topology.toml");
        std::fs::write(&topology, site::topology(&all)).unwrap();
        let site = Site::open(&topology, &site::home(), &stages::descriptors()).unwrap();
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        FileVault::init(shiren::vault::options(&site)).unwrap();
        Self {
            workers: Vec::new(),
            topology,
            site: Arc::new(site),
            log,
            broker,
            library: stand_in,
            folder,
        }
    }

    /// `shiren run` of one segment.
    fn command(&self, segment: &str, slot: u32) -> Command {
        let mut command = processes::on_kafka(&self.topology, &self.bootstrap());
        command.args(["run", "--segment", segment, "--slot", &slot.to_string()]);
        command
    }

    fn start_worker(&self, segment: &str, slot: u32) -> Worker {
        Worker::launch(self.command(segment, slot), segment).ready()
    }

    fn bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    /// Where the site's files lie.
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn topology(&self) -> &Path {
        &self.topology
    }
}
