//! A real Apache Kafka for tests: one node, broker and controller in one, on free loopback ports.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait until the broker accepts connections.
const START_MAX_WAIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts the broker, names its process, and kills it when the test's end of the pipe closes:
/// that happens however the test ends.
const SUPERVISOR: &str = r#"
"$@" </dev/null >"$LOG" 2>&1 &
echo $!
read -r _
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
exit 0
"#;

/// A running broker. It is killed, and its data removed, when this is dropped.
pub struct Broker {
    supervisor: Child,
    /// Process id of the broker itself.
    pid: u32,
    port: u16,
    data: TempDir,
}

impl Broker {
    /// Starts a broker and waits until it accepts connections.
    ///
    /// # Panics
    /// When Java or Kafka's jars are missing (the message says what to run), and when the broker
    /// does not come up; its log is in the message.
    #[must_use]
    pub fn start() -> Self {
        let libs = libs();
        let data = tempfile::tempdir().expect("a temporary folder");
        let [port, controller] = free_ports();
        let config = data.path().join("server.properties");
        std::fs::write(&config, properties(port, controller, data.path())).expect("written");
        format(&libs, &config);
        let log = data.path().join("broker.log");
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args(java(
                &libs,
                &["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"],
            ))
            .arg("kafka.Kafka")
            .arg(&config)
            .env("LOG", &log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut pid = String::new();
        let named = supervisor.stdout.take().expect("piped");
        BufReader::new(named).read_line(&mut pid).expect("a line");
        let mut broker = Self {
            supervisor,
            pid: pid.trim().parse().expect("a process id"),
            port,
            data,
        };
        broker.await_port();
        broker
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Process id of the broker, for tests that stop or kill it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    fn await_port(&mut self) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let deadline = Instant::now() + START_MAX_WAIT;
        while TcpStream::connect_timeout(&address, LOOK_EVERY).is_err() {
            let gone = !Path::new(&format!("/proc/{}", self.pid)).exists();
            if gone || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.data.path().join("broker.log"));
                panic!("Kafka did not start:\n{}", log.unwrap_or_default());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Closing the pipe is the sign for the supervisor.
        drop(self.supervisor.stdin.take());
        let ended = self.supervisor.wait();
        assert!(ended.is_ok(), "the broker's supervisor is lost: {ended:?}");
    }
}

/// The folder of Kafka's jars in the cache.
fn libs() -> PathBuf {
    let home = std::env::var_os("SHIREN_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.shiren"),
        PathBuf::from,
    );
    let libs = home.join("kafka/libs");
    let has_jars = std::fs::read_dir(&libs).is_ok_and(|mut jars| jars.next().is_some());
    let has_java = Command::new("java").arg("-version").output();
    let has_java = has_java.is_ok_and(|output| output.status.success());
    assert!(
        has_jars && has_java,
        "Java or Kafka's jars are missing (looked in {}): run `scripts/setup --tests`",
        libs.display()
    );
    libs
}

fn java(libs: &Path, options: &[&str]) -> Vec<String> {
    let mut command = vec!["java".to_owned()];
    command.extend(options.iter().map(|option| (*option).to_owned()));
    command.extend(["-cp".to_owned(), format!("{}/*", libs.display())]);
    command
}

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    [0, 1]
        .map(listen)
        .map(|listener| listener.local_addr().expect("bound").port())
}

fn properties(port: u16, controller: u16, data: &Path) -> String {
    let mut text = String::new();
    let data = data.join("data");
    for (name, value) in [
        ("process.roles", "broker,controller".into()),
        ("node.id", "1".into()),
        (
            "listeners",
            format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
        ),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{port}"),
        ),
        ("controller.listener.names", "CONTROLLER".into()),
        (
            "controller.quorum.bootstrap.servers",
            format!("127.0.0.1:{controller}"),
        ),
        ("log.dirs", data.display().to_string()),
        ("auto.create.topics.enable", "false".into()),
        ("offsets.topic.replication.factor", "1".into()),
        ("offsets.topic.num.partitions", "4".into()),
        ("transaction.state.log.replication.factor", "1".into()),
        ("transaction.state.log.min.isr", "1".into()),
        ("transaction.state.log.num.partitions", "4".into()),
        ("group.initial.rebalance.delay.ms", "0".into()),
        ("message.max.bytes", "16777216".into()),
        ("replica.fetch.max.bytes", "16777216".into()),
        // What a dead worker left open is looked for at once, not every ten seconds.
        (
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            "200".into(),
        ),
        // Retention and compaction come within seconds, not minutes.
        ("log.initial.task.delay.ms", "500".into()),
        ("log.retention.check.interval.ms", "500".into()),
        ("log.cleaner.backoff.ms", "200".into()),
        ("log.cleaner.min.cleanable.ratio", "0.001".into()),
        ("log.roll.ms", "3000".into()),
    ] {
        writeln!(text, "{name}={value}").expect("writing to a string");
    }
    text
}

fn format(libs: &Path, config: &Path) {
    let tool = |arguments: &[&str]| -> Output {
        let command = java(libs, &[]);
        let output = Command::new(&command[0])
            .args(&command[1..])
            .arg("kafka.tools.StorageTool")
            .args(arguments)
            .output()
            .expect("java starts");
        assert!(
            output.status.success(),
            "Kafka's StorageTool failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    };
    let uuid = String::from_utf8(tool(&["random-uuid"]).stdout).expect("text");
    let config = config.to_str().expect("a plain path");
    tool(&["format", "--standalone", "-t", uuid.trim(), "-c", config]);
}
