//! Every setting of `topology.toml`, once. The reader, the defaults, the ranges and
//! `docs/topology.md` all come from this table.

use shiren_contract::policy;

use crate::codes;

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number, bounds included.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number; finite, bounds included.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text(Form),
    /// A list of texts, at least one unless `may_be_empty`, without repeats.
    List {
        /// Form of each.
        of: Form,
        /// Whether `[]` is legal.
        may_be_empty: bool,
    },
    /// Any keys, each with a text, number or boolean, passed on as text.
    Properties,
}

/// Form of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// 1 to 1,024 bytes without control characters.
    Any,
    /// `[a-z0-9-]{1,32}`.
    Name,
    /// One of these; anything else is a problem of the given code.
    OneOf(&'static [&'static str], &'static str),
}

/// What holds when a setting is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Absent {
    /// Its absence is a problem.
    Required,
    /// It is not set.
    Unset,
    /// This whole number.
    Integer(i64),
    /// This number.
    Number(f64),
    /// This truth.
    Boolean(bool),
    /// This text.
    Text(&'static str),
    /// This list.
    List(&'static [&'static str]),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Dotted path; `*` stands for a name of the operator's choice.
    pub path: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Default.
    pub absent: Absent,
    /// What it is, in a line.
    pub doc: &'static str,
}

/// The log engines.
pub(crate) const ENGINES: &[&str] = &["embedded", "kafka"];
/// Engines of the face library.
pub(crate) const LIBRARY_ENGINES: &[&str] = &["embedded", "server"];
const LANES: &[&str] = &["interactive", "stream", "bulk"];
const CHECKS: &[&str] = &[policy::COMPARISON, policy::LIVENESS, policy::QUALITY];

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;
const MIB: i64 = 1024 * 1024;

const fn integer(
    path: &'static str,
    min: i64,
    default: i64,
    max: i64,
    doc: &'static str,
) -> Setting {
    Setting {
        path,
        kind: Kind::Integer { min, max },
        absent: Absent::Integer(default),
        doc,
    }
}

const fn number(
    path: &'static str,
    min: f64,
    default: f64,
    max: f64,
    doc: &'static str,
) -> Setting {
    Setting {
        path,
        kind: Kind::Number { min, max },
        absent: Absent::Number(default),
        doc,
    }
}

const fn boolean(path: &'static str, default: bool, doc: &'static str) -> Setting {
    Setting {
        path,
        kind: Kind::Boolean,
        absent: Absent::Boolean(default),
        doc,
    }
}

const fn text(path: &'static str, form: Form, absent: Absent, doc: &'static str) -> Setting {
    Setting {
        path,
        kind: Kind::Text(form),
        absent,
        doc,
    }
}

const fn list(path: &'static str, of: Form, absent: Absent, doc: &'static str) -> Setting {
    Setting {
        path,
        kind: Kind::List {
            of,
            may_be_empty: false,
        },
        absent,
        doc,
    }
}

const fn retention(path: &'static str, default: i64, doc: &'static str) -> Setting {
    integer(path, MINUTE_MS, default, YEAR_MS, doc)
}

