//! What is found, where, and in which order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DIMENSION, Subject, face_id, number_of, soon};
use crate::{Entry, FaceHit, FaceQuery};

pub fn enrolled_faces_are_found(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let writes: Vec<_> = (0..20)
        .map(|n| subject.enrol(1, (&format!("p{n}"), n), n + 1))
        .collect();
    subject.put(&writes);
    for n in 0..20 {
        let hits = subject.search(subject.query(&[1], &subject.template(n)));
        let best = &hits[0];
        let wanted = FaceHit {
            library: subject.id(1),
            person: format!("p{n}"),
            face: face_id(n),
            score: best.score,
            sequence: n + 1,
        };
        assert_eq!(*best, wanted);
        assert!((best.score - 1.0).abs() < 1e-5, "{best:?}");
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score), "{hits:?}");
        for hit in &hits {
            let score = subject.score(&subject.template(n), &subject.template(number_of(hit.face)));
            assert!((hit.score - score).abs() < 1e-5, "{hit:?}, not {score}");
        }
        assert_eq!(hits.len(), 10);
    }
}

pub fn libraries_and_tenants_are_apart(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let other = subject.of_tenant("somebody-else");
    // The same face in two libraries and of two tenants: three faces, none replaces another.
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(2, ("bob", 1), 1),
    ]);
    other.make(&[1]);
    other.put(&[other.enrol(1, ("eve", 1), 9)]);
    let who = |subject: &Subject, libraries: &[u64]| -> BTreeSet<String> {
        let hits = subject.search(subject.query(libraries, &subject.template(1)));
        hits.into_iter().map(|hit| hit.person).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(who(subject, &[1]), set(&["ann"]));
    assert_eq!(who(subject, &[2]), set(&["bob"]));
    assert_eq!(who(subject, &[1, 2, 3]), set(&["ann", "bob"]));
    assert_eq!(who(&other, &[1, 2]), set(&["eve"]));
    // Nor does erasing reach further.
    subject.put(&[subject.erase_face(1, 1, 5)]);
    assert_eq!(who(subject, &[1, 2]), set(&["bob"]));
    assert_eq!(who(&other, &[1]), set(&["eve"]));
    subject.put(&[subject.erase_library(1, 6)]);
    assert_eq!(who(&other, &[1]), set(&["eve"]));
    assert_eq!((subject.count(2), other.count(1)), (1, 1));
}

pub fn a_person_has_several_faces(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("ann", 2), 1),
        subject.enrol(1, ("bob", 3), 2),
    ]);
    for face in 1..4 {
        assert_eq!(subject.found(&[1], face)[0], face);
    }
    assert_eq!(subject.listed(1, Some("ann"), 10).len(), 2);
    assert_eq!(subject.count(1), 3);
}

pub fn a_later_enrolment_replaces_the_face(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[subject.enrol_as(1, ("ann", 1), 1, &subject.template(100))]);
    subject.put(&[subject.enrol_as(1, ("ann", 1), 2, &subject.template(200))]);
    let hits = subject.search(subject.query(&[1], &subject.template(200)));
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!((hits[0].person.as_str(), hits[0].sequence), ("ann", 2));
    assert!((hits[0].score - 1.0).abs() < 1e-5, "{hits:?}");
    let old = subject.search(subject.query(&[1], &subject.template(100)));
    assert!(
        old[0].score < 0.9,
        "the old template is still compared: {old:?}"
    );
}

pub fn an_empty_library_gives_no_hits(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    assert!(subject.found(&[1], 1).is_empty());
    subject.put(&[subject.enrol(2, ("ann", 1), 1)]);
    assert!(subject.found(&[1], 1).is_empty());
    assert_eq!(subject.count(1), 0);
    assert_eq!(subject.listed(1, None, 10), []);
    assert_eq!(
        subject.library.search(&[], soon()).unwrap(),
        Vec::<Vec<_>>::new()
    );
    assert_eq!(subject.write(&[]), []);
}

