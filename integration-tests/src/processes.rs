//! Worker processes, as an operator starts them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::run::MAX_WAIT;
use crate::site;

/// `RUST_LOG` with which a worker says when its assignment changes.
pub const ASSIGNMENTS: &str = "warn,shiren_log_kafka=info,shiren_runtime=info";

/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running `shiren run`. Killed, by pid, when dropped.
pub struct Worker {
    child: Child,
    segment: String,
    /// Its standard error.
    messages: NamedTempFile,
}

impl Worker {
    /// Starts the process; `segment` is for messages.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn launch(mut command: Command, segment: &str) -> Self {
        let messages = NamedTempFile::new().expect("a temporary file");
        let child = command
            .stdout(Stdio::piped())
            .stderr(messages.reopen().expect("reopened"))
            .spawn()
            .expect("started");
        Self {
            child,
            segment: segment.to_owned(),
            messages,
        }
    }

    /// Waits until all its workers are ready.
    ///
    /// # Panics
    /// When it ends before.
    #[must_use]
    pub fn ready(mut self) -> Self {
        let stdout = self.child.stdout.take().expect("piped, and read once");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let segment = &self.segment;
        assert!(
            read.is_ok() && line.starts_with("ready: "),
            "{segment} did not become ready: {line:?}"
        );
        self
    }

    /// Kills it, as the kernel would.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        let status = self.child.wait().expect("ended");
        assert_eq!(status.signal(), Some(9), "{} ended before", self.segment);
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its status")
    }

    /// Waits until a kill point has ended it.
    ///
    /// # Panics
    /// When it ends otherwise, or not at all.
    pub fn await_kill(mut self) {
        let status = self.await_end();
        assert_eq!(status.signal(), Some(9), "{}: {status}", self.segment);
    }

    /// Waits until it ends with an error of its own; gives what it said.
    ///
    /// # Panics
    /// When it ends otherwise, or not at all.
    #[must_use]
    pub fn await_failure(mut self) -> String {
        let status = self.await_end();
        assert_eq!(status.code(), Some(1), "{}: {status}", self.segment);
        self.messages()
    }

    fn await_end(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = format!("{} ended", self.segment);
        await_that(&ended, || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        status.expect("just seen")
    }

    /// Waits until a halt point has stopped it.
    ///
    /// # Panics
    /// When it is not stopped in time.
    pub fn await_halt(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        await_that(&format!("{} halted", self.segment), || {
            // `pid (name) state`; the program's name has no bracket in it.
            let stat = std::fs::read_to_string(&stat).expect("it runs");
            stat.split(')').nth(1).expect("a state").starts_with(" T")
        });
    }

    /// Waits until its standard error holds `text`.
    ///
    /// # Panics
    /// When it does not come.
    pub fn await_message(&self, text: &str) {
        self.await_messages(text, 1);
    }

    /// Waits until its standard error holds `text` at least `count` times.
    ///
    /// # Panics
    /// When it does not come.
    pub fn await_messages(&self, text: &str, count: usize) {
        await_that(&format!("{} said {text:?}", self.segment), || {
            self.messages().matches(text).count() >= count
        });
    }

    /// What it wrote to standard error so far.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.messages.path()).expect("its messages")
    }

    /// Where it tells its metrics and health; it was started with `SHIREN_TELEMETRY_LISTEN`. Waits until it says so, which
    /// is before it is ready.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn telemetry(&self) -> String {
        const BEFORE: &str = "metrics and health: http://";
        let mut address = None;
        await_that(&format!("{} said its address", self.segment), || {
            let said = self.messages();
            // To the end of the line, which may be written in pieces.
            let line = said
                .split_once(BEFORE)
                .and_then(|(_, rest)| rest.split_once('\n'));
            address = line.map(|(address, _)| address.to_owned());
            address.is_some()
        });
        address.expect("just seen")
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the process to drain, waits for its end, and returns what it says it has done.
    ///
    /// # Panics
    /// When it ends with an error.
    pub fn drain(mut self) -> Drained {
        signal(self.child.id(), "TERM");
        let status = self.await_end();
        assert!(status.success(), "{} ended with {status}", self.segment);
        drained(&self.messages())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.segment, self.messages());
        }
    }
}

/// What a drained process has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Records processed and committed, each time they were.
    pub records: u64,
    /// Verdicts committed.
    pub verdicts: u64,
    /// Times a worker was built anew.
    pub rebuilds: u64,
}

/// Reads the line `drained: 7 records, 5 verdicts, 0 dead letters, 0 rebuilds`.
fn drained(messages: &str) -> Drained {
    let line = messages.lines().find_map(|l| l.strip_prefix("drained: "));
    let line = line.unwrap_or_else(|| panic!("no line `drained:` in {messages:?}"));
    let count = |what: &str| -> u64 {
        let part = line.split(", ").find_map(|part| part.strip_suffix(what));
        part.and_then(|n| n.parse().ok()).expect("a count")
    };
    Drained {
        records: count(" records"),
        verdicts: count(" verdicts"),
        rebuilds: count(" rebuilds"),
    }
}

/// Waits until `holds`; `what` is for the message.
///
/// # Panics
/// When it does not hold in time.
pub fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + MAX_WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {MAX_WAIT:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Sends a signal to a process that the test started.
///
/// # Panics
/// When it is gone.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .expect("kill");
    assert!(sent.success(), "no process {pid}");
}

/// The `shiren` program.
fn program(topology: &Path, engine: &str) -> Command {
    let mut command = Command::new(site::program());
    command
        .current_dir(site::root())
        .env("SHIREN_HOME", site::home())
        .env("SHIREN_TOPOLOGY", topology)
        .env("SHIREN_LOG_ENGINE", engine);
    command
}

/// The `shiren` program with its log on this broker.
#[must_use]
pub fn on_kafka(topology: &Path, bootstrap: &str) -> Command {
    let mut command = program(topology, "kafka");
    command.env("SHIREN_KAFKA_BOOTSTRAP_SERVERS", bootstrap);
    command
}

/// The same program with at most so much address space.
#[must_use]
pub fn limited(command: &Command, max_kib: u64) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("ulimit -v {max_kib}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script]).arg(command.get_program());
    limited.args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

/// The `shiren` program with the embedded log of this topology.
#[must_use]
pub fn on_embedded(topology: &Path) -> Command {
    program(topology, "embedded")
}
