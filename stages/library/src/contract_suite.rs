//! Promises every engine keeps, run against each by its own tests.
//!
//! An engine's test calls [`contract_tests!`](crate::contract_tests) with a function that opens its
//! library; each promise becomes a test of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "test code: a panic is how it speaks, and a promise's name says what it is"
)]

mod erasing;
mod finding;
mod heads;
mod model;
mod refusing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::{
    Erased, FaceEntry, FaceHit, FaceLibrary, FaceQuery, FaceWrite, FacesRequest, LibraryHead,
    Metric, Standing,
};

pub use erasing::*;
pub use finding::*;
pub use heads::*;
pub use model::*;
pub use refusing::*;

/// Length of the suite's templates; a subject's library has it.
pub const DIMENSION: usize = 32;
/// The model of the suite's libraries.
const MODEL: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The library under test, seen by one tenant.
pub struct Subject {
    library: Arc<dyn FaceLibrary>,
    metric: Metric,
    tenant: String,
    /// Ids of the libraries, by small numbers.
    seed: u64,
}

impl Subject {
    /// A library for templates of [`DIMENSION`] numbers under `metric`, and a tenant that nobody else uses.
    pub fn new(tenant: impl Into<String>, metric: Metric, library: Arc<dyn FaceLibrary>) -> Self {
        Self {
            library,
            metric,
            tenant: tenant.into(),
            seed: 0,
        }
    }

    /// The same library with other ids of libraries.
    fn with_seed(&self, seed: u64) -> Self {
        Self {
            library: self.library.clone(),
            metric: self.metric,
            tenant: self.tenant.clone(),
            seed,
        }
    }

    /// The same library for another tenant.
    fn of_tenant(&self, tenant: &str) -> Self {
        Self {
            library: self.library.clone(),
            metric: self.metric,
            tenant: tenant.to_owned(),
            seed: self.seed,
        }
    }

    /// The template of a face: under the Euclidean metric of a norm of its own.
    fn template(&self, face: u64) -> Vec<f32> {
        let template = template(face);
        match self.metric {
            Metric::Cosine => template,
            Metric::Euclidean => scaled(&template, 0.9 + 0.05 * (face % 7) as f32),
        }
    }

    /// Numbers as the metric takes them.
    fn fitted(&self, numbers: &[f32]) -> Vec<f32> {
        match self.metric {
            Metric::Cosine => unit(numbers),
            Metric::Euclidean => numbers.to_vec(),
        }
    }

    /// The score of two templates, by hand and in double precision.
    fn score(&self, a: &[f32], b: &[f32]) -> f32 {
        let pairs = || (a.iter().zip(b)).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let score = match self.metric {
            Metric::Cosine => {
                let squares = |of: &[f32]| of.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                pairs().map(|(a, b)| a * b).sum::<f64>() / (squares(a) * squares(b)).sqrt()
            }
            Metric::Euclidean => 1.0 - pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
        };
        score as f32
    }

    fn id(&self, n: u64) -> Uuid {
        Uuid::from_u64_pair(self.seed, n)
    }

    fn create(&self, library: u64, label: &str, sequence: u64) -> FaceWrite {
        FaceWrite::Create {
            tenant: self.tenant.clone(),
            library: self.id(library),
            label: label.to_owned(),
            model_sha256: MODEL.to_owned(),
            sequence,
        }
    }

    /// Creates libraries before all else that is written to them.
    fn make(&self, libraries: &[u64]) {
        let creates = libraries
            .iter()
            .map(|n| self.create(*n, &format!("library {n}"), 0));
        self.put(&creates.collect::<Vec<_>>());
    }

    fn head(&self, library: u64) -> Option<LibraryHead> {
        let library = self.id(library);
        self.library.head(&self.tenant, library, soon()).unwrap()
    }

    fn enrol(&self, library: u64, (person, face): (&str, u64), sequence: u64) -> FaceWrite {
        self.enrol_as(library, (person, face), sequence, &self.template(face))
    }

    fn enrol_as(
        &self,
        library: u64,
        (person, face): (&str, u64),
        sequence: u64,
        template: &[f32],
    ) -> FaceWrite {
        FaceWrite::Enrol {
            tenant: self.tenant.clone(),
            library: self.id(library),
            person: person.to_owned(),
            face: face_id(face),
            sequence,
            template: template.to_vec(),
        }
    }

    fn erase_person(&self, library: u64, person: &str, sequence: u64) -> FaceWrite {
        FaceWrite::Erase {
            tenant: self.tenant.clone(),
            library: self.id(library),
            erased: Erased::Person(person.to_owned()),
            sequence,
        }
    }

    fn erase_face(&self, library: u64, face: u64, sequence: u64) -> FaceWrite {
        FaceWrite::Erase {
            tenant: self.tenant.clone(),
            library: self.id(library),
            erased: Erased::Face(face_id(face)),
            sequence,
        }
    }

    fn erase_library(&self, library: u64, sequence: u64) -> FaceWrite {
        FaceWrite::EraseLibrary {
            tenant: self.tenant.clone(),
            library: self.id(library),
            sequence,
        }
    }

