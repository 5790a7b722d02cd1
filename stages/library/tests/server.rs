//! The contract suite on the server engine, and what is its own.
//!
//! Against the server at `SHIREN_TEST_QDRANT_URL` where that is set, else against the stand-in, which
//! proves our side of the wire and not Qdrant. The tests named after the stand-in always use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren_library::contract_suite::{DIMENSION, Subject, template};
use shiren_library::stand_in::StandIn;
use shiren_library::{
    Entry, Erased, FaceLibrary, FaceQuery, FaceWrite, FacesRequest, LibraryError, Metric,
    Optimised, ServerLibrary, ServerOptions, Standing,
};
use uuid::Uuid;

const TENANT: &str = "default";
const LIBRARY: Uuid = Uuid::from_u128(1);

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn options(url: &str, collection: &str) -> ServerOptions {
    options_under(url, collection, Metric::Cosine)
}

fn options_under(url: &str, collection: &str, metric: Metric) -> ServerOptions {
    ServerOptions {
        collection: collection.to_owned(),
        ..ServerOptions::new(url, DIMENSION, metric)
    }
}

fn open(stand_in: &StandIn) -> ServerLibrary {
    ServerLibrary::open(options(&stand_in.url(), "faces"), soon()).unwrap()
}

/// Opens a library, and creates the one of faces in it.
fn open_made(stand_in: &StandIn) -> ServerLibrary {
    let library = open(stand_in);
    library.write(&[create()], soon()).unwrap();
    library
}

shiren_library::contract_tests!(|promise: &str, metric| {
    let real = std::env::var("SHIREN_TEST_QDRANT_URL").ok();
    let stand_in = real.is_none().then(StandIn::start);
    let url = real.unwrap_or_else(|| stand_in.as_ref().unwrap().url());
    // A real server keeps its collections: one a run.
    let started = std::process::id();
    let collection = format!("shiren-test-{promise}-{metric:?}-{started}");
    let library = ServerLibrary::open(options_under(&url, &collection, metric), soon()).unwrap();
    (Subject::new(promise, metric, Arc::new(library)), stand_in)
});

fn create() -> FaceWrite {
    FaceWrite::Create {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        label: "a library".to_owned(),
        model_sha256: "a model".to_owned(),
        sequence: 0,
    }
}

fn enrol(person: &str, face: u64, sequence: u64) -> FaceWrite {
    FaceWrite::Enrol {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        person: person.to_owned(),
        face: Uuid::from_u128(face.into()),
        sequence,
        template: template(face),
    }
}

fn erase(erased: Erased, sequence: u64) -> FaceWrite {
    FaceWrite::Erase {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        erased,
        sequence,
    }
}

fn erase_library(sequence: u64) -> FaceWrite {
    FaceWrite::EraseLibrary {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        sequence,
    }
}

fn found(library: &dyn FaceLibrary) -> usize {
    let query = FaceQuery {
        tenant: TENANT.to_owned(),
        libraries: vec![LIBRARY],
        template: template(1),
        faces_max: 10,
        exact: true,
    };
    library.search(&[query], soon()).unwrap()[0].len()
}

fn listed(library: &dyn FaceLibrary) -> Vec<Entry> {
    let request = FacesRequest {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        person: None,
        from: None,
        entries_max: 100,
        templates: true,
    };
    let page = library.faces(&request, soon()).unwrap();
    assert!(
        page.entries
            .iter()
            .all(|e| e.template.is_some() != e.entry.is_marker())
    );
    page.entries
        .into_iter()
        .map(|listed| listed.entry)
        .collect()
}

/// Lets `write` be read and judged, halts it before it is applied, does `meanwhile`, and lets it go on.
fn woken_late(stand_in: &StandIn, write: &FaceWrite, meanwhile: &[FaceWrite]) -> Standing {
    // The first write tries whether the server heeds conditions: not to be the one that is held.
    let late = open_made(stand_in);
    let held = stand_in.hold_next_update();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| late.write(std::slice::from_ref(write), soon()).unwrap());
        held.wait();
        let successor = open(stand_in);
        for write in meanwhile {
            let stands = successor
                .write(std::slice::from_ref(write), soon())
                .unwrap();
            assert_eq!(stands, [Standing::Written]);
        }
        held.release();
        writer.join().unwrap()[0]
    })
}

#[test]
fn stand_in_a_writer_halted_within_an_enrolment_brings_nothing_back() {
    let late = enrol("ann", 1, 1);
    let whole = [late.clone(), erase(Erased::Person("ann".to_owned()), 2)];
    let cases = [
        (&whole[..], 2),
        (
            &[late.clone(), erase(Erased::Face(Uuid::from_u128(1)), 3)],
            3,
        ),
        // The successor never wrote the face: its point is not there to hold the condition.
        (&[erase(Erased::Person("ann".to_owned()), 4)], 4),
        (&[late.clone(), erase_library(5)], 5),
        (&[erase_library(6)], 6),
    ];
    for (meanwhile, by) in cases {
        let stand_in = StandIn::start();
        let stands = woken_late(&stand_in, &late, meanwhile);
        assert_eq!(stands, Standing::Superseded { by });
        let library = open(&stand_in);
        assert_eq!(found(&library), 0, "{meanwhile:?}");
        let left = listed(&library);
        assert!(left.iter().all(Entry::is_marker), "{meanwhile:?}: {left:?}");
    }
}

