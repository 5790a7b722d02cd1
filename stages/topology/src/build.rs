//! Makes a [`Topology`] of checked values.

use std::str::FromStr;

use shiren_contract::policy::Scene;

use crate::asks::Authority;
use crate::identity_limit::IdentityLimit;
use crate::library::Library;
use crate::model::{
    Bundle, Detect, EmbeddedLog, KafkaLog, Liveness, LogSettings, Models, Policy, Runtime, Segment,
    State, Stills, Topics, Topology, Vault,
};
use crate::quality::Quality;
use crate::register::Register;
use crate::telemetry::Telemetry;
use crate::values::Values;

/// A path that is read here and not to be had: a slip between this file and the settings table.
pub(crate) type Undeclared = String;

/// Builds it, without warnings.
pub(crate) fn build(values: &Values) -> Result<Topology, Undeclared> {
    let chain = texts(values, "chain")?;
    Ok(Topology {
        tenants: texts(values, "tenants")?,
        lanes: texts(values, "lanes")?
            .iter()
            .map(|lane| FromStr::from_str(lane).map_err(|_| "lanes".to_owned()))
            .collect::<Result<_, _>>()?,
        log: log(values)?,
        topics: topics(values)?,
        segments: segments(values, &chain)?,
        chain,
        bundle: Bundle {
            max_records: int(values, "bundle.max_records")?,
            max_bytes: int(values, "bundle.max_bytes")?,
            poll_max_wait_ms: int(values, "bundle.poll_max_wait_ms")?,
            queue_max_bytes: int(values, "bundle.queue_max_bytes")?,
        },
        runtime: Runtime {
            drain_max_ms: int(values, "runtime.drain_max_ms")?,
            rerun_max_attempts: int(values, "runtime.rerun_max_attempts")?,
            dead_letters_max_consecutive: int(values, "runtime.dead_letters_max_consecutive")?,
            dead_letters_max_ratio: number(values, "runtime.dead_letters_max_ratio")?,
            dead_letters_window_records: int(values, "runtime.dead_letters_window_records")?,
            dead_letters_head_max_bytes: int(values, "runtime.dead_letters_head_max_bytes")?,
            crash_max_attempts: int(values, "runtime.crash_max_attempts")?,
            record_max_ms: int(values, "runtime.record_max_ms")?,
            clock_max_skew_ms: int(values, "runtime.clock_max_skew_ms")?,
            clock_max_off_ms: int(values, "runtime.clock_max_off_ms")?,
            capture_max_skew_ms: int(values, "runtime.capture_max_skew_ms")?,
            nice: int(values, "runtime.nice")?,
            bulk_nice: int(values, "runtime.bulk_nice")?,
            max_resident_mib: int(values, "runtime.max_resident_mib")?,
            deadline_max_ms: int(values, "runtime.deadline_max_ms")?,
        },
        state: State {
            partition_max_keys: int(values, "state.partition_max_keys")?,
            partition_max_bytes: int(values, "state.partition_max_bytes")?,
            tick_ms: int(values, "state.tick_ms")?,
        },
        models: Models {
            profile: text(values, "models.profile")?,
            threads: int(values, "models.threads")?,
            manifest: text(values, "models.manifest")?,
        },
        liveness: Liveness {
            tables: texts(values, "liveness.tables")?,
            min_face_px: int(values, "liveness.min_face_px")?,
            min_sharpness: number(values, "liveness.min_sharpness")?,
        },
        stills: Stills {
            max_bytes: int(values, "stills.max_bytes")?,
            max_pixels: int(values, "stills.max_pixels")?,
            max_side_px: int(values, "stills.max_side_px")?,
            min_side_px: int(values, "stills.min_side_px")?,
            decode_max_ms: int(values, "stills.decode_max_ms")?,
        },
        detect: Detect {
            max_faces: int(values, "detect.max_faces")?,
            crop_max_side_px: int(values, "detect.crop_max_side_px")?,
            crop_max_bytes: int(values, "detect.crop_max_bytes")?,
            crop_context: number(values, "detect.crop_context")?,
            net_max_side_px: int(values, "detect.net_max_side_px")?,
            roll_max_degrees: number(values, "detect.roll_max_degrees")?,
            subject_min_margin: number(values, "detect.subject_min_margin")?,
        },
        register: Register::read(values)?,
        identity_limit: IdentityLimit::read(values)?,
        telemetry: Telemetry::read(values)?,
        authority: Authority::read(values)?,
        library: Library::read(values)?,
        policy: Policy {
            versions_max: int(values, "policy.versions_max")?,
            version_max_wait_ms: int(values, "policy.version_max_wait_ms")?,
        },
        vault: Vault {
            enabled: values
                .boolean("vault.enabled")
                .ok_or_else(|| "vault.enabled".to_owned())?,
            dir: text(values, "vault.dir")?,
            kek_file: text(values, "vault.kek_file")?,
            epoch_ms: int(values, "vault.epoch_ms")?,
            key_ttl_ms: int(values, "vault.key_ttl_ms")?,
        },
        quality: Quality::read(values)?,
        scenes: values
            .names("scene")
            .into_iter()
            .map(|name| Ok((name.text.clone(), scene(values, &name.text)?)))
            .collect::<Result<_, Undeclared>>()?,
        warnings: Vec::new(),
    })
}

