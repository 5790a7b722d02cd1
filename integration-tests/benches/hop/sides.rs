//! What is measured of a side: one backlog, one light load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shiren::site::Site;
use shiren::stages;
use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::site;
use shiren_log::{Log, TopicSpec};
use shiren_runtime::{Drain, Options};
use shiren_schemas::topics::Topic;
use tempfile::TempDir;

use crate::light::{self, Light};
use crate::meter::{Meter, Spent};
use crate::records::Records;
use crate::{WARM_UP_RECORDS, bare, relay};

/// Longest wait for a backlog to be worked off.
const BACKLOG_MAX_WAIT: Duration = Duration::from_secs(180);
/// How long the broker keeps records, milliseconds: longer than a backlog may wait. A few rounds
/// of them are on disk at a time.
const RETENTION_MS: i64 = 300_000;
/// Most bytes published in one call: a busy machine takes that well within the delivery timeout.
const PUBLISH_MAX_BYTES: usize = 2_000_000;

/// Who does the hop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Shiren,
    Bare,
}

impl Side {
    /// Topics read and written.
    fn topics(self) -> [&'static str; 2] {
        match self {
            Self::Shiren => ["shiren.hop.interactive", "shiren.tail.interactive"],
            Self::Bare => ["bare.hop", "bare.tail"],
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Shiren => "shiren",
            Self::Bare => "bare",
        })
    }
}

/// What a backlog cost.
#[derive(Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) records_per_s: f64,
    pub(crate) client_cpu_ms_per_record: f64,
    pub(crate) broker_cpu_ms_per_record: f64,
    pub(crate) records_per_transaction: f64,
}

impl std::fmt::Display for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} records/s, {:.1} a transaction, CPU ms a record: client {:.3}, broker {:.3}",
            self.records_per_s,
            self.records_per_transaction,
            self.client_cpu_ms_per_record,
            self.broker_cpu_ms_per_record
        )
    }
}

/// A broker with both sides' topics.
pub(crate) struct Bench {
    log: Arc<dyn Log>,
    /// Bounds of the shipped topology.toml.
    shipped: Options,
    /// Number of the next record, so that each key is used once.
    next: AtomicU64,
    broker: Broker,
    _folder: TempDir,
}

impl Bench {
    /// Starts the broker and makes the topics.
    pub(crate) fn start() -> Self {
        let broker = Broker::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let servers = format!("[log.kafka]\nbootstrap_servers = {:?}", broker.bootstrap());
        let text = site::topology(&[
            ("[log]\nengine = \"embedded\"", "[log]\nengine = \"kafka\""),
            ("[log.kafka]", &servers),
            // The bare loop does not seal either.
            ("[vault] ", "[vault]\nenabled = false\n"),
            ("tenants = [\"default\"]", "tenants = [\"bench\"]"),
        ]);
        let topology = folder.path().join("topology.toml");
        std::fs::write(&topology, text).expect("written");
        let site = Site::open(&topology, &site::home(), &stages::descriptors()).expect("a site");
        let log = site.open_log().expect("a log");
        let shipped = site.runtime_options(&[], 0).expect("options");
        let partitions = site.topology.topics.partitions;
        let topic = |name: &str| TopicSpec {
            name: name.to_owned(),
            partitions,
            retention_ms: RETENTION_MS,
            max_record_bytes: shipped.max_record_bytes,
            compacted: false,
        };
        let topics = [Side::Shiren, Side::Bare].map(Side::topics).concat();
        let mut topics: Vec<TopicSpec> = topics.into_iter().map(topic).collect();
        let stage = crate::records::STAGE.to_owned();
        topics.push(TopicSpec {
            partitions: 1,
            compacted: true,
            ..topic(&Topic::Attempts { stage }.to_string())
        });
        site.set_up(log.as_ref()).expect("topics and policy");
        log.apply_topics(&topics).expect("topics");
        Self {
            log,
            shipped,
            next: AtomicU64::new(0),
            broker,
            _folder: folder,
        }
    }

    /// Publishes a backlog, then measures how it is worked off.
    pub(crate) fn backlog(&self, side: Side, value_bytes: usize, count: u64) -> Backlog {
        self.publish(side.topics()[0], value_bytes, count);
        let meter = Meter::new(self.broker.pid(), WARM_UP_RECORDS + 1, count);
        let (spent, done) = self.beside(side, meter, |meter| meter.spent(BACKLOG_MAX_WAIT));
        assert_eq!(done.records, count, "records committed");
        let Spent {
            records,
            wall_s,
            client_cpu_ms,
            broker_cpu_ms,
        } = spent;
        Backlog {
            records_per_s: records / wall_s,
            client_cpu_ms_per_record: client_cpu_ms / records,
            broker_cpu_ms_per_record: broker_cpu_ms / records,
            records_per_transaction: done.records as f64 / done.transactions as f64,
        }
    }

    /// Measures latencies at a light load, Shiren's and the bare loop's.
    pub(crate) fn light(&self, value_bytes: usize, count: u64) -> [Light; 2] {
        let first = self.next.fetch_add(count + 1, Ordering::Relaxed);
        let meter = || Meter::new(self.broker.pid(), 1, u64::MAX);
        let hops = [Side::Shiren, Side::Bare].map(Side::topics);
        let work = || light::run(self.log.as_ref(), hops, value_bytes, first, count);
        let beside_bare = |_: &Meter| self.beside(Side::Bare, meter(), |_| work()).0;
        self.beside(Side::Shiren, meter(), beside_bare).0
    }

    /// Runs a side's hop while `work` is done.
    fn beside<T>(
        &self,
        side: Side,
        meter: Meter,
        work: impl FnOnce(&Meter) -> T,
    ) -> (T, bare::Done) {
        let meter = Arc::new(meter);
        let drain = Drain::new();
        std::thread::scope(|scope| {
            let hop = scope.spawn(|| match side {
                Side::Shiren => {
                    let shipped = self.shipped.clone();
                    let summary = relay::run(&self.log, shipped, &meter, &drain);
                    assert_eq!((summary.rebuilds, summary.dead_letters), (0, 0));
                    bare::Done {
                        records: summary.records,
                        transactions: summary.bundles,
                    }
                }
                Side::Bare => {
                    let bootstrap = self.broker.bootstrap();
                    bare::run(&bootstrap, side.topics(), &self.shipped, &meter, &drain)
                }
            });
            // Drained even when `work` panics, so that the bench ends.
            let work = std::panic::AssertUnwindSafe(|| work(&meter));
            let done = std::panic::catch_unwind(work);
            drain.request();
            let hop = hop.join().expect("the hop");
            (
                done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                hop,
            )
        })
    }

    fn publish(&self, topic: &str, value_bytes: usize, count: u64) {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let records = Records::new(topic, value_bytes);
        let mut publisher = self.log.publisher().expect("a publisher");
        let numbers: Vec<u64> = (first..first + count).collect();
        for part in numbers.chunks(PUBLISH_MAX_BYTES / value_bytes) {
            let part = part.iter().map(|number| records.record(*number));
            publisher.publish(part.collect()).expect("published");
        }
    }
}
