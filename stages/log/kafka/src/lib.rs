//! The log on Apache Kafka: transactions give exactly-once commits of outputs and offsets.
//!
//! The only crate that knows `rdkafka`. Producer settings, waiting and error handling that the
//! delivery promise depends on are fixed here; every other librdkafka property is the operator's.

mod admin;
mod assignment;
mod delivery;
mod errors;
mod polling;
mod publisher;
mod queues;
mod reader;
mod records;
mod settings;
mod topics;
mod watermarks;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use shiren_log::{
    Applied, Log, LogError, Partitions, Publisher, Reader, Record, Start, TopicSpec, TopicState,
    Worker, WorkerOptions,
};

pub use crate::settings::KafkaOptions;
use crate::settings::Settings;
use crate::topics::Topics;

/// Name of the engine in errors and telemetry.
const ENGINE: &str = "kafka";

/// A Kafka cluster as a log. Clones share it.
#[derive(Clone)]
pub struct KafkaLog(Arc<Shared>);

struct Shared {
    settings: Settings,
    topics: Topics,
    /// Asks for ends of partitions with open transactions counted in; connected at the first question.
    asker: Mutex<Option<Arc<BaseConsumer>>>,
}

impl KafkaLog {
    /// Checks the options and asks the cluster for its topics once.
    ///
    /// # Errors
    /// [`LogError::Config`] for a property that is unknown, malformed or fixed by the delivery
    /// promise; [`LogError::Unavailable`] when no broker answers in time.
    pub fn open(options: KafkaOptions) -> Result<Self, LogError> {
        let settings = Settings::check(options)?;
        let topics = Topics::connect(&settings)?;
        Ok(Self(Arc::new(Shared {
            settings,
            topics,
            asker: Mutex::default(),
        })))
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn topics(&self) -> &Topics {
        &self.0.topics
    }

    /// What was wrong may be what it knows of brokers: the next one asks who leads what.
    fn forget_asker(&self) {
        *self.0.asker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// One for all: each assignment asks, and a connection takes longer than its answer.
    fn asker(&self) -> Result<Arc<BaseConsumer>, KafkaError> {
        let mut known = self.0.asker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = known.as_ref() {
            return Ok(asker.clone());
        }
        let mut settings = self.settings().reader();
        settings.set("isolation.level", "read_uncommitted");
        let asker: Arc<BaseConsumer> = Arc::new(settings.create()?);
        *known = Some(asker.clone());
        Ok(asker)
    }

    fn request_max_wait(&self) -> Duration {
        self.settings().request_max_wait()
    }
}

impl Log for KafkaLog {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn apply_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
        let applied = admin::apply(self.settings(), self.topics(), specs);
        self.topics().forget();
        applied
    }

    fn partitions(&self, topic: &str) -> Result<Partitions, LogError> {
        self.topics().partitions(topic)
    }

    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        admin::describe(self.topics(), topic)
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(publisher::KafkaPublisher::open(self.clone())?))
    }

    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(reader::KafkaReader::open(self, topic, start)?))
    }

    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError> {
        reader::read_partitions(self, topic, partitions, each)
    }

    fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        reader::read_at(self, topic, partition, offset)
    }

    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(worker::KafkaWorker::open(self.clone(), options)?))
    }
}
