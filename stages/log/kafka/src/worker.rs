//! The consume-transform-produce end: bundles out, one transaction back.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use shiren_log::{
    Assignment, Bundle, Commit, Lag, LogError, NewRecord, Position, Worker, WorkerOptions,
    kill_point,
};

use crate::KafkaLog;
use crate::assignment::Member;
use crate::delivery::{self, Failed, Reports, Sender};
use crate::errors::{meaning, unavailable};
use crate::polling::{GroupConsumer, Polling};
use crate::publisher::refused;
use crate::queues::{Claim, Queues};
use crate::records::Entry;
use crate::watermarks::watermarks;

/// How much longer than its own limit a call is waited for from outside.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// A group member with a transactional producer of its own.
pub(crate) struct KafkaWorker {
    log: KafkaLog,
    options: WorkerOptions,
    queues: Arc<Queues>,
    sender: Arc<Sender>,
    /// The outcome of a transaction is unknown: only a new worker can go on.
    lost: bool,
    consumer: Arc<GroupConsumer>,
    /// After the consumer: the polling thread then drops the last of it, which leaves the group.
    _polling: Polling,
}

/// How a step of a transaction failed.
enum Failure {
    /// It can be aborted, and nothing is written.
    Abort(KafkaError),
    /// The broker did not take a record.
    Refused(Failed),
    /// Unknown, fatal or fenced.
    Lost(String),
}

impl KafkaWorker {
    pub(crate) fn open(log: KafkaLog, options: WorkerOptions) -> Result<Self, LogError> {
        let partitions = check(&log, &options)?;
        let sender = Arc::new(open_sender(&log, &options)?);
        let queues = Arc::new(Queues::new(options.queue_max_bytes));
        let member = Member {
            queues: Arc::clone(&queues),
            max_wait: log.request_max_wait(),
        };
        let opening = |error: KafkaError| meaning("opening a worker", &error);
        let mut consumer: GroupConsumer = log
            .settings()
            .member(
                &options.group,
                &options.transactional_id,
                options.queue_max_bytes / partitions,
            )
            .create_with_context(member)
            .map_err(opening)?;
        let wake = Arc::clone(&queues.wake);
        consumer.set_nonempty_callback(move || wake.tell());
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(opening)?;
        let consumer = Arc::new(consumer);
        let polling = Polling::start(
            Arc::clone(&consumer),
            Arc::clone(&queues),
            options.group.clone(),
        )?;
        Ok(Self {
            log,
            options,
            queues,
            sender,
            lost: false,
            consumer,
            _polling: polling,
        })
    }

    /// One transaction for what is claimed, if it is still this worker's.
    fn commit_claims(
        &mut self,
        generation: u64,
        claims: Option<Vec<Claim>>,
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        let Some(claims) = claims else {
            return Ok(Commit::Revoked);
        };
        let mut outputs: Vec<Entry> = outputs.into_iter().map(Entry::from).collect();
        for output in &mut outputs {
            self.log.topics().place(output)?;
        }
        match self.transact(generation, &claims, &outputs) {
            Ok(()) => {
                self.queues.committed(claims);
                Ok(Commit::Done)
            }
            Err(failure) => self.undo(generation, failure),
        }
    }

    /// The whole transaction.
    fn transact(
        &self,
        generation: u64,
        claims: &[Claim],
        outputs: &[Entry],
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + self.log.settings().delivery_max_wait();
        self.begin()?;
        kill_point("begun");
        self.produce(outputs, deadline)?;
        kill_point("produced");
        self.send_offsets(generation, claims, deadline)?;
        kill_point("offsets_sent");
        self.finish(deadline)?;
        kill_point("committed");
        Ok(())
    }

    fn begin(&self) -> Result<(), Failure> {
        self.sender.begin_transaction().map_err(failure)
    }

    fn produce(&self, outputs: &[Entry], deadline: Instant) -> Result<(), Failure> {
        delivery::send(&self.sender, outputs, deadline).map_err(failure)?;
        let reported = delivery::wait(&self.sender, deadline);
        if let Some(failed) = self.sender.context().take() {
            return Err(Failure::Refused(failed));
        }
        if reported {
            return Ok(());
        }
        Err(Failure::Lost("no acknowledgement in time".into()))
    }

