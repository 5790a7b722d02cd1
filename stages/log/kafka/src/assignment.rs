//! A worker's membership in its group: what happens when partitions come and go.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use crate::errors::meaning;
use crate::queues::{Place, Queues};
use crate::watermarks::watermarks;

/// Callbacks of the group consumer; they run on the polling thread.
pub(crate) struct Member {
    pub(crate) queues: Arc<Queues>,
    pub(crate) max_wait: Duration,
}

impl ClientContext for Member {
    fn stats(&self, statistics: Statistics) {
        for (topic, of_topic) in &statistics.topics {
            for (partition, at) in &of_topic.partitions {
                // Negative: not known.
                if at.ls_offset >= 0 {
                    self.queues.ends_at(topic, *partition, at.ls_offset);
                }
            }
        }
    }
}

impl ConsumerContext for Member {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list)
        } else {
            self.revoke(consumer, list)
        };
        if let Err(error) = done {
            tracing::error!(%error, "a change of the assignment failed");
            self.queues
                .stop(Arc::new(move || meaning("taking partitions", &error)));
        }
    }
}

impl Member {
    /// Starts each partition at its committed offset, or at its beginning when there is none.
    /// The consumer reads committed, so the question waits for transactions under way.
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let committed = consumer.committed_offsets(list.clone(), self.max_wait)?;
        let mut begins = Vec::new();
        let mut start = TopicPartitionList::with_capacity(committed.count());
        for element in committed.elements() {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let from = offset.map_or(Offset::Beginning, Offset::Offset);
            start.add_partition_offset(element.topic(), element.partition(), from)?;
            begins.push(((element.topic().into(), element.partition()), offset));
        }
        tracing::info!(partitions = begins.len(), "partitions assigned");
        self.queues.assigned(begins);
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&start),
            _ => consumer.assign(&start),
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let places: Vec<Place> = (list.elements().iter())
            .map(|element| (element.topic().into(), element.partition()))
            .collect();
        tracing::info!(partitions = places.len(), "partitions revoked");
        self.queues.revoked(&places);
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        }
    }
}

/// An error that names the partition whose offset lies outside the log, if there is one.
pub(crate) fn out_of_range(
    consumer: &BaseConsumer<Member>,
    group: &str,
) -> Result<Option<shiren_log::LogError>, KafkaError> {
    let member = consumer.context();
    for ((topic, partition), committed) in member.queues.positions() {
        let (first, end) = watermarks(consumer, &topic, partition, member.max_wait)?;
        if !(first..=end).contains(&committed) {
            return Ok(Some(shiren_log::LogError::OffsetOutOfRange {
                group: group.into(),
                topic: topic.to_string(),
                partition,
                committed,
                first,
                end,
            }));
        }
    }
    Ok(None)
}