    fn write(&self, writes: &[FaceWrite]) -> Vec<Standing> {
        self.library.write(writes, soon()).unwrap()
    }

    /// Writes what must stand.
    fn put(&self, writes: &[FaceWrite]) {
        assert_eq!(self.write(writes), vec![Standing::Written; writes.len()]);
    }

    fn query(&self, libraries: &[u64], template: &[f32]) -> FaceQuery {
        FaceQuery {
            tenant: self.tenant.clone(),
            libraries: libraries.iter().map(|n| self.id(*n)).collect(),
            template: template.to_vec(),
            faces_max: 10,
            exact: false,
        }
    }

    fn search(&self, query: FaceQuery) -> Vec<FaceHit> {
        let mut found = self.library.search(&[query], soon()).unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    /// Faces found for a face's own template: their numbers, best first.
    fn found(&self, libraries: &[u64], face: u64) -> Vec<u64> {
        let hits = self.search(self.query(libraries, &self.template(face)));
        hits.iter().map(|hit| number_of(hit.face)).collect()
    }

    /// All of a library, `page` entries at a time.
    fn listed(&self, library: u64, person: Option<&str>, page: usize) -> Vec<FaceEntry> {
        let mut request = FacesRequest {
            tenant: self.tenant.clone(),
            library: self.id(library),
            person: person.map(str::to_owned),
            from: None,
            entries_max: page,
            templates: true,
        };
        let mut all = vec![];
        loop {
            let got = self.library.faces(&request, soon()).unwrap();
            assert!(got.entries.len() <= page);
            all.extend(got.entries);
            request.from = got.next;
            if request.from.is_none() {
                return all;
            }
        }
    }

    fn count(&self, library: u64) -> u64 {
        let library = self.id(library);
        self.library.count(&self.tenant, library, soon()).unwrap()
    }
}

/// A deadline that is far enough.
fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn face_id(face: u64) -> Uuid {
    Uuid::from_u64_pair(7, face)
}

fn number_of(face: Uuid) -> u64 {
    face.as_u64_pair().1
}

/// The template of a face: the same for the same number, far from all others.
#[must_use]
pub fn template(face: u64) -> Vec<f32> {
    template_of(face, DIMENSION)
}

/// As [`template`], of `dimension` numbers.
#[must_use]
pub fn template_of(face: u64, dimension: usize) -> Vec<f32> {
    let mut state = face.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut number = || {
        // Xorshift: any numbers will do that are always the same.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    let numbers: Vec<f32> = (0..dimension).map(|_| number()).collect();
    unit(&numbers)
}

/// Brought to norm 1.
fn unit(numbers: &[f32]) -> Vec<f32> {
    let norm = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    numbers.iter().map(|x| x / norm).collect()
}

fn scaled(numbers: &[f32], by: f32) -> Vec<f32> {
    numbers.iter().map(|x| x * by).collect()
}

/// Makes a test of every promise, for each metric. `$subject` is a function from the promise's name and the
/// metric to the [`Subject`] to hold to it, and what must outlive it.
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr) => {
        mod cosine {
            use super::*;
            $crate::contract_tests!(@all $crate::Metric::Cosine, $subject);
        }
        mod euclidean {
            use super::*;
            $crate::contract_tests!(@all $crate::Metric::Euclidean, $subject);
        }
    };
    (@all $metric:expr, $subject:expr) => {
        $crate::contract_tests!(@each $metric, $subject;
            enrolled_faces_are_found
            libraries_and_tenants_are_apart
            a_person_has_several_faces
            a_later_enrolment_replaces_the_face
            an_empty_library_gives_no_hits
            the_index_finds_what_comparing_all_finds
            a_batch_of_queries_is_answered_in_order
            pages_list_everything_once
            searches_run_beside_writes
            an_erased_person_is_not_found
            an_erased_face_is_not_found
            a_writer_woken_late_changes_nothing
            a_late_face_of_an_erased_person_is_superseded
            an_erased_person_may_be_enrolled_again
            an_erased_library_stays_empty
            a_batch_again_gives_the_same
            a_batch_is_applied_in_order
            markers_expire
            an_unknown_library_takes_nothing
            a_library_keeps_its_first_head
            an_erased_library_has_no_head
            a_batch_may_create_its_library
            a_face_stays_its_persons
            a_forgotten_library_is_as_if_it_had_never_been
            what_was_erased_stays_erased_through_upkeep
            searches_find_what_a_map_of_faces_holds
            refused_templates_never_reach_the_engine
            refused_calls_never_reach_the_engine
            a_deadline_in_the_past_is_kept
            a_library_describes_itself
        );
    };
    (@each $metric:expr, $subject:expr; $($promise:ident)*) => {
        $(#[test]
        fn $promise() {
            let subject = $subject;
            let (subject, _alive) = subject(stringify!($promise), $metric);
            $crate::contract_suite::$promise(&subject);
        })*
    };
}
