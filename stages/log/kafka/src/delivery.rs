//! Sending, and waiting for the broker's acknowledgement.
//!
//! `BaseProducer::flush` polls in 100-ms steps, which makes a hop 107 ms; polling without a rest
//! burns ten times the processor time. A look and a rest of 300 us cost neither.
//!
//! librdkafka's broker thread polls without a rest, too, as long as a record waits that it may not
//! send yet. So records that fill a request of their own are handed over only as fast as it sends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::records::Entry;
use crate::settings::BATCH_MAX_BYTES;

const REST: Duration = Duration::from_micros(300);
/// Smallest record, key and value, that no second one of its size joins in a request, bytes.
const LARGE_MIN_BYTES: usize = BATCH_MAX_BYTES / 2;
/// Most records of a partition that librdkafka's idempotent producer has under way
/// (`RD_KAFKA_IDEMP_MAX_INFLIGHT`, which it compares with a count of records).
const LARGE_MAX_IN_FLIGHT: usize = 5;

/// Collects the first failed delivery.
#[derive(Default)]
pub(crate) struct Reports {
    failed: Mutex<Option<Failed>>,
    /// Large records that are handed over and not reported, by topic and partition.
    large: Mutex<BTreeMap<(String, i32), usize>>,
}

/// A record that the broker did not take.
pub(crate) struct Failed {
    pub(crate) error: KafkaError,
    pub(crate) topic: String,
    pub(crate) bytes: usize,
}

impl Reports {
    /// The first failure since the last call.
    pub(crate) fn take(&self) -> Option<Failed> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn large(&self) -> MutexGuard<'_, BTreeMap<(String, i32), usize>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a record that is about to be handed over; false when it has to wait.
    fn enter(&self, entry: &Entry) -> bool {
        let (Some(partition), true) = (entry.partition, body_bytes(entry) >= LARGE_MIN_BYTES)
        else {
            return true;
        };
        let mut large = self.large();
        let place = (entry.topic.to_string(), partition);
        let under_way = large.entry(place).or_default();
        let has_room = *under_way < LARGE_MAX_IN_FLIGHT;
        *under_way += usize::from(has_room);
        has_room
    }

    /// Counts a record off that was reported, or not taken.
    fn leave(&self, topic: &str, partition: i32, bytes: usize) {
        if bytes < LARGE_MIN_BYTES {
            return;
        }
        if let Some(under_way) = self.large().get_mut(&(topic.to_owned(), partition)) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    fn note(&self, failed: Failed) {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failed);
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (Ok(message) | Err((_, message))) = result;
        let bytes = message.payload_len() + message.key_len();
        self.leave(message.topic(), message.partition(), bytes);
        if let Err((error, message)) = result {
            self.note(Failed {
                error: error.clone(),
                topic: message.topic().to_owned(),
                bytes,
            });
        }
    }
}

/// A producer that reports to us.
pub(crate) type Sender = BaseProducer<Reports>;

/// Hands records to the producer; waits while its queue is full, or a large record could not be
/// sent yet.
pub(crate) fn send(sender: &Sender, entries: &[Entry], deadline: Instant) -> KafkaResult<()> {
    for entry in entries {
        while !sender.context().enter(entry) {
            if Instant::now() >= deadline {
                return Err(KafkaError::MessageProduction(
                    RDKafkaErrorCode::MessageTimedOut,
                ));
            }
            look_or_rest(sender);
        }
        let mut record = entry.as_record();
        loop {
            match sender.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    look_or_rest(sender);
                }
                Err((error, _)) => {
                    if let Some(partition) = entry.partition {
                        let reports = sender.context();
                        reports.leave(&entry.topic, partition, body_bytes(entry));
                    }
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Key and value, bytes.
fn body_bytes(entry: &Entry) -> usize {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    len(&entry.key) + len(&entry.value)
}

/// Waits until every record is acknowledged or has failed; false when `deadline` passed first.
pub(crate) fn wait(sender: &Sender, deadline: Instant) -> bool {
    while sender.in_flight_count() > 0 {
        if Instant::now() >= deadline {
            return false;
        }
        look_or_rest(sender);
    }
    true
}

fn look_or_rest(sender: &Sender) {
    let before = sender.in_flight_count();
    sender.poll(Duration::ZERO);
    if sender.in_flight_count() == before {
        std::thread::park_timeout(REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(partition: i32, bytes: usize) -> Entry {
        Entry::from(shiren_log::NewRecord {
            topic: "t".into(),
            partition: Some(partition),
            key: "k".into(),
            value: Some(vec![0; bytes].into()),
            headers: Vec::new(),
        })
    }

    #[test]
    fn large_records_of_a_partition_wait_for_room() {
        let reports = Reports::default();
        let large = entry(0, LARGE_MIN_BYTES);
        for _ in 0..LARGE_MAX_IN_FLIGHT {
            assert!(reports.enter(&large));
        }
        assert!(!reports.enter(&large));
        assert!(reports.enter(&entry(0, 1)), "small ones share a request");
        assert!(reports.enter(&entry(1, LARGE_MIN_BYTES)));
        reports.leave("t", 0, 1);
        assert!(!reports.enter(&large));
        reports.leave("t", 0, body_bytes(&large));
        assert!(reports.enter(&large));
        assert!(!reports.enter(&large));
    }
}
