//! What a request must carry by its kind, beside its pictures: a question of libraries, or a command for one.

use shiren_contract::codes::{self, Code};
use shiren_contract::stage::Rejection;
use shiren_schemas::records::{LibraryCommand, LibraryOperation, Request, RequestKind};
use shiren_schemas::{Id, ids};

/// Longest label of a person or a library, bytes.
const LABEL_MAX_BYTES: usize = 128;

/// Bounds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionBounds {
    /// Most libraries that a search names.
    pub libraries_max: usize,
    /// Most candidates that a search asks for.
    pub persons_max: i32,
}

/// Checks question and command; a command has the ingress record's place in its library's order from then on.
pub(crate) fn check(
    request: &mut Request,
    tenant: &str,
    case: Id,
    offset: i64,
    bounds: QuestionBounds,
) -> Result<(), Rejection> {
    match request.kind {
        RequestKind::Search => search(request, bounds)?,
        RequestKind::Enrol | RequestKind::Unenrol => {
            let kind = request.kind;
            let consent = consent(request);
            let Some(command) = &mut request.command else {
                let what = format!("{kind} needs a command");
                return Err(Rejection::new(codes::COMMAND_INVALID, what));
            };
            command.sequence = offset;
            self::command(command, kind, tenant, case)?;
            if command.operation == LibraryOperation::Enrol {
                consent?;
            }
        }
        _ => {}
    }
    let (search, command) = (request.search.is_some(), request.command.is_some());
    let claim = request.claim.is_some() && request.kind != RequestKind::Verify;
    let of_commands = matches!(request.kind, RequestKind::Enrol | RequestKind::Unenrol);
    if (search && request.kind != RequestKind::Search) || (command && !of_commands) || claim {
        let what = format!("{} takes no such part", request.kind);
        return Err(Rejection::new(codes::QUESTION_UNEXPECTED, what));
    }
    Ok(())
}

fn search(request: &Request, bounds: QuestionBounds) -> Result<(), Rejection> {
    let invalid = |what: String| Err(Rejection::new(codes::SEARCH_INVALID, what));
    let Some(question) = &request.search else {
        return invalid("search needs the libraries to look in".to_owned());
    };
    let (libraries, max) = (question.libraries.len(), bounds.libraries_max);
    if libraries == 0 || libraries > max {
        return invalid(format!("{libraries} libraries are not within 1..={max}"));
    }
    let (persons, max) = (question.persons_max, bounds.persons_max);
    if persons < 1 || persons > max {
        return invalid(format!("persons_max {persons} is not within 1..={max}"));
    }
    Ok(())
}

fn command(
    command: &LibraryCommand,
    kind: RequestKind,
    tenant: &str,
    case: Id,
) -> Result<(), Rejection> {
    let invalid = |what: String| Err(Rejection::new(codes::COMMAND_INVALID, what));
    use LibraryOperation as Operation;
    let wanted = match command.operation {
        Operation::Create | Operation::Enrol => RequestKind::Enrol,
        Operation::Unenrol | Operation::Delete => RequestKind::Unenrol,
    };
    if kind != wanted {
        return invalid(format!("{} is of kind {wanted}", command.operation));
    }
    let (label, name) = match command.operation {
        Operation::Create => (&command.label, "label"),
        Operation::Enrol | Operation::Unenrol => (&command.person_id, "person_id"),
        Operation::Delete => return Ok(()),
    };
    // The slash parts keys and subjects.
    let is_illegal = |c: char| c.is_control() || c == '/';
    if label.is_empty() || label.len() > LABEL_MAX_BYTES || label.chars().any(is_illegal) {
        let bytes = label.len();
        return invalid(format!(
            "{name} has {bytes} bytes; 1 to {LABEL_MAX_BYTES} are legal, without slashes and control characters"
        ));
    }
    if command.operation == Operation::Create && command.library != ids::library(tenant, case) {
        let what = "library is not the id that this command gives (docs/wire.md)";
        return invalid(what.to_owned());
    }
    Ok(())
}

/// Nobody is enrolled without a consent and a purpose.
fn consent(request: &Request) -> Result<(), Rejection> {
    let missing = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    let lacking = |name: &str, code: Code| Err(Rejection::new(code, format!("{name} is missing")));
    if missing(&request.consent_ref) {
        return lacking("consent_ref", codes::CONSENT_MISSING);
    }
    if missing(&request.purpose) {
        return lacking("purpose", codes::CONSENT_MISSING);
    }
    Ok(())
}

/// Whether the request's answer needs its probe to be looked at.
pub(crate) fn needs_pictures(request: &Request) -> bool {
    match &request.command {
        Some(command) => command.operation == LibraryOperation::Enrol && command.template.is_none(),
        None => true,
    }
}
