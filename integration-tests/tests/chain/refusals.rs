//! Records that are wrong before any picture is looked at: each gets a code, none is lost.

use std::sync::Arc;

use bytes::Bytes;
use shiren::case_reader;
use shiren::requests;
use shiren_integration_tests::{events, run, site};
use shiren_log::NewRecord;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    DeadLetter, Decision, Lane, PictureContent, ReferenceKind, Request, RequestKind, Sealed,
    Verdict,
};

struct Came {
    verdicts: Vec<Verdict>,
    dead_letters: Vec<DeadLetter>,
}

/// Publishes `records`, runs the chain, and reads `verdicts` verdicts and all dead letters.
fn process(records: Vec<NewRecord>, verdicts: usize) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let two_tenants = (
        "tenants = [\"default\"]",
        "tenants = [\"default\", \"acme\"]",
    );
    let site = site::embedded(folder.path(), &[two_tenants]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    log.publisher().unwrap().publish(records).unwrap();
    // A sound request behind them: when it is answered, those of its partition are done too; the
    // bundle and the workers' end cover the rest.
    let ((), _) = run::beside(&site, &log, || {
        let mut reader = log
            .reader("shiren.default.dead-letters", shiren_log::Start::Beginning)
            .unwrap();
        let until = std::time::Instant::now() + run::MAX_WAIT;
        let mut letters = 0;
        while letters == 0 && std::time::Instant::now() < until {
            letters += reader
                .read(10, std::time::Duration::from_millis(100))
                .unwrap()
                .len();
        }
        if verdicts > 0 {
            drop(run::verdicts(log.as_ref(), verdicts));
        }
    });
    Came {
        verdicts: case_reader::read_all(log.as_ref(), &"shiren.default.verdicts".parse_topic())
            .unwrap(),
        dead_letters: case_reader::dead_letters(log.as_ref(), "default").unwrap(),
    }
}

trait ParseTopic {
    fn parse_topic(&self) -> shiren_schemas::topics::Topic;
}

impl ParseTopic for str {
    fn parse_topic(&self) -> shiren_schemas::topics::Topic {
        shiren_schemas::topics::Topic::parse(self).unwrap()
    }
}

fn sound(id: &str) -> Request {
    let mut request = Request::new(id, RequestKind::Detect);
    request.probe = Some(requests::inline(
        events::picture(&site::home(), "biden.jpg"),
        None,
    ));
    request
}

fn record(request: &Request) -> NewRecord {
    requests::record("default", Lane::Interactive, request)
        .unwrap()
        .0
}

/// One dead letter with this code and no verdict.
fn only_dead(value: Vec<u8>, code: &str) {
    let mut new = record(&sound("unreadable"));
    new.value = Some(Bytes::from(value));
    let came = process(vec![new], 0);
    let codes: Vec<_> = came
        .dead_letters
        .iter()
        .map(|letter| letter.code.as_str())
        .collect();
    assert_eq!(codes, [code]);
    let letter = &came.dead_letters[0];
    assert_eq!(letter.case_id, None);
    assert!(letter.head.len() <= 64);
    assert_eq!(
        (letter.origin_topic.as_str(), letter.origin_offset),
        ("shiren.default.requests.interactive", 0)
    );
    assert!(came.verdicts.is_empty());
}

#[test]
fn unreadable_bytes_end_in_one_dead_letter() {
    let whole = sound("x").encode().unwrap();
    only_dead(Vec::new(), "record_empty");
    only_dead(whole[..whole.len() / 2].to_vec(), "avro_unreadable");
    only_dead([whole.as_slice(), b"tail"].concat(), "avro_unreadable");
    only_dead(b"{\"request_id\": \"x\"}".to_vec(), "framing_unknown");
    only_dead(
        [&[0, 0, 0, 0, 7], &whole[10..]].concat(),
        "framing_confluent_unconfigured",
    );
    let mut foreign = whole;
    foreign[2] ^= 0xFF;
    only_dead(foreign, "schema_unknown");
}

/// An error verdict with this code, a dead letter as its copy, and a case of its own.
fn refused(new: NewRecord, code: &str) {
    let came = process(vec![new.clone()], 1);
    let verdict = &came.verdicts[0];
    assert_eq!(verdict.canonical.decision, Decision::Error, "{code}");
    assert_eq!(verdict.canonical.reason_codes, [code]);
    assert_eq!(came.dead_letters.len(), 1, "{code}");
    assert_eq!(came.dead_letters[0].code, code);
    assert_eq!(
        came.dead_letters[0].case_id,
        Some(verdict.canonical.case_id)
    );
    // By place: a corrected resend is another case.
    let by_request = shiren_schemas::ids::case(&new.topic, &verdict.observed.request_id);
    assert_ne!(verdict.canonical.case_id, by_request, "{code}");
}

