//! What a dead letter keeps, how it is replayed, and how many are too many.

use std::sync::Arc;

use bytes::Bytes;
use shiren::case_reader;
use shiren::dead_letters::{self, Filter};
use shiren::site::Site;
use shiren::{requests, stages};
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, NewRecord, Start};
use shiren_runtime::{Drain, Runtime, RuntimeError};
use shiren_schemas::records::{DeadLetter, Decision, Lane, Request, RequestKind, Verdict};
use shiren_schemas::{Wire, ids};
use tempfile::TempDir;

const INGRESS: &str = "shiren.default.requests.interactive";
const SECRET: &str = "样本一 110199199003071239";

struct Bench {
    site: Arc<Site>,
    log: Arc<dyn Log>,
    _folder: TempDir,
}

fn bench(changes: &[(&str, &str)]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![site::LARGE_FACES];
    all.extend(changes);
    let site = site::embedded(folder.path(), &all);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    Bench {
        site,
        log,
        _folder: folder,
    }
}

impl Bench {
    fn publish(&self, records: Vec<NewRecord>) {
        self.log.publisher().unwrap().publish(records).unwrap();
    }

    /// Runs the chain until there are so many dead letters and verdicts, each record counted.
    fn run(&self, letters: usize, verdicts: usize) -> Vec<DeadLetter> {
        let ((), _) = run::beside(&self.site, &self.log, || {
            let has = |topic: &str, wanted: usize| {
                let mut reader = self.log.reader(topic, Start::Beginning).unwrap();
                let until = std::time::Instant::now() + run::MAX_WAIT;
                let mut seen = 0;
                while seen < wanted {
                    assert!(std::time::Instant::now() < until, "{seen} on {topic}");
                    let wait = std::time::Duration::from_millis(100);
                    seen += reader.read(100, wait).unwrap().len();
                }
            };
            has("shiren.default.dead-letters", letters);
            has("shiren.default.verdicts", verdicts);
        });
        self.letters()
    }

    fn letters(&self) -> Vec<DeadLetter> {
        case_reader::dead_letters(self.log.as_ref(), "default").unwrap()
    }
}

fn sound(id: &str) -> Request {
    let mut request = Request::new(id, RequestKind::Detect);
    let picture = events::picture(&site::home(), "biden.jpg");
    request.probe = Some(requests::inline(picture, None));
    request
}

fn record(request: &Request) -> NewRecord {
    let made = requests::record("default", Lane::Interactive, request);
    made.unwrap().0
}

fn unreadable(id: &str) -> NewRecord {
    let mut new = record(&sound(id));
    new.value = Some(Bytes::from(format!("no record at all, but of {SECRET}")));
    new
}

#[test]
fn head_and_headers_lie_sealed_and_go_with_their_key() {
    let bench = bench(&[]);
    let mut new = unreadable("sealed");
    new.headers = vec![("note".to_owned(), Bytes::from(SECRET))];
    let value = new.value.clone();
    bench.publish(vec![new]);
    let letters = bench.run(1, 0);
    let letter = &letters[0];
    assert_eq!(
        (letter.code.as_str(), letter.attempts),
        ("framing_unknown", 0)
    );
    let written = letter.encode().unwrap();
    for secret in SECRET.split(' ') {
        let is_there = |part: &[u8]| part == secret.as_bytes();
        assert!(
            !written.windows(secret.len()).any(is_there),
            "{secret} in clear"
        );
    }
    let vault = bench.site.vault().unwrap();
    let content = dead_letters::open(letter, vault.as_deref())
        .unwrap()
        .unwrap();
    assert_eq!(Some(content.head.as_slice()), value.as_deref());
    assert_eq!(content.headers[0].value.as_deref(), Some(SECRET.as_bytes()));
    // Of this letter and of no other.
    let mut other = letter.clone();
    other.id = ids::dead_letter(INGRESS, 0, 77);
    let error = dead_letters::open(&other, vault.as_deref()).unwrap_err();
    assert!(format!("{error:#}").contains("sealed_corrupt"), "{error:#}");

    let keys = shiren::vault::open(&bench.site).unwrap().unwrap();
    keys.destroy_expired(i64::MAX).unwrap();
    let error = dead_letters::open(letter, vault.as_deref()).unwrap_err();
    assert!(format!("{error:#}").contains("key_destroyed"), "{error:#}");
    // Its origin is still in the log, and is not brought back.
    let error = dead_letters::replay(bench.log.as_ref(), letter, vault.as_deref()).unwrap_err();
    assert!(format!("{error:#}").contains("key_destroyed"), "{error:#}");
}

#[test]
fn a_replay_mends_the_key_and_is_one_new_case_however_often_it_is_made() {
    let bench = bench(&[]);
    let mut new = record(&sound("wrong-key"));
    new.key = Bytes::from_static(b"default/another");
    bench.publish(vec![new]);
    let letters = bench.run(1, 1);
    let letter = &letters[0];
    assert_eq!(letter.code, "key_mismatch");
    let vault = bench.site.vault().unwrap();
    let replay = || dead_letters::replay(bench.log.as_ref(), letter, vault.as_deref()).unwrap();
    let (first, second) = (replay(), replay());
    assert_eq!(first, second);
    assert_ne!(Some(first.case), letter.case_id);
    let sent: Vec<Request> = case_reader::read_all(
        bench.log.as_ref(),
        &shiren_schemas::topics::Topic::parse(INGRESS).unwrap(),
    )
    .unwrap();
    let replays: Vec<&Request> = sent.iter().filter(|r| r.replay_of.is_some()).collect();
    assert_eq!(replays.len(), 2);
    assert_eq!(replays[0], replays[1]);
    assert_eq!(replays[0].replay_of, letter.case_id);
    // The second is absorbed by the ledger.
    bench.run(1, 2);
    let topic = shiren_schemas::topics::Topic::parse("shiren.default.verdicts").unwrap();
    let verdicts: Vec<Verdict> = case_reader::read_all(bench.log.as_ref(), &topic).unwrap();
    let of_replay: Vec<&Verdict> = verdicts
        .iter()
        .filter(|v| v.observed.request_id == first.request_id)
        .collect();
    assert_eq!((verdicts.len(), of_replay.len()), (2, 1));
    assert_eq!(of_replay[0].canonical.decision, Decision::Done);
    assert_eq!(of_replay[0].canonical.case_id, first.case);
}

