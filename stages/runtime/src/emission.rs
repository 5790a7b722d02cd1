//! From what a segment decided to records of the log.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use shiren_contract::codes;
use shiren_contract::policies::Policies;
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::sealing;
use shiren_contract::stage::{Message, Rejection};
use shiren_contract::terminal::{Observation, Terminal, TerminalRecords};
use shiren_log::{NewRecord, Record};
use shiren_schemas::records::{
    CanonicalVerdict, Envelope, Lane, LibraryChange, LibraryOperation, Mode,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{CodecError, Id, Sha256, Wire, keys};

use crate::dead_letter::Refused;
use crate::metrics::Instruments;
use crate::registry::{BuildError, Registry, Rekey};
use crate::segment::Emission;

/// Headers of a verdict beside the trace context: hints, all of them in the verdict too.
pub const VERDICT_HEADERS: [&str; 5] = ["tenant", "scene", "kind", "decision", "expires_at"];

/// Largest overhead of a record beside its value: key and headers, bytes.
const RECORD_OVERHEAD_BYTES: usize = 2048;

/// Why emissions cannot be written: the worker stops, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum EmissionError {
    /// A fault of this program.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A record of a topic with keys of its own has none.
    #[error("{stage}: no key for its topic: {why}")]
    Rekey {
        /// Stage that reads the topic.
        stage: &'static str,
        /// What is wrong and what to do.
        why: BuildError,
    },
}

/// The topics with keys of their own, by the stage that reads them.
#[derive(Clone, Default)]
pub struct Rekeys {
    to: HashMap<&'static str, Arc<Rekey>>,
    /// Whether the records that the worker reads have such keys.
    from: bool,
}

impl Rekeys {
    /// Of a worker whose segment begins with `first`.
    pub(crate) fn of(registry: &Registry, first: &str) -> Self {
        Self {
            to: registry.rekeys().collect(),
            from: registry
                .get(first)
                .is_some_and(|stage| stage.descriptor.is_rekeyed),
        }
    }
}

/// What emissions became.
#[derive(Default)]
pub(crate) struct Emitted {
    pub(crate) records: Vec<NewRecord>,
    pub(crate) ends: Vec<End>,
}

/// An end that is written, to be counted once it is committed.
pub(crate) enum End {
    /// A case ended.
    Verdict {
        canonical: Box<CanonicalVerdict>,
        sha256: Sha256,
        /// Since its arrival.
        took_us: i64,
    },
    /// A copy for the operator; its code where there is no verdict that has it.
    DeadLetter { code: Option<&'static str> },
}

/// Puts emissions into records: topics, keys, headers, sizes, seals.
#[derive(Clone)]
pub struct Emitter {
    /// Lane of the worker: forwards stay in it.
    pub lane: Lane,
    /// Tenants served; a dead letter of an unknown one goes to the first.
    pub tenants: Vec<String>,
    /// What cases are judged by: their expiry.
    pub policies: Policies,
    /// What seals pictures and templates; `None`: they are written as they are.
    pub vault: Option<Arc<dyn Vault>>,
    /// Expiry where the scene is unknown, milliseconds.
    pub default_expires_after_ms: i64,
    /// Largest distance of a live case's capture time from its append time, milliseconds.
    pub capture_max_skew_ms: i64,
    /// Host name, for the observed part of verdicts.
    pub host: String,
    /// Segment, for the observed part of verdicts.
    pub layout: String,
    /// Largest record, bytes.
    pub max_record_bytes: usize,
    /// Where broken invariants are counted.
    pub instruments: Instruments,
    /// Most bytes of a record that its dead letter keeps, sealed.
    pub dead_letters_head_max_bytes: usize,
    /// Topics with keys of their own; none for who writes no log.
    pub rekeys: Rekeys,
}

impl Emitter {
    /// The records for what became of `origin`.
    ///
    /// # Errors
    /// A fault of this program, or the vault cannot be used; the worker must stop, nothing is lost.
    pub fn records(
        &self,
        origin: &Record,
        emissions: Vec<Emission>,
        now_us: i64,
    ) -> Result<Vec<NewRecord>, EmissionError> {
        Ok(self.emit(origin, emissions, 0, now_us)?.records)
    }

