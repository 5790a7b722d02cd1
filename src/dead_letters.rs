//! Dead letters: looked for, looked into, and replayed as new cases.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use shiren_contract::codes::{self, Code};
use shiren_contract::seal::Vault;
use shiren_contract::sealing::{self, LetterError};
use shiren_log::{Log, Record, Start};
use shiren_schemas::records::{DeadLetter, DeadLetterContent, Lane, Request};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Sha256, Wire, ids};

use crate::codes::{DEAD_LETTER_UNKNOWN, REPLAY_ORIGIN_DELETED, REPLAY_UNREADABLE};
use crate::requests;

/// Records taken from the log at once.
const READ_MAX_RECORDS: usize = 256;
/// Longest wait of one read.
const READ_MAX_WAIT: Duration = Duration::from_millis(100);

/// Which dead letters; what is `None` or empty does not choose.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Their ids.
    pub ids: Vec<Id>,
    /// Stage that refused the record.
    pub stage: Option<String>,
    /// Its code.
    pub code: Option<String>,
    /// Written then or later, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
}

impl Filter {
    fn takes(&self, found: &Found) -> bool {
        let letter = &found.letter;
        let is = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && is(&self.stage, &letter.stage)
            && is(&self.code, &letter.code)
            && self.since_us.is_none_or(|since| found.written_us >= since)
    }
}

/// A dead letter and when it was written, microseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct Found {
    /// The letter.
    pub letter: DeadLetter,
    /// The log's append time of the letter.
    pub written_us: i64,
}

/// The newest `max` of a tenant's letters that `filter` takes, by the time of their origins, each id once; and how many
/// older ones were left out.
///
/// # Errors
/// The topic does not exist, the log does not answer, or a record is none of ours.
pub fn find(
    log: &dyn Log,
    tenant: &str,
    filter: &Filter,
    max: usize,
) -> anyhow::Result<(Vec<Found>, u64)> {
    let topic = Topic::DeadLetters {
        tenant: tenant.to_owned(),
    };
    let mut reader = log.reader(&topic.to_string(), Start::Beginning)?;
    let mut kept = BTreeMap::new();
    let mut left_out = 0;
    while !reader.at_end()? {
        for record in reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)? {
            let found = Found {
                letter: DeadLetter::decode(&record.value.unwrap_or_default())?,
                written_us: record.append_time_us,
            };
            if filter.takes(&found) {
                kept.insert((found.letter.origin_time, found.letter.id), found);
            }
            if kept.len() > max {
                kept.pop_first();
                left_out += 1;
            }
        }
    }
    Ok((kept.into_values().collect(), left_out))
}

/// The letter of this id.
///
/// # Errors
/// `dead_letter_unknown`; as [`find`].
pub fn one(log: &dyn Log, tenant: &str, id: Id) -> anyhow::Result<Found> {
    let filter = Filter {
        ids: vec![id],
        ..Filter::default()
    };
    let (mut found, _) = find(log, tenant, &filter, 1)?;
    found
        .pop()
        .ok_or_else(|| refused(DEAD_LETTER_UNKNOWN, &format!("{id} of tenant {tenant}")))
}

/// What a letter keeps of its origin's content; `None`: nothing, it was written without a vault.
///
/// # Errors
/// `key_destroyed`: it is erased; the vault cannot be used.
pub fn open(
    letter: &DeadLetter,
    vault: Option<&dyn Vault>,
) -> anyhow::Result<Option<DeadLetterContent>> {
    match vault {
        Some(vault) => sealing::open_letter(letter, vault).map_err(|error| match error {
            LetterError::Vault(error) => crate::vault::coded(error),
            LetterError::Codec(error) => error.into(),
        }),
        None if letter.content.is_none() => Ok(None),
        None => Err(refused(
            codes::KEY_STORE_MISSING,
            "the letter is sealed and this site has no vault (vault.enabled)",
        )),
    }
}

/// A letter's case, sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The letter.
    pub letter: Id,
    /// The new case.
    pub case: Id,
    /// Its request id: `replay-` and the letter's id, so that a second replay is the same case.
    pub request_id: String,
}

