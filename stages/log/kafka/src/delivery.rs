//! Sending, and waiting for the broker's acknowledgement.
//!
//! `BaseProducer::flush` polls in 100-ms steps, which makes a hop 107 ms; polling without a rest
//! burns ten times the processor time. A look and a rest of 300 us cost neither.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::records::Entry;

const REST: Duration = Duration::from_micros(300);

/// Collects the first failed delivery.
#[derive(Default)]
pub(crate) struct Reports {
    failed: Mutex<Option<Failed>>,
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
        if let Err((error, message)) = result {
            self.note(Failed {
                error: error.clone(),
                topic: message.topic().to_owned(),
                bytes: message.payload_len() + message.key_len(),
            });
        }
    }
}

/// A producer that reports to us.
pub(crate) type Sender = BaseProducer<Reports>;

/// Hands records to the producer; waits while its queue is full.
pub(crate) fn send(sender: &Sender, entries: &[Entry], deadline: Instant) -> KafkaResult<()> {
    for entry in entries {
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
                Err((error, _)) => return Err(error),
            }
        }
    }
    Ok(())
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
