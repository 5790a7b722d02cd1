//! Commands and searches, published as any producer would, and their verdicts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use shiren_schemas::records::{Decision, Lane, LibraryChange, LibraryOperation, Request, Template};
use shiren_schemas::{Id, ids};

use super::{AskArgs, ConsentArgs, FaceArgs, Place};
use crate::cases::{Cases, Ended};
use crate::commands::print_line;
use crate::library_truth::{self, Libraries};
use crate::requests::{self, Consent};
use crate::site::Site;

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
pub(crate) struct EnrolArgs {
    /// Library, by name or id
    library: String,
    #[command(flatten)]
    face: FaceArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
pub(crate) struct UnenrolArgs {
    /// Library, by name or id
    library: String,
    /// Whom to erase
    #[arg(long)]
    person: String,
    /// Only this face of them
    #[arg(long)]
    face: Option<Id>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
pub(crate) struct MoveArgs {
    /// Library they are in, by name or id
    from: String,
    /// Library they shall be in
    to: String,
    /// Whom to move
    #[arg(long)]
    person: String,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
pub(crate) struct DeleteArgs {
    /// Library, by name or id
    library: String,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// Libraries to look in, by name or id
    #[arg(required = true)]
    libraries: Vec<String>,
    /// A picture with one face
    #[arg(long)]
    picture: PathBuf,
    /// Most persons in the answer
    #[arg(long, default_value_t = 5)]
    persons_max: i32,
    /// Scene whose policy applies
    #[arg(long, default_value = "default")]
    scene: String,
    /// Lane
    #[arg(long, default_value_t = Lane::Interactive)]
    lane: Lane,
    #[command(flatten)]
    ask: AskArgs,
}

/// A tenant's site and cases.
pub(super) struct Chain {
    pub(super) site: Arc<Site>,
    pub(super) cases: Cases,
}

impl Chain {
    pub(super) fn open(place: &Place, ask: &AskArgs) -> anyhow::Result<Self> {
        let (site, log) = place.log()?;
        let tenant = site.tenant(ask.tenant.as_deref())?;
        let wait_max = Duration::from_secs(ask.wait_max_s);
        let cases = Cases::open(log, &tenant, wait_max)?;
        Ok(Self { site, cases })
    }

    pub(super) fn libraries(&self) -> anyhow::Result<Libraries> {
        library_truth::read(self.cases.log(), self.cases.tenant())
    }

    fn id_of(&self, library: &str) -> anyhow::Result<Id> {
        Ok(library_truth::named(&self.libraries()?, library)?.0)
    }

