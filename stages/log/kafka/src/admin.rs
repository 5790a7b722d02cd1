//! Creating and updating topics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use shiren_log::{Applied, LogError, TopicSpec, TopicState};

use crate::errors::{meaning, unavailable};
use crate::settings::{BATCH_ROOM_BYTES, RECORD_MAX_BYTES, Settings};
use crate::topics::Topics;

/// The broker's own default.
const REPLICATION: i32 = -1;
/// Size of a compacted topic's segments, bytes; the broker's default is 1 GiB.
const COMPACTED_SEGMENT_BYTES: usize = 32 << 20;
/// Pause between two looks whether a change has reached the brokers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Applies every specification in turn.
pub(crate) fn apply(
    settings: &Settings,
    topics: &Topics,
    specs: &[TopicSpec],
) -> Result<Vec<Applied>, LogError> {
    let wanted = specs
        .iter()
        .map(|spec| Ok((spec, wanted(spec)?)))
        .collect::<Result<Vec<_>, LogError>>()?;
    // Refused before anything is changed.
    for spec in specs {
        same_partitions(spec, topics.partitions(&spec.name)?)?;
    }
    let deadline = settings.request_max_wait();
    let one = |(spec, wanted): &(&TopicSpec, _)| apply_one(topics, spec, wanted, deadline);
    wanted.iter().map(one).collect()
}

/// The topic as the brokers have it, in the terms of a specification; the reverse of [`wanted`].
pub(crate) fn describe(topics: &Topics, name: &str) -> Result<Option<TopicState>, LogError> {
    let Some(partitions) = topics.partitions(name)? else {
        return Ok(None);
    };
    let settings = topics.settings(name)?;
    let value = |setting: &str| {
        let entry = settings.iter().find(|entry| entry.name == setting);
        entry
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| unavailable(format!("topic {name}: the brokers do not say {setting}")))
    };
    let number = |setting: &str| {
        let text = value(setting)?;
        text.parse::<i64>()
            .map_err(|_| unavailable(format!("topic {name}: {setting} is {text:?}, no number")))
    };
    let compacted = value("cleanup.policy")?.contains("compact");
    let retention = if compacted {
        "delete.retention.ms"
    } else {
        "retention.ms"
    };
    let max_bytes = usize::try_from(number("max.message.bytes")?).unwrap_or(0);
    Ok(Some(TopicState {
        spec: TopicSpec {
            name: name.to_owned(),
            partitions,
            retention_ms: number(retention)?,
            max_record_bytes: max_bytes.saturating_sub(BATCH_ROOM_BYTES),
            compacted,
        },
        has_append_time: value("message.timestamp.type")? == "LogAppendTime",
    }))
}

fn same_partitions(spec: &TopicSpec, found: Option<i32>) -> Result<(), LogError> {
    match found {
        Some(found) if found != spec.partitions => Err(LogError::PartitionsDiffer {
            topic: spec.name.clone(),
            found,
            wanted: spec.partitions,
        }),
        _ => Ok(()),
    }
}

/// The topic's settings that a specification gives.
fn wanted(spec: &TopicSpec) -> Result<BTreeMap<&'static str, String>, LogError> {
    let valid = !spec.name.is_empty()
        && spec.partitions >= 1
        && spec.retention_ms >= 1
        && (1..=RECORD_MAX_BYTES).contains(&spec.max_record_bytes);
    if !valid {
        return Err(LogError::Config {
            what: format!(
                "topic {:?}: needs a name, 1 or more partitions, retention_ms of 1 or more and max_record_bytes of 1 to {RECORD_MAX_BYTES}",
                spec.name
            ),
        });
    }
    let (policy, retention) = if spec.compacted {
        ("compact", "delete.retention.ms")
    } else {
        ("delete", "retention.ms")
    };
    let mut settings = BTreeMap::from([
        ("cleanup.policy", policy.to_owned()),
        (retention, spec.retention_ms.to_string()),
        (
            "max.message.bytes",
            (spec.max_record_bytes + BATCH_ROOM_BYTES).to_string(),
        ),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ]);
    if spec.compacted {
        // The newest segment is never compacted, and all of it is read when state is restored.
        let segment_bytes = COMPACTED_SEGMENT_BYTES.max(spec.max_record_bytes + BATCH_ROOM_BYTES);
        settings.insert("segment.bytes", segment_bytes.to_string());
    }
    Ok(settings)
}

