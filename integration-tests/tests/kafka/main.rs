//! The chain on real Apache Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod chain;
mod log;
mod python;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shiren::site::Site;
use shiren::stages;
use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::processes::Worker;
use shiren_integration_tests::site;
use shiren_log::Log;
use tempfile::TempDir;

/// A broker with a site of one process a stage on it.
struct Cluster {
    workers: Vec<Worker>,
    topology: PathBuf,
    site: Arc<Site>,
    log: Arc<dyn Log>,
    broker: Broker,
    _folder: TempDir,
}

impl Cluster {
    /// Starts broker and topics, and one process for each of `changes`' segments.
    fn start(changes: &[(&str, &str)]) -> Self {
        let broker = Broker::start();
        let folder = tempfile::tempdir().unwrap();
        let engine = format!(
            "engine = \"kafka\"\nbootstrap_servers = {:?}",
            broker.bootstrap()
        );
        let (engine, servers) = engine.split_once('\n').unwrap();
        let servers = format!("[log.kafka]\n{servers}");
        let mut all = vec![
            ("engine = \"embedded\"", engine),
            ("[log.kafka]\n", servers.as_str()),
        ];
        all.extend_from_slice(changes);
        let topology = folder.path().join("topology.toml");
        std::fs::write(&topology, site::topology(&all)).unwrap();
        let site = Site::open(&topology, &site::home(), &stages::descriptors()).unwrap();
        let log = site.open_log().unwrap();
        log.apply_topics(&site.topics()).unwrap();
        let segments: Vec<String> = site
            .topology
            .segments
            .iter()
            .map(|s| s.name.clone())
            .collect();
        let start = |name: &String| Worker::start(&topology, &broker.bootstrap(), name, 0);
        let workers = segments.iter().map(start).collect();
        Self {
            workers,
            topology,
            site: Arc::new(site),
            log,
            broker,
            _folder: folder,
        }
    }

    fn bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    fn topology(&self) -> &Path {
        &self.topology
    }
}
