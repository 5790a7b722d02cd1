//! Records on their way in and out.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use shiren_log::{LogError, NewRecord, Record};

/// A record to be produced.
pub(crate) struct Entry {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
    pub(crate) bytes: usize,
}

impl From<NewRecord> for Entry {
    fn from(record: NewRecord) -> Self {
        Self {
            bytes: record.size_bytes(),
            topic: record.topic,
            partition: record.partition,
            key: Some(record.key),
            value: record.value,
            headers: (record.headers.into_iter())
                .map(|(name, value)| (name, Some(value)))
                .collect(),
        }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        Self {
            bytes: record.size_bytes(),
            topic: record.topic,
            partition: Some(record.partition),
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }
}

impl Entry {
    /// The same as librdkafka takes it; the bytes are copied when it is sent.
    pub(crate) fn as_record(&self) -> BaseRecord<'_, [u8], [u8]> {
        let mut record = BaseRecord::to(&self.topic);
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if let Some(key) = &self.key {
            record = record.key(key.as_ref());
        }
        if let Some(value) = &self.value {
            record = record.payload(value.as_ref());
        }
        if self.headers.is_empty() {
            return record;
        }
        let headers = OwnedHeaders::new_with_capacity(self.headers.len());
        let add = |headers: OwnedHeaders, (key, value): &(String, Option<Bytes>)| {
            headers.insert(Header {
                key,
                value: value.as_deref(),
            })
        };
        record.headers(self.headers.iter().fold(headers, add))
    }
}

/// Copies a message out of librdkafka, whose consumer cannot be dropped while one lives.
pub(crate) fn copy(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Result<Record, LogError> {
    let Timestamp::LogAppendTime(time_ms) = message.timestamp() else {
        return Err(LogError::Config {
            what: format!(
                "topic {topic} carries the producers' clocks: run `shiren topics apply`, which sets message.timestamp.type=LogAppendTime; records before that stay as they are"
            ),
        });
    };
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Ok(Record {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        append_time_us: time_ms.saturating_mul(1_000),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|header| {
                (
                    header.key.to_owned(),
                    header.value.map(Bytes::copy_from_slice),
                )
            })
            .collect(),
    })
}
