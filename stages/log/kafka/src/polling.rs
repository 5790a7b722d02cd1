//! The polling thread of a worker: whatever the worker does, the group sees a live member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use shiren_log::LogError;

use crate::assignment::{Member, out_of_range};
use crate::errors::{fatal, meaning, unavailable};
use crate::queues::{Place, Queues, Wake};
use crate::records;

/// Longest rest of the thread; whatever is to be done wakes it before.
const REST: Duration = Duration::from_millis(100);

/// The consumer of a worker.
pub(crate) type GroupConsumer = BaseConsumer<Member>;

/// The thread; it ends when this is dropped.
pub(crate) struct Polling {
    stop: Arc<AtomicBool>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl Polling {
    /// Starts to poll for a consumer that has subscribed.
    pub(crate) fn start(
        consumer: Arc<GroupConsumer>,
        queues: Arc<Queues>,
        group: String,
    ) -> Result<Self, LogError> {
        let stop = Arc::new(AtomicBool::new(false));
        let poller = Poller {
            consumer,
            queues,
            group,
            generation: 0,
            sources: BTreeMap::new(),
            topics: BTreeMap::new(),
        };
        let stopped = Arc::clone(&stop);
        let wake = Arc::clone(&poller.queues.wake);
        let thread = std::thread::Builder::new()
            .name("shiren-log-poll".into())
            .spawn(move || poller.run(&stopped))
            .map_err(|error| fatal(format!("cannot start the polling thread: {error}")))?;
        Ok(Self {
            stop,
            wake,
            thread: Some(thread),
        })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake.tell();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the polling thread of a Kafka worker panicked");
        }
    }
}

struct Poller {
    consumer: Arc<GroupConsumer>,
    queues: Arc<Queues>,
    group: String,
    /// Generation that `sources` belong to.
    generation: u64,
    /// librdkafka's queue of each partition, with the generation of its assignment.
    sources: BTreeMap<Place, (u64, PartitionQueue<Member>)>,
    /// One name for all records of a topic.
    topics: BTreeMap<String, Arc<str>>,
}

impl Poller {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            // Changes of the assignment come here, and records fetched before the split.
            let mut idle = self.poll_events();
            self.split();
            idle &= self.poll_partitions();
            if idle {
                self.queues.wake.wait(REST);
            }
        }
    }

    /// Serves the consumer's own queue once; true when it was empty.
    fn poll_events(&mut self) -> bool {
        let consumer = Arc::clone(&self.consumer);
        match consumer.poll(Duration::ZERO) {
            None => return true,
            Some(Ok(message)) => self.take(&message),
            Some(Err(error)) => self.fail(&error),
        }
        false
    }

    /// After a change of the assignment, gives each partition a queue of its own.
    fn split(&mut self) {
        let generation = self.queues.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let places = self.queues.places();
        self.sources
            .retain(|place, (since, _)| places.get(place) == Some(since));
        for (place, since) in places {
            if self.sources.contains_key(&place) {
                continue;
            }
            let source = self.consumer.split_partition_queue(&place.0, place.1);
            let Some(mut source) = source else {
                let (topic, partition) = place;
                self.stop(fatal(format!("{topic}/{partition} has no queue")));
                return;
            };
            let wake = Arc::clone(&self.queues.wake);
            source.set_nonempty_callback(move || wake.tell());
            self.sources.insert(place, (since, source));
        }
    }

    /// Takes one record of each partition that has room; true when there was none.
    fn poll_partitions(&mut self) -> bool {
        let sources = std::mem::take(&mut self.sources);
        let mut idle = true;
        for (place, (_, source)) in &sources {
            if !self.queues.has_room(place) {
                continue;
            }
            match source.poll(Duration::ZERO) {
                None => continue,
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.fail(&error),
            }
            idle = false;
        }
        self.sources = sources;
        idle
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let topic = match self.topics.get(message.topic()) {
            Some(topic) => Arc::clone(topic),
            None => {
                let topic: Arc<str> = message.topic().into();
                self.topics
                    .insert(message.topic().into(), Arc::clone(&topic));
                topic
            }
        };
        match records::copy(message, &topic) {
            Ok(record) => {
                if !self.queues.push(record) {
                    self.stop(unavailable(format!("records of {topic} came out of order")));
                }
            }
            Err(error) => self.stop(error),
        }
    }

    fn fail(&self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                match out_of_range(&self.consumer, &self.group) {
                    Ok(Some(error)) => self.stop(error),
                    Ok(None) => self.stop(unavailable(format!("reading: {error}"))),
                    Err(asking) => self.stop(meaning("asking for offsets", &asking)),
                }
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.stop(unavailable(
                    "a topic of this worker no longer exists".into(),
                ));
            }
            _ => match meaning("reading", error) {
                // The client reconnects by itself.
                LogError::Unavailable { what, .. } => {
                    tracing::warn!(what, "a worker of Kafka waits");
                }
                error => self.stop(error),
            },
        }
    }

    fn stop(&self, error: LogError) {
        self.queues.stop(Arc::new(move || again(&error)));
    }
}

/// The same error once more: it is told to every later call.
fn again(error: &LogError) -> LogError {
    match error {
        LogError::OffsetOutOfRange {
            group,
            topic,
            partition,
            committed,
            first,
            end,
        } => LogError::OffsetOutOfRange {
            group: group.clone(),
            topic: topic.clone(),
            partition: *partition,
            committed: *committed,
            first: *first,
            end: *end,
        },
        LogError::Config { what } => LogError::Config { what: what.clone() },
        LogError::Unavailable { what, .. } => unavailable(what.clone()),
        other => fatal(other.to_string()),
    }
}
