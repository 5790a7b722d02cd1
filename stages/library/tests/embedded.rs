//! The contract suite on the embedded engine, and what is its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren_library::contract_suite::{DIMENSION, Subject, template, template_of};
use shiren_library::{
    EmbeddedLibrary, EmbeddedOptions, Entry, Erased, FaceLibrary, FaceQuery, FaceWrite,
    FacesRequest, LibraryError, Metric, Optimised, Standing,
};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);
const TENANT: &str = "default";
const LIBRARY: Uuid = Uuid::from_u128(1);

fn options(dir: &Path) -> EmbeddedOptions {
    options_under(dir, Metric::Cosine)
}

fn options_under(dir: &Path, metric: Metric) -> EmbeddedOptions {
    EmbeddedOptions {
        // Small numbers, so that the suite meets the index and the upkeep in the background.
        index_from_kib: 40,
        compare_all_max_kib: 10,
        optimise_after_points: 200,
        log_max_mib: 1,
        ..EmbeddedOptions::new(dir, DIMENSION, metric)
    }
}

fn open(dir: &Path) -> EmbeddedLibrary {
    EmbeddedLibrary::open(options(dir)).unwrap()
}

shiren_library::contract_tests!(|promise: &str, metric| {
    let dir = tempfile::tempdir().unwrap();
    let library = EmbeddedLibrary::open(options_under(dir.path(), metric)).unwrap();
    (Subject::new(promise, metric, Arc::new(library)), dir)
});

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn create() -> FaceWrite {
    FaceWrite::Create {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        label: "a library".to_owned(),
        model_sha256: "a model".to_owned(),
        sequence: 0,
    }
}

/// Opens the library in a folder, and creates the one of faces in it.
fn open_made(dir: &Path) -> EmbeddedLibrary {
    let library = open(dir);
    put(&library, &[create()]);
    library
}

fn enrol(face: u64) -> FaceWrite {
    FaceWrite::Enrol {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        person: format!("person {}", face % 10),
        face: Uuid::from_u64_pair(0, face),
        sequence: face + 1,
        template: template(face),
    }
}

fn erase(erased: Erased) -> FaceWrite {
    FaceWrite::Erase {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        erased,
        sequence: 1_000_000,
    }
}

fn put(library: &dyn FaceLibrary, writes: &[FaceWrite]) {
    let stands = library.write(writes, soon()).unwrap();
    assert_eq!(stands, vec![Standing::Written; writes.len()]);
}

fn best(library: &dyn FaceLibrary, probe: &[f32]) -> Option<(u64, f32)> {
    let query = FaceQuery {
        tenant: TENANT.to_owned(),
        libraries: vec![LIBRARY],
        template: probe.to_vec(),
        faces_max: 1,
        exact: false,
    };
    let hits = library.search(&[query], soon()).unwrap().remove(0);
    hits.first()
        .map(|hit| (hit.face.as_u64_pair().1, hit.score))
}

fn listed(library: &dyn FaceLibrary) -> Vec<(Entry, u64, Option<Vec<f32>>)> {
    let mut request = FacesRequest {
        tenant: TENANT.to_owned(),
        library: LIBRARY,
        person: None,
        from: None,
        entries_max: 500,
        templates: true,
    };
    let mut all = vec![];
    loop {
        let page = library.faces(&request, soon()).unwrap();
        all.extend(
            page.entries
                .into_iter()
                .map(|e| (e.entry, e.sequence, e.template)),
        );
        request.from = page.next;
        if request.from.is_none() {
            return all;
        }
    }
}

#[test]
fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let library = open_made(dir.path());
    put(&library, &(0..700).map(enrol).collect::<Vec<_>>());
    put(&library, &[erase(Erased::Person("person 3".to_owned()))]);
    let before = listed(&library);
    assert_eq!(before.len(), 701);
    drop(library);
    let library = open(dir.path());
    assert!(before == listed(&library));
    let head = library.head(TENANT, LIBRARY, soon()).unwrap().unwrap();
    assert_eq!((head.label.as_str(), head.sequence), ("a library", 0));
    library.optimise(soon()).unwrap();
    assert!(before == listed(&library));
    drop(library);
    let library = open(dir.path());
    library.warm_up(soon()).unwrap();
    assert!(before == listed(&library));
    assert_eq!(best(&library, &template(5)).unwrap().0, 5);
    assert_eq!(library.count(TENANT, LIBRARY, soon()).unwrap(), 630);
    assert!(library.describe(soon()).unwrap().indexed > 0);
    // And goes on where it was.
    put(&library, &[enrol(5_000)]);
    assert_eq!(best(&library, &template(5_000)).unwrap().0, 5_000);
}

