//! A topology that has passed every check: what the runtime and the stages are built from.
//!
//! Ranges and defaults of each field stand in [`crate::SETTINGS`]; every value here lies in them.

use std::collections::BTreeMap;

use shiren_contract::policy::Scenes;
use shiren_contract::still::StillLimits;
use shiren_schemas::records::Lane;

use crate::asks::Authority;
use crate::identity_limit::IdentityLimit;
use crate::library::Library;
use crate::problem::Problem;
use crate::quality::Quality;
use crate::register::Register;
use crate::telemetry::Telemetry;

/// The whole of `topology.toml` with defaults and environment applied.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Tenants, each `[a-z0-9-]{1,32}`, no repeats, at least one.
    pub tenants: Vec<String>,
    /// Lanes that have topics and workers, no repeats, at least one.
    pub lanes: Vec<Lane>,
    /// The log and how it is reached.
    pub log: LogSettings,
    /// Topics: partitions, sizes, retention.
    pub topics: Topics,
    /// The total order of the stages; the first is `admit`.
    pub chain: Vec<String>,
    /// Segments in chain order; together they hold every stage of the chain once.
    pub segments: Vec<Segment>,
    /// Bounds of one bundle and of the queue before it.
    pub bundle: Bundle,
    /// Bounds of the runtime.
    pub runtime: Runtime,
    /// Bounds of what stages remember.
    pub state: State,
    /// Which weights run, and how.
    pub models: Models,
    /// Limits on still pictures.
    pub stills: Stills,
    /// Passive liveness.
    pub liveness: Liveness,
    /// Detection, crops and the choice of the subject.
    pub detect: Detect,
    /// How long authorities are waited for.
    pub authority: Authority,
    /// The face library, and how long is waited for it.
    pub library: Library,
    /// Bounds of the policy's topic.
    pub policy: Policy,
    /// The key store, and how long its keys live.
    pub vault: Vault,
    /// The local register of persons.
    pub register: Register,
    /// Attempts on one identity number.
    pub identity_limit: IdentityLimit,
    /// What operators see of a process.
    pub telemetry: Telemetry,
    /// Limits on the quality of faces.
    pub quality: Quality,
    /// Policy by scene that the topic is seeded with; `default` is always among them.
    pub scenes: Scenes,
    /// What is legal but likely to hurt; to be shown to the operator.
    pub warnings: Vec<Problem>,
}

impl Topology {
    /// The segment that runs `stage`.
    #[must_use]
    pub fn segment_of(&self, stage: &str) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| segment.stages.iter().any(|name| name == stage))
    }

    /// The segment named `name`.
    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }
}

/// The log.
#[derive(Clone, Debug)]
pub enum LogSettings {
    /// The store in this process.
    Embedded(EmbeddedLog),
    /// A Kafka cluster.
    Kafka(KafkaLog),
}

/// Settings of the embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedLog {
    /// Folder, relative to `SHIREN_HOME` unless absolute.
    pub dir: String,
    /// Cap of the store's size, MiB; beyond it publishing is refused.
    pub max_mib: u64,
    /// Pause between sweeps that delete what is past its retention, milliseconds.
    pub retention_sweep_ms: u64,
    /// Longest wait for the write lock, milliseconds.
    pub write_lock_max_wait_ms: u64,
}

/// Settings of a Kafka client.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaLog {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Further librdkafka properties, environment applied; none that Shiren sets itself.
    pub properties: BTreeMap<String, String>,
    /// `transaction.timeout.ms`.
    pub transaction_timeout_ms: u32,
    /// `session.timeout.ms`.
    pub session_timeout_ms: u32,
    /// Whether members are known by their slot over a restart.
    pub static_membership: bool,
    /// Longest wait for the delivery reports of one bundle, milliseconds; below `transaction_timeout_ms`.
    pub delivery_max_wait_ms: u32,
    /// Longest wait for any other answer of the brokers, milliseconds.
    pub request_max_wait_ms: u32,
}

impl std::fmt::Debug for KafkaLog {
    /// Names of properties only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("transaction_timeout_ms", &self.transaction_timeout_ms)
            .field("session_timeout_ms", &self.session_timeout_ms)
            .field("static_membership", &self.static_membership)
            .field("delivery_max_wait_ms", &self.delivery_max_wait_ms)
            .field("request_max_wait_ms", &self.request_max_wait_ms)
            .finish()
    }
}

/// Topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Partitions of every topic.
    pub partitions: i32,
    /// Most bytes of one record.
    pub max_record_bytes: usize,
    /// Retention of ingress, milliseconds.
    pub requests_retention_ms: u64,
    /// Retention of verdicts, milliseconds.
    pub verdicts_retention_ms: u64,
    /// Retention of results, milliseconds.
    pub results_retention_ms: u64,
    /// Retention of evidence, milliseconds.
    pub evidence_retention_ms: u64,
    /// Retention of dead letters, milliseconds.
    pub dead_letters_retention_ms: u64,
    /// Retention of the topics between segments, milliseconds.
    pub stages_retention_ms: u64,
    /// Of library commands, milliseconds.
    pub library_commands_retention_ms: u64,
}

