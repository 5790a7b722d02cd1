//! A site on real Kafka, its workers in processes of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use shiren::site::Site;
use shiren::stages;
use shiren_library::stand_in::StandIn;
use shiren_log::Log;
use shiren_vault::FileVault;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::processes::{self, Worker};
use crate::site;

/// Brokers with a site on them, and a stand-in for a Qdrant server.
pub struct Cluster {
    /// What was started with it.
    pub workers: Vec<Worker>,
    /// The site.
    pub site: Arc<Site>,
    /// Its log.
    pub log: Arc<dyn Log>,
    /// One, or three.
    pub brokers: Vec<Broker>,
    /// Where its libraries lie.
    pub library: StandIn,
    topology: PathBuf,
    folder: TempDir,
}

impl Cluster {
    /// Starts broker and topics, and one process for each segment of the topology.
    #[must_use]
    pub fn start(changes: &[(&str, &str)]) -> Self {
        let mut cluster = Self::without_workers(changes);
        let segments = cluster.site.topology.segments.iter();
        let workers = segments.map(|segment| cluster.start_worker(&segment.name, 0));
        cluster.workers = workers.collect();
        cluster
    }

    /// Starts broker and topics.
    #[must_use]
    pub fn without_workers(changes: &[(&str, &str)]) -> Self {
        Self::on(vec![Broker::start()], changes)
    }

    /// Makes the topics on these brokers.
    ///
    /// # Panics
    /// When the topology is refused.
    #[must_use]
    pub fn on(brokers: Vec<Broker>, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let servers = bootstrap(&brokers);
        let servers = format!("[log.kafka]\nbootstrap_servers = {servers:?}");
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
        std::fs::write(&topology, site::topology(&all)).expect("written");
        let site = Site::open(&topology, &site::home(), &stages::descriptors());
        let site = site.expect("a sound topology");
        let log = site.open_log().expect("the log");
        site.set_up(log.as_ref()).expect("topics and policy");
        FileVault::init(shiren::vault::options(&site)).expect("a key store");
        Self {
            workers: Vec::new(),
            topology,
            site: Arc::new(site),
            log,
            brokers,
            library: stand_in,
            folder,
        }
    }

    /// `shiren run` of one segment.
    #[must_use]
    pub fn command(&self, segment: &str, slot: u32) -> Command {
        let mut command = processes::on_kafka(&self.topology, &self.bootstrap());
        command.args(["run", "--segment", segment, "--slot", &slot.to_string()]);
        command
    }

    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start_worker(&self, segment: &str, slot: u32) -> Worker {
        Worker::launch(self.command(segment, slot), segment).ready()
    }

    /// `host:port` of all brokers.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        bootstrap(&self.brokers)
    }

    /// Where the site's files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its topology.toml.
    #[must_use]
    pub fn topology(&self) -> &Path {
        &self.topology
    }
}

fn bootstrap(brokers: &[Broker]) -> String {
    let all: Vec<_> = brokers.iter().map(Broker::bootstrap).collect();
    all.join(",")
}
