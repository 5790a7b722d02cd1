//! Changes for `enrol`: the one writer of libraries.
//!
//! A bundle is planned in order over what the engine holds and what the bundle itself does, written at once, and answered
//! from what stands afterwards. The same asks again give the same answers, also when the first round was written and then
//! forgotten by a crash: what a later command wrote is looked through by its sequence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::codes;
use shiren_contract::library::{Change, ChangeAsk, Changed};
use shiren_contract::seal::{PersonOf, Vault, VaultError};
use shiren_library::{
    Entry, Erased, FaceEntry, FaceLibrary, FaceWrite, FacesRequest, Standing, check_template,
};
use shiren_schemas::Id;

use super::{TemplateForm, failure, id, uuid};

/// Entries of a person that are read at once: more than a person can have, faces and markers of unenrolled ones.
const PAGE_ENTRIES_MAX: usize = 500;

/// Changes of one engine.
pub struct ChangePort {
    library: Arc<dyn FaceLibrary>,
    form: Arc<TemplateForm>,
    vault: Option<Arc<dyn Vault>>,
    faces_per_person_max: usize,
}

/// What is known of one person, within a bundle.
type Faces = Vec<Face>;

/// A face of a person: there, or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Face {
    face: Id,
    sequence: u64,
    is_erased: bool,
}

impl Face {
    /// Whether the person had it when the command of `sequence` came. An erasure by a later one tells that it was there.
    fn was_there(&self, sequence: u64) -> bool {
        if self.is_erased {
            self.sequence > sequence
        } else {
            self.sequence < sequence
        }
    }
}

/// A bundle on its way.
#[derive(Default)]
struct Bundle {
    /// Model of each library, `None` where there is none.
    models: HashMap<(String, Id), Option<String>>,
    persons: HashMap<(String, Id, String), Faces>,
}

/// What an ask comes to before anything is written.
enum Planned {
    Answered(Result<Changed, AskFailure>),
    Write(FaceWrite),
}

impl ChangePort {
    /// Over `library`, whose templates are of `form`; `vault` holds the keys of persons.
    #[must_use]
    pub fn new(
        library: Arc<dyn FaceLibrary>,
        form: Arc<TemplateForm>,
        vault: Option<Arc<dyn Vault>>,
        faces_per_person_max: usize,
    ) -> Self {
        Self {
            library,
            form,
            vault,
            faces_per_person_max,
        }
    }

    fn plan(
        &self,
        ask: &ChangeAsk,
        bundle: &mut Bundle,
        deadline: Instant,
    ) -> Result<Planned, AskFailure> {
        let (tenant, library, sequence) = (ask.tenant.clone(), uuid(ask.library), ask.sequence);
        Ok(match &ask.change {
            Change::Create {
                label,
                model_sha256,
            } => {
                let place = (tenant.clone(), ask.library);
                bundle.models.insert(place, Some(model_sha256.clone()));
                Planned::Write(FaceWrite::Create {
                    tenant,
                    library,
                    label: label.clone(),
                    model_sha256: model_sha256.clone(),
                    sequence,
                })
            }
            Change::Enrol {
                person,
                face,
                model_sha256,
                template,
            } => {
                let model = self.model(ask, bundle, deadline)?;
                if let Some(wanted) = model.filter(|model| model != model_sha256) {
                    return Ok(Planned::Answered(Ok(Changed::ModelMismatch { wanted })));
                }
                let template = self.form.shaped(template);
                check_template(&template, self.form.dimension, self.form.metric)
                    .map_err(|error| failure(&error))?;
                let faces = self.faces(ask, person, bundle, deadline)?;
                let others = faces
                    .iter()
                    .filter(|known| known.face != *face && known.was_there(sequence));
                let max = self.faces_per_person_max;
                if others.count() >= max {
                    return Ok(Planned::Answered(Ok(Changed::FacesOverLimit { max })));
                }
                faces.retain(|known| known.face != *face || known.sequence > sequence);
                faces.push(Face {
                    face: *face,
                    sequence,
                    is_erased: false,
                });
                Planned::Write(FaceWrite::Enrol {
                    tenant,
                    library,
                    person: person.clone(),
                    face: uuid(*face),
                    sequence,
                    template,
                })
            }
            Change::Unenrol { person, face } => {
                let faces = self.faces(ask, person, bundle, deadline)?;
                let is_meant = |known: &Face| face.is_none_or(|face| face == known.face);
                let mut is_there = false;
                for known in faces.iter_mut().filter(|known| is_meant(known)) {
                    is_there |= known.was_there(sequence) || known.sequence == sequence;
                    if known.sequence <= sequence {
                        (known.sequence, known.is_erased) = (sequence, true);
                    }
                }
                // Another person's face of this id stays. Where there is no library the engine says so.
                if face.is_some() && !is_there && self.model(ask, bundle, deadline)?.is_some() {
                    return Ok(Planned::Answered(Ok(Changed::NothingThere)));
                }
                let erased = match face {
                    Some(face) => Erased::Face(uuid(*face)),
                    None => Erased::Person(person.clone()),
                };
                Planned::Write(FaceWrite::Erase {
                    tenant,
                    library,
                    erased,
                    sequence,
                })
            }
            Change::Delete => {
                bundle.models.insert((tenant.clone(), ask.library), None);
                Planned::Write(FaceWrite::EraseLibrary {
                    tenant,
                    library,
                    sequence,
                })
            }
        })
    }

