//! The polling thread of a worker: whatever the worker does, the group sees a live member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use shiren_log::LogError;

use crate::assignment::out_of_range;
use crate::errors::{fatal, meaning, unavailable};
use crate::queues::{GroupConsumer, Queues};
use crate::records;

/// Longest time the thread does not see that it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// The thread; it ends when this is dropped.
pub(crate) struct Polling {
    stop: Arc<AtomicBool>,
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
            topics: BTreeMap::new(),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("shiren-log-poll".into())
            .spawn(move || poller.run(&stopped))
            .map_err(|error| fatal(format!("cannot start the polling thread: {error}")))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
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
    /// One name for all records of a topic.
    topics: BTreeMap<String, Arc<str>>,
}

impl Poller {
    fn run(mut self, stop: &AtomicBool) {
        let consumer = Arc::clone(&self.consumer);
        while !stop.load(Ordering::Acquire) {
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.fail(&error),
            }
        }
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
            Ok(record) => self.queues.push(&self.consumer, record),
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
