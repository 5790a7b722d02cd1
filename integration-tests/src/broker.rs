//! A real Apache Kafka for tests, on free loopback ports: one node, or three; each is broker and controller in one.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::processes::{await_that, signal};
use crate::small_disk::SmallDisk;

/// Longest wait until the broker accepts connections: a busy machine that reads every log anew takes half of it.
const START_MAX_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts the broker, names its process, and kills it when the test's end of the pipe closes:
/// that happens however the test ends. Ends as the broker did.
const SUPERVISOR: &str = r#"
"$@" </dev/null >>"$LOG" 2>&1 &
echo $!
read -r _
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
exit $?
"#;

/// What a shell says of a process that SIGKILL has ended.
const KILLED: i32 = 128 + 9;

/// A broker, running or killed. Its process is killed, and its data removed, when this is dropped.
pub struct Broker {
    /// Of the running process.
    process: Option<Process>,
    port: u16,
    heap_max_mib: u32,
    /// Where its log lies; unmounted before the folder is removed.
    disk: Option<SmallDisk>,
    data: TempDir,
}

struct Process {
    supervisor: Child,
    /// Process id of the broker itself.
    pid: u32,
}

/// A further listener, which tells clients to come by another port.
#[derive(Clone, Copy)]
struct Proxied {
    port: u16,
    advertised: u16,
}

impl Broker {
    /// Starts a broker and waits until it accepts connections.
    ///
    /// # Panics
    /// When Java or Kafka's jars are missing (the message says what to run), and when the broker
    /// does not come up; its log is in the message.
    #[must_use]
    pub fn start() -> Self {
        Self::alone(None)
    }

