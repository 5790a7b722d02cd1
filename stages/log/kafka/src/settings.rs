//! Options, and the librdkafka configuration of each kind of client.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use shiren_log::LogError;

/// Largest batch of a producer, bytes. Topics take [`BATCH_ROOM_BYTES`] more than their largest
/// record, so that a batch of small ones never exceeds the topic's limit.
pub(crate) const BATCH_MAX_BYTES: usize = 64_000;

/// What a topic's `max.message.bytes` adds to its largest record: room for a batch, or for the
/// framing of a single record.
pub(crate) const BATCH_ROOM_BYTES: usize = 65_536;

/// Largest record that a client of this crate can send, bytes.
pub(crate) const RECORD_MAX_BYTES: usize = 64 << 20;

/// How Kafka is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Further librdkafka properties for every client: TLS, SASL, compression and so on. Those
    /// that the delivery promise depends on are refused.
    pub properties: BTreeMap<String, String>,
    /// How long the broker lets a transaction of a dead worker block readers, milliseconds,
    /// 1000 or more.
    pub transaction_timeout_ms: u32,
    /// How long a silent worker keeps its partitions, milliseconds. Not used with
    /// `group.protocol=consumer`, where the broker decides.
    pub session_timeout_ms: u32,
    /// Whether a worker is known to the group by its `transactional_id`: one that is started again within the session
    /// gets its partitions back without a rebalance, and one that leaves holds them up until the session is over.
    pub static_membership: bool,
    /// Longest wait for the acknowledgement of records and of a commit, milliseconds; at most
    /// `transaction_timeout_ms`.
    pub delivery_max_wait_ms: u32,
    /// Longest wait for any other answer, milliseconds, 1000 or more.
    pub request_max_wait_ms: u32,
}

impl KafkaOptions {
    /// Defaults: transactions 10 s, session 6 s, dynamic membership, delivery 8 s, other answers 10 s.
    #[must_use]
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            properties: BTreeMap::new(),
            transaction_timeout_ms: 10_000,
            session_timeout_ms: 6_000,
            static_membership: false,
            delivery_max_wait_ms: 8_000,
            request_max_wait_ms: 10_000,
        }
    }
}

const FIELD: &str = "it has a setting of its own under log.kafka";
const OFFSETS: &str = "offsets are committed in the worker's transaction and nowhere else";
const PROMISE: &str = "records would be lost, doubled or reordered";
const LIMITS: &str = "it follows from the topics' record limits";