/// All settings, in the order of `docs/topology.md`.
#[rustfmt::skip] // a table: a line each
pub const SETTINGS: &[Setting] = &[
    list("tenants", Form::Name, Absent::List(&["default"]), "Tenants; each has its own ingress, verdict, result, evidence and dead-letter topics."),
    list("lanes", Form::OneOf(LANES, codes::UNKNOWN_LANE), Absent::List(&["interactive"]), "Lanes that have topics and workers of their own: `interactive`, `stream`, `bulk`."),
    list("chain", Form::Any, Absent::Required, "All stages in their one order, `admit` first. A case skips those that do not apply to its kind."),
    // log
    text("log.engine", Form::OneOf(ENGINES, codes::UNKNOWN_ENGINE), Absent::Text("embedded"), "`embedded` (all workers in one process) or `kafka`. Environment: `SHIREN_LOG_ENGINE`."),
    text("log.embedded.dir", Form::Any, Absent::Text("log"), "Folder of the embedded log, relative to `SHIREN_HOME`; on a local disk."),
    integer("log.embedded.max_mib", 256, 4096, 1024 * 1024, "Cap of the embedded log; beyond it publishing is refused. Keep it below the free space of the disk."),
    integer("log.embedded.retention_sweep_ms", 100, MINUTE_MS, HOUR_MS, "Pause between sweeps that delete what is past its retention."),
    integer("log.embedded.write_lock_max_wait_ms", 100, 5_000, MINUTE_MS, "Longest wait for the embedded log's write lock."),
    text("log.kafka.bootstrap_servers", Form::Any, Absent::Unset, "`host:port` of one or more brokers, separated by commas. Environment: `SHIREN_KAFKA_BOOTSTRAP_SERVERS`."),
    integer("log.kafka.transaction_timeout_ms", 2_000, 10_000, 15 * MINUTE_MS, "librdkafka's transaction.timeout.ms: how long a dead worker's open transaction holds readers up."),
    integer("log.kafka.session_timeout_ms", 6_000, 10_000, 5 * MINUTE_MS, "librdkafka's session.timeout.ms: how long a dead worker's partitions wait for another. Within the broker's group.min/max.session.timeout.ms; without effect under group.protocol=consumer."),
    integer("log.kafka.delivery_max_wait_ms", 500, 8_000, 15 * MINUTE_MS, "Longest wait for the delivery reports of one bundle; it becomes message.timeout.ms."),
    boolean("log.kafka.static_membership", false, "Whether a worker is known to its group by its slot (librdkafka's group.instance.id): one that is started again within the session timeout gets its partitions back without a rebalance; one that leaves for good holds them up that long. docs/reliability.md has what either costs."),
    integer("log.kafka.request_max_wait_ms", 1_000, 10_000, 5 * MINUTE_MS, "Longest wait for any other answer of the brokers."),
    Setting { path: "log.kafka.properties", kind: Kind::Properties, absent: Absent::Unset, doc: "Any other librdkafka property by its own name, `\"security.protocol\" = \"SASL_SSL\"`. Environment, which wins and is the place for secrets: `SHIREN_KAFKA_PROPERTY_SASL_PASSWORD` gives `sasl.password` (every underscore becomes a dot, letters become small; properties with an underscore in their name cannot be given so)." },
    // topics
    integer("topics.partitions", 1, 12, 1024, "Partitions of every topic. Cannot be changed once topics exist."),
    integer("topics.max_record_bytes", MIB, 16 * MIB, 64 * MIB, "Largest record. The brokers' message.max.bytes and replica.fetch.max.bytes must allow it."),
    retention("topics.requests_retention_ms", DAY_MS, "How long ingress is kept: longer than the longest planned outage."),
    retention("topics.library_commands_retention_ms", 7 * DAY_MS, "How long library commands are kept: longer than the longest planned outage."),
    retention("topics.verdicts_retention_ms", 7 * DAY_MS, "How long verdicts are kept."),
    retention("topics.results_retention_ms", DAY_MS, "How long results are kept."),
    retention("topics.evidence_retention_ms", 3 * DAY_MS, "How long evidence is kept."),
    retention("topics.dead_letters_retention_ms", 7 * DAY_MS, "How long dead letters are kept."),
    retention("topics.stages_retention_ms", DAY_MS, "How long the topics between segments are kept: longer than the longest planned outage."),
    // segments
    list("segment.*.stages", Form::Any, Absent::Required, "Stages that run fused in one worker loop: neighbours in the chain, in its order."),
    integer("segment.*.workers", 1, 1, 1024, "Worker loops for each lane in a process that runs the segment; at most topics.partitions. Each holds its own models."),
    // bundle
    integer("bundle.max_records", 1, 16, 4096, "Most records processed and committed at once."),
    integer("bundle.max_bytes", MIB, 32 * MIB, 1024 * MIB, "Most input bytes of a bundle."),
    integer("bundle.poll_max_wait_ms", 1, 50, 10_000, "Longest wait of one poll while there is nothing to do."),
    integer("bundle.queue_max_bytes", MIB, 64 * MIB, 4096 * MIB, "Most bytes of polled records that wait in a worker; beyond it partitions are paused."),
    // runtime
    integer("runtime.drain_max_ms", 100, 8_000, 5 * MINUTE_MS, "Longest time from SIGTERM to the end of the process."),
    integer("runtime.rerun_max_attempts", 1, 5, 100, "Runs of one bundle whose commit fails, before the worker stops with an error."),
    integer("runtime.dead_letters_max_consecutive", 1, 100, 1_000_000, "Dead letters in a row after which the segment stops: something is wrong with it or its producers."),
    number("runtime.dead_letters_max_ratio", 0.0, 0.5, 1.0, "Largest share of dead letters among the last dead_letters_window_records of a worker, once so many were seen; beyond it the segment stops."),
    integer("runtime.dead_letters_window_records", 1, 1_000, 1_000_000, "Records over which dead_letters_max_ratio is taken."),
    integer("runtime.dead_letters_head_max_bytes", 0, 1_024, 65_536, "Most bytes of a record, and as many of its headers, that its dead letter keeps, sealed. Without a vault it keeps the framing alone."),
    integer("runtime.crash_max_attempts", 2, 3, 100, "Times that the process may die while it works on one record alone; then the record becomes a dead letter."),
    integer("runtime.clock_max_skew_ms", 1_000, 30_000, 30 * DAY_MS, "Largest distance of a worker's clock from append times in its future, and from what its monotonic clock says, by which it processes records. Beyond it the worker is not ready and processes nothing."),
    integer("runtime.clock_max_off_ms", 1_000, 60_000, HOUR_MS, "Longest time with a clock that is off before the process stops with `clock_off`."),
    integer("runtime.capture_max_skew_ms", 1_000, 5 * MINUTE_MS, 30 * DAY_MS, "Largest distance of a live case's capture time from its append time; beyond it the verdict says `clock_skew`. Nothing else depends on a capture time."),
    integer("runtime.record_max_ms", 1_000, 2 * MINUTE_MS, 60 * MINUTE_MS, "Longest time that one stage may take for one record, asks left out; beyond it the process ends, and the record counts as one that killed it."),
    integer("runtime.nice", 0, 0, 19, "Niceness of the worker loops (Linux): with more than 0 they leave the cores to processes that have less, as for a tenant that floods."),
    integer("runtime.bulk_nice", 0, 19, 19, "Niceness of the worker loops of lane `bulk` (Linux), where that is more than `nice`: they leave the cores to those of the other lanes. 0: all alike."),
    integer("runtime.max_resident_mib", 256, 2_048, MIB, "Most memory that a worker process holds: beyond it, after a commit, it stops with an error and is to be started again."),
    integer("runtime.deadline_max_ms", 1, 10 * MINUTE_MS, 7 * DAY_MS, "Largest deadline_ms that a request or a scene may have."),
    integer("state.partition_max_keys", 1, 50_000, 10_000_000, "Most keys that a stage remembers of one partition; beyond it the earliest timers fire before their time."),
    integer("state.partition_max_bytes", 1_024, 16 * MIB, 1_024 * MIB, "Most bytes of them, keys and encoded states; beyond it the same."),
    integer("state.tick_ms", 10, 1_000, 60 * MINUTE_MS, "How often the timers of idle partitions are looked at."),
    // models
    text("models.profile", Form::Name, Absent::Text("open"), "Profile of the manifest: which weights run."),
    integer("models.threads", 1, 1, 64, "Threads of one model run. More workers use a machine better than more threads."),
    text("models.manifest", Form::Any, Absent::Text("models/manifest.toml"), "The manifest, relative to this file."),
    // liveness
    Setting { path: "liveness.tables", kind: Kind::List { of: Form::Any, may_be_empty: true }, absent: Absent::List(&["calibration/liveness-cues.toml", "calibration/liveness-human.toml", "calibration/liveness-minifasnet.toml"]), doc: "Tables that join nets and cues into one score, relative to the manifest; the one for exactly the profile's nets is used. Empty, or none for them: liveness is not checked." },
    integer("liveness.min_face_px", 16, 80, 1024, "Narrowest face that liveness judges, pixels of the upright picture; below it the check abstains."),
    number("liveness.min_sharpness", 0.0, 5.0, 10_000.0, "Least sharpness that liveness judges, where quality measured it: variance of the Laplacian on the face at 128 px."),
    // stills
    integer("stills.max_bytes", 1024, 7 * MIB, 32 * MIB, "Largest picture file. Two of them must fit in one record."),
    integer("stills.max_pixels", 4096, 50_000_000, 500_000_000, "Most pixels, width x height. One pixel costs 3 bytes of memory while it is looked at."),
    integer("stills.max_side_px", 64, 16_384, 65_535, "Longest side of a picture."),
    integer("stills.min_side_px", 1, 32, 4096, "Shortest side of a picture."),
    integer("stills.decode_max_ms", 10, 5_000, MINUTE_MS, "Longest time to decode one picture."),
    // detect
    integer("detect.max_faces", 1, 32, 1024, "Most faces kept of one picture, those with the best detection scores."),
    integer("detect.crop_max_side_px", 112, 384, 2048, "Longest side of a face's crop."),
    integer("detect.crop_max_bytes", 37_632, 442_368, 16 * MIB, "Most bytes of a crop: raw RGB, side x side x 3."),
    number("detect.crop_context", 1.0, 2.7, 6.0, "Side of a crop as a multiple of the face box."),
    integer("detect.net_max_side_px", 128, 1_920, 4096, "Longest side of the detection net's input; it grows with the picture's side / the scene's min_face_px up to here."),
    number("detect.roll_max_degrees", 0.0, 45.0, 180.0, "Largest rotation of the subject's face in the picture's plane."),
    number("detect.subject_min_margin", 1.0, 2.0, 100.0, "Ratio by which the subject must beat the next face; below it the answer is `multiple_faces`."),
    // policy
    integer("policy.versions_max", 2, 16, 100, "Versions of a scene's policy that are kept: a case is judged by the one it was admitted with, and ends as an error when that one is gone."),
    integer("policy.version_max_wait_ms", 0, 5_000, MINUTE_MS, "Longest wait for a version that a case names and that this worker has not read yet."),
    // vault
    // library
    text("library.engine", Form::OneOf(LIBRARY_ENGINES, codes::UNKNOWN_ENGINE), Absent::Text("embedded"), "`embedded` (in this process, one process a folder) or `server` (Qdrant over gRPC). Environment: `SHIREN_LIBRARY_ENGINE`."),
    text("library.dir", Form::Any, Absent::Text("library"), "Folder of the embedded library, relative to `SHIREN_HOME`; on a local disk."),
    text("library.url", Form::Any, Absent::Unset, "Address of the Qdrant server, `https://` for TLS. Environment: `SHIREN_LIBRARY_URL`; its API key: `SHIREN_LIBRARY_API_KEY`."),
    text("library.collection", Form::Any, Absent::Text("shiren"), "Collection on the server; it holds every tenant's libraries."),
    integer("library.compare_all_max_kib", 10, 204_800, 64 * 1024 * 1024, "Templates of the libraries asked for up to which they are compared one by one, KiB: 400,000 faces of 128 numbers, 100,000 of 512. Beyond it the index is followed. Chosen by `shiren bench search` (docs/performance.md)."),
    integer("library.search_width", 1, 2_048, 65_536, "Candidates that a search through the index keeps: more find more, and take longer."),
    integer("library.search_libraries_max", 1, 16, 64, "Most libraries that a search names."),
    integer("library.search_persons_max", 1, 20, 50, "Most candidates that a search asks for."),
    integer("library.faces_per_person_max", 1, 16, 20, "Most faces that a library keeps of one person."),
    integer("library.import_max_faces", 1, 200_000, 10_000_000, "Most pictures of one `shiren library import`."),
    integer("library.ask_max_wait_ms", 1, 5_000, 10 * MINUTE_MS, "Longest wait for an answer, retries included; a case's own deadline may be earlier. Commands without a deadline wait until the library is back."),
    integer("library.call_max_wait_ms", 1, 2_000, MINUTE_MS, "Longest single call."),
    integer("library.ask_max_attempts", 1, 5, 100, "Times an ask is made, the first included."),
    integer("library.ask_backoff_ms", 1, 50, MINUTE_MS, "Longest pause before the second attempt; doubled each time."),
    integer("library.breaker_max_failures", 1, 5, 1000, "Failed calls in a row after which the library is left alone for a while."),
    integer("library.breaker_pause_ms", 1, 1_000, 10 * MINUTE_MS, "How long it is left alone."),
    integer("library.calls_max", 1, 4, 64, "Calls under way at once, over all workers of a process."),
    // vault
    boolean("vault.enabled", true, "Whether what the chain writes of pictures is sealed under keys that are destroyed at their time to live. `false`: it is written in the clear."),
    text("vault.dir", Form::Any, Absent::Text("vault"), "Folder of the key store, relative to `SHIREN_HOME`; on a file system with hard links and file locks."),
    text("vault.kek_file", Form::Any, Absent::Text("vault/kek"), "File of the key-encryption key, relative to `SHIREN_HOME`, for its owner alone. `SHIREN_VAULT_KEK` in the environment (64 hexadecimal digits) wins over it."),
    integer("vault.epoch_ms", MINUTE_MS, 15 * MINUTE_MS, DAY_MS, "Length of an epoch: each tenant has a key of its own in each."),
    integer("vault.key_ttl_ms", MINUTE_MS, DAY_MS, YEAR_MS, "From an epoch's end to the destruction of its keys: what they sealed is erased then, however long the log keeps it."),
    // register
    text("register.file", Form::Any, Absent::Text("register"), "File of the local register of persons, relative to `SHIREN_HOME`."),
    text("register.kek_file", Form::Any, Absent::Text("register.kek"), "File of its key, relative to `SHIREN_HOME`, for its owner alone. `SHIREN_REGISTER_KEK` in the environment (64 hexadecimal digits) wins over it."),
    integer("register.max_persons", 1, 100_000, 10_000_000, "Most persons; all but their portraits are held in memory."),
    integer("register.max_bytes", 1024, 4 * 1024 * MIB, 64 * 1024 * MIB, "Largest file of the register."),
    integer("register.portrait_max_bytes", 1024, 4 * MIB, 32 * MIB, "Largest file of a portrait."),
    integer("register.import_max_rows", 1, 200_000, 10_000_000, "Most rows of an imported table."),
    integer("register.import_max_bytes", 1024, 64 * MIB, 1024 * MIB, "Largest table that is imported."),
    // authority
    integer("authority.ask_max_wait_ms", 1, 5_000, 10 * MINUTE_MS, "Longest wait for an authority's answer, retries included; a case's own deadline may be earlier."),
    integer("authority.call_max_wait_ms", 1, 2_000, MINUTE_MS, "Longest single call: the asks of one bundle."),
    integer("authority.ask_max_attempts", 1, 3, 100, "Times an ask is made, the first included."),
    integer("authority.ask_backoff_ms", 1, 50, MINUTE_MS, "Longest pause before the second attempt; doubled each time."),
    integer("authority.breaker_max_failures", 1, 5, 1000, "Failed calls in a row after which the authority is left alone for a while."),
    integer("authority.breaker_pause_ms", 1, 1_000, 10 * MINUTE_MS, "How long it is left alone."),
    boolean("authority.ask_once", false, "Never ask the same twice, even where the reply was lost: for an authority that charges or logs each question. The log holds that a case is asked before it is; one that was asked and has no reply ends as `outcome_unknown`."),
    integer("authority.intent_ttl_ms", MINUTE_MS, DAY_MS, 30 * DAY_MS, "How long it is remembered that a case was asked."),
    integer("authority.calls_max", 1, 4, 64, "Calls under way at once, over all workers of a process."),
    // identity-limit
    integer("identity_limit.max_attempts", 1, 5, 100, "Verifications of one identity number within the window, where the chain has `identity-limit`. More end as `identity_limit_exceeded` before the authority is asked."),
    integer("identity_limit.window_ms", MINUTE_MS, HOUR_MS, DAY_MS, "The window, by the append times of the requests."),
    text("identity_limit.key_file", Form::Any, Absent::Text("identity-limit.key"), "File of the key that numbers are hashed under, relative to `SHIREN_HOME`, for its owner alone, the same on all hosts; `shiren vault make-key` makes one. `SHIREN_IDENTITY_LIMIT_KEY` in the environment (64 hexadecimal digits) wins over it."),
    // quality: limits are published practice where one is named, else reasoned; none was fitted to pictures
    number("quality.min_presence", 0.0, 0.5, 1.0, "Least face flag of the mesh: even odds."),
    number("quality.comparison.max_yaw_degrees", 0.0, 35.0, 90.0, "Largest yaw either way, to be compared; embedders are trained on near-frontal faces, wider ones are missed more often."),
    number("quality.comparison.max_pitch_degrees", 0.0, 35.0, 90.0, "Largest pitch either way, to be compared; as yaw."),
    number("quality.comparison.max_roll_degrees", 0.0, 45.0, 180.0, "Largest roll either way, to be compared; as detect.roll_max_degrees."),
    number("quality.comparison.min_brightness", 0.0, 30.0, 255.0, "Least mean luma of the face, to be compared; below, noise outweighs skin in 8 bits."),
    number("quality.comparison.max_brightness", 0.0, 235.0, 255.0, "Largest mean luma of the face, to be compared."),
    number("quality.comparison.min_contrast", 0.0, 10.0, 128.0, "Least standard deviation of the luma of the face, to be compared."),
    number("quality.comparison.max_dark_share", 0.0, 0.6, 1.0, "Largest share of the face that is nearly black (luma 20 or less), to be compared; most of the face must have tones."),
    number("quality.comparison.max_bright_share", 0.0, 0.4, 1.0, "Largest share of the face that is nearly white (luma 250 or more), to be compared."),
    number("quality.comparison.min_inside_share", 0.0, 0.8, 1.0, "Least share of the box of the face inside the picture, to be compared; eyes, nose and mouth must be in, as detect sees to."),
    number("quality.enrolment.max_yaw_degrees", 0.0, 15.0, 90.0, "Largest yaw either way, to be enrolled; the capture rule of this product (yaw and pitch within 15 degrees)."),
    number("quality.enrolment.max_pitch_degrees", 0.0, 15.0, 90.0, "Largest pitch either way, to be enrolled; as yaw."),
    number("quality.enrolment.max_roll_degrees", 0.0, 15.0, 180.0, "Largest roll either way, to be enrolled; alignment takes roll out, the rest is for the human eye (ICAO Doc 9303 asks 5)."),
    number("quality.enrolment.min_brightness", 0.0, 50.0, 255.0, "Least mean luma of the face, to be enrolled."),
    number("quality.enrolment.max_brightness", 0.0, 220.0, 255.0, "Largest mean luma of the face, to be enrolled."),
    number("quality.enrolment.min_contrast", 0.0, 20.0, 128.0, "Least standard deviation of the luma of the face, to be enrolled."),
    number("quality.enrolment.max_dark_share", 0.0, 0.3, 1.0, "Largest share of the face that is nearly black (luma 20 or less), to be enrolled; ISO/IEC 29794-5 names under- and over-exposure without a limit."),
    number("quality.enrolment.max_bright_share", 0.0, 0.15, 1.0, "Largest share of the face that is nearly white (luma 250 or more), to be enrolled."),
    number("quality.enrolment.min_inside_share", 0.0, 0.98, 1.0, "Least share of the box of the face inside the picture, to be enrolled; ICAO Doc 9303: the whole face."),
    number("quality.live.comparison_min_inter_eye_px", 0.0, 24.0, 1000.0, "Least distance of the eyes of just taken, to be compared; half the distance in the smallest chip that is embedded is 18 to 28 px."),
    number("quality.live.enrolment_min_inter_eye_px", 0.0, 90.0, 1000.0, "The same, to be enrolled; ISO/IEC 19794-5 and ICAO Doc 9303 ask 90 of a photo that others shall use."),
    number("quality.live.comparison_min_sharpness", 0.0, 15.0, 10000.0, "Least variance of the Laplacian at 128 px, to be compared."),
    number("quality.live.enrolment_min_sharpness", 0.0, 60.0, 10000.0, "The same, to be enrolled."),
    number("quality.live.comparison_max_blockiness", 0.0, 0.05, 10.0, "Largest excess of the steps across an 8-pixel grid over those elsewhere, times a block's share of the face, to be compared; chosen by how strongly JPEGs were compressed, not by errors (docs/accuracy.md)."),
    number("quality.live.enrolment_max_blockiness", 0.0, 0.03, 10.0, "The same, to be enrolled."),
    number("quality.on_file.comparison_min_inter_eye_px", 0.0, 24.0, 1000.0, "Least distance of the eyes of a photo on file, to be compared; as live."),
    number("quality.on_file.enrolment_min_inter_eye_px", 0.0, 60.0, 1000.0, "The same, to be enrolled; ISO/IEC 19794-5: at least 60."),
    number("quality.on_file.comparison_min_sharpness", 0.0, 10.0, 10000.0, "Least variance of the Laplacian at 128 px, to be compared."),
    number("quality.on_file.enrolment_min_sharpness", 0.0, 40.0, 10000.0, "The same, to be enrolled."),
    number("quality.on_file.comparison_max_blockiness", 0.0, 0.05, 10.0, "Largest blockiness, to be compared; as live."),
    number("quality.on_file.enrolment_max_blockiness", 0.0, 0.03, 10.0, "The same, to be enrolled."),
    number("quality.card_print.comparison_min_inter_eye_px", 0.0, 24.0, 1000.0, "Least distance of the eyes of a print on a card, to be compared; as live."),
    number("quality.card_print.enrolment_min_inter_eye_px", 0.0, 40.0, 1000.0, "The same, to be enrolled; scans of small prints."),
    number("quality.card_print.comparison_min_sharpness", 0.0, 8.0, 10000.0, "Least variance of the Laplacian at 128 px, to be compared."),
    number("quality.card_print.enrolment_min_sharpness", 0.0, 20.0, 10000.0, "The same, to be enrolled."),
    number("quality.card_print.comparison_max_blockiness", 0.0, 0.05, 10.0, "Largest blockiness, to be compared; as live."),
    number("quality.card_print.enrolment_max_blockiness", 0.0, 0.03, 10.0, "The same, to be enrolled."),
    number("quality.chip.comparison_min_inter_eye_px", 0.0, 16.0, 1000.0, "Least distance of the eyes of the portrait in a chip (about 102 x 126 px as a whole), to be compared; such a portrait has some 25 to 30."),
    number("quality.chip.enrolment_min_inter_eye_px", 0.0, 20.0, 1000.0, "The same, to be enrolled; nothing sharper is to be had."),
    number("quality.chip.comparison_min_sharpness", 0.0, 3.0, 10000.0, "Least variance of the Laplacian at 128 px, to be compared."),
    number("quality.chip.enrolment_min_sharpness", 0.0, 6.0, 10000.0, "The same, to be enrolled."),
    number("quality.chip.comparison_max_blockiness", 0.0, 0.2, 10.0, "Largest blockiness, to be compared; chips hold a portrait in 1 or 2 kB."),
    number("quality.chip.enrolment_max_blockiness", 0.0, 0.1, 10.0, "The same, to be enrolled."),
    // telemetry
    text("telemetry.listen", Form::Any, Absent::Unset, "`address:port` where a process that runs workers serves `/metrics`, `/healthz` and `/readyz` by HTTP, without authentication: keep it inside. SHIREN_TELEMETRY_LISTEN wins over it; port 0 takes a free one, which is printed. Unset: no listener."),
    integer("telemetry.turn_max_ms", 1_000, MINUTE_MS, HOUR_MS, "Longest time between two turns of a worker loop before `/healthz` says that it hangs; above the longest time that one bundle takes."),
    integer("telemetry.lag_every_ms", 100, 5_000, HOUR_MS, "Between two looks of a worker at how far it is behind."),
    integer("telemetry.recent_verdicts_max", 1, 4_096, 1_000_000, "Verdicts whose ids a worker remembers, to count those that it commits again; about 150 bytes each."),
    integer("telemetry.connections_max", 1, 8, 1_024, "Connections of the listener at once; one more is closed unread."),
    integer("telemetry.connection_max_ms", 100, 5_000, MINUTE_MS, "Longest time from the acceptance of a connection to its end."),
    integer("telemetry.head_max_bytes", 8_192, 8_192, MIB, "Most bytes of a request's head."),
    // scenes
    Setting { path: "scene.*.requires", kind: Kind::List { of: Form::OneOf(CHECKS, codes::UNKNOWN_CHECK), may_be_empty: true }, absent: Absent::Required, doc: "Checks that must pass before anything is accepted: `comparison`, `liveness`, `quality`. A stage of the chain must answer each." },
    Setting { path: "scene.*.target_fmr", kind: Kind::Number { min: 1e-9, max: 0.1 }, absent: Absent::Required, doc: "Target false-match rate of 1:1 comparison." },
    Setting { path: "scene.*.target_fpir", kind: Kind::Number { min: 1e-6, max: 0.5 }, absent: Absent::Unset, doc: "Target false-positive identification rate of 1:N search: how often somebody who is not enrolled is taken for somebody who is, whatever the number of faces. Unset: the scene does not search." },
    number("scene.*.min_margin", 0.0, 0.0, 1.0, "1:N: least score by which the first candidate leads the second; below it the decision is `review`."),
    text("scene.*.allow_extrapolated", Form::Any, Absent::Unset, "The reason why an operating point that is extrapolated, not measured, may accept. Unset: it leads to `review`."),
    text("scene.*.allow_advisory", Form::Any, Absent::Unset, "The reason why a passive liveness check alone may accept. Unset: it leads to `review` at most."),
    integer("scene.*.expires_after_ms", 1_000, MINUTE_MS, 30 * DAY_MS, "A verdict is of no use later than this after the request was received."),
    integer("scene.*.request_ttl_ms", 1_000, 60 * MINUTE_MS, 30 * DAY_MS, "How long a request is remembered: one that comes again is not answered again; the same request_id with another payload is refused."),
    Setting { path: "scene.*.deadline_ms", kind: Kind::Integer { min: 1, max: 7 * DAY_MS }, absent: Absent::Unset, doc: "Deadline of a request that names none, from its arrival. Unset: no deadline." },
    integer("scene.*.min_face_px", 16, 40, 2048, "Smallest face width of interest. Halving it makes detection about four times as dear."),
];

