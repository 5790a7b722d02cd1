//! The copy of a failed record for the operator.

use bytes::Bytes;
use shiren_contract::sealing::{self, LetterError};
use shiren_contract::stage::Rejection;
use shiren_log::{NewRecord, Record};
use shiren_schemas::records::{DeadLetter, DeadLetterContent, DeadLetterHeader, Envelope};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Sha256, Wire, framing, ids, keys};

use crate::emission::{EmissionError, Emitter, new_record};
use crate::trace_context;

/// Why a record became a dead letter.
pub(crate) struct Refused<'a> {
    pub(crate) stage: &'a str,
    pub(crate) rejection: &'a Rejection,
    /// Where it could be read.
    pub(crate) case: Option<&'a Envelope>,
    /// Times that the process died on it.
    pub(crate) attempts: i32,
    pub(crate) now_us: i64,
}

impl Emitter {
    pub(crate) fn dead_letter(
        &self,
        origin: &Record,
        refused: &Refused<'_>,
    ) -> Result<NewRecord, EmissionError> {
        let value = origin.value.clone().unwrap_or_default();
        let case = refused.case;
        let tenant = case.map_or_else(|| self.tenant_of(origin), |case| case.tenant.clone());
        let mut letter = DeadLetter {
            id: ids::dead_letter(&origin.topic, origin.partition, origin.offset),
            tenant: tenant.clone(),
            origin_topic: origin.topic.to_string(),
            origin_partition: origin.partition,
            origin_offset: origin.offset,
            origin_time: origin.append_time_us,
            key: origin.key.as_ref().map(|key| key.to_vec()),
            stage: refused.stage.to_owned(),
            code: refused.rejection.code.id.to_owned(),
            detail: refused.rejection.detail.clone(),
            case_id: case.map(|case| case.case_id),
            value_bytes: i64::try_from(value.len()).unwrap_or(i64::MAX),
            value_sha256: Sha256::of(&value),
            // No field: the first ones of a short record may be a name and a number.
            head: framing(&value).to_vec(),
            attempts: refused.attempts,
            traceparent: trace_context::traceparent(&origin.headers),
            content: None,
        };
        if let Some(vault) = &self.vault {
            let content = content(origin, &value, self.dead_letters_head_max_bytes);
            sealing::seal_letter(&mut letter, &content, vault.as_ref(), refused.now_us).map_err(
                |error| match error {
                    LetterError::Vault(error) => EmissionError::Vault(error),
                    LetterError::Codec(error) => EmissionError::Codec(error),
                },
            )?;
        }
        let key = origin.key.clone().unwrap_or_default();
        Ok(new_record(
            &Topic::DeadLetters { tenant },
            key,
            letter.encode()?,
            Vec::new(),
        ))
    }

    /// By the topic's name, by the key, or else the first tenant: an operator sees it in any case.
    fn tenant_of(&self, origin: &Record) -> String {
        let named = match Topic::parse(&origin.topic) {
            Some(Topic::Requests { tenant, .. } | Topic::LibraryCommands { tenant }) => {
                Some(tenant)
            }
            _ => origin
                .key
                .as_ref()
                .and_then(|key| keys::split(key))
                .map(|(t, _)| t.to_owned()),
        };
        named
            .filter(|tenant| self.tenants.contains(tenant))
            .or_else(|| self.tenants.first().cloned())
            .unwrap_or_default()
    }
}

/// The first bytes of the value, and the first headers that take no more.
fn content(origin: &Record, value: &Bytes, max_bytes: usize) -> DeadLetterContent {
    let mut left = max_bytes;
    let headers = origin.headers.iter().map_while(|(name, value)| {
        left = left.checked_sub(name.len() + value.as_ref().map_or(0, Bytes::len))?;
        Some(DeadLetterHeader {
            name: name.clone(),
            value: value.as_ref().map(|value| value.to_vec()),
        })
    });
    DeadLetterContent {
        headers: headers.collect(),
        head: value[..value.len().min(max_bytes)].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_headers_keep_their_bound() {
        let header = |name: &str, bytes: usize| (name.to_owned(), Some(vec![7; bytes].into()));
        let mut origin = Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            append_time_us: 0,
            key: None,
            value: Some(vec![1; 100].into()),
            headers: vec![header("a", 4), ("b".to_owned(), None), header("c", 5)],
        };
        let value = origin.value.clone().unwrap();
        let kept = content(&origin, &value, 10);
        assert_eq!(kept.head, [1; 10]);
        let names: Vec<&str> = kept.headers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(kept.headers[1].value, None);
        assert_eq!(content(&origin, &value, 1_000).head.len(), 100);
        assert_eq!(content(&origin, &value, 1_000).headers.len(), 3);
        origin.headers.clear();
        assert_eq!(content(&origin, &value, 0).head, [] as [u8; 0]);
    }
}
