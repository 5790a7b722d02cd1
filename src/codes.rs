//! Every code that this program can say, with its meaning and what to do: one list behind
//! `shiren explain` and `docs/errors.md`.

use shiren_contract::codes::{self, Code};
use shiren_models::error::START_CODES;

/// Codes that are explained together.
pub struct Group {
    /// Heading.
    pub title: &'static str,
    /// Where they are met.
    pub words: &'static str,
    /// The codes, in the order of the page.
    pub codes: Vec<Code>,
}

const fn code(id: &'static str, meaning: &'static str, advice: &'static str) -> Code {
    Code {
        id,
        meaning,
        advice,
    }
}

/// Codes of [`shiren_log::LogError`].
#[rustfmt::skip] // a table: a line each
const LOG: &[Code] = &[
    code("topic_unknown", "A topic of the topology does not exist in the log.", "Run `shiren topics apply`."),
    code("topic_partitions_differ", "A topic exists with another partition count than topics.partitions. Keys would move between partitions, so it is never changed.", "Set topics.partitions to the count that is there, or use new tenants or a new cluster."),
    code("record_too_large", "A record is larger than its topic takes.", "Send a smaller picture, or raise topics.max_record_bytes and run `shiren topics apply`."),
    code("log_full", "The embedded log has reached log.embedded.max_mib. Nothing is lost: publishing is refused, workers keep what does not fit and try again.", "Wait until retention frees space, shorten retention, or raise log.embedded.max_mib."),
    code("log_workers_elsewhere", "Another process runs workers on this embedded log, which allows one.", "Stop the other process, run all segments in one, or use Kafka."),
    code("offset_out_of_range", "The offset that a group has committed lies outside the log: records were deleted before they were processed.", "Decide where to go on and set the group's offset by hand; raise the retention above your longest outage."),
    code("log_config", "A setting of the log is wrong, or the brokers refuse a topic.", "Mend the setting that the message names."),
    code("log_unavailable", "The log did not answer in time, or failed in a way that may pass. Workers try again with growing pauses.", "Check brokers, network, credentials and log.kafka.bootstrap_servers; for the embedded log, who holds its write lock."),
    code("log_fatal", "The log failed for good; the message has its own words.", "Mend what the message names, then start the worker again: it goes on at the committed offset."),
];

/// The topics of the log are not those of the topology.
pub(crate) const TOPIC_SETTING_DIFFERS: Code = code(
    "topic_setting_differs",
    "A topic's retention, record limit or clean-up policy is not what the topology says.",
    "Run `shiren topics apply`, or put what is right into [topics].",
);
/// A topic takes the producers' clock.
pub(crate) const TOPIC_WITHOUT_APPEND_TIME: Code = code(
    "topic_without_append_time",
    "A topic keeps the producers' time stamps (message.timestamp.type is not LogAppendTime): deadlines and expiry would follow foreign clocks.",
    "Run `shiren topics apply`.",
);
/// Templates of one model would be judged by the table of another.
pub(crate) const EMBEDDINGS_MIXED: Code = code(
    "embeddings_mixed",
    "The chain would mix embeddings of different models: a calibration table holds the scores of another model than the profile's embedder.",
    "Give the embedder its own table in the manifest, or take the table out.",
);

/// A scene requires what the profile has nothing for.
pub(crate) const CHECK_WITHOUT_MODEL: Code = code(
    "check_without_model",
    "A scene requires a check for which the profile has no model or no table: it could never accept.",
    "Add the model to the profile in the manifest (`mesh` for quality; for liveness a table of liveness.tables that joins the profile's nets), or do not require the check.",
);
/// Two operators changed one scene.
const POLICY_CONFLICT: Code = code(
    "policy_conflict",
    "`shiren policy set`: someone else changed the scene since it was read; their change stays, this one was not made.",
    "Look at `shiren policy diff`, then set it again.",
);

/// A worker process outgrew its bound.
const MEMORY_OVER_BUDGET: Code = code(
    "memory_over_budget",
    "A worker process holds more than runtime.max_resident_mib. It stops after a commit; what it did not answer stays in the log.",
    "Start it again. If it comes back, lower bundle.max_bytes, bundle.queue_max_bytes, stills.max_pixels or detect.net_max_side_px, run fewer workers in a process, or raise the bound.",
);

/// `shiren dead-letters`: no such letter.
pub(crate) const DEAD_LETTER_UNKNOWN: Code = code(
    "dead_letter_unknown",
    "There is no dead letter of this id among the tenant's.",
    "Look at `shiren dead-letters list`; topics.dead_letters_retention_ms may have deleted it.",
);
/// `shiren dead-letters replay`: the request is gone.
pub(crate) const REPLAY_ORIGIN_DELETED: Code = code(
    "replay_origin_deleted",
    "The record that the dead letter tells of is not in its ingress topic any more: retention deleted it.",
    "Have its sender publish it again; raise topics.requests_retention_ms for the ones to come.",
);
/// `shiren dead-letters replay`: there is no request to be made of the bytes.
pub(crate) const REPLAY_UNREADABLE: Code = code(
    "replay_unreadable",
    "The original bytes are no request that this version reads, so no new case can be made of them.",
    "Mend the producer and have it publish the request again.",
);
/// A worker's limits on dead letters.
const DEAD_LETTERS_OVER_LIMIT: Code = code(
    "dead_letters_over_limit",
    "A worker made more dead letters in a row than runtime.dead_letters_max_consecutive, or a larger share of its last records than runtime.dead_letters_max_ratio: something is wrong with many records, not with one. It stops after a commit; nothing is lost.",
    "Look at `shiren dead-letters list`, mend the producer or the stage, start it again, then `shiren dead-letters replay`.",
);
/// A stage hangs.
const RECORD_OVER_TIME: Code = code(
    "record_over_time",
    "A stage worked on one record for longer than runtime.record_max_ms. The process ended itself; what it did not commit stays in the log, and the record counts as one that killed it.",
    "Start it again: after runtime.crash_max_attempts deaths the record becomes a dead letter (docs/dead-letters.md). Raise the bound where a machine is just slow.",
);