/// `docs/topology.md`: every setting with type, default, range and meaning.
#[must_use]
pub fn settings_markdown() -> String {
    let mut page = String::from(
        "# topology.toml\n\nGenerated from the settings table of `shiren-topology`; do not edit.\n\
         The unit of a number stands in its name. `*` is a name of your choice, `[a-z0-9-]{1,32}`.\n",
    );
    let mut section = None;
    for setting in SETTINGS {
        let (head, rest) = setting.path.split_once('.').unwrap_or(("", setting.path));
        if section != Some(head) {
            section = Some(head);
            let title = match head {
                "" => "Top level".to_owned(),
                "segment" | "scene" => format!("[{head}.*]"),
                _ => format!("[{head}]"),
            };
            page.push_str(&format!("\n## {title}\n\n| setting | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n"));
        }
        let shown = rest.strip_prefix("*.").unwrap_or(rest);
        let (kind, range) = setting.kind.describe();
        page.push_str(&format!(
            "| `{shown}` | {kind} | {} | {range} | {} |\n",
            setting.absent.describe(),
            setting.doc
        ));
    }
    page.push_str(
        "\n## Problems that `shiren validate` reports\n\n| code | meaning |\n| --- | --- |\n",
    );
    for code in crate::CODES {
        page.push_str(&format!("| `{}` | {} |\n", code.id, code.meaning));
    }
    page
}