#[test]
fn a_folder_of_another_dimension_or_metric_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(&open_made(dir.path()), &[enrol(1)]);
    let other = EmbeddedOptions::new(dir.path(), DIMENSION * 2, Metric::Cosine);
    let error = EmbeddedLibrary::open(other).unwrap_err();
    assert_eq!(error.code(), "library_dimension_mismatch", "{error}");
    let said = error.to_string();
    assert!(
        said.contains("32 numbers") && said.contains("64 numbers"),
        "{said}"
    );
    // Nor one of another metric.
    let error = EmbeddedLibrary::open(options_under(dir.path(), Metric::Euclidean)).unwrap_err();
    assert_eq!(error.code(), "library_dimension_mismatch", "{error}");
    let said = error.to_string();
    assert!(said.contains("Cosine") && said.contains("Euclid"), "{said}");
    // It was not touched.
    assert_eq!(best(&open(dir.path()), &template(1)).unwrap().0, 1);
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = options(dir.path());
    let wrong = [
        EmbeddedOptions {
            dimension: 0,
            ..good.clone()
        },
        EmbeddedOptions {
            search_width: 0,
            ..good.clone()
        },
        EmbeddedOptions {
            optimise_after_points: 0,
            ..good.clone()
        },
        EmbeddedOptions {
            links: 1,
            ..good.clone()
        },
        EmbeddedOptions {
            build_width: 3,
            ..good.clone()
        },
        EmbeddedOptions {
            erased_ratio_max: f64::NAN,
            ..good
        },
    ];
    for options in wrong {
        let error = EmbeddedLibrary::open(options).unwrap_err();
        assert_eq!(error.code(), "library_over_limit", "{error}");
    }
}

/// This test binary again, as another process that plays `role` on the library in `dir`.
fn other_process(role: &str, dir: &Path, begin: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "as_another_process",
            "--nocapture",
            "-q",
        ])
        .env("SHIREN_TEST_ROLE", role)
        .env("SHIREN_TEST_DIR", dir)
        .env("SHIREN_TEST_BEGIN", begin.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lines that the other process says.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap())
}

/// The number behind `word` in what the other process says; the harness may say more on the line.
fn number_behind(word: &str, line: &str) -> Option<u64> {
    line.split_once(word)?.1.trim().parse().ok()
}

