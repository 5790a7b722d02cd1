//! Worker processes, as an operator starts them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::site;

/// A running `shiren run`. Killed, by pid, when dropped.
pub struct Worker {
    child: Child,
    segment: String,
}

impl Worker {
    /// Starts one segment on Kafka and waits until it is ready.
    ///
    /// # Panics
    /// When it ends before it is ready; its messages are on standard error.
    #[must_use]
    pub fn start(topology: &Path, bootstrap: &str, segment: &str, slot: u32) -> Self {
        let mut child = on_kafka(topology, bootstrap)
            .args(["run", "--segment", segment, "--slot", &slot.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("readable");
        let worker = Self {
            child,
            segment: segment.to_owned(),
        };
        assert_eq!(
            line.trim(),
            format!("ready: {segment}"),
            "{segment} did not become ready"
        );
        worker
    }

    /// Asks the process to drain and waits for its end.
    ///
    /// # Panics
    /// When it ends with an error.
    pub fn drain(mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill");
        assert!(killed.success());
        let status = self.child.wait().expect("ended");
        assert!(status.success(), "{} ended with {status}", self.segment);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `shiren` program with its log on this broker.
#[must_use]
pub fn on_kafka(topology: &Path, bootstrap: &str) -> Command {
    let mut command = Command::new(site::program());
    command
        .current_dir(site::root())
        .env("SHIREN_HOME", site::home())
        .env("SHIREN_TOPOLOGY", topology)
        .env("SHIREN_LOG_ENGINE", "kafka")
        .env("SHIREN_KAFKA_BOOTSTRAP_SERVERS", bootstrap);
    command
}
