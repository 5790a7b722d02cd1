//! Rules across settings.

use crate::codes;
use crate::values::{Origin, Values};

/// What goes around two pictures in a record: envelope, framing, headers, key.
const RECORD_OVERHEAD_BYTES: i64 = 64 * 1024;
/// What begin, offsets and commit take beside the deliveries, with a slow broker.
const COMMIT_MARGIN_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;

/// librdkafka properties that Shiren sets, and what to use instead. The same as in the Kafka log,
/// which refuses them too; here they have a line.
#[rustfmt::skip] // a table: a line each
const RESERVED: &[(&str, &str)] = &[
    ("acks", ""),
    ("allow.auto.create.topics", ""),
    ("auto.commit.enable", ""),
    ("auto.offset.reset", ""),
    ("batch.num.messages", ""),
    ("batch.size", ""),
    ("bootstrap.servers", "log.kafka.bootstrap_servers"),
    ("check.crcs", ""),
    ("delivery.timeout.ms", "log.kafka.delivery_max_wait_ms"),
    ("enable.auto.commit", ""),
    ("enable.auto.offset.store", ""),
    ("enable.gapless.guarantee", ""),
    ("enable.idempotence", ""),
    ("enable.partition.eof", ""),
    ("group.id", ""),
    ("group.instance.id", ""),
    ("isolation.level", ""),
    ("linger.ms", ""),
    ("max.in.flight", ""),
    ("max.in.flight.requests.per.connection", ""),
    ("message.max.bytes", "topics.max_record_bytes"),
    ("message.send.max.retries", ""),
    ("message.timeout.ms", "log.kafka.delivery_max_wait_ms"),
    ("metadata.broker.list", "log.kafka.bootstrap_servers"),
    ("partition.assignment.strategy", ""),
    ("partitioner", ""),
    ("queue.buffering.max.ms", ""),
    ("queued.max.messages.kbytes", "bundle.queue_max_bytes"),
    ("request.required.acks", ""),
    ("retries", ""),
    ("session.timeout.ms", "log.kafka.session_timeout_ms"),
    ("transaction.timeout.ms", "log.kafka.transaction_timeout_ms"),
    ("transactional.id", ""),
];

/// Checks all of them.
pub(crate) fn check(values: &mut Values) {
    sizes(values);
    limits(values);
    if values.text("log.engine") == Some("kafka") {
        kafka(values);
    }
    reserved_properties(values);
    workers(values);
    library(values);
    retention(values);
    scenes(values);
}

fn sizes(values: &mut Values) {
    const RECORD: &str = "topics.max_record_bytes";
    let record = values.integer(RECORD);
    if let (Some(bundle), Some(record)) = (values.integer("bundle.max_bytes"), record)
        && bundle < record
    {
        let (path, at) = values.culprit(&["bundle.max_bytes", RECORD]);
        let what = format!("bundle.max_bytes = {bundle} is below {RECORD} = {record}");
        values.error(
            codes::BUNDLE_BELOW_RECORD,
            &at,
            &path,
            what,
            Some(format!("bundle.max_bytes = {record} or more")),
        );
    }
    if let (Some(queue), Some(bundle)) = (
        values.integer("bundle.queue_max_bytes"),
        values.integer("bundle.max_bytes"),
    ) && queue < bundle
    {
        let (path, at) = values.culprit(&["bundle.queue_max_bytes", "bundle.max_bytes"]);
        let what = format!("bundle.queue_max_bytes = {queue} is below bundle.max_bytes = {bundle}");
        values.error(
            codes::QUEUE_BELOW_BUNDLE,
            &at,
            &path,
            what,
            Some(format!("bundle.queue_max_bytes = {bundle} or more")),
        );
    }
    for part in ["stills.max_bytes", "detect.crop_max_bytes"] {
        if let (Some(size), Some(record)) = (values.integer(part), record)
            && record < 2 * size + RECORD_OVERHEAD_BYTES
        {
            let (path, at) = values.culprit(&[part, RECORD]);
            let needed = 2 * size + RECORD_OVERHEAD_BYTES;
            let what = format!(
                "a record may hold two of {part} = {size} and {RECORD_OVERHEAD_BYTES} bytes around them: {needed}, but {RECORD} = {record}"
            );
            let hint = format!(
                "{part} = {} or less, or {RECORD} = {needed} or more",
                (record - RECORD_OVERHEAD_BYTES) / 2
            );
            values.error(codes::RECORD_BELOW_PICTURES, &at, &path, what, Some(hint));
        }
    }
}