/// A run of stages in one worker loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Name, `[a-z0-9-]{1,32}`; part of transactional ids.
    pub name: String,
    /// Stages, in chain order, without a gap.
    pub stages: Vec<String>,
    /// Worker loops of a process that runs this segment, for each lane; at most `topics.partitions`.
    pub workers: u32,
}

/// Bounds of a bundle and of the queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Most records.
    pub max_records: usize,
    /// Most bytes of its input records.
    pub max_bytes: usize,
    /// Longest wait of one poll for a first record, milliseconds.
    pub poll_max_wait_ms: u64,
    /// Most bytes of polled records that wait in a worker's queues.
    pub queue_max_bytes: usize,
}

/// Bounds of the runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Runtime {
    /// Longest time from a stop signal to the end of the process, milliseconds.
    pub drain_max_ms: u64,
    /// Runs of a bundle whose commit fails, before the worker stops with an error.
    pub rerun_max_attempts: u32,
    /// Dead letters in a row after which the segment stops.
    pub dead_letters_max_consecutive: u32,
    /// Largest share of dead letters among the last `dead_letters_window_records` of a worker.
    pub dead_letters_max_ratio: f64,
    /// Records over which the ratio is taken.
    pub dead_letters_window_records: usize,
    /// Most bytes of a record that its dead letter keeps, sealed.
    pub dead_letters_head_max_bytes: usize,
    /// Deaths of the process on one record alone, after which it becomes a dead letter.
    pub crash_max_attempts: i32,
    /// Longest time of one stage with one record, milliseconds.
    pub record_max_ms: u64,
    /// Largest distance of a worker's clock from the log's, milliseconds.
    pub clock_max_skew_ms: u64,
    /// Longest time with a clock that is off, milliseconds.
    pub clock_max_off_ms: u64,
    /// Largest distance of a live case's capture time from its append time, milliseconds.
    pub capture_max_skew_ms: i64,
    /// Niceness of the loops.
    pub nice: i32,
    /// Niceness of the bulk lane's loops, where that is more.
    pub bulk_nice: i32,
    /// Resident memory of a worker process beyond which it stops, MiB.
    pub max_resident_mib: u64,
    /// Largest deadline that a request may ask for, milliseconds.
    pub deadline_max_ms: u64,
}

/// Bounds of what stages remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Most keys of a partition.
    pub partition_max_keys: usize,
    /// Most bytes of a partition.
    pub partition_max_bytes: usize,
    /// How often timers of idle partitions are looked at, milliseconds.
    pub tick_ms: u64,
}

/// Weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    /// Profile of the manifest.
    pub profile: String,
    /// Threads of one model run.
    pub threads: usize,
    /// The manifest, relative to the folder of `topology.toml` unless absolute.
    pub manifest: String,
}

/// Passive liveness.
#[derive(Clone, Debug, PartialEq)]
pub struct Liveness {
    /// Fusion tables, relative to the manifest's folder.
    pub tables: Vec<String>,
    /// Narrowest face that is judged, pixels.
    pub min_face_px: u32,
    /// Least sharpness that is judged, where quality measured it.
    pub min_sharpness: f64,
}

/// Limits on still pictures, checked before a pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stills {
    /// Most bytes of one picture's file.
    pub max_bytes: usize,
    /// Most pixels, width x height.
    pub max_pixels: u64,
    /// Longest side, pixels.
    pub max_side_px: u32,
    /// Shortest side, pixels.
    pub min_side_px: u32,
    /// Longest time to decode, milliseconds.
    pub decode_max_ms: u64,
}

impl From<Stills> for StillLimits {
    fn from(stills: Stills) -> Self {
        Self {
            max_bytes: stills.max_bytes,
            max_pixels: stills.max_pixels,
            max_side_px: stills.max_side_px,
            min_side_px: stills.min_side_px,
            decode_max_ms: stills.decode_max_ms,
        }
    }
}

/// Detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detect {
    /// Most faces kept of one picture; the largest ones.
    pub max_faces: usize,
    /// Longest side of a crop, pixels.
    pub crop_max_side_px: u32,
    /// Most bytes of one crop (raw RGB).
    pub crop_max_bytes: usize,
    /// Side of a crop as a multiple of the face box.
    pub crop_context: f64,
    /// Longest side of the detection net's input, pixels.
    pub net_max_side_px: u32,
    /// Largest rotation of the subject's face in the picture's plane, degrees from upright.
    pub roll_max_degrees: f64,
    /// Ratio by which the subject must beat the next face.
    pub subject_min_margin: f64,
}

/// Bounds of the policy's topic.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Versions of a scene that are kept.
    pub versions_max: usize,
    /// Longest wait for a version that a case names, milliseconds.
    pub version_max_wait_ms: u64,
}

/// The vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// Whether pictures are sealed.
    pub enabled: bool,
    /// Folder of the key store, relative to `SHIREN_HOME` unless absolute.
    pub dir: String,
    /// File of the key-encryption key, relative to `SHIREN_HOME` unless absolute.
    pub kek_file: String,
    /// Length of an epoch, milliseconds.
    pub epoch_ms: u64,
    /// From an epoch's end to the destruction of its keys, milliseconds.
    pub key_ttl_ms: u64,
}