impl Kind {
    /// Type and range in words.
    fn describe(self) -> (&'static str, String) {
        match self {
            Self::Integer { min, max: i64::MAX } => ("integer", format!("from {min}")),
            Self::Integer { min, max } => ("integer", format!("{min} to {max}")),
            Self::Number { min, max } => ("number", format!("{min:?} to {max:?}")),
            Self::Boolean => ("boolean", "true, false".to_owned()),
            Self::Text(form) => ("text", form.describe()),
            Self::List { of, .. } => ("list of texts", of.describe()),
            Self::Properties => ("table", "any key".to_owned()),
        }
    }
}

impl Form {
    /// The form in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Any => "1 to 1024 bytes without control characters".to_owned(),
            Self::Name => "`[a-z0-9-]{1,32}`".to_owned(),
            Self::OneOf(choices, _) => choices.join(", "),
        }
    }
}

impl Absent {
    /// The default in words.
    fn describe(self) -> String {
        match self {
            Self::Required => "required".to_owned(),
            Self::Unset => "unset".to_owned(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => format!("{value:?}"),
            Self::Boolean(value) => value.to_string(),
            Self::Text(value) => format!("`{value:?}`"),
            Self::List(values) => format!("`{values:?}`"),
        }
    }
}

/// `[a-z0-9-]{1,32}`, as tenants, segments and scenes are named.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
