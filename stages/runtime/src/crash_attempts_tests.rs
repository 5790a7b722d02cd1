//! Workers that die, as the attempts topic of an embedded log shows them.

use shiren_log::TopicSpec;
use shiren_log_embedded::{EmbeddedLog, EmbeddedOptions};
use tempfile::TempDir;

use super::*;

const TOPIC: &str = "shiren.attempts.admit";
const MAX: i32 = 3;

fn log() -> (EmbeddedLog, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(EmbeddedOptions::new(folder.path().join("log"))).unwrap();
    let spec = TopicSpec {
        name: TOPIC.to_owned(),
        partitions: 1,
        retention_ms: 3_600_000,
        max_record_bytes: 100_000,
        compacted: true,
    };
    log.apply_topics(&[spec]).unwrap();
    (log, folder)
}

fn worker(owner: &str) -> CrashAttempts {
    CrashAttempts::new(TOPIC.to_owned(), owner.to_owned(), MAX, 4, Alone::default())
}

fn bundle(offsets: std::ops::Range<i64>) -> Bundle {
    let record = |offset| Record {
        topic: "in".into(),
        partition: 2,
        offset,
        append_time_us: 0,
        key: None,
        value: None,
        headers: Vec::new(),
    };
    Bundle {
        records: offsets.map(record).collect(),
        generation: 7,
    }
}

fn notes(log: &EmbeddedLog) -> Vec<(i64, i32)> {
    let mut all = Notes::default();
    all.read_on(log, TOPIC).unwrap();
    let notes = &all.newest;
    let mut notes: Vec<_> = notes.values().map(|n| (n.offset, n.attempts)).collect();
    notes.sort_unstable();
    notes
}

/// Takes each record of the bundle through its turn; dies at `poison`, unless that is not processed any more.
fn run(worker: &mut CrashAttempts, log: &EmbeddedLog, of: &Bundle, poison: i64) -> Vec<Turn> {
    let mut turns = Vec::new();
    for record in &of.records {
        let turn = worker.begin(log, record).unwrap();
        turns.push(turn);
        if turn == Turn::Process {
            if record.offset == poison {
                return turns;
            }
            worker.survived(log, record).unwrap();
        }
    }
    worker.committed(log, of).unwrap();
    turns
}

#[test]
fn a_takeover_is_noted_once_and_a_successor_that_finds_progress_suspects_nothing() {
    let (log, _folder) = log();
    let mut first = worker("a");
    assert!(!first.look_at(&log, &bundle(0..4)).unwrap());
    assert_eq!(notes(&log), [(0, 0)]);
    // The next bundle costs no note.
    assert!(!first.look_at(&log, &bundle(4..8)).unwrap());
    assert_eq!(notes(&log), [(0, 0)]);
    let mut second = worker("b");
    assert!(!second.look_at(&log, &bundle(4..8)).unwrap());
    assert_eq!(notes(&log), [(4, 0)]);
    // It was only built anew, or lost the partition for a moment.
    second.forget();
    assert!(!second.look_at(&log, &bundle(4..8)).unwrap());
}

#[test]
fn a_record_that_kills_is_found_and_its_neighbours_are_not_blamed() {
    let (log, _folder) = log();
    let of = bundle(10..14);
    // All at once, and dead.
    assert!(!worker("a").look_at(&log, &of).unwrap());
    for (death, owner) in (1..=MAX).zip(["b", "c", "d"]) {
        let mut next = worker(owner);
        assert!(next.look_at(&log, &of).unwrap());
        assert_eq!(run(&mut next, &log, &of, 12), [Turn::Process; 3]);
        assert_eq!(notes(&log), [(10, 0), (12, death)]);
    }
    let mut last = worker("e");
    assert!(last.look_at(&log, &of).unwrap());
    let end = Turn::End { attempts: MAX };
    let (all, process) = (run(&mut last, &log, &of, 12), Turn::Process);
    assert_eq!(all, [process, process, end, process]);
    assert_eq!(notes(&log), [(10, 0)]);
    // As many as a bundle holds went one by one: no more.
    assert!(!last.look_at(&log, &bundle(14..18)).unwrap());
    assert!(last.begun.is_empty());
}

#[test]
fn a_record_whose_end_kills_too_is_not_even_read() {
    let (log, _folder) = log();
    let of = bundle(0..1);
    assert!(!worker("a").look_at(&log, &of).unwrap());
    for turn in [
        Turn::Process,
        Turn::Process,
        Turn::Process,
        Turn::End { attempts: 3 },
        Turn::Bury { attempts: 4 },
        Turn::Bury { attempts: 4 },
    ] {
        let mut next = worker(&format!("{turn:?}"));
        assert!(next.look_at(&log, &of).unwrap());
        assert_eq!(next.begin(&log, &of.records[0]).unwrap(), turn);
    }
}

#[test]
fn notes_of_records_that_were_committed_after_all_are_taken_back() {
    let (log, _folder) = log();
    let of = bundle(0..4);
    assert!(!worker("a").look_at(&log, &of).unwrap());
    let mut second = worker("b");
    assert!(second.look_at(&log, &of).unwrap());
    run(&mut second, &log, &of, 3);
    assert_eq!(notes(&log), [(0, 0), (3, 1)]);
    let mut third = worker("c");
    assert!(!third.look_at(&log, &bundle(4..8)).unwrap());
    assert_eq!(notes(&log), [(4, 0)]);
}