fn log(values: &Values) -> Result<LogSettings, Undeclared> {
    if text(values, "log.engine")? == "embedded" {
        return Ok(LogSettings::Embedded(EmbeddedLog {
            dir: text(values, "log.embedded.dir")?,
            max_mib: int(values, "log.embedded.max_mib")?,
            retention_sweep_ms: int(values, "log.embedded.retention_sweep_ms")?,
            write_lock_max_wait_ms: int(values, "log.embedded.write_lock_max_wait_ms")?,
        }));
    }
    let properties = values.kafka_properties().iter();
    Ok(LogSettings::Kafka(KafkaLog {
        bootstrap_servers: text(values, "log.kafka.bootstrap_servers")?,
        properties: properties
            .map(|(name, item)| (name.clone(), item.text.clone()))
            .collect(),
        transaction_timeout_ms: int(values, "log.kafka.transaction_timeout_ms")?,
        session_timeout_ms: int(values, "log.kafka.session_timeout_ms")?,
        static_membership: values
            .boolean("log.kafka.static_membership")
            .ok_or_else(|| "log.kafka.static_membership".to_owned())?,
        delivery_max_wait_ms: int(values, "log.kafka.delivery_max_wait_ms")?,
        request_max_wait_ms: int(values, "log.kafka.request_max_wait_ms")?,
    }))
}

fn topics(values: &Values) -> Result<Topics, Undeclared> {
    Ok(Topics {
        partitions: int(values, "topics.partitions")?,
        max_record_bytes: int(values, "topics.max_record_bytes")?,
        requests_retention_ms: int(values, "topics.requests_retention_ms")?,
        verdicts_retention_ms: int(values, "topics.verdicts_retention_ms")?,
        results_retention_ms: int(values, "topics.results_retention_ms")?,
        evidence_retention_ms: int(values, "topics.evidence_retention_ms")?,
        dead_letters_retention_ms: int(values, "topics.dead_letters_retention_ms")?,
        stages_retention_ms: int(values, "topics.stages_retention_ms")?,
        library_commands_retention_ms: int(values, "topics.library_commands_retention_ms")?,
    })
}

fn segments(values: &Values, chain: &[String]) -> Result<Vec<Segment>, Undeclared> {
    let mut segments = Vec::new();
    for name in values.names("segment") {
        segments.push(Segment {
            stages: texts(values, &format!("segment.{}.stages", name.text))?,
            workers: int(values, &format!("segment.{}.workers", name.text))?,
            name: name.text,
        });
    }
    segments.sort_by_key(|segment| {
        chain
            .iter()
            .position(|stage| segment.stages.first() == Some(stage))
    });
    Ok(segments)
}

pub(crate) fn scene(values: &Values, name: &str) -> Result<Scene, Undeclared> {
    let path = |key: &str| format!("scene.{name}.{key}");
    Ok(Scene {
        requires: texts(values, &path("requires"))?,
        target_fmr: number(values, &path("target_fmr"))?,
        target_fpir: values.number(&path("target_fpir")),
        min_margin: number(values, &path("min_margin"))?,
        allow_extrapolated: values.text(&path("allow_extrapolated")).map(str::to_owned),
        allow_advisory: values.text(&path("allow_advisory")).map(str::to_owned),
        expires_after_ms: int(values, &path("expires_after_ms"))?,
        request_ttl_ms: int(values, &path("request_ttl_ms"))?,
        deadline_ms: values.integer(&path("deadline_ms")),
        min_face_px: int(values, &path("min_face_px"))?,
    })
}

pub(crate) fn int<T: TryFrom<i64>>(values: &Values, path: &str) -> Result<T, Undeclared> {
    values
        .integer(path)
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| path.to_owned())
}

pub(crate) fn number(values: &Values, path: &str) -> Result<f64, Undeclared> {
    values.number(path).ok_or_else(|| path.to_owned())
}

pub(crate) fn text(values: &Values, path: &str) -> Result<String, Undeclared> {
    values
        .text(path)
        .map(str::to_owned)
        .ok_or_else(|| path.to_owned())
}

fn texts(values: &Values, path: &str) -> Result<Vec<String>, Undeclared> {
    let items = values.whole_list(path).ok_or_else(|| path.to_owned())?;
    Ok(items.into_iter().map(|item| item.text).collect())
}
