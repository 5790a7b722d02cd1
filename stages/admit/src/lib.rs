//! Admit: the first stage. It turns an ingress record into a case, or says why not.
//!
//! Checks envelope, key and partition; takes the tenant from the topic's name; derives the case
//! id; stamps the append time and the policy's version.

mod claim;
mod config;
mod question;

use shiren_contract::codes;
use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::stage::{Absorption, Arrival, Input, Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::{
    AdmittedCase, AdmittedPicture, Envelope, Lane, LedgerEntry, Mode, Picture, PictureContent,
    PictureRole, ReferenceKind, Request, RequestKind,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Sha256, Wire, ids, keys};

pub use config::Config;
pub use question::QuestionBounds;

/// Longest request_id, bytes.
const REQUEST_ID_MAX_BYTES: usize = 128;

/// The stage.
pub struct Admit {
    config: Config,
}

impl Admit {
    /// The stage with its configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

impl KeyedStage for Admit {
    type Input = Arrival;
    type State = LedgerEntry;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "admit",
        kinds: RequestKind::ALL,
        input: <Arrival as Input>::SCHEMA,
        outputs: &[AdmittedCase::NAME],
        checks: &[],
        state: Some(LedgerEntry::NAME),
        is_rekeyed: false,
    };

    fn process(&mut self, arrival: Arrival, ledger: &mut Memory<'_, LedgerEntry>) -> Outcome {
        let Some(ingress) = Ingress::of(&arrival.topic) else {
            let what = format!("{} is no topic of requests", arrival.topic);
            return Outcome::DeadLetter(Rejection::new(codes::STAGE_FAILED, what));
        };
        let value = arrival.value.clone().unwrap_or_default();
        let mut request = match Request::decode(&value) {
            Ok(request) => request,
            Err(error) => return Outcome::DeadLetter(error.into()),
        };
        let case = ids::case(&arrival.topic, &request.request_id);
        if let Err(rejection) = self.check(&arrival, &ingress, &mut request, case) {
            // By place, so that a corrected resend is a case of its own.
            let case = ids::refused_case(&arrival.topic, arrival.partition, arrival.offset);
            let envelope = self.envelope(&request, case, ingress, &arrival);
            let mut terminal = Terminal::error(envelope, Self::DESCRIPTOR.name, rejection, None);
            terminal.dead_letter = true;
            return Outcome::terminal(terminal);
        }
        let envelope = self.envelope(&request, case, ingress, &arrival);
        if let Some(outcome) = self.seen(&envelope, &value, ledger) {
            return outcome;
        }
        let pictures = if question::needs_pictures(&request) {
            pictures(request.kind, request.probe, request.reference)
        } else {
            Ok(Vec::new())
        };
        match pictures {
            Ok(pictures) => Outcome::next(AdmittedCase {
                envelope,
                pictures,
                search: request.search,
                command: request.command,
                claim: request.claim,
            }),
            Err((rejection, role)) => Outcome::terminal(Terminal::error(
                envelope,
                Self::DESCRIPTOR.name,
                rejection,
                Some(role),
            )),
        }
    }

    /// It is forgotten, and nothing comes of it.
    fn fire(
        &mut self,
        _: &str,
        _: LedgerEntry,
        _: &mut Memory<'_, LedgerEntry>,
    ) -> Option<Outcome> {
        None
    }
}

impl Admit {
    /// Enters the request in the ledger; what to do with one that is in it.
    fn seen(
        &self,
        case: &Envelope,
        value: &[u8],
        ledger: &mut Memory<'_, LedgerEntry>,
    ) -> Option<Outcome> {
        let payload_sha256 = Sha256::of(value);
        let Some(first) = ledger.get(&case.request_id) else {
            let scene = self.config.policies.of(case);
            let ttl_us = scene.map_or(0, |scene| scene.request_ttl_ms.saturating_mul(1000));
            let entry = LedgerEntry {
                case_id: case.case_id,
                payload_sha256,
                forgotten_at: case.received_time.saturating_add(ttl_us),
            };
            ledger.put(&case.request_id, entry);
            return None;
        };
        Some(if first.payload_sha256 == payload_sha256 {
            Outcome::Absorbed(Absorption::Duplicate {
                case: first.case_id,
            })
        } else {
            let what = format!("case {} has this request_id", first.case_id);
            Outcome::DeadLetter(Rejection::new(codes::IDEMPOTENCY_CONFLICT, what))
        })
    }
}

/// What an ingress topic's name tells.
struct Ingress {
    tenant: String,
    lane: Lane,
    commands: bool,
}

impl Ingress {
    fn of(topic: &str) -> Option<Self> {
        match Topic::parse(topic)? {
            Topic::Requests { tenant, lane } => Some(Self {
                tenant,
                lane,
                commands: false,
            }),
            // Commands wait for a dependency to come back, as bulk does.
            Topic::LibraryCommands { tenant } => Some(Self {
                tenant,
                lane: Lane::Bulk,
                commands: true,
            }),
            _ => None,
        }
    }
}

impl Admit {
    /// Envelope, key, partition, and what the kind asks for.
    fn check(
        &self,
        arrival: &Arrival,
        ingress: &Ingress,
        request: &mut Request,
        case: Id,
    ) -> Result<(), Rejection> {
        let id = &request.request_id;
        if id.is_empty() || id.len() > REQUEST_ID_MAX_BYTES || id.chars().any(char::is_control) {
            let what = format!("request_id has {} bytes or a control character", id.len());
            return Err(Rejection::new(codes::REQUEST_ID_INVALID, what));
        }
        let tenant = &ingress.tenant;
        let is_command = matches!(request.kind, RequestKind::Enrol | RequestKind::Unenrol);
        if is_command != ingress.commands {
            let what = format!("{} on {}", request.kind, arrival.topic);
            return Err(Rejection::new(codes::TOPIC_MISMATCH, what));
        }
        // It would change the library all the same, and its verdict would lie where nobody looks for it.
        if is_command && request.mode != Mode::Live {
            let what = format!("{} in mode {}", request.kind, request.mode);
            return Err(Rejection::new(codes::MODE_UNSUPPORTED, what));
        }
        let expected = match &request.command {
            Some(command) if is_command => keys::library(tenant, command.library),
            _ => keys::request(tenant, id),
        };
        check_key(arrival, tenant, &expected)?;
        if self
            .config
            .policies
            .current(tenant, &request.scene)
            .is_none()
        {
            let known = self.config.policies.scenes(tenant);
            let what = format!("scene not among {}", known.join(", "));
            return Err(Rejection::new(codes::SCENE_UNKNOWN, what));
        }
        if !self.config.kinds.contains(&request.kind) {
            let known: Vec<_> = self.config.kinds.iter().map(|kind| kind.as_str()).collect();
            let what = format!("{} is not among {}", request.kind, known.join(", "));
            return Err(Rejection::new(codes::KIND_UNSUPPORTED, what));
        }
        if let Some(ms) = request.deadline_ms
            && (ms < 1 || i64::from(ms) > self.config.deadline_max_ms)
        {
            let what = format!("{ms} is not within 1..={}", self.config.deadline_max_ms);
            return Err(Rejection::new(codes::DEADLINE_INVALID, what));
        }
        question::check(request, tenant, case, arrival.offset, self.config.questions)?;
        claim::check(request, arrival.append_time_us)
    }

    fn envelope(
        &self,
        request: &Request,
        case_id: Id,
        Ingress { tenant, lane, .. }: Ingress,
        arrival: &Arrival,
    ) -> Envelope {
        // An unknown scene is refused: its case has no version.
        let (policy_version, deadline_ms) = self
            .config
            .policies
            .current(&tenant, &request.scene)
            .map_or((0, None), |(version, scene)| (version, scene.deadline_ms));
        let deadline = deadline_ms.map(|ms| i32::try_from(ms).unwrap_or(i32::MAX));
        Envelope {
            deadline_ms: request.deadline_ms.or(deadline),
            tenant,
            lane,
            policy_version,
            ..Envelope::new(case_id, request, arrival.append_time_us)
        }
    }
}

/// A camera whose keys or partitioner are wrong would break the order of its cases: refused.
fn check_key(arrival: &Arrival, tenant: &str, expected: &str) -> Result<(), Rejection> {
    let key = arrival.key.as_deref().unwrap_or_default();
    if key != expected.as_bytes() {
        return Err(match keys::split(key) {
            Some((other, _)) if other != tenant => {
                let what = format!("the topic's tenant is {tenant}, the key's is another");
                Rejection::new(codes::TENANT_MISMATCH, what)
            }
            _ => {
                let what = format!("expected {expected}");
                Rejection::new(codes::KEY_MISMATCH, what)
            }
        });
    }
    let partition = keys::partition(key, arrival.partitions);
    if partition == arrival.partition {
        return Ok(());
    }
    let what = format!(
        "on partition {}, but murmur2 of the key gives {partition} of {}: set partitioner=murmur2_random",
        arrival.partition, arrival.partitions
    );
    Err(Rejection::new(codes::PARTITION_MISMATCH, what))
}

/// The pictures that the kind needs, and no other.
fn pictures(
    kind: RequestKind,
    probe: Option<Picture>,
    reference: Option<Picture>,
) -> Result<Vec<AdmittedPicture>, (Rejection, PictureRole)> {
    let wants_reference = kind == RequestKind::Compare;
    let mut pictures = vec![admitted(PictureRole::Probe, probe)?];
    if wants_reference {
        pictures.push(admitted(PictureRole::Reference, reference)?);
    } else if reference.is_some() {
        let what = format!("{kind} takes no reference");
        return Err((
            Rejection::new(codes::PICTURE_UNEXPECTED, what),
            PictureRole::Reference,
        ));
    }
    Ok(pictures)
}

fn admitted(
    role: PictureRole,
    picture: Option<Picture>,
) -> Result<AdmittedPicture, (Rejection, PictureRole)> {
    let refuse = |code, what: &str| Err((Rejection::new(code, format!("{role}: {what}")), role));
    let Some(picture) = picture else {
        return refuse(codes::PICTURE_MISSING, "not in the record");
    };
    let bytes = match picture.content {
        PictureContent::Inline(inline) => inline.bytes,
        PictureContent::Sealed(_) => return refuse(codes::PICTURE_FORM_UNSUPPORTED, "Sealed"),
        PictureContent::Reference(_) => {
            return refuse(codes::PICTURE_FORM_UNSUPPORTED, "Reference");
        }
    };
    // A reference without a kind is a photo on file; a probe is what was just taken.
    let reference_kind = match role {
        PictureRole::Probe => None,
        PictureRole::Reference => Some(picture.reference_kind.unwrap_or(ReferenceKind::OnFile)),
    };
    Ok(AdmittedPicture {
        role,
        reference_kind,
        bytes,
        sealed: None,
    })
}
