//! What a library holds, by its topic; and whether the engine agrees.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use shiren_contract::seal::Vault;
use shiren_library::FaceLibrary;
use shiren_log::Log;
use shiren_schemas::Id;
use shiren_schemas::records::LibraryChange;

use super::{ListArgs, Place};
use crate::commands::print_line;
use crate::face_library::{self, TemplateForm};
use crate::library_truth::{self, Libraries, Library, Sides};
use crate::site::Site;
use crate::utc;

/// Longest that a server may take to be there.
const OPEN_MAX: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Library, by name or id
    library: String,
    /// Only this person
    #[arg(long)]
    person: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
pub(crate) struct RebuildArgs {
    /// Library, by name or id; default: all of the tenant
    library: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Library, by name or id; default: all of the tenant
    library: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// Library, by name or id
    library: String,
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// With the templates, opened: keep the file as you keep the faces themselves
    #[arg(long)]
    templates: bool,
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
}

struct Seen {
    site: Arc<Site>,
    tenant: String,
    libraries: Libraries,
}

fn seen(place: &Place, tenant: Option<&str>) -> anyhow::Result<Seen> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(tenant)?;
    let libraries = library_truth::read(log.as_ref() as &dyn Log, &tenant)?;
    Ok(Seen {
        site,
        tenant,
        libraries,
    })
}

impl Seen {
    /// The one that is named, or all.
    fn chosen(&self, name: Option<&str>) -> anyhow::Result<Vec<(Id, &Library)>> {
        Ok(match name {
            Some(name) => vec![library_truth::named(&self.libraries, name)?],
            None => self
                .libraries
                .iter()
                .map(|(id, library)| (*id, library))
                .collect(),
        })
    }
}