fn apply_one(
    topics: &Topics,
    spec: &TopicSpec,
    wanted: &BTreeMap<&'static str, String>,
    max_wait: Duration,
) -> Result<Applied, LogError> {
    let deadline = Instant::now() + max_wait;
    let found = topics.partitions(&spec.name)?;
    same_partitions(spec, found)?;
    if found.is_none() && create(topics, spec, wanted)? {
        until(deadline, &spec.name, || {
            let found = topics.partitions(&spec.name)?;
            Ok(found == Some(spec.partitions) && is_as_wanted(topics, &spec.name, wanted)?)
        })?;
        return Ok(Applied::Created);
    }
    same_partitions(spec, topics.partitions(&spec.name)?)?;
    if is_as_wanted(topics, &spec.name, wanted)? {
        return Ok(Applied::Unchanged);
    }
    alter(topics, &spec.name, wanted)?;
    until(deadline, &spec.name, || {
        is_as_wanted(topics, &spec.name, wanted)
    })?;
    Ok(Applied::Updated)
}

/// False when another process made it meanwhile.
fn create(
    topics: &Topics,
    spec: &TopicSpec,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<bool, LogError> {
    let mut topic = NewTopic::new(
        &spec.name,
        spec.partitions,
        TopicReplication::Fixed(REPLICATION),
    );
    for (name, value) in wanted {
        topic = topic.set(name, value);
    }
    let made = block_on(
        topics
            .admin
            .create_topics([&topic], &topics.admin_options()),
    );
    match made
        .map_err(|error| meaning("creating topics", &error))?
        .first()
    {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((name, code))) => Err(LogError::Config {
            what: format!("topic {name} cannot be created: {code}"),
        }),
        None => Err(unavailable(format!(
            "creating topic {}: no answer",
            spec.name
        ))),
    }
}

fn is_as_wanted(
    topics: &Topics,
    name: &str,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<bool, LogError> {
    let found = topics.settings(name)?;
    Ok(wanted.iter().all(|(name, value)| {
        let entry = found.iter().find(|entry| entry.name == *name);
        entry.and_then(|entry| entry.value.as_ref()) == Some(value)
    }))
}

/// Sets what is wanted and repeats what else was set on the topic, which the request would
/// otherwise reset.
fn alter(
    topics: &Topics,
    name: &str,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<(), LogError> {
    let found = topics.settings(name)?;
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
    for entry in &found {
        let kept =
            entry.source == ConfigSource::DynamicTopic && !wanted.contains_key(entry.name.as_str());
        if let Some(value) = entry.value.as_deref().filter(|_| kept) {
            change = change.set(&entry.name, value);
        }
    }
    for (name, value) in wanted {
        change = change.set(name, value);
    }
    let done = block_on(
        topics
            .admin
            .alter_configs([&change], &topics.admin_options()),
    );
    match done
        .map_err(|error| meaning("changing topics", &error))?
        .first()
    {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(LogError::Config {
            what: format!("topic {name} cannot be changed: {code}"),
        }),
        None => Err(unavailable(format!("changing topic {name}: no answer"))),
    }
}

/// Looks until `done`: brokers learn of a change a little later than the controller.
fn until(
    deadline: Instant,
    topic: &str,
    done: impl Fn() -> Result<bool, LogError>,
) -> Result<(), LogError> {
    loop {
        match done() {
            Ok(true) => return Ok(()),
            Ok(false) | Err(LogError::Unavailable { .. }) if Instant::now() < deadline => {
                std::thread::sleep(LOOK_EVERY);
            }
            Ok(false) => {
                return Err(unavailable(format!(
                    "topic {topic}: the change has not reached the brokers in time"
                )));
            }
            Err(error) => return Err(error),
        }
    }
}