    fn send_offsets(
        &self,
        generation: u64,
        claims: &[Claim],
        deadline: Instant,
    ) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::with_capacity(claims.len());
        for Claim { place, to, .. } in claims {
            offsets
                .add_partition_offset(&place.0, place.1, Offset::Offset(*to))
                .map_err(failure)?;
        }
        let membership = self.membership(generation)?;
        let sender = Arc::clone(&self.sender);
        within(deadline + ANSWER_GRACE, move || {
            again_until(deadline, || {
                let left = deadline.saturating_duration_since(Instant::now());
                sender.send_offsets_to_transaction(&offsets, &membership, left)
            })
        })
    }

    /// The membership of a generation. Taken before the generation is compared:
    /// a newer membership implies that the revocation before it has been seen.
    fn membership(&self, generation: u64) -> Result<ConsumerGroupMetadata, Failure> {
        let membership = self.consumer.group_metadata();
        let revoked = || Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::IllegalGeneration));
        let membership = membership.ok_or_else(revoked)?;
        if self.queues.generation() == generation {
            return Ok(membership);
        }
        Err(revoked())
    }

    fn finish(&self, deadline: Instant) -> Result<(), Failure> {
        again_until(deadline, || {
            let left = deadline.saturating_duration_since(Instant::now());
            self.sender
                .commit_transaction(left.max(Duration::from_millis(1)))
        })
    }

    /// Undoes the open transaction; false when that failed, too.
    fn abort(&self) -> bool {
        let deadline = Instant::now() + self.log.settings().delivery_max_wait();
        // What is queued is not sent any more; the call itself serves no delivery reports.
        self.sender
            .purge(rdkafka::producer::PurgeConfig::default().queue());
        if !delivery::wait(&self.sender, deadline) {
            return false;
        }
        self.sender.context().take();
        let aborted = again_until(deadline, || {
            let left = deadline.saturating_duration_since(Instant::now());
            self.sender
                .abort_transaction(left.max(Duration::from_millis(1)))
        });
        aborted.is_ok()
    }

    /// Ends a failed transaction and says what became of the bundle.
    fn undo(&mut self, generation: u64, failure: Failure) -> Result<Commit, LogError> {
        let (refusal, code) = match failure {
            Failure::Lost(what) => {
                tracing::warn!(what, "the outcome of a transaction is unknown");
                self.lost = true;
                return Ok(Commit::Rebuild);
            }
            Failure::Refused(failed) => {
                let code = failed.error.rdkafka_error_code();
                (Some(refused(&failed)), code)
            }
            Failure::Abort(error) => {
                tracing::info!(%error, "a transaction is aborted");
                (None, error_code(&error))
            }
        };
        if !self.abort() {
            self.lost = true;
            return Ok(Commit::Rebuild);
        }
        match refusal {
            Some(
                refusal @ (LogError::RecordTooLarge { .. }
                | LogError::UnknownTopic { .. }
                | LogError::Config { .. }),
            ) => Err(refusal),
            _ if code.is_some_and(is_membership_lost) || self.queues.generation() != generation => {
                Ok(Commit::Revoked)
            }
            _ => Ok(Commit::Retry),
        }
    }
}