fn limits(values: &mut Values) {
    if let (Some(bytes), Some(side)) = (
        values.integer("detect.crop_max_bytes"),
        values.integer("detect.crop_max_side_px"),
    ) && bytes < side * side * 3
    {
        let (path, at) = values.culprit(&["detect.crop_max_bytes", "detect.crop_max_side_px"]);
        let what = format!(
            "a crop of {side} x {side} pixels has {} bytes, but detect.crop_max_bytes = {bytes}",
            side * side * 3
        );
        values.error(
            codes::CROP_BELOW_SIDE,
            &at,
            &path,
            what,
            Some(format!("detect.crop_max_bytes = {}", side * side * 3)),
        );
    }
    if let (Some(min), Some(max)) = (
        values.integer("stills.min_side_px"),
        values.integer("stills.max_side_px"),
    ) && min > max
    {
        let (path, at) = values.culprit(&["stills.min_side_px", "stills.max_side_px"]);
        let what = format!("stills.min_side_px = {min} is above stills.max_side_px = {max}");
        values.error(
            codes::MIN_OVER_MAX,
            &at,
            &path,
            what,
            Some("no picture could pass; mend one of them".to_owned()),
        );
    }
}

fn kafka(values: &mut Values) {
    if values.text("log.kafka.bootstrap_servers").is_none()
        && !values.is_given("log.kafka.bootstrap_servers")
    {
        let (path, at) = values.culprit(&["log.engine"]);
        let hint = Some(
            "give log.kafka.bootstrap_servers = \"host:9092\" or SHIREN_KAFKA_BOOTSTRAP_SERVERS"
                .to_owned(),
        );
        values.error(
            codes::KAFKA_WITHOUT_SERVERS,
            &at,
            &path,
            "the engine is kafka, and no broker is named",
            hint,
        );
    }
    const TRANSACTION: &str = "log.kafka.transaction_timeout_ms";
    const DELIVERY: &str = "log.kafka.delivery_max_wait_ms";
    if let (Some(transaction), Some(delivery)) =
        (values.integer(TRANSACTION), values.integer(DELIVERY))
        && transaction < delivery + COMMIT_MARGIN_MS
    {
        let (path, at) = values.culprit(&[TRANSACTION, DELIVERY]);
        let needed = delivery + COMMIT_MARGIN_MS;
        let what = format!(
            "{TRANSACTION} = {transaction}, but the longest commit takes {DELIVERY} = {delivery} and {COMMIT_MARGIN_MS} more"
        );
        values.error(
            codes::TRANSACTION_BELOW_COMMIT,
            &at,
            &path,
            what,
            Some(format!("{TRANSACTION} = {needed} or more")),
        );
    }
    const DRAIN: &str = "runtime.drain_max_ms";
    const SESSION: &str = "log.kafka.session_timeout_ms";
    if let (Some(drain), Some(session)) = (values.integer(DRAIN), values.integer(SESSION))
        && drain >= session
    {
        let (path, at) = values.culprit(&[DRAIN, SESSION]);
        let what = format!("{DRAIN} = {drain} is not below {SESSION} = {session}");
        values.error(
            codes::DRAIN_OVER_SESSION,
            &at,
            &path,
            what,
            Some(format!("{DRAIN} below {session}")),
        );
    }
}

/// Under either engine: the environment may switch to kafka later.
fn reserved_properties(values: &mut Values) {
    for (name, item) in values.kafka_properties().clone() {
        let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) else {
            continue;
        };
        let hint = match *instead {
            "" => "take it out".to_owned(),
            setting => format!("set {setting} instead"),
        };
        let what = format!("{name} is set by Shiren");
        values.error(
            codes::KAFKA_PROPERTY_RESERVED,
            &item.origin,
            &item.path,
            what,
            Some(hint),
        );
    }
}

fn workers(values: &mut Values) {
    let Some(partitions) = values.integer("topics.partitions") else {
        return;
    };
    for segment in values.names("segment") {
        let path = format!("segment.{}.workers", segment.text);
        if let Some(workers) = values
            .integer(&path)
            .filter(|workers| *workers > partitions)
        {
            let (path, at) = values.culprit(&[&path, "topics.partitions"]);
            let what = format!("{workers} workers share {partitions} partitions");
            values.error(
                codes::WORKERS_OVER_PARTITIONS,
                &at,
                &path,
                what,
                Some(format!("at most {partitions}")),
            );
        }
    }
}

