//! A worker process of this program, as an operator starts it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// A running `shiren run`. Killed when dropped.
pub struct WorkerProcess(Child);

impl WorkerProcess {
    /// Starts all segments of `topology` on the log in `home`, and waits until they are ready.
    ///
    /// # Errors
    /// It does not start; it says why on standard error.
    pub fn start(topology: &Path, home: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let child = Command::new(program)
            .arg("--topology")
            .arg(topology)
            .arg("run")
            .env("SHIREN_HOME", home)
            .stdout(Stdio::piped())
            .spawn()
            .context("no worker process")?;
        let mut worker = Self(child);
        let stdout = worker.0.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.starts_with("ready: "), "the worker did not start");
        Ok(worker)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it finish its bundle and end.
    ///
    /// # Errors
    /// It ended with an error, perhaps earlier.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the worker ended with {status}");
        Ok(())
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It has ended already where `stop` was called.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
