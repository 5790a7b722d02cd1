//! Records that are wrong before any picture is looked at.

use bytes::Bytes;
use shiren::requests;
use shiren_contract::codes::{self, Code};
use shiren_log::Record;
use shiren_schemas::Sha256;
use shiren_schemas::records::{
    Decision, Picture, PictureContent, Reference, Request, RequestKind, Sealed,
};

use crate::chain::{Written, chain, compare, detect};
use crate::pictures::file;

type Change<T> = Box<dyn Fn(&mut T)>;

/// A good request made wrong, and the code that says how. A wrong one lies among the dead letters too
/// where its producer is at fault, not its picture.
fn wrong_requests() -> Vec<(&'static str, Change<Request>, Code, bool)> {
    let content = |content: PictureContent| {
        Some(Picture {
            content,
            reference_kind: None,
        })
    };
    let sealed = Sealed {
        key_id: "k".into(),
        nonce: vec![0; 12],
        ciphertext: vec![1; 64],
    };
    let uri = "https://pictures.example/1.jpg".to_owned();
    let elsewhere = Reference {
        uri,
        sha256: Sha256::of(b""),
        bytes_len: 1,
    };
    let sealed = content(PictureContent::Sealed(sealed));
    let elsewhere = content(PictureContent::Reference(elsewhere));
    let mut table: Vec<(&str, Change<Request>, Code, bool)> = vec![
        (
            "sealed",
            Box::new(move |r| r.probe = sealed.clone()),
            codes::PICTURE_FORM_UNSUPPORTED,
            false,
        ),
        (
            "elsewhere",
            Box::new(move |r| r.reference = elsewhere.clone()),
            codes::PICTURE_FORM_UNSUPPORTED,
            false,
        ),
        (
            "no probe",
            Box::new(|r| r.probe = None),
            codes::PICTURE_MISSING,
            false,
        ),
        (
            "no reference",
            Box::new(|r| r.reference = None),
            codes::PICTURE_MISSING,
            false,
        ),
        (
            "detect with a reference",
            Box::new(|r| r.kind = RequestKind::Detect),
            codes::PICTURE_UNEXPECTED,
            false,
        ),
        (
            "unknown scene",
            Box::new(|r| r.scene = "attic".into()),
            codes::SCENE_UNKNOWN,
            true,
        ),
        (
            "empty scene",
            Box::new(|r| r.scene.clear()),
            codes::SCENE_UNKNOWN,
            true,
        ),
        (
            "no request_id",
            Box::new(|r| r.request_id.clear()),
            codes::REQUEST_ID_INVALID,
            true,
        ),
        (
            "request_id of 129 bytes",
            Box::new(|r| r.request_id = "x".repeat(129)),
            codes::REQUEST_ID_INVALID,
            true,
        ),
        (
            "request_id with a line break",
            Box::new(|r| r.request_id = "a\nb".into()),
            codes::REQUEST_ID_INVALID,
            true,
        ),
        (
            "deadline of 0 ms",
            Box::new(|r| r.deadline_ms = Some(0)),
            codes::DEADLINE_INVALID,
            true,
        ),
        (
            "deadline below 0",
            Box::new(|r| r.deadline_ms = Some(-5)),
            codes::DEADLINE_INVALID,
            true,
        ),
    ];
    for (what, kind, code) in [
        (
            "a search without libraries",
            RequestKind::Search,
            codes::SEARCH_INVALID,
        ),
        (
            "a command among the requests",
            RequestKind::Enrol,
            codes::TOPIC_MISMATCH,
        ),
        (
            "an erasure among the requests",
            RequestKind::Unenrol,
            codes::TOPIC_MISMATCH,
        ),
        (
            "a verification without a claim",
            RequestKind::Verify,
            codes::CLAIM_MISSING,
        ),
    ] {
        let change: Change<Request> = Box::new(move |r| r.kind = kind);
        table.push((what, change, code, true));
    }
    for kind in RequestKind::ALL {
        let served = [
            RequestKind::Detect,
            RequestKind::Attributes,
            RequestKind::Liveness,
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Enrol,
            RequestKind::Unenrol,
            RequestKind::Verify,
        ];
        if !served.contains(kind) {
            let change: Change<Request> = Box::new(move |r| r.kind = *kind);
            table.push((kind.as_str(), change, codes::KIND_UNSUPPORTED, true));
        }
    }
    table
}

#[test]
fn a_wrong_request_ends_with_its_code() {
    let mut chain = chain();
    let good = compare(&file("obama.jpg"), &file("obama2.jpg"));
    for (what, change, code, dead_letter) in wrong_requests() {
        let mut request = good.clone();
        change(&mut request);
        let record = chain.record(&request);
        refused(what, &chain.process(&record), code, dead_letter);
    }
}

#[test]
fn a_record_in_the_wrong_place_ends_with_its_code() {
    let mut chain = chain();
    let partitions = chain.partitions();
    let good = chain.record(&detect(&file("obama.jpg")));
    let table: Vec<(&str, Change<Record>, Code)> = vec![
        ("no key", Box::new(|r| r.key = None), codes::KEY_MISMATCH),
        (
            "request_id alone",
            Box::new(|r| r.key = Some(Bytes::from("a-case"))),
            codes::KEY_MISMATCH,
        ),
        (
            "another request's key",
            Box::new(|r| r.key = Some(Bytes::from("default/b-case"))),
            codes::KEY_MISMATCH,
        ),
        (
            "bytes that are no text",
            Box::new(|r| r.key = Some(Bytes::from_static(b"\xFF\xFE"))),
            codes::KEY_MISMATCH,
        ),
        (
            "a foreign tenant's key",
            Box::new(|r| r.key = Some(Bytes::from("acme/a-case"))),
            codes::TENANT_MISMATCH,
        ),
        (
            "next partition",
            Box::new(move |r| r.partition = (r.partition + 1) % partitions),
            codes::PARTITION_MISMATCH,
        ),
    ];
    for (what, change, code) in table {
        let mut record = good.clone();
        change(&mut record);
        refused(what, &chain.process(&record), code, true);
    }
}