    /// As [`Emitter::records`], with the ends that are among them, of a record on which the process died `attempts` times.
    pub(crate) fn emit(
        &self,
        origin: &Record,
        emissions: Vec<Emission>,
        attempts: i32,
        now_us: i64,
    ) -> Result<Emitted, EmissionError> {
        let mut out = Emitted::default();
        for emission in emissions {
            match emission {
                Emission::Forward {
                    stage,
                    message,
                    trace,
                } => {
                    self.forward(origin, stage, message, trace, now_us, &mut out)?;
                }
                Emission::Closed { terminal, trace } => {
                    self.close(origin, *terminal, &trace, attempts, now_us, &mut out)?;
                }
                Emission::Dead { stage, rejection } => {
                    let refused = Refused {
                        stage,
                        rejection: &rejection,
                        case: None,
                        attempts,
                        now_us,
                    };
                    out.records.push(self.dead_letter(origin, &refused)?);
                    let code = Some(rejection.code.id);
                    out.ends.push(End::DeadLetter { code });
                }
                Emission::Absorbed(_) => {}
            }
        }
        Ok(out)
    }

    fn forward(
        &self,
        origin: &Record,
        stage: &'static str,
        mut message: Box<dyn Message>,
        trace: Vec<(String, Bytes)>,
        now_us: i64,
        out: &mut Emitted,
    ) -> Result<(), EmissionError> {
        let case = message.envelope().clone();
        // Before what it goes by is sealed.
        let rekey = self
            .rekeys
            .to
            .get(stage)
            .map(|rekey| rekey(message.as_ref()));
        let key = rekey
            .transpose()
            .map_err(|why| EmissionError::Rekey { stage, why })?
            .flatten()
            .map_or_else(|| self.key_of(origin, &case), Bytes::from);
        match self.seal(message.as_mut(), &case.tenant, case.case_id, now_us) {
            Ok(()) => {}
            // An operator destroyed the epoch that it is now: nothing can be kept in it.
            Err(error @ VaultError::KeyDestroyed { .. }) => {
                let rejection = Rejection::new(error.code(), error.to_string());
                let terminal = Terminal::error(case, stage, rejection, None);
                return self.close(origin, terminal, &trace, 0, now_us, out);
            }
            Err(error) => return Err(error.into()),
        }
        let value = message.encode()?;
        if self.fits(&value) {
            let topic = Topic::Stage {
                stage: stage.to_owned(),
                lane: self.lane,
            };
            out.records.push(new_record(&topic, key, value, trace));
            return Ok(());
        }
        let detail = format!(
            "{} bytes for {stage}, limit {}",
            value.len(),
            self.max_record_bytes
        );
        let rejection = Rejection::new(codes::RECORD_TOO_LARGE, detail);
        let mut terminal = Terminal::error(message.envelope().clone(), stage, rejection, None);
        terminal.dead_letter = true;
        self.close(origin, terminal, &trace, 0, now_us, out)
    }

    /// The dead letter of a case that has a verdict too.
    fn copy(
        &self,
        origin: &Record,
        terminal: &Terminal,
        attempts: i32,
        now_us: i64,
    ) -> Result<NewRecord, EmissionError> {
        let fault = terminal.faults.first();
        let code = fault.and_then(|fault| codes::find(&fault.code)).copied();
        let detail = fault.map(|fault| fault.detail.clone()).unwrap_or_default();
        let rejection = Rejection::new(code.unwrap_or(codes::STAGE_FAILED), detail);
        let refused = Refused {
            stage: fault.map_or("", |fault| fault.stage.as_str()),
            rejection: &rejection,
            case: Some(&terminal.envelope),
            attempts,
            now_us,
        };
        self.dead_letter(origin, &refused)
    }

