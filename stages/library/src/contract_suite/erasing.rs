//! Order, markers, and what stays erased.

use super::{Subject, soon};
use crate::{Entry, Standing};

const WRITTEN: Standing = Standing::Written;

fn superseded(by: u64) -> Standing {
    Standing::Superseded { by }
}

pub fn an_erased_person_is_not_found(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("ann", 2), 2),
        subject.enrol(1, ("bob", 3), 3),
    ]);
    subject.put(&[subject.erase_person(1, "ann", 4)]);
    for face in 1..4 {
        assert_eq!(subject.found(&[1], face), [3]);
    }
    assert_eq!(subject.count(1), 1);
    // Nobody of that name was ever there: the marker is written all the same.
    subject.put(&[subject.erase_person(1, "eve", 5)]);
    assert_eq!(subject.listed(1, Some("eve"), 10).len(), 1);
}

pub fn an_erased_face_is_not_found(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("ann", 2), 2),
    ]);
    subject.put(&[subject.erase_face(1, 1, 3)]);
    assert_eq!(subject.found(&[1], 1), [2]);
    subject.put(&[subject.erase_face(1, 9, 4)]);
    assert_eq!((subject.found(&[1], 9), subject.count(1)), (vec![2], 1));
}

/// It was stopped before it wrote, its successor did its work and more, and now it goes on.
pub fn a_writer_woken_late_changes_nothing(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let late = subject.enrol(1, ("ann", 1), 1);
    subject.put(std::slice::from_ref(&late));
    let late_erase = subject.erase_face(1, 1, 3);
    subject.put(&[subject.enrol_as(1, ("ann", 1), 2, &subject.template(50))]);
    assert_eq!(subject.write(std::slice::from_ref(&late)), [superseded(2)]);
    assert_eq!(
        subject.search(subject.query(&[1], &subject.template(50)))[0].sequence,
        2
    );
    subject.put(std::slice::from_ref(&late_erase));
    assert_eq!(subject.write(std::slice::from_ref(&late)), [superseded(3)]);
    assert!(subject.found(&[1], 1).is_empty());
    // Enrolled again since: the erasure, come late, does not reach it.
    subject.put(&[subject.enrol(1, ("ann", 1), 4)]);
    assert_eq!(
        subject.write(&[late_erase, late]),
        [superseded(4), superseded(4)]
    );
    assert_eq!(subject.found(&[1], 1), [1]);
}

pub fn a_late_face_of_an_erased_person_is_superseded(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("bob", 2), 2),
    ]);
    subject.put(&[subject.erase_person(1, "ann", 10)]);
    // A face that was never seen, of a command before the erasure.
    assert_eq!(
        subject.write(&[subject.enrol(1, ("ann", 3), 9)]),
        [superseded(10)]
    );
    assert_eq!(subject.found(&[1], 3), [2]);
    assert_eq!(subject.listed(1, Some("ann"), 10).len(), 2);
    // Nor does it take another's face away.
    assert_eq!(
        subject.write(&[subject.enrol(1, ("ann", 2), 8)]),
        [superseded(10)]
    );
    let bob = subject.search(subject.query(&[1], &subject.template(2)));
    assert_eq!((bob[0].person.as_str(), bob[0].sequence), ("bob", 2));
}

pub fn an_erased_person_may_be_enrolled_again(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[subject.enrol(1, ("ann", 1), 1)]);
    subject.put(&[subject.erase_person(1, "ann", 2)]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 3),
        subject.enrol(1, ("ann", 2), 3),
    ]);
    assert_eq!(subject.found(&[1], 1)[0], 1);
    assert_eq!(subject.count(1), 2);
    // The first erasure again changes nothing, though its own marker still stands.
    assert_eq!(
        subject.write(&[subject.erase_person(1, "ann", 2)]),
        [WRITTEN]
    );
    assert_eq!(subject.count(1), 2);
}

pub fn an_erased_library_stays_empty(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let late = subject.enrol(1, ("ann", 1), 1);
    subject.put(&[
        late.clone(),
        subject.enrol(1, ("bob", 2), 2),
        subject.enrol(2, ("eve", 3), 1),
    ]);
    subject.put(&[subject.erase_face(1, 2, 3)]);
    subject.put(&[subject.erase_library(1, 4)]);
    assert_eq!((subject.found(&[1], 1), subject.count(1)), (vec![], 0));
    assert_eq!(subject.found(&[1, 2], 3), [3]);
    // Whatever comes late, and even what claims to be later.
    let more = [
        late,
        subject.enrol(1, ("ann", 7), 99),
        subject.erase_person(1, "ann", 5),
        subject.erase_face(1, 7, 100),
    ];
    assert_eq!(subject.write(&more), [superseded(4); 4]);
    assert_eq!((subject.found(&[1], 7), subject.count(1)), (vec![], 0));
    let left = subject.listed(1, None, 10);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        (&left[0].entry, left[0].sequence),
        (&Entry::LibraryMarker, 4)
    );
    assert_eq!(subject.write(&[subject.erase_library(1, 4)]), [WRITTEN]);
    // A library made anew has an id of its own.
    subject.make(&[5]);
    subject.put(&[subject.enrol(5, ("ann", 1), 1)]);
    assert_eq!(subject.found(&[5], 1), [1]);
}