#[test]
fn what_cannot_be_replayed_is_refused_by_code() {
    let bench = bench(&[]);
    bench.publish(vec![unreadable("bad")]);
    let letters = bench.run(1, 0);
    let vault = bench.site.vault().unwrap();
    let refused = |letter: &DeadLetter, code: &str| {
        let error = dead_letters::replay(bench.log.as_ref(), letter, vault.as_deref());
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.starts_with(&format!("[{code}]")), "{error}");
        assert!(!error.contains('样'), "{error}");
    };
    refused(&letters[0], "replay_unreadable");
    let gone = DeadLetter {
        origin_offset: 4_711,
        ..letters[0].clone()
    };
    refused(&gone, "replay_origin_deleted");
    let another = DeadLetter {
        value_sha256: shiren_schemas::Sha256::of(b"another topic of this name"),
        ..letters[0].clone()
    };
    refused(&another, "replay_origin_deleted");
    let error = dead_letters::one(bench.log.as_ref(), "default", ids::dead_letter("t", 0, 0));
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.starts_with("[dead_letter_unknown]"), "{error}");
}

#[test]
fn letters_are_chosen_by_stage_code_and_time_and_bounded() {
    let bench = bench(&[]);
    let mut wrong_key = record(&sound("wrong-key"));
    wrong_key.key = Bytes::from_static(b"default/another");
    let bad = (0..5).map(|n| unreadable(&format!("bad-{n}")));
    bench.publish(bad.chain([wrong_key]).collect());
    bench.run(6, 1);
    let find = |filter: Filter, max| {
        let (found, left_out) =
            dead_letters::find(bench.log.as_ref(), "default", &filter, max).unwrap();
        (found.len(), left_out)
    };
    let code = |code: &str| Filter {
        code: Some(code.to_owned()),
        ..Filter::default()
    };
    assert_eq!(find(Filter::default(), 100), (6, 0));
    assert_eq!(find(code("framing_unknown"), 100), (5, 0));
    assert_eq!(find(code("framing_unknown"), 2), (2, 3));
    assert_eq!(find(code("key_mismatch"), 100), (1, 0));
    let stage = |stage: &str| Filter {
        stage: Some(stage.to_owned()),
        ..Filter::default()
    };
    assert_eq!(find(stage("admit"), 100), (6, 0));
    assert_eq!(find(stage("detect"), 100), (0, 0));
    let later = Filter {
        since_us: Some(shiren_runtime::now_us() + 60_000_000),
        ..Filter::default()
    };
    assert_eq!(find(later, 100), (0, 0));
}

/// Runs until the chain stops by itself.
fn stop_of(bench: &Bench) -> RuntimeError {
    let options = bench.site.runtime_options(&[], 0).unwrap();
    let registry = stages::registry(&bench.site);
    let runtime = Runtime::build(options, registry, bench.log.clone()).unwrap();
    runtime.run(&Drain::new(), || {}).unwrap_err()
}

#[test]
fn nothing_but_bad_input_stops_the_stage_and_loses_nothing() {
    const BAD: usize = 40;
    let row = (
        "dead_letters_max_consecutive = 100 ",
        "dead_letters_max_consecutive = 10 ",
    );
    let ratio = (
        "dead_letters_max_consecutive = 100 ",
        "dead_letters_window_records = 8\n",
    );
    for (change, is_row, max) in [(row, true, 10), (ratio, false, 7)] {
        let bench = bench(&[change, site::SMALL_BUNDLES]);
        bench.publish((0..BAD).map(|n| unreadable(&format!("bad-{n}"))).collect());
        let mut stops = Vec::new();
        while bench.letters().len() < BAD {
            let before = bench.letters().len();
            let stop = stop_of(&bench);
            let by_row = matches!(stop, RuntimeError::DeadLettersOverLimit { .. });
            let by_ratio = matches!(stop, RuntimeError::DeadLetterRatioOverLimit { .. });
            assert_eq!((by_row, by_ratio), (is_row, !is_row), "{stop}");
            assert!(stop.to_string().contains("dead_letters_over_limit"));
            stops.push(bench.letters().len() - before);
            // Beyond the limit by a bundle at most.
            let past = max + 1..=max + 4;
            assert!(past.contains(stops.last().unwrap()), "{stops:?}");
            if BAD - bench.letters().len() <= max {
                break;
            }
        }
        println!("dead letters at each stop: {stops:?}");
        assert!(stops.len() > 1, "{stops:?}");
        // What the last stop left is still there.
        let mut offsets: Vec<_> = bench
            .letters()
            .iter()
            .map(|l| (l.origin_partition, l.origin_offset))
            .collect();
        let all = offsets.len();
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), all, "one was buried twice");
        bench.run(BAD, 0);
        assert_eq!(bench.letters().len(), BAD);
    }
}
