//! Publishing outside a transaction: idempotent, in order, acknowledged by all replicas.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer;
use shiren_log::{LogError, NewRecord, Publisher, Record};

use crate::KafkaLog;
use crate::delivery::{self, Failed, Reports, Sender};
use crate::errors::{meaning, unavailable};
use crate::records::Entry;

/// librdkafka reports every record within its delivery time; this is for the report itself.
const REPORT_MAX_WAIT: Duration = Duration::from_secs(2);

/// Publishes with a producer of its own.
pub(crate) struct KafkaPublisher {
    log: KafkaLog,
    sender: Sender,
}

impl KafkaPublisher {
    pub(crate) fn open(log: KafkaLog) -> Result<Self, LogError> {
        let sender = open_sender(&log)?;
        Ok(Self { log, sender })
    }

    fn append(&mut self, mut entries: Vec<Entry>) -> Result<(), LogError> {
        for entry in &mut entries {
            self.log.topics().place(entry)?;
        }
        if self.sender.client().fatal_error().is_some() {
            self.sender = open_sender(&self.log)?;
        }
        let max_wait = self.log.settings().delivery_max_wait() + REPORT_MAX_WAIT;
        let deadline = Instant::now() + max_wait;
        let sent = delivery::send(&self.sender, &entries, deadline);
        let reported = delivery::wait(&self.sender, deadline);
        if let Some(failed) = self.sender.context().take() {
            return Err(refused(&failed));
        }
        sent.map_err(|error| meaning("publishing", &error))?;
        if reported {
            return Ok(());
        }
        // Records of this call must not be reported to the next one.
        self.sender = open_sender(&self.log)?;
        Err(unavailable("publishing: no acknowledgement in time".into()))
    }
}

fn open_sender(log: &KafkaLog) -> Result<Sender, LogError> {
    log.settings()
        .producer()
        .create_with_context(Reports::default())
        .map_err(|error| meaning("opening a producer", &error))
}

/// What a failed delivery means.
pub(crate) fn refused(failed: &Failed) -> LogError {
    match failed.error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            LogError::RecordTooLarge {
                topic: failed.topic.clone(),
                bytes: failed.bytes,
                max: failed.bytes.saturating_sub(1),
            }
        }
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => LogError::UnknownTopic {
            topic: failed.topic.clone(),
        },
        _ => meaning(&format!("publishing to {}", failed.topic), &failed.error),
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&mut self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.append(records.into_iter().map(Entry::from).collect())
    }

    fn publish_copies(&mut self, copies: Vec<Record>) -> Result<(), LogError> {
        self.append(copies.into_iter().map(Entry::from).collect())
    }
}