/// Enough faces for an index, where the engine's options ask for one early.
pub fn the_index_finds_what_comparing_all_finds(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let faces: u64 = 1_500;
    for begin in (0..faces).step_by(500) {
        let writes: Vec<_> = (begin..begin + 500)
            .map(|n| subject.enrol(n % 2, (&format!("p{n}"), n), n + 1))
            .collect();
        subject.put(&writes);
    }
    subject.library.optimise(soon()).unwrap();
    subject.library.warm_up(soon()).unwrap();
    let (mut same, mut all) = (0, 0);
    for n in 0..50 {
        // Somebody who is like two of those enrolled.
        let both: Vec<f32> = (subject.template(n).iter().zip(subject.template(n + 100)))
            .map(|(a, b)| a * 0.8 + b * 0.6)
            .collect();
        let query = subject.query(&[n % 2], &subject.fitted(&both));
        let exact = FaceQuery {
            exact: true,
            ..query.clone()
        };
        let (found, exact) = (subject.search(query), subject.search(exact));
        assert_eq!(found.len(), 10);
        assert_eq!((found[0].face, exact[0].face), (face_id(n), face_id(n)));
        let found: BTreeSet<_> = found.iter().map(|hit| hit.face).collect();
        all += exact.len();
        same += exact.iter().filter(|hit| found.contains(&hit.face)).count();
    }
    assert!(same * 100 >= all * 97, "{same} of {all}");
}

pub fn a_batch_of_queries_is_answered_in_order(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let writes: Vec<_> = (0..8)
        .map(|n| subject.enrol(n % 2, ("ann", n), 1))
        .collect();
    subject.put(&writes);
    let one = |n: u64| FaceQuery {
        faces_max: 1,
        ..subject.query(&[n % 2], &subject.template(n))
    };
    let queries: Vec<_> = (0..8).map(one).collect();
    let found = subject.library.search(&queries, soon()).unwrap();
    let faces: Vec<_> = (found.iter())
        .map(|hits| {
            hits.iter()
                .map(|hit| number_of(hit.face))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(faces, (0..8).map(|n| vec![n]).collect::<Vec<_>>());
}

pub fn pages_list_everything_once(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let writes: Vec<_> = (0..25)
        .map(|n| subject.enrol(1, (&format!("p{}", n % 5), n), n + 1))
        .collect();
    subject.put(&writes);
    subject.put(&[
        subject.erase_face(1, 3, 30),
        subject.erase_person(1, "p4", 31),
    ]);
    for page in [1, 7, 26, 100] {
        let mut entries = subject.listed(1, None, page);
        entries.sort_by_key(|listed| match &listed.entry {
            Entry::Face { face, .. } | Entry::FaceMarker { face, .. } => number_of(*face),
            _ => u64::MAX,
        });
        assert_eq!(entries.len(), 26, "pages of {page}");
        for (n, listed) in (0..25).zip(&entries) {
            let person = format!("p{}", n % 5);
            let (face, is_erased) = (face_id(n), n == 3 || n % 5 == 4);
            let entry = if is_erased {
                let person = Some(person);
                Entry::FaceMarker { person, face }
            } else {
                Entry::Face { person, face }
            };
            assert_eq!(listed.entry, entry);
            // Of a marker no template is left.
            assert_eq!(listed.template.is_some(), !is_erased, "{listed:?}");
            if let Some(stored) = &listed.template {
                assert_eq!(stored.len(), DIMENSION);
                assert!(subject.score(stored, &subject.template(n)) > 0.9999);
            }
        }
        let person = "p4".to_owned();
        assert_eq!(entries[25].entry, Entry::PersonMarker { person });
        assert_eq!(entries[25].sequence, 31);
    }
    // Five faces and the marker.
    assert_eq!(subject.listed(1, Some("p4"), 2).len(), 6);
    assert_eq!(subject.listed(1, Some("nobody"), 2), []);
    assert_eq!(subject.count(1), 19);
}

pub fn searches_run_beside_writes(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[subject.enrol(1, ("always", 0), 1)]);
    let is_over = AtomicBool::new(false);
    let search = || {
        let mut searches = 0;
        while !is_over.load(Ordering::SeqCst) || searches == 0 {
            let hits = subject.search(subject.query(&[1], &subject.template(0)));
            assert_eq!(hits[0].face, face_id(0));
            searches += 1;
        }
        searches
    };
    let searches = std::thread::scope(|scope| {
        let searchers = [scope.spawn(search), scope.spawn(search)];
        for n in 1..30 {
            subject.put(&[subject.enrol(1, ("ann", n), n + 1)]);
            // Returned means found.
            assert_eq!(subject.found(&[1], n)[0], n);
            if n % 10 == 0 {
                subject.library.optimise(soon()).unwrap();
                subject.put(&[subject.erase_face(1, n, n + 1)]);
                assert!(!subject.found(&[1], n).contains(&n));
            }
        }
        is_over.store(true, Ordering::SeqCst);
        searchers.map(|searcher| searcher.join().unwrap())
    });
    assert!(searches.iter().all(|n| *n > 0));
}