#[test]
#[ignore = "no test of its own: the part of the other process, which other tests start"]
fn as_another_process() {
    let (role, dir) = (
        std::env::var("SHIREN_TEST_ROLE").unwrap(),
        std::env::var("SHIREN_TEST_DIR").unwrap(),
    );
    let library = open(Path::new(&dir));
    match role.as_str() {
        "holds" => {
            println!("[holds] 1");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        // Seven faces a batch, and one of the batch before erased; tells what was acknowledged.
        "writes" => {
            put(&library, &[create()]);
            let begin: u64 = std::env::var("SHIREN_TEST_BEGIN").unwrap().parse().unwrap();
            for n in begin.. {
                let mut batch: Vec<_> = (n * 7..n * 7 + 7).map(enrol).collect();
                if n > 0 {
                    batch.push(erase(Erased::Face(Uuid::from_u64_pair(0, n * 7 - 3))));
                }
                library.write(&batch, soon()).unwrap();
                println!("[acked] {n}");
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_folder_belongs_to_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = other_process("holds", dir.path(), 0);
    assert!(lines(&mut other).any(|line| line.contains("[holds]")));
    let error = EmbeddedLibrary::open(options(dir.path())).unwrap_err();
    assert!(
        matches!(&error, LibraryError::Locked { dir: its } if its == dir.path()),
        "{error}"
    );
    assert_eq!(error.code(), "library_locked");
    assert!(
        error.to_string().contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    // A killed process holds nothing; and one engine a process.
    let _library = open(dir.path());
    let error = EmbeddedLibrary::open(options(dir.path())).unwrap_err();
    assert_eq!(error.code(), "library_locked");
}

/// Killed wherever it is, in writing or in upkeep: what was acknowledged is there, what was erased is not.
#[test]
fn a_killed_writer_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut batches = 0;
    for round in 1..6 {
        // It begins with the batch that was not acknowledged, as a command that is run again.
        let mut other = other_process("writes", dir.path(), batches);
        let mut told = lines(&mut other);
        while batches < round * 25 {
            let line = told.next().expect("the other process ended");
            batches = number_behind("[acked]", &line).map_or(batches, |n| n + 1);
        }
        other.kill().unwrap();
        other.wait().unwrap();
        let rest = told.filter_map(|line| number_behind("[acked]", &line));
        batches = rest.last().map_or(batches, |n| n + 1);
        let library = open(dir.path());
        let stored: BTreeMap<u64, bool> = listed(&library)
            .into_iter()
            .map(|(entry, _, template)| match entry {
                Entry::Face { face, .. } => (face.as_u64_pair().1, template.is_some()),
                Entry::FaceMarker { face, .. } if template.is_none() => {
                    (face.as_u64_pair().1, false)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        for n in 0..batches * 7 {
            let (is_erased, is_last) = (n % 7 == 4, n / 7 + 1 == batches);
            // The last batch's is being erased by one that was not acknowledged.
            if !(is_erased && is_last) {
                assert_eq!(
                    stored.get(&n),
                    Some(&!is_erased),
                    "face {n} of {batches} batches"
                );
            }
        }
        // Nor may a search find an old copy that a list does not show.
        for n in (0..(batches - 1) * 7).rev().take(200) {
            let is_found = best(&library, &template(n)).unwrap().0 == n;
            assert_eq!(is_found, n % 7 != 4, "face {n}");
        }
    }
}

/// Whether any file of the folder holds these numbers, as the segments or the log would write them.
fn holds_bytes(dir: &Path, template: &[f32]) -> bool {
    let numbers = &template[4..12];
    let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    // CBOR: a single-precision float is 0xfa and four bytes, most significant first.
    let cbor = numbers.iter().flat_map(|x| {
        let [a, b, c, d] = x.to_be_bytes();
        [0xfa, a, b, c, d]
    });
    let patterns = [raw, cbor.collect()];
    files(dir).iter().any(|file| {
        let bytes = match std::fs::read(file) {
            // The log makes its files under other names first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            bytes => bytes.unwrap(),
        };
        let begins = |pattern: &[u8]| bytes.windows(pattern.len()).any(|window| window == pattern);
        patterns.iter().any(|pattern| begins(pattern))
    })
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

#[test]
fn erased_templates_leave_no_bytes_behind() {
    let dir = tempfile::tempdir().unwrap();
    let library = EmbeddedLibrary::open(EmbeddedOptions {
        // No upkeep but what is asked for.
        optimise_after_points: 1_000_000,
        ..options(dir.path())
    })
    .unwrap();
    put(&library, &[create()]);
    put(&library, &(0..600).map(enrol).collect::<Vec<_>>());
    let stored = |library: &dyn FaceLibrary, n: u64| {
        let all = listed(library).into_iter();
        let mut of = all.filter(
            |(entry, ..)| matches!(entry, Entry::Face { face, .. } if face.as_u64_pair().1 == n),
        );
        of.next().unwrap().2.unwrap()
    };
    let templates: Vec<_> = [1, 2, 3, 9].map(|n| stored(&library, n)).into();
    for template in &templates {
        assert!(
            holds_bytes(dir.path(), template),
            "the search for bytes is blind"
        );
    }
    // Erased before there is an index, and after; replaced; and a face that stays.
    put(&library, &[erase(Erased::Face(Uuid::from_u64_pair(0, 1)))]);
    assert_eq!(library.optimise(soon()).unwrap(), Optimised::Done);
    assert!(library.describe(soon()).unwrap().indexed > 0);
    put(&library, &[erase(Erased::Face(Uuid::from_u64_pair(0, 2)))]);
    let FaceWrite::Enrol {
        tenant,
        library: id,
        person,
        face,
        ..
    } = enrol(3)
    else {
        panic!()
    };
    let template = template(7_777);
    put(
        &library,
        &[FaceWrite::Enrol {
            tenant,
            library: id,
            person,
            face,
            sequence: 900,
            template,
        }],
    );
    assert!(
        holds_bytes(dir.path(), &templates[1]),
        "gone too early to prove anything"
    );
    assert_eq!(library.optimise(soon()).unwrap(), Optimised::Done);
    let held = |at: usize| holds_bytes(dir.path(), &templates[at]);
    assert_eq!(
        [held(0), held(1), held(2), held(3)],
        [false, false, false, true]
    );
    // All of it is still in order.
    assert_eq!(best(&library, &templates[3]).unwrap().0, 9);
    assert_eq!(best(&library, &template_of(7_777, DIMENSION)).unwrap().0, 3);
    assert_eq!(library.count(TENANT, LIBRARY, soon()).unwrap(), 598);
    drop(library);
    assert_eq!(listed(&open(dir.path())).len(), 600);
}

#[test]
fn the_log_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (dimension, a_round) = (512, 2_000);
    let library = EmbeddedLibrary::open(EmbeddedOptions {
        // Nothing here is about the index, which would take its time.
        index_from_kib: 1_000_000,
        ..EmbeddedOptions::new(dir.path(), dimension, Metric::Cosine)
    })
    .unwrap();
    let log_mib = || {
        let log = files(&dir.path().join("shard").join("wal"));
        let bytes: u64 = log
            .iter()
            .map(|file| file.metadata().map_or(0, |it| it.len()))
            .sum();
        bytes >> 20
    };
    put(&library, &[create()]);
    // About 5 MiB of log a round.
    for round in 0..5 {
        let faces = (round * a_round..(round + 1) * a_round).map(|face| {
            let mut write = enrol(face);
            if let FaceWrite::Enrol { template, .. } = &mut write {
                *template = template_of(face, dimension);
            }
            write
        });
        for batch in faces.collect::<Vec<_>>().chunks(500) {
            put(&library, batch);
        }
        library.optimise(soon()).unwrap();
        assert!(log_mib() <= 16, "{} MiB after round {round}", log_mib());
    }
    assert_eq!(library.count(TENANT, LIBRARY, soon()).unwrap(), 5 * a_round);
}