    /// As [`Broker::start`]; it listens on a second port too, and sends those who come by it to the port `advertised`,
    /// where a proxy is to stand. The second port is returned.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn behind(advertised: u16) -> (Self, u16) {
        let [port] = free_ports();
        let proxied = Proxied { port, advertised };
        (Self::alone(Some(proxied)), port)
    }

    fn alone(proxied: Option<Proxied>) -> Self {
        let libs = libs();
        let [port, controller] = free_ports();
        let node = Node {
            id: 1,
            port,
            controller,
            voters: format!("127.0.0.1:{controller}"),
            nodes: 1,
            proxied,
        };
        let mut broker = Self::prepare(&node, 512, None);
        broker.format(&libs, &random_uuid(&libs), None);
        broker.restart();
        broker
    }

    /// Starts three brokers that are controllers, too: every partition on all three, acknowledged by two.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn three() -> Vec<Self> {
        Self::three_on(None)
    }

    /// As [`Broker::three`], the log of each on a disk of its own of so many MiB.
    ///
    /// # Panics
    /// As [`Broker::start`], and when such disks cannot be made here.
    #[must_use]
    pub fn three_on_small_disks(mib: u32) -> Vec<Self> {
        Self::three_on(Some(mib))
    }

    fn three_on(disk_mib: Option<u32>) -> Vec<Self> {
        let libs = libs();
        let ports: [u16; 6] = free_ports();
        let (ports, controllers) = ports.split_at(3);
        let voters: Vec<_> = controllers
            .iter()
            .map(|q| format!("127.0.0.1:{q}"))
            .collect();
        let node = |id: usize| Node {
            id: id + 1,
            port: ports[id],
            controller: controllers[id],
            voters: voters.join(","),
            nodes: 3,
            proxied: None,
        };
        let mut brokers: Vec<_> = (0..3)
            .map(|id| Self::prepare(&node(id), 256, disk_mib))
            .collect();
        let cluster = random_uuid(&libs);
        let folders = [(); 3].map(|()| random_uuid(&libs));
        let all = voters.iter().zip(&folders).enumerate();
        let first: Vec<_> = all
            .map(|(id, (at, folder))| format!("{}@{at}:{folder}", id + 1))
            .collect();
        for broker in &mut brokers {
            broker.format(&libs, &cluster, Some(&first.join(",")));
            broker.launch();
        }
        brokers.iter_mut().for_each(Self::await_port);
        brokers
    }

    fn prepare(node: &Node, heap_max_mib: u32, disk_mib: Option<u32>) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let disk = disk_mib.map(|mib| {
            let folder = data.path().join("data");
            std::fs::create_dir(&folder).expect("made");
            SmallDisk::mount(&folder, mib)
        });
        let text = properties(node, data.path());
        std::fs::write(data.path().join("server.properties"), text).expect("written");
        Self {
            process: None,
            port: node.port,
            heap_max_mib,
            disk,
            data,
        }
    }

    /// Where its log lies.
    ///
    /// # Panics
    /// When it was not started on a small disk.
    #[must_use]
    pub fn disk(&mut self) -> &mut SmallDisk {
        self.disk.as_mut().expect("on a small disk")
    }

    /// What its commands begin with.
    fn entry(&self) -> Vec<String> {
        self.disk.as_ref().map(SmallDisk::entry).unwrap_or_default()
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Process id of the broker, for tests that stop it.
    ///
    /// # Panics
    /// When it was killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid
    }

    /// Kills it, as the kernel would, and waits until nobody answers at its port.
    ///
    /// # Panics
    /// When it does not run, or has ended otherwise before.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        signal(process.pid, "KILL");
        drop(process.supervisor.stdin.take());
        let ended = process.supervisor.wait().expect("its end");
        assert_eq!(ended.code(), Some(KILLED), "the broker ended before");
        let answer = TcpStream::connect_timeout(&self.address(), LOOK_EVERY);
        assert!(answer.is_err(), "somebody listens at the broker's port");
    }

    /// Waits until it ends by itself; its log.
    ///
    /// # Panics
    /// When it does not, or is killed.
    pub fn await_end(&mut self) -> String {
        let stat = format!("/proc/{}/stat", self.pid());
        await_that("the broker ended", || {
            // Its supervisor takes note of it once the pipe is closed. `pid (name) state`.
            let stat = std::fs::read_to_string(&stat);
            stat.map_or(true, |stat| {
                stat.rsplit(')').next().is_some_and(|s| s.starts_with(" Z"))
            })
        });
        let mut process = self.process.take().expect("it runs");
        drop(process.supervisor.stdin.take());
        let ended = process.supervisor.wait().expect("its end");
        assert_ne!(ended.code(), Some(KILLED), "the broker was killed");
        std::fs::read_to_string(self.data.path().join("broker.log")).expect("its log")
    }

    /// Starts it again with the data that it has, and waits until it accepts connections.
    ///
    /// # Panics
    /// When it does not come up; its log is in the message.
    pub fn restart(&mut self) {
        self.launch();
        self.await_port();
    }

    /// Starts the process without waiting for it.
    ///
    /// # Panics
    /// When it runs already.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let heap = format!("-Xmx{}m", self.heap_max_mib);
        let log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
        let log_times = "-Dorg.slf4j.simpleLogger.showDateTime=true";
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args(self.entry())
            .args(java(&libs(), &[&heap, log_level, log_times]))
            .arg("kafka.Kafka")
            .arg(self.data.path().join("server.properties"))
            .env("LOG", self.data.path().join("broker.log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut pid = String::new();
        let named = supervisor.stdout.take().expect("piped");
        BufReader::new(named).read_line(&mut pid).expect("a line");
        let pid = pid.trim().parse().expect("a process id");
        self.process = Some(Process { supervisor, pid });
    }

    /// Waits until it accepts connections.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_port(&mut self) {
        let deadline = Instant::now() + START_MAX_WAIT;
        while TcpStream::connect_timeout(&self.address(), LOOK_EVERY).is_err() {
            let gone = !Path::new(&format!("/proc/{}", self.pid())).exists();
            if gone || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.data.path().join("broker.log"));
                panic!("Kafka did not start:\n{}", log.unwrap_or_default());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn format(&self, libs: &Path, cluster: &str, controllers: Option<&str>) {
        let config = self.data.path().join("server.properties");
        let config = config.to_str().expect("a plain path");
        let first = match controllers {
            Some(all) => vec!["--initial-controllers", all],
            None => vec!["--standalone"],
        };
        let common = ["format", "-t", cluster, "-c", config];
        let entry = self.entry();
        storage_tool(&entry, libs, &[common.as_slice(), &first].concat());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        // Closing the pipe is the sign for the supervisor.
        drop(process.supervisor.stdin.take());
        let ended = process.supervisor.wait();
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

/// Ports below those that the system hands out by itself: between our look and the broker's bind, nobody else is given one
/// of them, and no client that tries to reach a dead broker can get its port as its own.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// Ports that are free, each handed out once by this process.
fn free_ports<const N: usize>() -> [u16; N] {
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at once begin at different places.
    let begin = std::process::id().wrapping_mul(97);
    let next = |()| {
        let mut candidates = std::iter::repeat_with(|| {
            let number = begin.wrapping_add(HANDED_OUT.fetch_add(1, Ordering::Relaxed));
            let offset = number % u32::from(PORTS.end - PORTS.start);
            PORTS.start + u16::try_from(offset).expect("a port")
        });
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let mut tried = candidates.by_ref().take(PORTS.len());
        tried.find(is_free).expect("a free port")
    };
    [(); N].map(next)
}

/// What a broker is told of itself and of the others.
struct Node {
    id: usize,
    port: u16,
    controller: u16,
    /// `host:port` of all controllers.
    voters: String,
    nodes: usize,
    proxied: Option<Proxied>,
}

impl Node {
    /// Where it listens, what it tells clients, and how.
    fn listeners(&self) -> [(&'static str, String); 3] {
        let (port, controller) = (self.port, self.controller);
        let mut own = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut told = own.clone();
        if let Some(Proxied { port, advertised }) = self.proxied {
            own += &format!(",PROXIED://127.0.0.1:{port}");
            told += &format!(",PROXIED://127.0.0.1:{advertised}");
        }
        let map = "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT";
        [
            (
                "listeners",
                format!("{own},CONTROLLER://127.0.0.1:{controller}"),
            ),
            ("advertised.listeners", told),
            ("listener.security.protocol.map", map.to_owned()),
        ]
    }
}

fn properties(node: &Node, data: &Path) -> String {
    let mut text = String::new();
    let data = data.join("data");
    let copies = node.nodes.to_string();
    let in_sync = node.nodes.div_ceil(2).to_string();
    let own = [
        ("process.roles", "broker,controller".into()),
        ("node.id", node.id.to_string()),
        ("inter.broker.listener.name", "PLAINTEXT".into()),
        ("controller.listener.names", "CONTROLLER".into()),
        ("controller.quorum.bootstrap.servers", node.voters.clone()),
        ("log.dirs", data.display().to_string()),
        ("auto.create.topics.enable", "false".into()),
        ("default.replication.factor", copies.clone()),
        ("min.insync.replicas", in_sync.clone()),
        ("offsets.topic.replication.factor", copies.clone()),
        ("offsets.topic.num.partitions", "4".into()),
        ("transaction.state.log.replication.factor", copies),
        ("transaction.state.log.min.isr", in_sync),
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
    ];
    for (name, value) in node.listeners().into_iter().chain(own) {
        writeln!(text, "{name}={value}").expect("writing to a string");
    }
    text
}

fn random_uuid(libs: &Path) -> String {
    let output = storage_tool(&[], libs, &["random-uuid"]);
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// Runs Kafka's StorageTool; the command begins with `entry`.
fn storage_tool(entry: &[String], libs: &Path, arguments: &[&str]) -> Output {
    let command = [entry, &java(libs, &[])].concat();
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
}
