//! Enrol: the only writer of libraries. A command becomes a change, and what became of it the verdict.

use shiren_contract::asking::{AskFailure, AskingStage};
use shiren_contract::codes::{self, Code};
use shiren_contract::library::{Change, ChangeAsk, Changed};
use shiren_contract::policy::{self, check};
use shiren_contract::stage::{Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::{
    CheckState, Decision, Enrolment, LibraryChange, LibraryCommand, LibraryOperation, ModelRef,
    PictureRole, RequestKind, Template, TemplateCase,
};
use shiren_schemas::{Id, Wire};

/// The stage.
pub struct Enrol {
    /// Model of this site's templates: that of every library it creates.
    model: ModelRef,
}

impl Enrol {
    /// The stage of a site whose templates are of `model`.
    #[must_use]
    pub fn new(model: ModelRef) -> Self {
        Self { model }
    }
}

impl AskingStage for Enrol {
    type Input = TemplateCase;
    type Ask = ChangeAsk;
    type Reply = Changed;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "enrol",
        kinds: &[RequestKind::Enrol, RequestKind::Unenrol],
        input: TemplateCase::NAME,
        outputs: &[],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn ask(&mut self, case: &TemplateCase) -> Option<ChangeAsk> {
        let command = case.command.as_ref()?;
        if unfit(case).is_some() {
            return None;
        }
        let change = match command.operation {
            LibraryOperation::Create => Change::Create {
                label: command.label.clone(),
                model_sha256: self.model.sha256.clone(),
            },
            LibraryOperation::Enrol => {
                let template = template(case, command)?;
                Change::Enrol {
                    person: command.person_id.clone(),
                    face: face_of(case, command),
                    model_sha256: template.model_sha256.clone(),
                    template: template.values.clone(),
                }
            }
            LibraryOperation::Unenrol => Change::Unenrol {
                person: command.person_id.clone(),
                face: command.face_id,
            },
            LibraryOperation::Delete => Change::Delete,
        };
        Some(ChangeAsk {
            tenant: case.envelope.tenant.clone(),
            library: command.library,
            sequence: u64::try_from(command.sequence).unwrap_or(0),
            change,
        })
    }

    fn decide(
        &mut self,
        case: TemplateCase,
        reply: Option<Result<Changed, AskFailure>>,
    ) -> Outcome {
        let decided = match reply {
            Some(Ok(changed)) => self.decided(&case, &changed),
            Some(Err(failure)) => Err(Rejection::new(failure.code, failure.detail)),
            None => Err(unfit(&case).unwrap_or_else(|| {
                Rejection::new(codes::STAGE_FAILED, "a command without a template")
            })),
        };
        let mut terminal = decided.unwrap_or_else(|rejection| {
            let envelope = case.envelope.clone();
            Terminal::error(envelope, Self::DESCRIPTOR.name, rejection, None)
        });
        terminal.checks = case.checks;
        if terminal.checks.iter().all(|c| c.name != policy::QUALITY) {
            let why = Some(codes::QUALITY_NOT_CHECKED);
            terminal
                .checks
                .push(check(policy::QUALITY, CheckState::NotChecked, why));
        }
        terminal.reason_codes.extend(case.reason_codes);
        terminal.models = case.models;
        // The picture has done its work: a crop is kept only under a consent of its own.
        let mut pictures: Vec<_> = case.pictures.into_iter().map(|p| p.picture).collect();
        for face in pictures.iter_mut().flat_map(|picture| &mut picture.faces) {
            face.crop = None;
            face.views.clear();
        }
        terminal.pictures = pictures;
        Outcome::terminal(terminal)
    }
}

/// A picture that is not fit for enrolment is not enrolled, with the gravest of its reasons.
#[must_use]
pub fn unfit(case: &TemplateCase) -> Option<Rejection> {
    let quality = case
        .pictures
        .iter()
        .find_map(|p| p.picture.quality.as_ref())?;
    if quality.fit_for_enrolment {
        return None;
    }
    let reasons = quality.enrolment_reasons.iter();
    let code = reasons.filter_map(|id| codes::find(id)).copied().next();
    let what = format!(
        "not fit for enrolment: {}",
        quality.enrolment_reasons.join(", ")
    );
    Some(Rejection::new(code.unwrap_or(codes::STAGE_FAILED), what))
}

fn template<'a>(case: &'a TemplateCase, command: &'a LibraryCommand) -> Option<&'a Template> {
    let probe = case
        .pictures
        .iter()
        .find(|p| p.picture.role == PictureRole::Probe);
    command.template.as_ref().or(probe.map(|p| &p.template))
}

fn face_of(case: &TemplateCase, command: &LibraryCommand) -> Id {
    command.face_id.unwrap_or(case.envelope.case_id)
}

impl Enrol {
    fn decided(&self, case: &TemplateCase, changed: &Changed) -> Result<Terminal, Rejection> {
        let Some(command) = &case.command else {
            let what = "a command stage without a command";
            return Err(Rejection::new(codes::STAGE_FAILED, what));
        };
        if let Some((code, what)) = refused(case, command, changed) {
            return Err(Rejection::new(code, what));
        }
        let mut terminal = Terminal::new(case.envelope.clone(), Decision::Done);
        let (faces, key_destroyed) = match changed {
            Changed::Done {
                faces,
                key_destroyed,
            } => (faces.clone(), key_destroyed.clone()),
            _ => (Vec::new(), None),
        };
        match changed {
            Changed::Superseded => terminal.reason(codes::SUPERSEDED),
            Changed::NothingThere => terminal.reason(codes::NOTHING_ENROLLED),
            Changed::Done { .. } => terminal.library_changes = self.changes(case, command, &faces),
            _ => {}
        }
        terminal.enrolment = Some(Enrolment {
            library: command.library,
            person_id: command.person_id.clone(),
            faces,
            sequence: command.sequence,
            key_destroyed,
        });
        Ok(terminal)
    }

    /// What the libraries' truth keeps: a change of the library, of a person, and of each face.
    fn changes(
        &self,
        case: &TemplateCase,
        command: &LibraryCommand,
        faces: &[Id],
    ) -> Vec<LibraryChange> {
        let envelope = &case.envelope;
        let change = |face_id: Option<Id>| LibraryChange {
            tenant: envelope.tenant.clone(),
            library: command.library,
            operation: command.operation,
            sequence: command.sequence,
            case_id: envelope.case_id,
            received_time: envelope.received_time,
            label: String::new(),
            model: String::new(),
            model_sha256: String::new(),
            person_id: command.person_id.clone(),
            face_id,
            template: None,
            consent_ref: None,
            purpose: None,
        };
        match command.operation {
            LibraryOperation::Create => vec![LibraryChange {
                label: command.label.clone(),
                model: self.model.name.clone(),
                model_sha256: self.model.sha256.clone(),
                ..change(None)
            }],
            LibraryOperation::Enrol => vec![LibraryChange {
                template: template(case, command).cloned(),
                consent_ref: envelope.consent_ref.clone(),
                purpose: envelope.purpose.clone(),
                ..change(Some(face_of(case, command)))
            }],
            // Each face too: its template leaves the log when it is compacted.
            LibraryOperation::Unenrol => {
                let whole = command.face_id.is_none().then(|| change(None));
                let faces = faces.iter().map(|face| change(Some(*face)));
                whole.into_iter().chain(faces).collect()
            }
            LibraryOperation::Delete => vec![change(None)],
        }
    }
}

/// Why nothing was changed, where that is an error.
fn refused(
    case: &TemplateCase,
    command: &LibraryCommand,
    changed: &Changed,
) -> Option<(Code, String)> {
    Some(match changed {
        Changed::Done { .. } | Changed::Superseded | Changed::NothingThere => return None,
        Changed::LibraryUnknown => {
            let what = format!("no library {}", command.library);
            (codes::LIBRARY_UNKNOWN, what)
        }
        Changed::FaceConflict => {
            let what = format!("face {} is another person's", face_of(case, command));
            (codes::FACE_CONFLICT, what)
        }
        Changed::ModelMismatch { wanted } => {
            let what = format!("the library holds templates of {wanted}");
            (codes::LIBRARY_MODEL_MISMATCH, what)
        }
        Changed::FacesOverLimit { max } => {
            let what = format!("the person has {max} faces");
            (codes::PERSON_FACES_OVER_LIMIT, what)
        }
    })
}