#[test]
fn stand_in_a_writer_halted_within_an_erasure_spares_what_came_later() {
    let stand_in = StandIn::start();
    open_made(&stand_in)
        .write(&[enrol("ann", 1, 1)], soon())
        .unwrap();
    let late = erase(Erased::Face(Uuid::from_u128(1)), 2);
    let meanwhile = [late.clone(), enrol("ann", 1, 3)];
    let stands = woken_late(&stand_in, &late, &meanwhile);
    assert_eq!(
        (stands, found(&open(&stand_in))),
        (Standing::Superseded { by: 3 }, 1)
    );
    // A person's: only faces of before.
    let late = erase(Erased::Person("ann".to_owned()), 4);
    let stands = woken_late(&stand_in, &late, &[late.clone(), enrol("ann", 1, 5)]);
    assert_eq!((stands, found(&open(&stand_in))), (Standing::Written, 1));
}

#[test]
fn stand_in_a_writer_halted_within_an_enrolment_takes_nobodys_face() {
    let stand_in = StandIn::start();
    let late = enrol("bob", 1, 3);
    let stands = woken_late(&stand_in, &late, &[enrol("ann", 1, 2)]);
    assert_eq!(stands, Standing::FaceConflict);
    let library = open(&stand_in);
    let person = "ann".to_owned();
    let face = Uuid::from_u128(1);
    assert_eq!(listed(&library), [Entry::Face { person, face }]);
}

#[test]
fn stand_in_a_writer_halted_within_a_creation_brings_no_library_back() {
    let stand_in = StandIn::start();
    let FaceWrite::Create {
        tenant,
        label,
        model_sha256,
        sequence,
        ..
    } = create()
    else {
        panic!()
    };
    let library = Uuid::from_u128(2);
    let late = FaceWrite::Create {
        tenant,
        library,
        label,
        model_sha256,
        sequence,
    };
    let tenant = TENANT.to_owned();
    let gone = FaceWrite::EraseLibrary {
        tenant,
        library,
        sequence: 4,
    };
    let stands = woken_late(&stand_in, &late, &[late.clone(), gone]);
    assert_eq!(stands, Standing::Superseded { by: 4 });
    let head = open(&stand_in).head(TENANT, library, soon()).unwrap();
    assert_eq!(head, None);
}

#[test]
fn stand_in_a_late_face_of_a_forgotten_library_is_taken_away() {
    let stand_in = StandIn::start();
    let (late, other) = (open_made(&stand_in), open(&stand_in));
    let held = stand_in.hold_next_update();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| late.write(&[enrol("ann", 1, 1)], soon()).unwrap());
        held.wait();
        other.forget_library(TENANT, LIBRARY, soon()).unwrap();
        held.release();
        assert_eq!(writer.join().unwrap(), [Standing::LibraryUnknown]);
    });
    assert_eq!((found(&other), listed(&other)), (0, vec![]));
}

/// While the late face lies there, and before its writer takes it away.
#[test]
fn stand_in_a_face_in_an_erased_library_is_not_found_even_for_a_moment() {
    let stand_in = StandIn::start();
    let (late, reader) = (open_made(&stand_in), open(&stand_in));
    let held = stand_in.hold_next_update();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| late.write(&[enrol("ann", 1, 1)], soon()).unwrap());
        held.wait();
        reader.write(&[erase_library(2)], soon()).unwrap();
        // The writer's second update is the one that takes the face away.
        let taking_away = stand_in.hold_next_update();
        held.release();
        taking_away.wait();
        assert_eq!(listed(&reader).len(), 2, "the face is not there");
        assert_eq!(found(&reader), 0);
        taking_away.release();
        assert_eq!(writer.join().unwrap(), [Standing::Superseded { by: 2 }]);
    });
    assert_eq!(listed(&reader), [Entry::LibraryMarker]);
}

#[test]
fn stand_in_refused_calls_make_no_request() {
    let stand_in = StandIn::start();
    let library = open(&stand_in);
    let before = stand_in.requests();
    let FaceWrite::Enrol {
        tenant,
        library: id,
        person,
        face,
        sequence,
        ..
    } = enrol("ann", 1, 1)
    else {
        panic!()
    };
    let template = vec![f32::NAN; DIMENSION];
    let bad = FaceWrite::Enrol {
        tenant,
        library: id,
        person,
        face,
        sequence,
        template,
    };
    let error = library.write(&[bad], soon()).unwrap_err();
    assert_eq!(error.code(), "library_template_refused");
    assert_eq!(stand_in.requests(), before);
}

