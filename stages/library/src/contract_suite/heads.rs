//! Which libraries there are, and whose a face is.

use super::{Subject, soon};
use crate::{LibraryHead, Standing};

const UNKNOWN: Standing = Standing::LibraryUnknown;
const WRITTEN: Standing = Standing::Written;

fn superseded(by: u64) -> Standing {
    Standing::Superseded { by }
}

fn head(label: &str, sequence: u64) -> Option<LibraryHead> {
    Some(LibraryHead {
        label: label.to_owned(),
        model_sha256: super::MODEL.to_owned(),
        sequence,
    })
}

pub fn an_unknown_library_takes_nothing(subject: &Subject) {
    subject.make(&[2]);
    let writes = [
        subject.enrol(1, ("ann", 1), 5),
        subject.erase_person(1, "ann", 6),
        subject.erase_face(1, 1, 7),
        subject.erase_library(1, 8),
    ];
    for _ in 0..2 {
        assert_eq!(subject.write(&writes), [UNKNOWN; 4]);
        assert_eq!((subject.head(1), subject.count(1)), (None, 0));
        assert_eq!(subject.listed(1, None, 10), []);
    }
    // Of those writes nothing stays that would stand in the way later.
    subject.put(&[subject.create(1, "one", 1), subject.enrol(1, ("ann", 1), 2)]);
    assert_eq!(subject.found(&[1], 1), [1]);
}

pub fn a_library_keeps_its_first_head(subject: &Subject) {
    let other = subject.of_tenant("somebody-else");
    subject.put(&[subject.create(1, "first", 5)]);
    assert_eq!((subject.head(1), other.head(1)), (head("first", 5), None));
    for sequence in [5, 9, 2] {
        subject.put(&[subject.create(1, "again", sequence)]);
        assert_eq!(subject.head(1), head("first", 5));
    }
    // A head is no face, is never found, and goes through upkeep.
    subject.put(&[subject.enrol(1, ("ann", 1), 6)]);
    subject.library.optimise(soon()).unwrap();
    assert_eq!(subject.head(1), head("first", 5));
    assert_eq!((subject.count(1), subject.found(&[1], 1)), (1, vec![1]));
    assert_eq!(subject.listed(1, None, 10).len(), 1);
    // The library's place in the order is where it was created.
    let before = [subject.enrol(1, ("bob", 2), 4), subject.erase_library(1, 4)];
    assert_eq!(subject.write(&before), [UNKNOWN; 2]);
    assert_eq!(subject.count(1), 1);
}

pub fn an_erased_library_has_no_head(subject: &Subject) {
    subject.put(&[subject.create(1, "one", 1)]);
    subject.put(&[subject.erase_library(1, 3)]);
    assert_eq!(subject.head(1), None);
    for sequence in [1, 3, 9] {
        assert_eq!(
            subject.write(&[subject.create(1, "again", sequence)]),
            [superseded(3)]
        );
        assert_eq!(subject.head(1), None);
    }
    assert_eq!(subject.write(&[subject.erase_library(1, 7)]), [WRITTEN]);
    assert_eq!(subject.listed(1, None, 10)[0].sequence, 3);
}

pub fn a_batch_may_create_its_library(subject: &Subject) {
    let batch = [
        subject.enrol(1, ("ann", 1), 1),
        subject.create(1, "one", 2),
        subject.enrol(1, ("ann", 2), 3),
        // Out of place in the batch, and yet after its library in the order.
        subject.enrol(2, ("bob", 3), 5),
        subject.create(2, "two", 4),
        subject.create(3, "three", 1),
        subject.enrol(3, ("eve", 4), 2),
        subject.erase_library(3, 3),
        subject.create(3, "again", 4),
    ];
    let wanted = [
        UNKNOWN,
        WRITTEN,
        WRITTEN,
        WRITTEN,
        WRITTEN,
        superseded(3),
        superseded(3),
        WRITTEN,
        superseded(3),
    ];
    for _ in 0..3 {
        assert_eq!(subject.write(&batch), wanted);
        assert_eq!(subject.found(&[1, 2, 3], 2).len(), 2);
        assert_eq!((subject.head(2), subject.head(3)), (head("two", 4), None));
    }
}

pub fn a_face_stays_its_persons(subject: &Subject) {
    subject.make(&[1, 2]);
    subject.put(&[subject.enrol(1, ("ann", 1), 2)]);
    let bobs = subject.enrol(1, ("bob", 1), 3);
    for _ in 0..2 {
        assert_eq!(
            subject.write(std::slice::from_ref(&bobs)),
            [Standing::FaceConflict]
        );
    }
    // What a later command wrote stands, whosever it is.
    assert_eq!(
        subject.write(&[subject.enrol(1, ("bob", 1), 1)]),
        [superseded(2)]
    );
    let hits = subject.search(subject.query(&[1], &subject.template(1)));
    assert_eq!((hits[0].person.as_str(), hits[0].sequence), ("ann", 2));
    assert_eq!(subject.listed(1, Some("bob"), 10), []);
    // In another library it is another face, and her own she may replace.
    subject.put(&[
        subject.enrol(2, ("bob", 1), 3),
        subject.enrol(1, ("ann", 1), 4),
    ]);
    // Of two in one batch the first has it.
    let both = [
        subject.enrol(1, ("ann", 5), 5),
        subject.enrol(1, ("bob", 5), 6),
    ];
    assert_eq!(subject.write(&both), [WRITTEN, Standing::FaceConflict]);
    // A marker is nobody's.
    subject.put(&[subject.erase_face(1, 1, 7)]);
    subject.put(&[subject.enrol(1, ("bob", 1), 8)]);
    let hits = subject.search(subject.query(&[1], &subject.template(1)));
    assert_eq!((hits[0].person.as_str(), hits[0].sequence), ("bob", 8));
    // Nor does erasing her now reach it.
    subject.put(&[subject.erase_person(1, "ann", 9)]);
    assert_eq!((subject.count(1), subject.found(&[1], 1)), (1, vec![1]));
}

pub fn a_forgotten_library_is_as_if_it_had_never_been(subject: &Subject) {
    let other = subject.of_tenant("somebody-else");
    let forget = |library| {
        let library = subject.id(library);
        (subject.library)
            .forget_library(&subject.tenant, library, soon())
            .unwrap();
    };
    let build = || {
        subject.put(&[
            subject.create(1, "one", 1),
            subject.enrol(1, ("ann", 1), 2),
            subject.enrol(1, ("bob", 2), 3),
        ]);
        subject.put(&[
            subject.erase_person(1, "bob", 4),
            subject.erase_face(1, 9, 5),
        ]);
        assert_eq!((subject.count(1), subject.found(&[1], 1)), (1, vec![1]));
    };
    subject.put(&[subject.create(2, "two", 1), subject.enrol(2, ("eve", 3), 2)]);
    other.put(&[other.create(1, "theirs", 1), other.enrol(1, ("dan", 4), 2)]);
    for is_erased in [false, true] {
        build();
        if is_erased {
            subject.put(&[subject.erase_library(1, 6)]);
        }
        forget(1);
        assert_eq!((subject.head(1), subject.count(1)), (None, 0));
        assert_eq!(subject.listed(1, None, 10), []);
        assert_eq!(subject.found(&[1], 1), Vec::<u64>::new());
        assert_eq!(subject.write(&[subject.enrol(1, ("ann", 1), 9)]), [UNKNOWN]);
    }
    // Even what is not there, and all of it can be built again, in the old places.
    forget(1);
    forget(7);
    build();
    assert_eq!((subject.found(&[2], 3), other.count(1)), (vec![3], 1));
}
