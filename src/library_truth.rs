//! The truth of the libraries: what `shiren.library` says there is.
//!
//! The topic holds the last change of each library, person and face, in no order between them. What is there follows from
//! the sequences alone: a face counts when its enrolment is later than its person's last unenrolment, in a library that was
//! created and not deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::sealing;
use shiren_library::{
    Entry, FaceEntry, FaceLibrary, FaceWrite, FacesRequest, LibraryBounds, LibraryError,
};
use shiren_log::{Log, Start};
use shiren_schemas::records::{LibraryChange, LibraryOperation};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire};
use uuid::Uuid;

use crate::face_library::TemplateForm;

/// Records read at once.
const READ_MAX_RECORDS: usize = 256;
/// Longest wait for a record of a topic that is not read to its end.
const READ_MAX_WAIT: Duration = Duration::from_millis(100);
/// Longest that one call of an engine may take: a rebuild writes a thousand faces at once.
const CALL_MAX: Duration = Duration::from_secs(120);

/// A library that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// Its creation: name, model, sequence.
    pub head: LibraryChange,
    /// Enrolments by person and face.
    pub persons: BTreeMap<String, BTreeMap<Id, LibraryChange>>,
}

impl Library {
    /// Number of faces.
    #[must_use]
    pub fn faces(&self) -> usize {
        self.persons.values().map(BTreeMap::len).sum()
    }
}

/// A tenant's libraries, by id.
pub type Libraries = BTreeMap<Id, Library>;

/// Reads the topic to its end.
///
/// # Errors
/// It does not exist, the log does not answer, or a record is none of ours.
pub fn read(log: &dyn Log, tenant: &str) -> anyhow::Result<Libraries> {
    let topic = Topic::Library.to_string();
    let mut reader = log.reader(&topic, Start::Beginning)?;
    let mut last = BTreeMap::new();
    loop {
        let records = reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)?;
        // Asked only when nothing comes: on Kafka it takes a request a partition.
        if records.is_empty() && reader.at_end()? {
            break;
        }
        for record in records {
            let change = LibraryChange::decode(&record.value.unwrap_or_default())
                .with_context(|| format!("{topic}: a record that is none of ours"))?;
            if change.tenant != tenant {
                continue;
            }
            // Not the last by offset: a commit of a writer that was cut off can land late.
            let known = last.entry(record.key).or_insert_with(|| change.clone());
            if change.sequence >= known.sequence {
                *known = change;
            }
        }
    }
    Ok(settled(last.into_values()))
}

/// What is there, by the last change about each key.
#[must_use]
pub fn settled(changes: impl Iterator<Item = LibraryChange>) -> Libraries {
    let mut libraries = Libraries::new();
    let mut unenrolled = BTreeMap::new();
    let mut faces = Vec::new();
    for change in changes {
        match (change.operation, change.face_id) {
            (LibraryOperation::Create, _) => {
                let persons = BTreeMap::new();
                libraries.insert(
                    change.library,
                    Library {
                        head: change,
                        persons,
                    },
                );
            }
            (LibraryOperation::Enrol, Some(face)) => faces.push((face, change)),
            (LibraryOperation::Unenrol, None) => {
                unenrolled.insert((change.library, change.person_id), change.sequence);
            }
            // A library that was deleted, a face that was unenrolled: its key's last word.
            _ => {}
        }
    }
    for (face, change) in faces {
        let person = (change.library, change.person_id.clone());
        let is_erased = unenrolled
            .get(&person)
            .is_some_and(|at| *at >= change.sequence);
        if let Some(library) = libraries.get_mut(&change.library)
            && !is_erased
        {
            let person = library.persons.entry(person.1).or_default();
            person.insert(face, change);
        }
    }
    libraries
}

/// The library that an operator names, by id or by its name where no other has it.
///
/// # Errors
/// There is none, or more than one of that name.
pub fn named<'a>(libraries: &'a Libraries, name: &str) -> anyhow::Result<(Id, &'a Library)> {
    let found: Vec<_> = libraries
        .iter()
        .filter(|(id, library)| library.head.label == name || id.to_string() == name)
        .collect();
    match found.as_slice() {
        [(id, library)] => Ok((**id, library)),
        [] => bail!("no library {name}; `shiren library list` shows them"),
        several => bail!(
            "{} libraries are called {name}; name one by its id, as `shiren library list` shows it",
            several.len()
        ),
    }
}