/// One verdict `error` with the code, its evidence, nothing else but the dead letter.
#[track_caller]
fn refused(what: &str, written: &Written, code: Code, dead_letter: bool) {
    let ([verdict], [evidence]) = (written.verdicts.as_slice(), written.evidence.as_slice()) else {
        panic!("{what}: {} verdicts", written.verdicts.len());
    };
    assert_eq!(verdict.canonical.decision, Decision::Error, "{what}");
    assert_eq!(verdict.canonical.reason_codes, [code.id], "{what}");
    assert_eq!(evidence.faults[0].code, code.id, "{what}");
    assert!(written.results.is_empty(), "{what}");
    let letters: Vec<&str> = written
        .dead_letters
        .iter()
        .map(|letter| letter.code.as_str())
        .collect();
    let expected: &[&str] = if dead_letter { &[code.id] } else { &[] };
    assert_eq!(letters, expected, "{what}");
    for letter in &written.dead_letters {
        assert_eq!(letter.case_id, Some(verdict.canonical.case_id), "{what}");
    }
}

/// No case can be named where the record cannot be read: its end is one dead letter.
#[test]
fn bytes_that_are_no_request_end_as_one_dead_letter() {
    let mut chain = chain();
    let good = chain.record(&detect(&file("obama.jpg")));
    let value = good.value.clone().unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = value.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Some(Bytes::from(changed))
    };
    let mut table = vec![
        ("tombstone".to_owned(), None, codes::RECORD_EMPTY),
        ("empty".to_owned(), Some(Bytes::new()), codes::RECORD_EMPTY),
        (
            "text".to_owned(),
            Some(Bytes::from("{\"request_id\":\"a\"}")),
            codes::FRAMING_UNKNOWN,
        ),
        (
            "a bare JPEG".to_owned(),
            Some(Bytes::from(file("obama.jpg"))),
            codes::FRAMING_UNKNOWN,
        ),
        (
            "Confluent framing".to_owned(),
            with(0, &[0, 0, 0, 0, 7]),
            codes::FRAMING_CONFLUENT_UNCONFIGURED,
        ),
        (
            "an unknown schema".to_owned(),
            with(2, &[9; 8]),
            codes::SCHEMA_UNKNOWN,
        ),
        (
            "a huge length".to_owned(),
            with(10, &[0xFF; 9]),
            codes::AVRO_UNREADABLE,
        ),
        (
            "one byte more".to_owned(),
            Some([&value[..], &[0]].concat().into()),
            codes::AVRO_UNREADABLE,
        ),
    ];
    for length in [10, 11, 40, value.len() / 2, value.len() - 1] {
        let cut = Some(value.slice(..length));
        table.push((
            format!("cut at {length} of {}", value.len()),
            cut,
            codes::AVRO_UNREADABLE,
        ));
    }
    for (what, value, code) in table {
        let record = Record {
            value,
            ..good.clone()
        };
        let written = chain.process(&record);
        assert!(
            written.verdicts.is_empty() && written.evidence.is_empty(),
            "{what}"
        );
        let [letter] = written.dead_letters.as_slice() else {
            panic!("{what}: {} dead letters", written.dead_letters.len());
        };
        assert_eq!(
            (letter.code.as_str(), letter.case_id),
            (code.id, None),
            "{what}: {}",
            letter.detail
        );
        assert!(letter.head.len() <= 64, "{what}");
    }
}

#[test]
fn the_same_request_twice_is_the_same_verdict() {
    let mut chain = chain();
    let request = compare(&file("obama.jpg"), &file("obama2.jpg"));
    let (first, again) = (chain.ask(&request), chain.ask(&request));
    assert_eq!(first.verdict.canonical, again.verdict.canonical);
    assert_eq!(
        first.verdict.canonical_sha256,
        again.verdict.canonical_sha256
    );
    let mut other = request;
    other.request_id = "b-case".to_owned();
    let other = chain.ask(&other);
    assert_ne!(
        other.verdict.canonical.verdict_id,
        first.verdict.canonical.verdict_id
    );
}

/// The commands `compare` and `detect` take the same way.
#[test]
fn the_commands_answer_as_the_log_does() {
    let mut one_shot = shiren::one_shot::OneShot::open(&crate::chain::site()).unwrap();
    let mut chain = chain();
    let (probe, reference) = (file("cage.jpg"), file("cage2.jpg"));
    let unreadable = requests::inline(vec![1, 2, 3], None);
    let mut bad = detect(&probe);
    bad.probe = Some(unreadable);
    for request in [compare(&probe, &reference), detect(&probe), bad] {
        let (one, other) = (one_shot.ask(&request).unwrap(), chain.ask(&request));
        assert_eq!(one.verdict.canonical, other.verdict.canonical);
        assert_eq!(one.evidence.comparison, other.evidence.comparison);
    }
}
