//! What is known of the cluster's topics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigEntry, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use shiren_log::LogError;

use crate::errors::{meaning, unavailable};
use crate::records::Entry;
use crate::settings::{BATCH_ROOM_BYTES, RECORD_MAX_BYTES, Settings};

/// How long an answer is believed.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Asks the cluster, and remembers for a while.
pub(crate) struct Topics {
    /// A consumer, because a producer's question can create a topic.
    client: BaseConsumer,
    pub(crate) admin: AdminClient<DefaultClientContext>,
    max_wait: Duration,
    known: Mutex<BTreeMap<Arc<str>, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    partitions: i32,
    max_record_bytes: usize,
    until: Instant,
}

impl Topics {
    pub(crate) fn connect(settings: &Settings) -> Result<Self, LogError> {
        let open = |error| meaning("opening", &error);
        let topics = Self {
            client: settings.client().create().map_err(open)?,
            admin: settings.client().create().map_err(open)?,
            max_wait: settings.request_max_wait(),
            known: Mutex::default(),
        };
        topics.partitions("shiren")?;
        Ok(topics)
    }

    /// Options for administrative requests.
    pub(crate) fn admin_options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.max_wait))
            .operation_timeout(Some(self.max_wait))
    }

    /// Forgets what is known.
    pub(crate) fn forget(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Partition count as the cluster says now; `None` when the topic does not exist.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<i32>, LogError> {
        // Serves the client's own events, which nobody else polls for.
        while self.client.poll(Duration::ZERO).is_some() {}
        let metadata = self
            .client
            .fetch_metadata(Some(topic), self.max_wait)
            .map_err(|error| meaning("no broker answers", &error))?;
        let Some(found) = metadata.topics().first() else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(found.partitions().len()).ok()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => Err(unavailable(format!("topic {topic}: {code}"))),
        }
    }

    /// Settings of a topic.
    pub(crate) fn settings(&self, topic: &str) -> Result<Vec<ConfigEntry>, LogError> {
        let wanted = [ResourceSpecifier::Topic(topic)];
        let answer = block_on(self.admin.describe_configs(&wanted, &self.admin_options()))
            .map_err(|error| meaning("describing topics", &error))?;
        match answer.into_iter().next() {
            Some(Ok(found)) => Ok(found.entries),
            Some(Err(code)) => Err(unavailable(format!("describing topic {topic}: {code}"))),
            None => Err(unavailable(format!("describing topic {topic}: no answer"))),
        }
    }

    fn known(&self, topic: &Arc<str>) -> Result<Known, LogError> {
        let now = Instant::now();
        let known = |topics: &BTreeMap<_, Known>| topics.get(topic).copied();
        let cached = known(&self.known.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(cached) = cached.filter(|known| known.until > now) {
            return Ok(cached);
        }
        let partitions = self.partitions(topic)?;
        let partitions = partitions.ok_or_else(|| LogError::UnknownTopic {
            topic: topic.to_string(),
        })?;
        let found = Known {
            partitions,
            max_record_bytes: self.max_record_bytes(topic),
            until: now + KNOWN_FOR,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Arc::clone(topic), found);
        Ok(found)
    }

    /// The topic's record limit. A client that may not ask leaves the judgement to the broker.
    fn max_record_bytes(&self, topic: &str) -> usize {
        let settings = self.settings(topic).unwrap_or_default();
        settings
            .iter()
            .find(|entry| entry.name == "max.message.bytes")
            .and_then(|entry| entry.value.as_deref()?.parse::<usize>().ok())
            .map_or(RECORD_MAX_BYTES, |max| max.saturating_sub(BATCH_ROOM_BYTES))
    }

    /// Checks a record against its topic and gives it its partition.
    pub(crate) fn place(&self, entry: &mut Entry) -> Result<(), LogError> {
        let known = self.known(&entry.topic)?;
        if entry.bytes > known.max_record_bytes {
            return Err(LogError::RecordTooLarge {
                topic: entry.topic.to_string(),
                bytes: entry.bytes,
                max: known.max_record_bytes,
            });
        }
        let key = entry.key.as_deref().unwrap_or_default();
        let partition = *entry
            .partition
            .get_or_insert_with(|| shiren_log::partition(key, known.partitions));
        if (0..known.partitions).contains(&partition) {
            return Ok(());
        }
        Err(LogError::Config {
            what: format!(
                "topic {} has no partition {partition}: its partitions are 0 to {}",
                entry.topic,
                known.partitions - 1
            ),
        })
    }
}