#[test]
fn a_wrong_key_partition_or_envelope_is_refused_by_code() {
    let with = |change: &dyn Fn(&mut NewRecord)| {
        let mut new = record(&sound("wrong"));
        change(&mut new);
        new
    };
    refused(
        with(&|new| new.key = Bytes::from("default/another")),
        "key_mismatch",
    );
    refused(with(&|new| new.key = Bytes::from("wrong")), "key_mismatch");
    refused(
        with(&|new| new.key = Bytes::from("acme/wrong")),
        "tenant_mismatch",
    );
    let right = shiren_schemas::keys::partition(b"default/wrong", 12);
    refused(
        with(&|new| new.partition = Some((right + 1) % 12)),
        "partition_mismatch",
    );

    let asks = |change: &dyn Fn(&mut Request)| {
        let mut request = sound("wrong");
        change(&mut request);
        record(&request)
    };
    refused(asks(&|r| r.scene = "nowhere".into()), "scene_unknown");
    refused(
        asks(&|r| r.kind = RequestKind::ReadDocument),
        "kind_unsupported",
    );
    refused(asks(&|r| r.deadline_ms = Some(0)), "deadline_invalid");
    refused(
        asks(&|r| r.request_id = String::new()),
        "request_id_invalid",
    );
    refused(
        asks(&|r| r.request_id = "x".repeat(129)),
        "request_id_invalid",
    );
    refused(
        asks(&|r| r.request_id = "a\nb".into()),
        "request_id_invalid",
    );
}

#[test]
fn a_request_without_its_pictures_is_answered_by_code() {
    let asks = |id: &str, change: &dyn Fn(&mut Request)| {
        let mut request = sound(id);
        change(&mut request);
        record(&request)
    };
    let sealed = |request: &mut Request| {
        let content = Sealed {
            key_id: "k".into(),
            nonce: vec![1],
            ciphertext: vec![2],
        };
        request.probe.as_mut().unwrap().content = PictureContent::Sealed(content);
    };
    let wrong_key = {
        // Makes the dead letter that the run waits for.
        let mut new = record(&sound("marker"));
        new.key = Bytes::from("default/other");
        new
    };
    let records = vec![
        asks("missing", &|r| r.probe = None),
        asks("half", &|r| r.kind = RequestKind::Compare),
        asks("unasked", &|r| r.reference = r.probe.clone()),
        asks("sealed", &sealed),
        wrong_key,
    ];
    let came = process(records, 5);
    let code = |id: &str| {
        let verdict = came
            .verdicts
            .iter()
            .find(|v| v.observed.request_id == id)
            .unwrap();
        assert_eq!(verdict.canonical.decision, Decision::Error);
        verdict.canonical.reason_codes.join(" ")
    };
    assert_eq!(code("missing"), "picture_missing");
    assert_eq!(code("half"), "picture_missing");
    assert_eq!(code("unasked"), "picture_unexpected");
    assert_eq!(code("sealed"), "picture_form_unsupported");
}

/// Headers are hints: bad ones are ignored, and no decision rests on one.
#[test]
fn bad_headers_do_not_stop_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let mut new = record(&sound("headers"));
    new.headers = vec![
        ("traceparent".into(), Bytes::from_static(&[0xFF])),
        ("traceparent".into(), Bytes::from_static(b"again")),
        ("tenant".into(), Bytes::from_static(b"acme")),
        ("".into(), Bytes::new()),
    ];
    log.publisher().unwrap().publish(vec![new]).unwrap();
    let (verdicts, summary) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 1));
    assert_eq!(verdicts[0].canonical.decision, Decision::Done);
    assert_eq!(verdicts[0].canonical.tenant, "default");
    assert_eq!(summary.bad_trace_headers, 1);
}

/// A case past its deadline is closed, not answered late.
#[test]
fn a_case_past_its_deadline_ends_as_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let mut request = sound("late");
    request.deadline_ms = Some(1);
    let published = std::time::Instant::now();
    log.publisher()
        .unwrap()
        .publish(vec![record(&request)])
        .unwrap();
    while published.elapsed() < std::time::Duration::from_millis(5) {
        std::thread::yield_now();
    }
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 1));
    assert_eq!(verdicts[0].canonical.decision, Decision::Error);
    assert_eq!(verdicts[0].canonical.reason_codes, ["deadline_exceeded"]);
}

/// No calibration table is for chip portraits yet: an error, never a guess.
#[test]
fn a_reference_kind_without_a_table_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let portrait = || events::picture(&site::home(), "obama.jpg");
    let mut request = Request::new("chip", RequestKind::Compare);
    request.probe = Some(requests::inline(portrait(), None));
    request.reference = Some(requests::inline(portrait(), Some(ReferenceKind::Chip)));
    let answer = shiren::one_shot::OneShot::open(&Arc::clone(&site))
        .unwrap()
        .ask(&request)
        .unwrap();
    assert_eq!(answer.verdict.canonical.decision, Decision::Error);
    assert_eq!(
        answer.verdict.canonical.reason_codes,
        ["reference_kind_unsupported"]
    );
}