/// Publishes the original request again, as a new case that names the old one, under the key that its content gives.
///
/// # Errors
/// `replay_origin_deleted`, `replay_unreadable`; `key_destroyed`: what the letter tells of is erased, and stays so; the log
/// does not answer.
pub fn replay(
    log: &dyn Log,
    letter: &DeadLetter,
    vault: Option<&dyn Vault>,
) -> anyhow::Result<Replayed> {
    // The origin may lie in the log for longer than the key lives.
    open(letter, vault).with_context(|| format!("dead letter {} is not replayed", letter.id))?;
    let origin = origin(log, letter)?;
    let value = origin.value.unwrap_or_default();
    let mut request = Request::decode(&value).map_err(|error| {
        let what = format!("dead letter {}: [{}] {error}", letter.id, letter.code);
        refused(REPLAY_UNREADABLE, &what)
    })?;
    let old = letter
        .case_id
        .unwrap_or_else(|| ids::case(&origin.topic, &request.request_id));
    request.replay_of = Some(old);
    request.request_id = format!("replay-{}", letter.id);
    let request_id = request.request_id.clone();
    let (mut record, case) = if request.command.is_some() {
        requests::command(&letter.tenant, request)?
    } else {
        let lane = match Topic::parse(&origin.topic) {
            Some(Topic::Requests { lane, .. }) => lane,
            _ => Lane::Bulk,
        };
        requests::record(&letter.tenant, lane, &request)?
    };
    if let Some(trace) = &letter.traceparent {
        let trace = Bytes::from(trace.clone());
        record.headers.push(("traceparent".to_owned(), trace));
    }
    log.publisher()?.publish(vec![record])?;
    Ok(Replayed {
        letter: letter.id,
        case,
        request_id,
    })
}

/// The ingress record that the letter comes from.
fn origin(log: &dyn Log, letter: &DeadLetter) -> anyhow::Result<Record> {
    let topic = letter.origin_topic.as_str();
    let found = match Topic::parse(topic) {
        Some(Topic::Stage { lane, .. }) => ingress_of_case(log, letter, lane)?,
        _ => log
            .read_at(topic, letter.origin_partition, letter.origin_offset)?
            .filter(|found| {
                let value = found.value.clone().unwrap_or_default();
                // A topic that was deleted and made again has other records at the same places.
                Sha256::of(&value) == letter.value_sha256
            }),
    };
    found.ok_or_else(|| {
        let (partition, offset) = (letter.origin_partition, letter.origin_offset);
        let what = format!(
            "dead letter {}: {topic}/{partition} at offset {offset}",
            letter.id
        );
        refused(REPLAY_ORIGIN_DELETED, &what)
    })
}

/// A stage that runs apart met the case on its own topic: the request is looked for by key and case.
fn ingress_of_case(
    log: &dyn Log,
    letter: &DeadLetter,
    lane: Lane,
) -> anyhow::Result<Option<Record>> {
    let tenant = || letter.tenant.clone();
    let topics = [
        Topic::Requests {
            tenant: tenant(),
            lane,
        },
        Topic::LibraryCommands { tenant: tenant() },
    ];
    for topic in topics.iter().map(Topic::to_string) {
        if log.partitions(&topic)?.is_none() {
            continue;
        }
        let mut reader = log.reader(&topic, Start::Beginning)?;
        while !reader.at_end()? {
            for record in reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)? {
                if record.key.as_deref() == letter.key.as_deref() && is_of(&record, letter) {
                    return Ok(Some(record));
                }
            }
        }
    }
    Ok(None)
}

fn is_of(record: &Record, letter: &DeadLetter) -> bool {
    let request = Request::decode(record.value.as_deref().unwrap_or_default());
    request
        .is_ok_and(|request| letter.case_id == Some(ids::case(&record.topic, &request.request_id)))
}

fn refused(code: Code, what: &str) -> anyhow::Error {
    anyhow::anyhow!("[{code}] {what}: {} {}", code.meaning, code.advice)
}