pub fn a_batch_again_gives_the_same(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let batch = [
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("bob", 2), 2),
        subject.erase_person(1, "ann", 3),
        subject.enrol(1, ("ann", 4), 4),
        subject.enrol(1, ("bob", 2), 5),
        subject.enrol(2, ("eve", 1), 1),
        subject.erase_library(2, 2),
        subject.enrol(2, ("eve", 2), 3),
    ];
    let wanted = [
        superseded(3),
        superseded(5),
        WRITTEN,
        WRITTEN,
        WRITTEN,
        superseded(2),
        WRITTEN,
        superseded(2),
    ];
    let mut seen = vec![];
    for _ in 0..3 {
        assert_eq!(subject.write(&batch), wanted);
        seen.push((subject.listed(1, None, 10), subject.listed(2, None, 10)));
    }
    assert!(seen.iter().all(|state| *state == seen[0]), "{seen:?}");
    assert_eq!(subject.count(1), 2);
}

pub fn a_batch_is_applied_in_order(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let wanted = [superseded(2), WRITTEN, WRITTEN];
    let batch = [
        subject.enrol(1, ("ann", 1), 1),
        subject.erase_person(1, "ann", 2),
        subject.enrol(1, ("ann", 2), 3),
    ];
    assert_eq!(subject.write(&batch), wanted);
    assert_eq!(subject.found(&[1], 1), [2]);
    assert_eq!(subject.listed(1, None, 10).len(), 3);
    // One face twice: the later one stands, wherever it is in the batch.
    let twice = [
        subject.enrol_as(1, ("bob", 5), 8, &subject.template(80)),
        subject.enrol_as(1, ("bob", 5), 7, &subject.template(70)),
    ];
    assert_eq!(subject.write(&twice), [WRITTEN, superseded(8)]);
    let hits = subject.search(subject.query(&[1], &subject.template(80)));
    assert!(
        (hits[0].score - 1.0).abs() < 1e-5 && hits[0].sequence == 8,
        "{hits:?}"
    );
}

pub fn markers_expire(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.enrol(1, ("bob", 2), 2),
    ]);
    subject.put(&[
        subject.erase_person(1, "ann", 3),
        subject.erase_face(1, 2, 4),
    ]);
    subject.put(&[subject.enrol(1, ("eve", 5), 5), subject.erase_library(2, 3)]);
    let expire = |library, up_to| {
        let library = subject.id(library);
        (subject.library)
            .expire_markers(&subject.tenant, library, up_to, soon())
            .unwrap()
    };
    assert_eq!(expire(1, 2), 0);
    // The face's and the person's, not the later one's, nor a face.
    assert_eq!(expire(1, 3), 2);
    assert_eq!(expire(1, 3), 0);
    assert_eq!(subject.listed(1, None, 10).len(), 2);
    assert_eq!(expire(1, 1_000), 1);
    assert_eq!((subject.count(1), subject.found(&[1], 5)), (1, vec![5]));
    assert_eq!((expire(2, 2), expire(2, 3)), (0, 1));
}

/// Into the index and out of it: an engine may keep faces of an indexed part elsewhere.
pub fn what_was_erased_stays_erased_through_upkeep(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let writes: Vec<_> = (0..400)
        .map(|n| subject.enrol(1, (&format!("p{}", n % 40), n), n + 1))
        .collect();
    subject.put(&writes);
    subject.library.optimise(soon()).unwrap();
    let erased: Vec<_> = (0..10)
        .map(|n| subject.erase_person(1, &format!("p{n}"), 500))
        .collect();
    subject.put(&erased);
    subject.put(&[subject.enrol_as(1, ("p39", 39), 501, &subject.template(9_000))]);
    let check = || {
        for face in (0..400).step_by(7) {
            let found = subject.found(&[1], face);
            assert_eq!(found.len(), 10);
            assert_eq!(
                found.contains(&face),
                face % 40 >= 10,
                "face {face}: {found:?}"
            );
            assert!(found.iter().all(|face| face % 40 >= 10), "{found:?}");
        }
        assert_eq!(subject.found(&[1], 9_000)[0], 39);
        assert_eq!(subject.count(1), 300);
        let listed = subject.listed(1, None, 100);
        let markers = listed.iter().filter(|listed| listed.entry.is_marker());
        assert!(markers.clone().all(|marker| marker.template.is_none()));
        assert_eq!((listed.len(), markers.count()), (410, 110));
    };
    check();
    subject.library.optimise(soon()).unwrap();
    check();
    let again: Vec<_> = (0..400)
        .map(|n| subject.enrol(1, (&format!("p{}", n % 40), n), n + 1))
        .collect();
    let stands = subject.write(&again);
    let late = stands
        .iter()
        .filter(|standing| **standing == superseded(500));
    assert_eq!((late.count(), stands[39]), (100, superseded(501)));
    check();
}