#[test]
fn stand_in_a_server_without_conditions_is_refused() {
    let stand_in = StandIn::start();
    stand_in.forget_conditions();
    let library = open(&stand_in);
    // Reading it would be fine.
    assert_eq!(found(&library), 0);
    let error = library.write(&[enrol("ann", 1, 1)], soon()).unwrap_err();
    assert_eq!(error.code(), "library_failed");
    assert!(error.to_string().contains("1.16"), "{error}");
    assert_eq!(found(&library), 0);
}

#[test]
fn stand_in_another_dimension_or_metric_is_refused() {
    let stand_in = StandIn::start();
    open(&stand_in);
    let other = ServerOptions {
        dimension: 2 * DIMENSION,
        ..options(&stand_in.url(), "faces")
    };
    let error = ServerLibrary::open(other, soon()).unwrap_err();
    assert_eq!(error.code(), "library_dimension_mismatch");
    let said = error.to_string();
    assert!(
        said.contains("32 numbers") && said.contains("64 numbers"),
        "{said}"
    );
    let other = options_under(&stand_in.url(), "faces", Metric::Euclidean);
    let error = ServerLibrary::open(other, soon()).unwrap_err();
    assert_eq!(error.code(), "library_dimension_mismatch");
    let said = error.to_string();
    assert!(said.contains("Cosine") && said.contains("Euclid"), "{said}");
}

/// The stand-in gives coarse scores where the query lets the bytes decide.
#[test]
fn stand_in_bytes_find_candidates_and_templates_give_the_score() {
    let stand_in = StandIn::start();
    for (metric, is_quantised) in [
        (Metric::Cosine, true),
        (Metric::Euclidean, true),
        (Metric::Euclidean, false),
    ] {
        let library = ServerLibrary::open(
            ServerOptions {
                is_quantised,
                ..options_under(
                    &stand_in.url(),
                    &format!("{metric:?} {is_quantised}"),
                    metric,
                )
            },
            soon(),
        )
        .unwrap();
        library
            .write(&[create(), enrol("ann", 2, 1)], soon())
            .unwrap();
        let pairs = || template(1).into_iter().zip(template(2));
        let wanted: f32 = match metric {
            Metric::Cosine => pairs().map(|(a, b)| a * b).sum(),
            Metric::Euclidean => 1.0 - pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt(),
        };
        for exact in [true, false] {
            let query = FaceQuery {
                tenant: TENANT.to_owned(),
                libraries: vec![LIBRARY],
                template: template(1),
                faces_max: 1,
                exact,
            };
            let score = library.search(&[query], soon()).unwrap()[0][0].score;
            assert!((score - wanted).abs() < 1e-5, "{score}, not {wanted}");
        }
    }
}

#[test]
fn stand_in_a_restart_is_survived() {
    let stand_in = StandIn::start();
    let library = open_made(&stand_in);
    library.write(&[enrol("ann", 1, 1)], soon()).unwrap();
    let stand_in = stand_in.restart();
    // All connections are broken; the client makes new ones.
    for _ in 0..6 {
        assert_eq!(found(&library), 1);
    }
    assert_eq!(library.optimise(soon()).unwrap(), Optimised::LeftToEngine);
    drop(stand_in);
    let error = library.describe(soon()).unwrap_err();
    assert_eq!(error.code(), "library_unavailable", "{error}");
}

#[test]
fn a_server_that_is_down_is_named() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let error = ServerLibrary::open(options(&url, "faces"), soon()).unwrap_err();
    assert!(matches!(error, LibraryError::Unavailable { .. }), "{error}");
    assert!(
        error.is_transient() && error.to_string().contains(&url),
        "{error}"
    );
}

/// It takes connections and never says a word.
#[test]
fn a_server_that_is_stuck_costs_no_more_than_the_deadline() {
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", stuck.local_addr().unwrap());
    let begin = Instant::now();
    let deadline = begin + Duration::from_millis(300);
    let error = ServerLibrary::open(options(&url, "faces"), deadline).unwrap_err();
    assert_eq!(error.code(), "library_deadline_exceeded", "{error}");
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn options_out_of_range_are_refused_and_keys_never_shown() {
    let good = ServerOptions {
        api_key: Some("a secret".to_owned()),
        ..options("http://127.0.0.1:1", "faces")
    };
    assert!(!format!("{good:?}").contains("a secret"));
    let wrong = [
        ServerOptions {
            dimension: 0,
            ..good.clone()
        },
        ServerOptions {
            compare_all_max_kib: 9,
            ..good.clone()
        },
        ServerOptions {
            connections: 0,
            ..good.clone()
        },
        ServerOptions {
            write_consistency_factor: 2,
            ..good.clone()
        },
        ServerOptions {
            collection: String::new(),
            ..good.clone()
        },
    ];
    for options in wrong {
        let error = ServerLibrary::open(options, soon()).unwrap_err();
        assert_eq!(error.code(), "library_over_limit", "{error}");
    }
    let nowhere = ServerOptions {
        url: "no address".to_owned(),
        ..good
    };
    let error = ServerLibrary::open(nowhere, soon()).unwrap_err();
    assert_eq!(error.code(), "library_failed", "{error}");
}
