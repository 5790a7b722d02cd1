//! The end of a case: one verdict, its evidence and, where the caller asked for data, its results.

use shiren_schemas::records::{
    AuthorityEvidence, CanonicalVerdict, Check, Comparison, Decision, Enrolment, Envelope,
    Evidence, FacedPicture, Fault, LibraryChange, ModelRef, ObservedVerdict, PersonFound,
    PictureAttributes, PictureFaces, PictureRole, ReferenceKind, Results, SearchEvidence, Verdict,
};
use shiren_schemas::{CodecError, Sha256, Wire, ids};

use crate::codes::Code;
use crate::stage::Rejection;

/// A case that has been decided.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// The case.
    pub envelope: Envelope,
    /// Answer.
    pub decision: Decision,
    /// Reasons, any order, repeats allowed.
    pub reason_codes: Vec<String>,
    /// States of the checks.
    pub checks: Vec<Check>,
    /// Reference kind of a comparison.
    pub reference_kind: Option<ReferenceKind>,
    /// Models that took part.
    pub models: Vec<ModelRef>,
    /// Pictures with their faces, for evidence.
    pub pictures: Vec<FacedPicture>,
    /// The comparison, for evidence.
    pub comparison: Option<Comparison>,
    /// Kind `search`: libraries, operating point and candidates, for evidence.
    pub search: Option<SearchEvidence>,
    /// Kind `search`: who was found, best first.
    pub candidates: Option<Vec<PersonFound>>,
    /// Kinds `enrol` and `unenrol`: what changed.
    pub enrolment: Option<Enrolment>,
    /// Kinds `enrol` and `unenrol`: what the libraries' truth keeps of it.
    pub library_changes: Vec<LibraryChange>,
    /// Kind `verify`: what the authority replied, for evidence; its source is named in the verdict.
    pub authority: Option<AuthorityEvidence>,
    /// Whom a yes is about: `library/person`.
    pub matched_subject: Option<String>,
    /// What went wrong, for evidence and the dead letter.
    pub faults: Vec<Fault>,
    /// Kind `detect`: the faces asked for.
    pub detections: Option<Vec<PictureFaces>>,
    /// Kind `attributes`: what was asked for.
    pub attributes: Option<Vec<PictureAttributes>>,
    /// Put a copy of the record among the dead letters.
    pub dead_letter: bool,
}

impl Terminal {
    /// A case that ends with `decision` and nothing else yet.
    #[must_use]
    pub fn new(envelope: Envelope, decision: Decision) -> Self {
        Self {
            envelope,
            decision,
            reason_codes: Vec::new(),
            checks: Vec::new(),
            reference_kind: None,
            models: Vec::new(),
            pictures: Vec::new(),
            comparison: None,
            search: None,
            candidates: None,
            enrolment: None,
            library_changes: Vec::new(),
            authority: None,
            matched_subject: None,
            faults: Vec::new(),
            detections: None,
            attributes: None,
            dead_letter: false,
        }
    }

    /// A case that could not be answered. `dead_letter` stays false: a picture without a face is
    /// an answer to its sender, not work for the operator.
    #[must_use]
    pub fn error(
        envelope: Envelope,
        stage: &str,
        rejection: Rejection,
        role: Option<PictureRole>,
    ) -> Self {
        let mut terminal = Self::new(envelope, Decision::Error);
        terminal.reason_codes.push(rejection.code.id.to_owned());
        terminal.faults.push(Fault {
            stage: stage.to_owned(),
            code: rejection.code.id.to_owned(),
            detail: rejection.detail,
            role,
        });
        terminal
    }

    /// Adds a reason.
    pub fn reason(&mut self, code: Code) {
        self.reason_codes.push(code.id.to_owned());
    }

    /// Makes the records of the case's end.
    ///
    /// # Errors
    /// [`CodecError::Unwritable`]: a fault of this program.
    pub fn into_records(self, seen: &Observation) -> Result<TerminalRecords, CodecError> {
        let envelope = self.envelope;
        let verdict_id = ids::verdict(envelope.case_id);
        let canonical = CanonicalVerdict {
            verdict_id,
            case_id: envelope.case_id,
            tenant: envelope.tenant.clone(),
            kind: envelope.kind,
            scene: envelope.scene.clone(),
            mode: envelope.mode,
            decision: self.decision,
            reason_codes: sorted(self.reason_codes),
            checks: sorted_by(self.checks, |check| check.name.clone()),
            matched_subject: self.matched_subject,
            reference_kind: self.reference_kind,
            authority_source: self.authority.as_ref().map(|a| a.source.clone()),
            policy_version: envelope.policy_version,
            model_hashes: sorted(
                self.models
                    .iter()
                    .map(|m| format!("{}:{}", m.name, m.sha256))
                    .collect(),
            ),
        };
        let verdict = Verdict {
            canonical_sha256: Sha256::of(&canonical.encode_body()?),
            canonical,
            observed: ObservedVerdict {
                request_id: envelope.request_id.clone(),
                received_time: envelope.received_time,
                decided_time: seen.decided_time_us,
                expires_at: envelope
                    .received_time
                    .saturating_add(seen.expires_after_ms.saturating_mul(1000)),
                host: seen.host.clone(),
                layout: seen.layout.clone(),
            },
        };
        let asked_for = self.detections.is_some()
            || self.attributes.is_some()
            || self.candidates.is_some()
            || self.enrolment.is_some();
        let results = asked_for.then(|| Results {
            verdict_id,
            case_id: envelope.case_id,
            request_id: envelope.request_id.clone(),
            tenant: envelope.tenant.clone(),
            kind: envelope.kind,
            detections: self.detections.unwrap_or_default(),
            attributes: self.attributes.unwrap_or_default(),
            candidates: self.candidates.unwrap_or_default(),
            enrolment: self.enrolment,
        });
        let evidence = Evidence {
            verdict_id,
            case_id: envelope.case_id,
            request_id: envelope.request_id,
            tenant: envelope.tenant,
            kind: envelope.kind,
            scene: envelope.scene,
            pictures: self.pictures,
            comparison: self.comparison,
            search: self.search,
            authority: self.authority,
            models: self.models,
            timings: envelope.trail,
            faults: self.faults,
        };
        Ok(TerminalRecords {
            verdict,
            results,
            evidence,
            library_changes: self.library_changes,
        })
    }
}

/// What the runtime observed; outside the canonical hash.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Wall clock, microseconds since the Unix epoch.
    pub decided_time_us: i64,
    /// Expiry of the case's scene, milliseconds after its received_time.
    pub expires_after_ms: i64,
    /// Host name.
    pub host: String,
    /// Segment that closed the case.
    pub layout: String,
}

/// The records of a case's end; they are written in one transaction.
#[derive(Clone, Debug)]
pub struct TerminalRecords {
    /// To `verdicts`.
    pub verdict: Verdict,
    /// To `results`.
    pub results: Option<Results>,
    /// To `evidence`.
    pub evidence: Evidence,
    /// To `shiren.library`.
    pub library_changes: Vec<LibraryChange>,
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

fn sorted_by<T, K: Ord>(mut list: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    list.sort_by_key(key);
    list
}