/// One process has an embedded library at a time.
fn library(values: &mut Values) {
    const ENGINE: &str = "library.engine";
    let owner = |values: &Values, stage: &str| {
        let segments = values.names("segment");
        segments.into_iter().find(|segment| {
            let stages = values.whole_list(&format!("{}.stages", segment.path));
            stages.is_some_and(|stages| stages.iter().any(|item| item.text == stage))
        })
    };
    let (matching, enrolling) = (owner(values, "match"), owner(values, "enrol"));
    let Some((matching, enrolling)) = matching.zip(enrolling) else {
        return;
    };
    if values.text(ENGINE) == Some("server") {
        if values.text("library.url").is_none() {
            let (path, at) = values.culprit(&[ENGINE]);
            let hint = "give library.url = \"http://host:6334\" or SHIREN_LIBRARY_URL";
            let what = "the engine is server, and no address is named".to_owned();
            values.error(
                codes::LIBRARY_WITHOUT_URL,
                &at,
                &path,
                what,
                Some(hint.to_owned()),
            );
        }
        return;
    }
    if values.text("log.engine") == Some("kafka") && matching.text != enrolling.text {
        let (path, at) = values.culprit(&[ENGINE]);
        let what = format!(
            "match is in segment {:?} and enrol in {:?}: two processes cannot share the embedded library",
            matching.text, enrolling.text
        );
        let hint = "put both into one segment, or take library.engine = \"server\"";
        values.error(
            codes::LIBRARY_APART,
            &at,
            &path,
            what,
            Some(hint.to_owned()),
        );
    }
}

fn retention(values: &mut Values) {
    const DEADLINE: &str = "runtime.deadline_max_ms";
    let deadline = values.integer(DEADLINE).unwrap_or(0);
    for path in [
        "topics.requests_retention_ms",
        "topics.library_commands_retention_ms",
        "topics.stages_retention_ms",
        "vault.key_ttl_ms",
    ] {
        let Some(retention) = values.integer(path) else {
            continue;
        };
        let kept = match path {
            "vault.key_ttl_ms" if values.boolean("vault.enabled") != Some(true) => continue,
            "vault.key_ttl_ms" => "pictures can be opened for",
            _ => "records are kept",
        };
        if retention < deadline {
            let (path, at) = values.culprit(&[path, DEADLINE]);
            let what =
                format!("{kept} {retention} ms, but a case may take {DEADLINE} = {deadline}");
            values.error(
                codes::RETENTION_BELOW_DEADLINE,
                &at,
                &path,
                what,
                Some(format!("{deadline} or more")),
            );
        } else if retention < HOUR_MS {
            let (path, at) = values.culprit(&[path]);
            let what = format!("an outage longer than {retention} ms loses cases");
            values.warning(
                codes::RETENTION_SHORT,
                &at,
                &path,
                what,
                Some(format!("{HOUR_MS} or more")),
            );
        }
    }
}

fn scenes(values: &mut Values) {
    let scenes = values.names("scene");
    if !scenes.iter().any(|scene| scene.text == "default")
        && !values.is_given("scene")
        && !values.is_given("scene.default")
    {
        let at = scenes
            .first()
            .map_or(Origin::Line(1), |scene| scene.origin.clone());
        let hint = Some("write [scene.default]: requests that name no scene use it".to_owned());
        values.error(
            codes::MISSING_REQUIRED,
            &at,
            "scene.default",
            "there is no scene `default`",
            hint,
        );
    }
    let max = values
        .integer("runtime.deadline_max_ms")
        .unwrap_or(i64::MAX);
    for scene in scenes {
        let path = format!("scene.{}.deadline_ms", scene.text);
        let expiry = format!("scene.{}.expires_after_ms", scene.text);
        let Some(deadline) = values.integer(&path) else {
            continue;
        };
        let (_, at) = values.culprit(&[&path]);
        if deadline > max {
            let what = format!("{deadline} is above runtime.deadline_max_ms = {max}");
            values.error(
                codes::DEADLINE_OVER_MAX,
                &at,
                &path,
                what,
                Some(format!("{max} or less")),
            );
        } else if let Some(expires) = values
            .integer(&expiry)
            .filter(|expires| *expires < deadline)
        {
            let what =
                format!("an answer at the deadline ({deadline}) has expired since {expires}");
            values.warning(
                codes::DEADLINE_OVER_EXPIRY,
                &at,
                &path,
                what,
                Some(format!("{expires} or less")),
            );
        }
    }
}