/// The template of an enrolment, opened by its person's key. `None`: the key was destroyed, so it is erased.
///
/// # Errors
/// It is sealed and there is no vault, or the vault cannot be used.
pub fn template(
    change: &LibraryChange,
    vault: Option<&Arc<dyn Vault>>,
) -> anyhow::Result<Option<Vec<f32>>> {
    let mut change = change.clone();
    match vault {
        Some(vault) => match sealing::open_change(&mut change, vault.as_ref()) {
            Ok(()) => {}
            Err(VaultError::KeyDestroyed { .. }) => return Ok(None),
            Err(error) => return Err(crate::vault::coded(error)),
        },
        None if change.template.as_ref().is_some_and(|t| t.sealed.is_some()) => {
            bail!("the templates are sealed, and vault.enabled is false");
        }
        None => {}
    }
    Ok(change.template.map(|template| template.values))
}

/// Truth and engine of a tenant.
pub struct Sides<'a> {
    /// Whose libraries.
    pub tenant: &'a str,
    /// The engine.
    pub engine: &'a dyn FaceLibrary,
    /// What its templates are.
    pub form: &'a TemplateForm,
    /// Opens the truth's templates.
    pub vault: Option<&'a Arc<dyn Vault>>,
}

/// How an engine's view of one library differs from its truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Faces on both sides, equal in person, sequence and template.
    pub equal: usize,
    /// Faces that the engine lacks.
    pub missing: Vec<Id>,
    /// Faces that the engine should not have.
    pub surplus: Vec<Id>,
    /// Faces of another person, sequence or template.
    pub other: Vec<Id>,
    /// The engine does not know the library, or knows it by another model.
    pub head_differs: bool,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let lists = [&self.missing, &self.surplus, &self.other];
        !self.head_differs && lists.into_iter().all(Vec::is_empty)
    }
}

fn soon() -> Instant {
    Instant::now() + CALL_MAX
}

fn uuid(id: Id) -> Uuid {
    Uuid::from_bytes(id.0)
}

impl Sides<'_> {
    /// Makes the engine's view of a library anew from its truth; tells how many faces it has.
    ///
    /// # Errors
    /// The engine or the vault fails: the view is then a part, and the call is to be repeated.
    pub fn rebuild(
        &self,
        id: Id,
        library: &Library,
        mut progress: impl FnMut(usize),
    ) -> anyhow::Result<usize> {
        let (tenant, library_id) = (self.tenant.to_owned(), uuid(id));
        self.engine
            .forget_library(self.tenant, library_id, soon())
            .map_err(coded)?;
        let create = FaceWrite::Create {
            tenant: tenant.clone(),
            library: library_id,
            label: library.head.label.clone(),
            model_sha256: library.head.model_sha256.clone(),
            sequence: sequence(&library.head),
        };
        self.engine.write(&[create], soon()).map_err(coded)?;
        let mut written = 0;
        let mut writes = Vec::new();
        for (face, change) in library.persons.values().flatten() {
            let Some(template) = template(change, self.vault)? else {
                continue;
            };
            writes.push(FaceWrite::Enrol {
                tenant: tenant.clone(),
                library: library_id,
                person: change.person_id.clone(),
                face: uuid(*face),
                sequence: sequence(change),
                template: self.form.shaped(&template),
            });
            if writes.len() == LibraryBounds::default().writes_max {
                self.engine.write(&writes, soon()).map_err(coded)?;
                written += writes.len();
                writes.clear();
                progress(written);
            }
        }
        self.engine.write(&writes, soon()).map_err(coded)?;
        written += writes.len();
        progress(written);
        Ok(written)
    }

    /// Compares the engine's view of a library with its truth, templates too.
    ///
    /// # Errors
    /// The engine or the vault fails.
    pub fn difference(&self, id: Id, library: &Library) -> anyhow::Result<Difference> {
        let head = self
            .engine
            .head(self.tenant, uuid(id), soon())
            .map_err(coded)?;
        let model = &library.head.model_sha256;
        let mut difference = Difference {
            head_differs: head.is_none_or(|head| {
                head.model_sha256 != *model || head.sequence != sequence(&library.head)
            }),
            ..Difference::default()
        };
        let mut wanted: BTreeMap<Id, &LibraryChange> = library
            .persons
            .values()
            .flatten()
            .map(|(face, change)| (*face, change))
            .collect();
        self.each_face(id, |face, person, entry| {
            let Some(change) = wanted.remove(&face) else {
                difference.surplus.push(face);
                return Ok(());
            };
            let template = template(change, self.vault)?.map(|t| self.form.shaped(&t));
            let is_equal = change.person_id == person
                && sequence(change) == entry.sequence
                && entry
                    .template
                    .as_deref()
                    .zip(template.as_deref())
                    .is_some_and(|(a, b)| alike(a, b));
            if is_equal {
                difference.equal += 1;
            } else {
                difference.other.push(face);
            }
            Ok(())
        })?;
        for (face, change) in wanted {
            // Whose key was destroyed is erased, though its tombstone may be on its way.
            if template(change, self.vault)?.is_some() {
                difference.missing.push(face);
            }
        }
        Ok(difference)
    }

    fn each_face(
        &self,
        id: Id,
        mut look: impl FnMut(Id, &str, &FaceEntry) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut request = FacesRequest {
            tenant: self.tenant.to_owned(),
            library: uuid(id),
            person: None,
            from: None,
            entries_max: LibraryBounds::default().page_entries_max,
            templates: true,
        };
        loop {
            let page = self.engine.faces(&request, soon()).map_err(coded)?;
            for entry in &page.entries {
                if let Entry::Face { person, face } = &entry.entry {
                    look(Id(*face.as_bytes()), person, entry)?;
                }
            }
            request.from = page.next;
            if request.from.is_none() {
                return Ok(());
            }
        }
    }
}