impl Worker for KafkaWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let deadline = Instant::now() + self.options.poll_max_wait;
        self.queues.next(&self.options, deadline)
    }

    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        if self.lost {
            return Ok(Commit::Rebuild);
        }
        let claims = self.queues.claim(bundle);
        self.commit_claims(bundle.generation, claims, outputs)
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        self.queues.assignment()
    }

    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError> {
        let asking = |error: KafkaError| meaning("asking for the end of a partition", &error);
        let position = self.consumer.position().map_err(asking)?;
        let Some(element) = position.find_partition(topic, partition) else {
            return Ok(false);
        };
        let max_wait = self.log.request_max_wait();
        let range = watermarks(self.consumer.as_ref(), topic, partition, max_wait);
        let (_, end) = range.map_err(asking)?;
        // Nothing was polled yet where there is no position: the group's offset is where it begins.
        let next = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => self.queues.committed_at(topic, partition),
        };
        Ok(next.is_some_and(|next| next >= end) && self.queues.is_empty_at(topic, partition))
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        shiren_log::check_positions(positions)?;
        if self.lost {
            return Ok(Commit::Rebuild);
        }
        let claims = self.queues.claim_positions(generation, positions);
        self.commit_claims(generation, claims, outputs)
    }

    fn lag(&mut self) -> Result<Vec<Lag>, LogError> {
        Ok(self.queues.lag())
    }
}

/// Checks the options and counts the partitions, 1 or more.
fn check(log: &KafkaLog, options: &WorkerOptions) -> Result<usize, LogError> {
    if options.topics.is_empty() || options.bundle_max_records == 0 {
        return Err(LogError::Config {
            what: format!(
                "worker {}: needs a topic, and bundle_max_records of 1 or more",
                options.transactional_id
            ),
        });
    }
    let mut partitions = 0;
    for topic in &options.topics {
        let found = log.topics().partitions(topic)?;
        let found = found.ok_or_else(|| LogError::UnknownTopic {
            topic: topic.clone(),
        })?;
        partitions += usize::try_from(found).unwrap_or_default();
    }
    Ok(partitions.max(1))
}

/// Opens the producer and fences its predecessor, whose open transaction is ended first.
fn open_sender(log: &KafkaLog, options: &WorkerOptions) -> Result<Sender, LogError> {
    let opening = |error: KafkaError| meaning("opening a transactional producer", &error);
    let sender: Sender = log
        .settings()
        .transactional(&options.transactional_id)
        .create_with_context(Reports::default())
        .map_err(opening)?;
    let deadline = Instant::now() + log.request_max_wait();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match sender.init_transactions(left.max(Duration::from_millis(1))) {
            Ok(()) => return Ok(sender),
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && Instant::now() < deadline => {}
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                return Err(unavailable(format!(
                    "opening a transactional producer: {error}"
                )));
            }
            Err(error) => return Err(opening(error)),
        }
    }
}

/// Waits for a step from outside. librdkafka forgets the time limit of offsets while it looks for a group coordinator that
/// has died (its issues 5456 and 5511, open in 2.12.1): the call may never come back. Its producer is then left to it, and
/// fenced by the next one.
fn within(
    deadline: Instant,
    step: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let (done, outcome) = mpsc::sync_channel(1);
    let started = std::thread::Builder::new()
        .name("shiren-log-offsets".to_owned())
        .spawn(move || {
            // Nobody waits any more where it came too late.
            let _ = done.send(step());
        });
    if let Err(error) = started {
        return Err(Failure::Lost(format!("no thread for the offsets: {error}")));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    outcome
        .recv_timeout(left)
        .unwrap_or_else(|_| Err(Failure::Lost("no answer to the offsets in time".into())))
}

/// Repeats a step as long as it fails in a way that a repetition can mend.
fn again_until(
    deadline: Instant,
    step: impl Fn() -> Result<(), KafkaError>,
) -> Result<(), Failure> {
    loop {
        match step() {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error))
                if error.is_retriable()
                    && !error.is_fatal()
                    && !error.txn_requires_abort()
                    && Instant::now() < deadline => {}
            Err(error) => return Err(failure(error)),
        }
    }
}

fn failure(error: KafkaError) -> Failure {
    match &error {
        KafkaError::Transaction(inner) if inner.is_fatal() => Failure::Lost(error.to_string()),
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => Failure::Abort(error),
        KafkaError::MessageProduction(code) if *code != RDKafkaErrorCode::Fatal => {
            Failure::Abort(error)
        }
        _ => Failure::Lost(error.to_string()),
    }
}

fn error_code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    }
}

/// The group no longer counts this worker in: its partitions are another's.
fn is_membership_lost(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::RebalanceInProgress
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
    )
}