/// Properties that are fixed, and why.
const FIXED: &[(&str, &str)] = &[
    ("acks", PROMISE),
    (
        "allow.auto.create.topics",
        "topics are made by `shiren topics apply`",
    ),
    ("auto.commit.enable", OFFSETS),
    (
        "auto.offset.reset",
        "a lost offset is for an operator to decide, a worker never jumps",
    ),
    ("batch.num.messages", LIMITS),
    ("batch.size", LIMITS),
    ("bootstrap.servers", FIELD),
    ("check.crcs", "damaged records would be processed"),
    ("delivery.timeout.ms", FIELD),
    ("enable.auto.commit", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("enable.gapless.guarantee", PROMISE),
    ("enable.idempotence", PROMISE),
    (
        "enable.partition.eof",
        "readers take the end of a partition for an error",
    ),
    ("group.id", "each segment has its own"),
    (
        "group.instance.id",
        "it is a worker's slot, under log.kafka.static_membership",
    ),
    ("isolation.level", "uncommitted records would be processed"),
    (
        "linger.ms",
        "a commit waits for its records, so every hop would take longer",
    ),
    ("max.in.flight", PROMISE),
    ("max.in.flight.requests.per.connection", PROMISE),
    ("message.max.bytes", LIMITS),
    ("message.send.max.retries", PROMISE),
    ("message.timeout.ms", FIELD),
    ("metadata.broker.list", FIELD),
    (
        "partition.assignment.strategy",
        "cooperative-sticky loses records with manual commits (librdkafka 4059, 4220, 4849)",
    ),
    (
        "partitioner",
        "every record's partition is computed by Shiren, (murmur2(key) & 0x7fffffff) % n",
    ),
    (
        "queue.buffering.max.ms",
        "a commit waits for its records, so every hop would take longer",
    ),
    (
        "queued.max.messages.kbytes",
        "it follows from queue_max_bytes",
    ),
    ("request.required.acks", PROMISE),
    ("retries", PROMISE),
    ("session.timeout.ms", FIELD),
    ("transaction.timeout.ms", FIELD),
    (
        "transactional.id",
        "each worker has its own, which fences its predecessor",
    ),
];

/// How often brokers abort the transactions of dead producers, by default.
const ABORT_EVERY: Duration = Duration::from_secs(10);

/// Options that were checked.
pub(crate) struct Settings(KafkaOptions);

impl Settings {
    pub(crate) fn check(options: KafkaOptions) -> Result<Self, LogError> {
        let wrong = |what: String| Err(LogError::Config { what });
        for (name, why) in FIXED {
            if options.properties.contains_key(*name) {
                return wrong(format!("log.kafka.properties: {name} cannot be set: {why}"));
            }
        }
        if options.bootstrap_servers.trim().is_empty() {
            return wrong("log.kafka.bootstrap_servers is empty: set host:port".into());
        }
        if options.transaction_timeout_ms < 1_000 || options.request_max_wait_ms < 1_000 {
            return wrong(
                "log.kafka: transaction_timeout_ms and request_max_wait_ms must be 1000 or more"
                    .into(),
            );
        }
        if !(1..=options.transaction_timeout_ms).contains(&options.delivery_max_wait_ms) {
            return wrong(format!(
                "log.kafka.delivery_max_wait_ms must be 1 to transaction_timeout_ms, {}",
                options.transaction_timeout_ms
            ));
        }
        Ok(Self(options))
    }

    pub(crate) fn request_max_wait(&self) -> Duration {
        Duration::from_millis(self.0.request_max_wait_ms.into())
    }

    pub(crate) fn delivery_max_wait(&self) -> Duration {
        Duration::from_millis(self.0.delivery_max_wait_ms.into())
    }

    /// Longest time until a transaction has ended, one whose producer died included: brokers look for those every 10 s
    /// (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
    pub(crate) fn transaction_max_wait(&self) -> Duration {
        let timeout = Duration::from_millis(self.0.transaction_timeout_ms.into());
        timeout + ABORT_EVERY + self.request_max_wait()
    }

    /// A client that only asks questions.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.0.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.0.bootstrap_servers);
        config
    }

    fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed");
        config
    }

    /// A group member that fetches about `partition_max_bytes` of each partition ahead.
    pub(crate) fn member(
        &self,
        group: &str,
        instance: &str,
        partition_max_bytes: usize,
    ) -> ClientConfig {
        let mut config = self.consumer();
        if self.0.static_membership {
            config.set("group.instance.id", instance);
        }
        let fetch_bytes = partition_max_bytes.clamp(1 << 16, 1 << 20);
        if !self.0.properties.contains_key("max.partition.fetch.bytes") {
            config.set("max.partition.fetch.bytes", fetch_bytes.to_string());
        }
        config
            .set("group.id", group)
            .set("auto.offset.reset", "error")
            .set(
                "queued.max.messages.kbytes",
                (fetch_bytes / 1024).to_string(),
            );
        // Where partitions end, for the lag: the client knows, and tells it this often.
        if !self.0.properties.contains_key("statistics.interval.ms") {
            config.set("statistics.interval.ms", "5000");
        }
        // A full queue is looked at again after this, by default after 1 s.
        if !self.0.properties.contains_key("fetch.queue.backoff.ms") {
            config.set("fetch.queue.backoff.ms", "10");
        }
        if self.0.properties.get("group.protocol").map(String::as_str) != Some("consumer") {
            config
                .set("session.timeout.ms", self.0.session_timeout_ms.to_string())
                .set("partition.assignment.strategy", "range");
            let beat_ms = (self.0.session_timeout_ms / 3).clamp(1, 3_000);
            if !self.0.properties.contains_key("heartbeat.interval.ms") {
                config.set("heartbeat.interval.ms", beat_ms.to_string());
            }
        }
        config
    }

    /// A reader outside any group. librdkafka assigns partitions only to a client with a group's
    /// name; the group is never joined.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            .set("group.id", "shiren-reader")
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// An idempotent producer.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // A broker takes any sequence number from a producer that it does not know yet. With two requests under way the
            // second may be taken where the first was not (replicas missing for a moment); the first, sent again, is then
            // called a duplicate and never written (librdkafka issues 2501 and 4134).
            .set("max.in.flight", "1")
            .set("linger.ms", "0")
            .set("batch.size", BATCH_MAX_BYTES.to_string())
            .set(
                "message.max.bytes",
                (RECORD_MAX_BYTES + BATCH_ROOM_BYTES).to_string(),
            )
            .set(
                "message.timeout.ms",
                self.0.delivery_max_wait_ms.to_string(),
            );
        if !self.0.properties.contains_key("queue.buffering.max.kbytes") {
            config.set("queue.buffering.max.kbytes", "131072");
        }
        config
    }

    /// A transactional producer.
    pub(crate) fn transactional(&self, id: &str) -> ClientConfig {
        let mut config = self.producer();
        config
            .set("transactional.id", id)
            // In a transaction the broker knows the lowest sequence number that it has verified, and takes no later one first.
            .set("max.in.flight", "5")
            .set(
                "transaction.timeout.ms",
                self.0.transaction_timeout_ms.to_string(),
            );
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_property_is_refused_by_name_and_reason() {
        for (name, why) in FIXED {
            let mut options = KafkaOptions::new("localhost:1");
            options.properties.insert((*name).into(), "x".into());
            let error = Settings::check(options).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_fixed_property_is_one_that_librdkafka_knows() {
        for (name, _) in FIXED {
            let known = match ClientConfig::new()
                .set(*name, "\u{1}")
                .create_native_config()
            {
                Ok(_) => true,
                Err(error) => !error.to_string().contains("No such configuration property"),
            };
            assert!(known, "{name}");
        }
    }

    #[test]
    fn other_properties_reach_every_client() {
        let mut options = KafkaOptions::new("localhost:1");
        options
            .properties
            .insert("security.protocol".into(), "sasl_ssl".into());
        let settings = Settings::check(options).unwrap();
        for config in [
            settings.client(),
            settings.member("g", "instance", 1),
            settings.reader(),
            settings.transactional("t"),
        ] {
            assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
        }
    }

    #[test]
    fn a_record_never_waits_longer_than_its_transaction_lives() {
        let mut options = KafkaOptions::new("localhost:1");
        options.delivery_max_wait_ms = options.transaction_timeout_ms + 1;
        assert!(Settings::check(options).is_err());
    }
}