/// The machine's clock is off.
const CLOCK_OFF: Code = code(
    "clock_off",
    "A worker's clock is off by more than runtime.clock_max_skew_ms: by records of the log that would be of the future, or because it was set while the process ran. Nothing is processed meanwhile, and /readyz says why; after runtime.clock_max_off_ms the process stops.",
    "Set the machine's clock right (NTP), then start it again if it stopped. Nothing is lost.",
);

const SITE: &[Code] = &[
    CLOCK_OFF,
    DEAD_LETTER_UNKNOWN,
    REPLAY_ORIGIN_DELETED,
    REPLAY_UNREADABLE,
    DEAD_LETTERS_OVER_LIMIT,
    RECORD_OVER_TIME,
    TOPIC_SETTING_DIFFERS,
    TOPIC_WITHOUT_APPEND_TIME,
    EMBEDDINGS_MIXED,
    CHECK_WITHOUT_MODEL,
    POLICY_CONFLICT,
    MEMORY_OVER_BUDGET,
];

/// All codes, by group. An id that two groups have means the same thing in both.
#[must_use]
pub fn groups() -> Vec<Group> {
    let topology = shiren_topology::CODES.iter();
    vec![
        Group {
            title: "Verdicts and dead letters",
            words: "Reason codes of verdicts, reasons of checks, codes of evidence and of dead letters. `shiren validate` uses \
                    `calibration_missing` and `threshold_extrapolated` too, of scenes.",
            codes: codes::ALL.to_vec(),
        },
        Group {
            title: "Weights and models",
            words: "These stop a command or a worker when it starts; nothing is processed until they are mended. \
                    `shiren validate --live` reports them all at once.",
            codes: START_CODES.to_vec(),
        },
        Group {
            title: "The log",
            words: "These end a command or a worker process, unless their meaning says otherwise.",
            codes: LOG.to_vec(),
        },
        Group {
            title: "The site",
            words: "`shiren validate` reports these beside those of topology.toml; those of topics with `--live` only. \
                    `memory_over_budget` and `clock_off` end a worker process.",
            codes: SITE.to_vec(),
        },
        Group {
            title: "topology.toml",
            words: "`shiren validate` reports these with file and line; every other command refuses to start on them.",
            codes: topology
                .map(|problem| code(problem.id, problem.meaning, TOPOLOGY_ADVICE))
                .collect(),
        },
    ]
}

const TOPOLOGY_ADVICE: &str = "Run `shiren validate`: it names file and line, and what to write there; docs/topology.md has every setting.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shiren_log::LogError;

    use super::*;

    /// One of each. A new variant does not compile until it is placed here, and fails the test
    /// until it has a code.
    fn log_errors() -> Vec<LogError> {
        let place = |error: &LogError| match error {
            LogError::UnknownTopic { .. } => 0,
            LogError::PartitionsDiffer { .. } => 1,
            LogError::RecordTooLarge { .. } => 2,
            LogError::Full { .. } => 3,
            LogError::WorkersElsewhere { .. } => 4,
            LogError::OffsetOutOfRange { .. } => 5,
            LogError::Config { .. } => 6,
            LogError::Unavailable { .. } => 7,
            LogError::Fatal { .. } => 8,
        };
        let (topic, what, engine) = (String::new, String::new, "kafka");
        let all = vec![
            LogError::UnknownTopic { topic: topic() },
            LogError::PartitionsDiffer {
                topic: topic(),
                found: 6,
                wanted: 12,
            },
            LogError::RecordTooLarge {
                topic: topic(),
                bytes: 2,
                max: 1,
            },
            LogError::Full { max_mib: 1 },
            LogError::WorkersElsewhere { path: what() },
            LogError::OffsetOutOfRange {
                group: what(),
                topic: topic(),
                partition: 0,
                committed: 1,
                first: 2,
                end: 3,
            },
            LogError::Config { what: what() },
            LogError::Unavailable {
                engine,
                what: what(),
            },
            LogError::Fatal {
                engine,
                what: what(),
            },
        ];
        let places: Vec<usize> = all.iter().map(place).collect();
        assert_eq!(places, (0..all.len()).collect::<Vec<_>>());
        all
    }

    #[test]
    fn every_error_of_the_log_has_its_code() {
        let ids: Vec<&str> = log_errors().iter().map(LogError::code).collect();
        assert_eq!(ids, LOG.iter().map(|code| code.id).collect::<Vec<_>>());
    }

    #[test]
    fn every_code_is_one_word_with_meaning_and_advice_and_of_one_group() {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for code in groups().iter().flat_map(|group| &group.codes) {
            let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(!code.id.is_empty() && code.id.bytes().all(word), "{code}");
            assert!(code.meaning.ends_with(['.', ')']), "{code}");
            assert!(code.advice.ends_with('.'), "{code}");
            *seen.entry(code.id).or_default() += 1;
        }
        seen.retain(|_, times| *times > 1);
        // Of verdicts and of the log: a record that is too large.
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            [("record_too_large", 2)]
        );
    }
}