    /// The library's model; `None` where there is no library.
    fn model(
        &self,
        ask: &ChangeAsk,
        bundle: &mut Bundle,
        deadline: Instant,
    ) -> Result<Option<String>, AskFailure> {
        let place = (ask.tenant.clone(), ask.library);
        if !bundle.models.contains_key(&place) {
            let head = self.library.head(&ask.tenant, uuid(ask.library), deadline);
            let head = head.map_err(|error| failure(&error))?;
            let model = head.map(|head| head.model_sha256);
            bundle.models.insert(place.clone(), model);
        }
        Ok(bundle.models.get(&place).cloned().flatten())
    }

    /// What the person has, read once a bundle.
    fn faces<'a>(
        &self,
        ask: &ChangeAsk,
        person: &str,
        bundle: &'a mut Bundle,
        deadline: Instant,
    ) -> Result<&'a mut Faces, AskFailure> {
        let place = (ask.tenant.clone(), ask.library, person.to_owned());
        if !bundle.persons.contains_key(&place) {
            let entries = self.entries(ask, person, deadline)?;
            let faces = entries.iter().filter_map(|entry| {
                let (face, is_erased) = match entry.entry {
                    Entry::Face { face, .. } => (face, false),
                    Entry::FaceMarker { face, .. } => (face, true),
                    _ => return None,
                };
                Some(Face {
                    face: id(face),
                    sequence: entry.sequence,
                    is_erased,
                })
            });
            bundle.persons.insert(place.clone(), faces.collect());
        }
        Ok(bundle.persons.entry(place).or_default())
    }

    fn entries(
        &self,
        ask: &ChangeAsk,
        person: &str,
        deadline: Instant,
    ) -> Result<Vec<FaceEntry>, AskFailure> {
        let mut request = FacesRequest {
            tenant: ask.tenant.clone(),
            library: uuid(ask.library),
            person: Some(person.to_owned()),
            from: None,
            entries_max: PAGE_ENTRIES_MAX,
            templates: false,
        };
        let mut entries = Vec::new();
        loop {
            let page = self.library.faces(&request, deadline);
            let page = page.map_err(|error| failure(&error))?;
            entries.extend(page.entries);
            request.from = page.next;
            if request.from.is_none() {
                return Ok(entries);
            }
        }
    }

    /// What a write that was made comes to.
    fn answer(
        &self,
        ask: &ChangeAsk,
        standing: Standing,
        deadline: Instant,
    ) -> Result<Changed, AskFailure> {
        let is_deletion = matches!(ask.change, Change::Delete);
        match standing {
            Standing::Superseded { .. } => return Ok(Changed::Superseded),
            Standing::LibraryUnknown if is_deletion => return Ok(Changed::NothingThere),
            Standing::LibraryUnknown => return Ok(Changed::LibraryUnknown),
            Standing::FaceConflict => return Ok(Changed::FaceConflict),
            Standing::Written => {}
        }
        let done = |faces, key_destroyed| Changed::Done {
            faces,
            key_destroyed,
        };
        Ok(match &ask.change {
            Change::Create { .. } => done(Vec::new(), None),
            Change::Enrol { face, .. } => done(vec![*face], None),
            Change::Unenrol {
                face: Some(face), ..
            } => done(vec![*face], None),
            Change::Unenrol { person, face: None } => {
                let entries = self.entries(ask, person, deadline)?;
                let faces: Vec<Id> = entries
                    .iter()
                    .filter(|entry| entry.sequence == ask.sequence)
                    .filter_map(|entry| match entry.entry {
                        Entry::FaceMarker { face, .. } => Some(id(face)),
                        _ => None,
                    })
                    .collect();
                if faces.is_empty() {
                    return Ok(Changed::NothingThere);
                }
                done(faces, self.destroy(ask, Some(person))?)
            }
            Change::Delete => done(Vec::new(), self.destroy(ask, None)?),
        })
    }

    /// The key of a person, or of a library: what it sealed in `shiren.library` is erased with it.
    fn destroy(&self, ask: &ChangeAsk, person: Option<&str>) -> Result<Option<String>, AskFailure> {
        let Some(vault) = &self.vault else {
            return Ok(None);
        };
        let (tenant, library) = (ask.tenant.as_str(), ask.library);
        let destroyed = match person {
            Some(person) => vault.destroy_person(PersonOf {
                tenant,
                library,
                person,
            }),
            None => vault
                .destroy_library(tenant, library)
                .map(|is_destroyed| is_destroyed.then(|| format!("{tenant}/{library}"))),
        };
        destroyed
            .map_err(|error: VaultError| AskFailure::transient(error.code(), error.to_string()))
    }
}