    /// Publishes a command and waits for its end.
    fn command(&mut self, request: Request) -> anyhow::Result<Ended> {
        self.cases.ask(Lane::Bulk, request)
    }
}

pub(super) fn request_id(what: &str) -> String {
    format!(
        "cli-{what}-{}-{}",
        shiren_runtime::now_us(),
        std::process::id()
    )
}

/// Prints how a case ended; success only where it was answered.
fn tell(ended: &Ended, said: &str, extra: Value, as_json: bool) -> anyhow::Result<ExitCode> {
    let canonical = &ended.verdict.canonical;
    let is_answered = canonical.decision != Decision::Error;
    if as_json {
        let mut line = json!({
            "decision": canonical.decision.as_str(),
            "reason_codes": canonical.reason_codes,
            "case_id": canonical.case_id.to_string(),
            "verdict_id": canonical.verdict_id.to_string(),
        });
        if let (Value::Object(line), Value::Object(extra)) = (&mut line, extra) {
            line.extend(extra);
        }
        print_line(&line.to_string())?;
    } else if is_answered {
        let reasons = canonical.reason_codes.join(", ");
        print_line(&format!("{said}: {} [{reasons}]", canonical.decision))?;
    } else {
        eprintln!(
            "not done: {}; `shiren explain CODE`",
            canonical.reason_codes.join(", ")
        );
    }
    Ok(if is_answered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What changed, as JSON.
fn changed(ended: &Ended) -> Value {
    let enrolment = ended
        .results
        .as_ref()
        .and_then(|results| results.enrolment.as_ref());
    enrolment.map_or(Value::Null, |enrolment| {
        let faces: Vec<String> = enrolment.faces.iter().map(ToString::to_string).collect();
        json!({
            "library": enrolment.library.to_string(),
            "person_id": enrolment.person_id,
            "faces": faces,
            "sequence": enrolment.sequence,
            "key_destroyed": enrolment.key_destroyed,
        })
    })
}

pub(crate) fn create(place: &Place, args: &CreateArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    if library_truth::named(&chain.libraries()?, &args.name).is_ok() {
        bail!(
            "there is a library {} already; two of one name cannot be told apart",
            args.name
        );
    }
    let ended = chain.command(requests::creation(&request_id("create"), &args.name))?;
    let id = ids::library(chain.cases.tenant(), ended.case_id);
    let said = format!("library {} is {id}", args.name);
    tell(&ended, &said, changed(&ended), args.ask.json)
}

pub(crate) fn enrol(place: &Place, args: &EnrolArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let library = chain.id_of(&args.library)?;
    let bytes = picture(&args.face.picture)?;
    let person = &args.face.person;
    let consent = args.consent.consent();
    let ended = chain.command(Request {
        probe: Some(requests::inline(bytes, None)),
        ..requests::enrolment(&request_id("enrol"), library, person, &consent)
    })?;
    let said = format!("{person} in {}", args.library);
    tell(&ended, &said, changed(&ended), args.ask.json)
}

fn picture(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

pub(crate) fn unenrol(place: &Place, args: &UnenrolArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let library = chain.id_of(&args.library)?;
    let id = request_id("unenrol");
    let ended = chain.command(requests::unenrolment(&id, library, &args.person, args.face))?;
    let said = format!("{} out of {}", args.person, args.library);
    tell(&ended, &said, changed(&ended), args.ask.json)
}

pub(crate) fn delete(place: &Place, args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let library = chain.id_of(&args.library)?;
    let operation = LibraryOperation::Delete;
    let ended = chain.command(requests::of_library(
        &request_id("delete"),
        operation,
        library,
    ))?;
    let said = format!("library {}", args.library);
    tell(&ended, &said, changed(&ended), args.ask.json)
}

/// Enrols in the one library, then unenrols in the other: broken off, it is to be called again.
pub(crate) fn move_person(place: &Place, args: &MoveArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let libraries = chain.libraries()?;
    let (from, source) = library_truth::named(&libraries, &args.from)?;
    let (to, target) = library_truth::named(&libraries, &args.to)?;
    if source.head.model_sha256 != target.head.model_sha256 {
        bail!(
            "{} and {} hold templates of different models",
            args.from,
            args.to
        );
    }
    let Some(faces) = source.persons.get(&args.person) else {
        bail!("nobody called {} is enrolled in {}", args.person, args.from);
    };
    for (face, change) in faces {
        let ended = chain.enrol_again(to, *face, change)?;
        if ended.decision == Decision::Error {
            let said = format!("{} stays in {}", args.person, args.from);
            return tell(&ended, &said, changed(&ended), args.ask.json);
        }
    }
    let id = request_id("move");
    let ended = chain.command(requests::unenrolment(&id, from, &args.person, None))?;
    let said = format!("{} from {} to {}", args.person, args.from, args.to);
    tell(&ended, &said, changed(&ended), args.ask.json)
}

impl Chain {
    /// Enrols a face of one library in another, by its template.
    fn enrol_again(&mut self, to: Id, face: Id, change: &LibraryChange) -> anyhow::Result<Ended> {
        let vault = self.site.vault()?;
        let values = library_truth::template(change, vault.as_ref())?
            .with_context(|| format!("face {face}: its key was destroyed"))?;
        let consent = Consent {
            consent_ref: change.consent_ref.clone().unwrap_or_default(),
            purpose: change.purpose.clone().unwrap_or_default(),
        };
        let mut request = requests::enrolment(&request_id("move"), to, &change.person_id, &consent);
        if let Some(command) = &mut request.command {
            command.face_id = Some(face);
            command.template = change.template.clone().map(|template| Template {
                values,
                sealed: None,
                ..template
            });
        }
        self.command(request)
    }
}

pub(crate) fn search(place: &Place, args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let known = chain.libraries()?;
    let named = args
        .libraries
        .iter()
        .map(|name| library_truth::named(&known, name));
    let named: Vec<_> = named.collect::<Result<_, _>>()?;
    let libraries = named.iter().map(|(id, _)| *id).collect();
    let probe = picture(&args.picture)?;
    let request = Request {
        scene: args.scene.clone(),
        ..requests::search(&request_id("search"), libraries, args.persons_max, probe)
    };
    let ended = chain.cases.ask(args.lane, request)?;
    let candidates = ended.results.iter().flat_map(|results| &results.candidates);
    let persons: Vec<_> = candidates
        .map(|person| {
            let library = named.iter().find(|(id, _)| *id == person.library);
            (
                library.map_or("", |(_, library)| library.head.label.as_str()),
                person,
            )
        })
        .collect();
    let said: Vec<String> = persons
        .iter()
        .map(|(label, person)| format!("{label}/{}", person.person_id))
        .collect();
    let extra = persons.iter().map(|(label, person)| {
        json!({ "library": person.library.to_string(), "label": label, "person_id": person.person_id })
    });
    let extra = json!({ "candidates": extra.collect::<Vec<_>>() });
    tell(&ended, &said.join(", "), extra, args.ask.json)
}