pub(crate) fn list(place: &Place, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let seen = seen(place, args.tenant.as_deref())?;
    for (id, library) in &seen.libraries {
        let (persons, faces) = (library.persons.len(), library.faces());
        let head = &library.head;
        print_line(&if args.json {
            json!({
                "library": id.to_string(), "label": head.label, "persons": persons, "faces": faces,
                "model": head.model, "model_sha256": head.model_sha256,
                "created": moment(head.received_time),
            })
            .to_string()
        } else {
            let label = &head.label;
            format!(
                "{id}  {label}  {persons} persons, {faces} faces of {}",
                head.model
            )
        })?;
    }
    if seen.libraries.is_empty() && !args.json {
        eprintln!("no library yet: shiren library create NAME");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn show(place: &Place, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let seen = seen(place, args.list.tenant.as_deref())?;
    let (_, library) = library_truth::named(&seen.libraries, &args.library)?;
    let is_meant = |person: &&String| args.person.as_ref().is_none_or(|wanted| wanted == *person);
    let mut shown = 0;
    for person in library.persons.keys().filter(is_meant) {
        for change in library.persons[person].values() {
            shown += 1;
            print_line(&if args.list.json {
                face(change).to_string()
            } else {
                format!(
                    "{person}  face {}  {}  consent {}  for {}",
                    change.face_id.map(|id| id.to_string()).unwrap_or_default(),
                    moment(change.received_time),
                    change.consent_ref.as_deref().unwrap_or("-"),
                    change.purpose.as_deref().unwrap_or("-"),
                )
            })?;
        }
    }
    if let (0, Some(person)) = (shown, &args.person) {
        anyhow::bail!("nobody called {person} is enrolled in {}", args.library);
    }
    Ok(ExitCode::SUCCESS)
}

fn moment(us: i64) -> String {
    utc::text(us / 1_000_000)
}

/// An enrolment without its template.
fn face(change: &LibraryChange) -> Value {
    json!({
        "person_id": change.person_id,
        "face_id": change.face_id.map(|id| id.to_string()),
        "enrolled": moment(change.received_time),
        "sequence": change.sequence,
        "consent_ref": change.consent_ref,
        "purpose": change.purpose,
        "case_id": change.case_id.to_string(),
    })
}

pub(crate) fn export(place: &Place, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let seen = seen(place, args.tenant.as_deref())?;
    let (id, library) = library_truth::named(&seen.libraries, &args.library)?;
    let vault = seen.site.vault()?;
    let shown = args.out.display().to_string();
    let file = File::create_new(&args.out).with_context(|| shown.clone())?;
    let mut out = BufWriter::new(file);
    let head = &library.head;
    let first = json!({
        "library": id.to_string(), "label": head.label,
        "model": head.model, "model_sha256": head.model_sha256,
    });
    writeln!(out, "{first}")?;
    let mut erased = 0;
    for change in library.persons.values().flat_map(|faces| faces.values()) {
        let mut line = face(change);
        if args.templates {
            let Some(template) = library_truth::template(change, vault.as_ref())? else {
                erased += 1;
                continue;
            };
            line["template"] = json!(template);
        }
        writeln!(out, "{line}")?;
    }
    out.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    let faces = library.faces() - erased;
    print_line(&format!(
        "wrote {faces} faces of {} persons to {shown}",
        library.persons.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The engine, opened by this process alone.
struct Engine {
    form: TemplateForm,
    library: Arc<dyn FaceLibrary>,
    vault: Option<Arc<dyn Vault>>,
}

impl Engine {
    fn open(site: &Site) -> anyhow::Result<Self> {
        let form = TemplateForm::of(site)?;
        let deadline = Instant::now() + OPEN_MAX;
        let library = face_library::open(site, &form, deadline).map_err(library_truth::coded)?;
        Ok(Self {
            form,
            library,
            vault: site.vault()?,
        })
    }

    fn sides<'a>(&'a self, tenant: &'a str) -> Sides<'a> {
        Sides {
            tenant,
            engine: self.library.as_ref(),
            form: &self.form,
            vault: self.vault.as_ref(),
        }
    }
}

pub(crate) fn rebuild(place: &Place, args: &RebuildArgs) -> anyhow::Result<ExitCode> {
    let seen = seen(place, args.list.tenant.as_deref())?;
    let engine = Engine::open(&seen.site)?;
    let sides = engine.sides(&seen.tenant);
    for (id, library) in seen.chosen(args.library.as_deref())? {
        let bar = ProgressBar::new(library.faces() as u64).with_style(
            ProgressStyle::with_template("{bar:30} {pos}/{len} faces, {eta} to go")?,
        );
        let faces = sides.rebuild(id, library, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        let label = &library.head.label;
        print_line(&if args.list.json {
            json!({ "library": id.to_string(), "label": label, "faces": faces }).to_string()
        } else {
            format!("{id}  {label}  {faces} faces written")
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn verify(place: &Place, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let seen = seen(place, args.list.tenant.as_deref())?;
    let engine = Engine::open(&seen.site)?;
    let sides = engine.sides(&seen.tenant);
    let mut is_equal = true;
    for (id, library) in seen.chosen(args.library.as_deref())? {
        let found = sides.difference(id, library)?;
        is_equal &= found.is_none();
        let ids = |ids: &[Id]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let label = &library.head.label;
        print_line(&if args.list.json {
            json!({
                "library": id.to_string(), "label": label, "is_equal": found.is_none(),
                "equal": found.equal, "missing": ids(&found.missing), "surplus": ids(&found.surplus),
                "other": ids(&found.other), "head_differs": found.head_differs,
            })
            .to_string()
        } else {
            format!(
                "{id}  {label}  {} faces equal, {} missing, {} surplus, {} other{}",
                found.equal,
                found.missing.len(),
                found.surplus.len(),
                found.other.len(),
                if found.head_differs {
                    "; unknown to the engine, or of another model"
                } else {
                    ""
                },
            )
        })?;
    }
    if seen.libraries.is_empty() {
        eprintln!("the topic has no library: nothing was compared");
    }
    if is_equal {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the engine differs from the topic: shiren library rebuild");
    Ok(ExitCode::FAILURE)
}