    fn close(
        &self,
        origin: &Record,
        terminal: Terminal,
        trace: &[(String, Bytes)],
        attempts: i32,
        now_us: i64,
        out: &mut Emitted,
    ) -> Result<(), EmissionError> {
        let mut terminal = self.guarded(terminal, now_us);
        if self.is_skewed(&terminal.envelope) {
            terminal.reason_codes.push(codes::CLOCK_SKEW.id.to_owned());
        }
        if terminal.dead_letter {
            out.ends.push(End::DeadLetter { code: None });
            out.records
                .push(self.copy(origin, &terminal, attempts, now_us)?);
        }
        let scene = self.policies.of(&terminal.envelope);
        let seen = Observation {
            decided_time_us: now_us,
            expires_after_ms: scene.map_or(self.default_expires_after_ms, |s| s.expires_after_ms),
            host: self.host.clone(),
            layout: self.layout.clone(),
        };
        let key = self.key_of(origin, &terminal.envelope);
        let mode = terminal.envelope.mode;
        let TerminalRecords {
            verdict,
            results,
            mut evidence,
            library_changes,
        } = terminal.into_records(&seen)?;
        let tenant = verdict.canonical.tenant.clone();
        out.ends.push(End::Verdict {
            took_us: now_us.saturating_sub(verdict.observed.received_time),
            sha256: verdict.canonical_sha256,
            canonical: Box::new(verdict.canonical.clone()),
        });
        let mut headers = trace.to_vec();
        let values = [
            tenant.clone(),
            verdict.canonical.scene.clone(),
            verdict.canonical.kind.to_string(),
            verdict.canonical.decision.to_string(),
            verdict.observed.expires_at.to_string(),
        ];
        for (name, value) in VERDICT_HEADERS.into_iter().zip(values) {
            headers.push((name.to_owned(), Bytes::from(value)));
        }
        let topic = Topic::Verdicts {
            tenant: tenant.clone(),
            mode,
        };
        out.records
            .push(new_record(&topic, key.clone(), verdict.encode()?, headers));
        if let Some(results) = results {
            let topic = Topic::Results {
                tenant: tenant.clone(),
            };
            out.records.push(new_record(
                &topic,
                key.clone(),
                results.encode()?,
                trace.to_vec(),
            ));
        }
        for mut change in library_changes {
            if let Some(vault) = &self.vault {
                sealing::seal_change(&mut change, vault.as_ref())?;
            }
            out.records.push(library_change(&change)?);
        }
        match self.seal(&mut evidence, &tenant, verdict.canonical.case_id, now_us) {
            Ok(()) => {}
            Err(VaultError::KeyDestroyed { .. }) => sealing::strip(&mut evidence),
            Err(error) => return Err(error.into()),
        }
        let mut value = evidence.encode()?;
        if !self.fits(&value) {
            // The grounds matter more than the pictures: evidence without crops always fits.
            sealing::strip(&mut evidence);
            value = evidence.encode()?;
        }
        out.records.push(new_record(
            &Topic::Evidence { tenant },
            key,
            value,
            trace.to_vec(),
        ));
        Ok(())
    }

    /// Whether the capture time of a live case is far from its append time, which alone is trusted.
    fn is_skewed(&self, case: &Envelope) -> bool {
        let max_us = self.capture_max_skew_ms.saturating_mul(1_000);
        let captured = case.capture_time.filter(|_| case.mode == Mode::Live);
        captured.is_some_and(|us| us.abs_diff(case.received_time) > max_us.unsigned_abs())
    }

    fn seal(
        &self,
        record: &mut (impl sealing::Sealable + ?Sized),
        tenant: &str,
        case: Id,
        now_us: i64,
    ) -> Result<(), VaultError> {
        let Some(vault) = &self.vault else {
            return Ok(());
        };
        sealing::seal(record, vault.as_ref(), tenant, case, now_us)
    }

    fn fits(&self, value: &[u8]) -> bool {
        value.len() + RECORD_OVERHEAD_BYTES <= self.max_record_bytes
    }

    /// The case's key never changes: that of its ingress record.
    fn key_of(&self, origin: &Record, envelope: &Envelope) -> Bytes {
        let key = origin.key.clone().filter(|_| !self.rekeys.from);
        key.unwrap_or_else(|| Bytes::from(keys::request(&envelope.tenant, &envelope.request_id)))
    }
}

/// By what it is about, so that compaction keeps the last change of each library, person and face.
fn library_change(change: &LibraryChange) -> Result<NewRecord, CodecError> {
    let (tenant, library, person) = (&change.tenant, change.library, &change.person_id);
    let key = match (change.operation, change.face_id) {
        (LibraryOperation::Create | LibraryOperation::Delete, _) => keys::library(tenant, library),
        (_, Some(face)) => keys::face(tenant, library, person, face),
        (_, None) => keys::person(tenant, library, person),
    };
    let value = change.encode()?;
    Ok(new_record(
        &Topic::Library,
        Bytes::from(key),
        value,
        Vec::new(),
    ))
}

pub(crate) fn new_record(
    topic: &Topic,
    key: Bytes,
    value: Vec<u8>,
    headers: Vec<(String, Bytes)>,
) -> NewRecord {
    NewRecord {
        topic: Arc::from(topic.to_string()),
        partition: None,
        key,
        value: Some(Bytes::from(value)),
        headers,
    }
}