/// Engines may scale a template to unit norm once more, which costs the last bits.
fn alike(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5)
}

fn sequence(change: &LibraryChange) -> u64 {
    u64::try_from(change.sequence).unwrap_or(0)
}

/// With its code, as an operator reads it.
pub(crate) fn coded(error: LibraryError) -> anyhow::Error {
    anyhow::anyhow!("[{}] {error}", error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        operation: LibraryOperation,
        person: &str,
        face: Option<u8>,
        at: i64,
    ) -> LibraryChange {
        LibraryChange {
            tenant: "default".into(),
            library: Id([1; 16]),
            operation,
            sequence: at,
            case_id: Id([2; 16]),
            received_time: 0,
            label: "staff".into(),
            model: String::new(),
            model_sha256: String::new(),
            person_id: person.into(),
            face_id: face.map(|face| Id([face; 16])),
            template: None,
            consent_ref: None,
            purpose: None,
        }
    }

    #[test]
    fn what_is_there_follows_from_sequences_whatever_the_order() {
        use LibraryOperation::{Create, Enrol, Unenrol};
        let mut changes = vec![
            change(Create, "", None, 1),
            change(Enrol, "ann", Some(3), 2),
            change(Unenrol, "ann", None, 4),
            change(Enrol, "ann", Some(4), 5),
            change(Enrol, "bob", Some(5), 6),
            change(Unenrol, "bob", Some(6), 7),
        ];
        for _ in 0..changes.len() {
            changes.rotate_left(1);
            let libraries = settled(changes.iter().cloned());
            let (_, library) = named(&libraries, "staff").unwrap();
            let faces: Vec<_> = library
                .persons
                .iter()
                .map(|(person, faces)| (person.as_str(), faces.keys().map(|f| f.0[0]).collect()))
                .collect();
            assert_eq!(faces, [("ann", vec![4]), ("bob", vec![5])]);
        }
        changes.push(change(LibraryOperation::Delete, "", None, 8));
        // By key: the deletion takes the creation's place.
        changes.retain(|change| change.operation != Create);
        assert!(settled(changes.into_iter()).is_empty());
    }

    #[test]
    fn a_name_that_two_have_is_refused() {
        let other = LibraryChange {
            library: Id([9; 16]),
            ..change(LibraryOperation::Create, "", None, 1)
        };
        let first = change(LibraryOperation::Create, "", None, 1);
        let libraries = settled([first, other].into_iter());
        assert!(
            named(&libraries, "staff")
                .unwrap_err()
                .to_string()
                .contains("2 libraries")
        );
        assert!(named(&libraries, "guests").is_err());
        assert!(named(&libraries, &Id([9; 16]).to_string()).is_ok());
    }
}