impl ChangePort {
    fn answers(
        &self,
        asks: &[&ChangeAsk],
        planned: Vec<Planned>,
        standings: Vec<Standing>,
        deadline: Instant,
    ) -> Vec<Result<Changed, AskFailure>> {
        let mut standings = standings.into_iter();
        let mut held_up: Option<AskFailure> = None;
        let mut answers = Vec::with_capacity(asks.len());
        for (ask, plan) in asks.iter().zip(planned) {
            let answer = match (plan, &held_up) {
                // What is asked again is a tail.
                (_, Some(failure)) => Err(failure.clone()),
                (Planned::Answered(answer), None) => answer,
                (Planned::Write(_), None) => match standings.next() {
                    Some(standing) => self.answer(ask, standing, deadline),
                    None => Err(AskFailure::lasting(
                        codes::LIBRARY_FAILED,
                        "the engine answered fewer writes than it was given",
                    )),
                },
            };
            held_up = held_up.or_else(|| answer.clone().err().filter(|failure| failure.transient));
            answers.push(answer);
        }
        answers
    }
}

impl Port<ChangeAsk, Changed> for ChangePort {
    fn ask(&self, asks: &[&ChangeAsk], deadline: Instant) -> Vec<Result<Changed, AskFailure>> {
        let mut bundle = Bundle::default();
        let mut planned = Vec::with_capacity(asks.len());
        for ask in asks {
            let plan = match self.plan(ask, &mut bundle, deadline) {
                // Nothing may overtake what could not be read.
                Err(failure) if failure.transient => {
                    return vec![Err(failure); asks.len()];
                }
                Err(failure) => Planned::Answered(Err(failure)),
                Ok(plan) => plan,
            };
            planned.push(plan);
        }
        let writes: Vec<FaceWrite> = planned
            .iter()
            .filter_map(|plan| match plan {
                Planned::Write(write) => Some(write.clone()),
                Planned::Answered(_) => None,
            })
            .collect();
        let standings = match self.library.write(&writes, deadline) {
            Ok(standings) => standings,
            Err(error) => return vec![Err(failure(&error)); asks.len()],
        };
        self.answers(asks, planned, standings, deadline)
    }
}
