//! Any writes in any order, against a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Subject, face_id, number_of};
use crate::{Entry, Erased, FaceQuery, FaceWrite, Standing};

const PERSONS: [&str; 3] = ["ann", "bob", "eve"];

/// A library as plain maps: what stands of faces (`None`: erased), persons and itself, by sequence.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    faces: BTreeMap<u64, (u64, Option<&'static str>)>,
    persons: BTreeMap<&'static str, u64>,
    created: Option<u64>,
    erased: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Create,
    Enrol(&'static str, u64),
    EraseFace(u64),
    ErasePerson(&'static str),
    EraseLibrary,
}

impl Model {
    fn is_known(&self, at: u64) -> bool {
        self.erased.is_none() && self.created.is_some_and(|created| created <= at)
    }

    fn write(&mut self, change: &Change, at: u64) {
        match change {
            Change::Create => {
                if self.erased.is_none() {
                    self.created.get_or_insert(at);
                }
            }
            _ if !self.is_known(at) => {}
            Change::Enrol(person, face) => {
                let is_free = |(was, whose): &(u64, Option<_>)| {
                    *was < at && whose.is_none_or(|whose| whose == *person)
                };
                let is_gone = self.persons.get(person).is_some_and(|was| *was >= at);
                if self.faces.get(face).is_none_or(is_free) && !is_gone {
                    self.faces.insert(*face, (at, Some(person)));
                }
            }
            Change::EraseFace(face) => {
                let stands = self.faces.entry(*face).or_insert((at, None));
                if stands.0 <= at {
                    *stands = (at, None);
                }
            }
            Change::ErasePerson(person) => {
                if self.persons.get(person).is_some_and(|was| *was >= at) {
                    return;
                }
                self.persons.insert(person, at);
                for (was, whose) in self.faces.values_mut() {
                    if *whose == Some(*person) && *was <= at {
                        (*was, *whose) = (at, None);
                    }
                }
            }
            Change::EraseLibrary => {
                *self = Self {
                    erased: Some(at),
                    ..Self::default()
                };
            }
        }
    }

    fn standing(&self, change: &Change, at: u64) -> Standing {
        let by = match change {
            Change::EraseLibrary if self.erased.is_some() => None,
            _ if self.erased.is_some() => self.erased,
            Change::Create => None,
            _ if !self.is_known(at) => return Standing::LibraryUnknown,
            Change::EraseLibrary => None,
            Change::Enrol(person, face) => {
                let gone = self.persons.get(person).copied().filter(|was| *was >= at);
                match self.faces.get(face) {
                    _ if gone.is_some() => gone,
                    Some((was, whose)) if *was > at || *was == at && whose.is_none() => Some(*was),
                    Some((_, Some(whose))) if whose != person => return Standing::FaceConflict,
                    _ => None,
                }
            }
            Change::EraseFace(face) => {
                (self.faces.get(face).map(|(was, _)| *was)).filter(|was| *was > at)
            }
            Change::ErasePerson(person) => {
                self.persons.get(person).copied().filter(|was| *was > at)
            }
        };
        by.map_or(Standing::Written, |by| Standing::Superseded { by })
    }

    fn found(&self) -> BTreeSet<(u64, String, u64)> {
        (self.faces.iter())
            .filter_map(|(face, (at, person))| Some((*face, (*person)?.to_owned(), *at)))
            .collect()
    }
}

/// A batch, again and again until it changes nothing more.
fn write_all(models: &mut [Model; 2], batch: &[(u64, Change, u64)]) {
    loop {
        let before = models.clone();
        for (library, change, at) in batch {
            models[*library as usize].write(change, *at);
        }
        if *models == before {
            return;
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(u64, Change, u64)>> {
    let person = || proptest::sample::select(PERSONS.to_vec());
    let change = prop_oneof![
        10 => (person(), 0..5_u64).prop_map(|(person, face)| Change::Enrol(person, face)),
        3 => (0..5_u64).prop_map(Change::EraseFace),
        2 => person().prop_map(Change::ErasePerson),
        1 => Just(Change::EraseLibrary),
        1 => Just(Change::Create),
    ];
    // Few numbers: commands come late, twice, and at the same place.
    let any = prop::collection::vec((0..2_u64, change, 0..12_u64), 1..20);
    // Most libraries are created early, or little would be written.
    let created = proptest::option::weighted(0.8, 0..4_u64);
    (any, [created.clone(), created]).prop_map(|(mut changes, created)| {
        for (library, at) in (0..).zip(created) {
            let create = at.map(|at| (library, Change::Create, at));
            changes.splice(0..0, create);
        }
        changes
    })
}

fn to_write(subject: &Subject, (library, change, at): &(u64, Change, u64)) -> FaceWrite {
    match change {
        Change::Create => subject.create(*library, "made", *at),
        Change::Enrol(person, face) => subject.enrol(*library, (person, *face), *at),
        Change::EraseFace(face) => subject.erase_face(*library, *face, *at),
        Change::ErasePerson(person) => subject.erase_person(*library, person, *at),
        Change::EraseLibrary => subject.erase_library(*library, *at),
    }
}

fn holds(subject: &Subject, library: u64, model: &Model) {
    let query = FaceQuery {
        faces_max: 100,
        exact: true,
        ..subject.query(&[library], &subject.template(0))
    };
    let hits = subject.search(query).into_iter();
    let found: BTreeSet<_> = hits
        .map(|hit| (number_of(hit.face), hit.person, hit.sequence))
        .collect();
    assert_eq!(found, model.found(), "library {library}");
    assert_eq!(subject.count(library), found.len() as u64);
    let head = subject.head(library).map(|head| head.sequence);
    assert_eq!(head, model.created, "library {library}");
    let mut markers: BTreeSet<_> = (model.faces.iter())
        .filter(|(_, (_, person))| person.is_none())
        .map(|(face, (at, _))| (Erased::Face(face_id(*face)), *at))
        .map(|(erased, at)| (format!("{erased:?}"), at))
        .collect();
    let persons = model.persons.iter();
    markers.extend(persons.map(|(who, at)| (format!("{:?}", Erased::Person((*who).into())), *at)));
    markers.extend(model.erased.map(|at| ("library".to_owned(), at)));
    let listed = subject.listed(library, None, 4).into_iter();
    let stored: BTreeSet<_> = listed
        .filter_map(|listed| {
            let name = match listed.entry {
                Entry::Face { .. } => return None,
                Entry::FaceMarker { face, .. } => format!("{:?}", Erased::Face(face)),
                Entry::PersonMarker { person } => format!("{:?}", Erased::Person(person)),
                Entry::LibraryMarker => "library".to_owned(),
            };
            Some((name, listed.sequence))
        })
        .collect();
    assert_eq!(stored, markers, "library {library}");
}

pub fn searches_find_what_a_map_of_faces_holds(subject: &Subject) {
    let config = Config {
        cases: 48,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = std::cell::Cell::new(1);
    let run = |(changes, batch): (Vec<(u64, Change, u64)>, usize)| {
        // Libraries of its own for each case: opening anew would take longer.
        let subject = subject.with_seed(seed.replace(seed.get() + 1));
        let mut models = [Model::default(), Model::default()];
        for changes in changes.chunks(batch) {
            let writes: Vec<_> = changes.iter().map(|c| to_write(&subject, c)).collect();
            let stands = subject.write(&writes);
            write_all(&mut models, changes);
            let wanted = changes
                .iter()
                .map(|(library, change, at)| models[*library as usize].standing(change, *at));
            prop_assert_eq!(&stands, &wanted.collect::<Vec<_>>());
            prop_assert_eq!(subject.write(&writes), stands, "the same batch again");
        }
        for (library, model) in (0..).zip(&models) {
            holds(&subject, library, model);
        }
        Ok(())
    };
    TestRunner::new(config)
        .run(&(changes(), 1..8_usize), run)
        .unwrap();
}
