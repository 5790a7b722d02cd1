//! The contract suite on the embedded log, and what is its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren_log::contract_suite::Subject;
use shiren_log::{
    Applied, Commit, Log, LogError, NewRecord, Record, Start, TopicSpec, Worker, WorkerOptions,
};
use shiren_log_embedded::{EmbeddedLog, EmbeddedOptions};

const PATIENCE: Duration = Duration::from_secs(60);

fn options(dir: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        retention_sweep_ms: 20,
        ..EmbeddedOptions::new(dir)
    }
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(options(dir)).unwrap()
}

shiren_log::contract_tests!(|promise: &str| {
    let dir = tempfile::tempdir().unwrap();
    Subject::new(promise, move || Arc::new(open(dir.path())))
});

fn spec(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.into(),
        partitions: 2,
        retention_ms: 3_600_000,
        max_record_bytes: 2_000_000,
        compacted: false,
    }
}

fn record(topic: &str, key: &str, value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: None,
        key: key.to_owned().into(),
        value: Some(value.into().into()),
        headers: vec![],
    }
}

fn worker_options() -> WorkerOptions {
    WorkerOptions {
        group: "group".into(),
        transactional_id: "worker".into(),
        topics: vec!["in".into()],
        slot: 0,
        slots: 1,
        bundle_max_records: 3,
        bundle_max_bytes: 10_000_000,
        poll_max_wait: Duration::from_millis(200),
        queue_max_bytes: 10_000_000,
    }
}

fn worker(log: &dyn Log) -> Result<Box<dyn Worker>, LogError> {
    log.worker(worker_options())
}

fn echo(records: &[Record]) -> Vec<NewRecord> {
    let value = |record: &Record| record.value.as_ref().unwrap().to_vec();
    let one = |record: &Record| record_of("out", record, value(record));
    records.iter().map(one).collect()
}

fn record_of(topic: &str, record: &Record, value: Vec<u8>) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: Some(record.partition),
        key: record.key.clone().unwrap(),
        value: Some(value.into()),
        headers: vec![],
    }
}

/// This test binary again, as another process that plays `role` on the log in `dir`.
fn other_process(role: &str, dir: &Path) -> Child {
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
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the other process says until it contains `word`.
fn hear(child: &mut Child, word: &str) {
    let out = child.stdout.as_mut().unwrap();
    let (mut heard, mut byte) = (String::new(), [0]);
    while !heard.contains(word) {
        let read = out.read(&mut byte).unwrap();
        assert!(read == 1, "the other process ended after {heard:?}");
        heard.push(char::from(byte[0]));
    }
}

#[test]
#[ignore = "no test of its own: the part of the other process, which other tests start"]
fn as_another_process() {
    let (role, dir) = (
        std::env::var("SHIREN_TEST_ROLE").unwrap(),
        std::env::var("SHIREN_TEST_DIR").unwrap(),
    );
    let log = open(Path::new(&dir));
    match role.as_str() {
        "works" => {
            let _worker = worker(&log).unwrap();
            println!("[at work]");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "publishes" => {
            let mut publisher = log.publisher().unwrap();
            println!("[ready]");
            for line in std::io::stdin().lines() {
                publisher
                    .publish(vec![record("in", "key", line.unwrap())])
                    .unwrap();
            }
        }
        "echoes" => {
            let mut worker = worker(&log).unwrap();
            println!("[at work]");
            loop {
                if let Some(bundle) = worker.next_bundle().unwrap() {
                    let outputs = echo(&bundle.records);
                    assert_eq!(worker.commit(&bundle, outputs).unwrap(), Commit::Done);
                }
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_second_process_gets_no_worker_while_the_first_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in")]).unwrap();
    let mut other = other_process("works", dir.path());
    hear(&mut other, "[at work]");
    let refused = worker(&log).err().unwrap();
    assert!(
        matches!(&refused, LogError::WorkersElsewhere { path } if Path::new(path) == dir.path().canonicalize().unwrap()),
        "{refused:?}"
    );
    other.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(other.wait().unwrap().success());
    // Two of one process may, and the lock goes with the last.
    let first = worker(&log).unwrap();
    let second = worker(&open(dir.path())).unwrap();
    drop((first, second));
    let mut other = other_process("works", dir.path());
    hear(&mut other, "[at work]");
    other.kill().unwrap();
    other.wait().unwrap();
    // A killed process holds nothing.
    worker(&log).unwrap();
}

/// The compare-and-set of offsets holds even where names do not fence.
#[test]
fn of_two_workers_on_one_slot_one_commits() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in"), spec("out")]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let mut workers = ["one", "two"].map(|name| {
        let transactional_id = name.into();
        log.worker(WorkerOptions {
            transactional_id,
            ..worker_options()
        })
        .unwrap()
    });
    for (round, winner) in [(0, 0), (1, 1), (2, 0)] {
        publisher
            .publish(vec![record("in", "key", format!("{round}"))])
            .unwrap();
        let bundles = workers
            .each_mut()
            .map(|worker| worker.next_bundle().unwrap());
        let commits = [winner, 1 - winner].map(|who: usize| {
            let bundle = bundles[who].as_ref().unwrap();
            workers[who].commit(bundle, echo(&bundle.records)).unwrap()
        });
        assert_eq!(commits, [Commit::Done, Commit::Rebuild], "round {round}");
        // As the port says: who is told to rebuild is replaced.
        workers[1 - winner] = log
            .worker(WorkerOptions {
                transactional_id: format!("after round {round}"),
                ..worker_options()
            })
            .unwrap();
    }
    let mut reader = log.reader("out", Start::Beginning).unwrap();
    assert_eq!(reader.read(10, Duration::ZERO).unwrap().len(), 3);
}

#[test]
fn records_of_another_process_wake_a_waiting_worker() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in")]).unwrap();
    let mut worker = log
        .worker(WorkerOptions {
            poll_max_wait: PATIENCE,
            ..worker_options()
        })
        .unwrap();
    let mut other = other_process("publishes", dir.path());
    hear(&mut other, "[ready]");
    let mut pipe = other.stdin.take().unwrap();
    for n in 0..20 {
        let from = Instant::now();
        writeln!(pipe, "{n}").unwrap();
        let bundle = worker.next_bundle().unwrap().unwrap();
        assert!(from.elapsed() < Duration::from_secs(5), "woken late");
        assert_eq!(bundle.records.len(), 1);
        assert_eq!(worker.commit(&bundle, vec![]).unwrap(), Commit::Done);
    }
    drop(pipe);
    assert!(other.wait().unwrap().success());
}

/// Killed in whatever step, the worker leaves each record processed once.
#[test]
fn a_killed_worker_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in"), spec("out")]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let count = 300;
    let mut published = 0;
    let mut reader = log.reader("out", Start::Beginning).unwrap();
    let mut seen: Vec<Record> = vec![];
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} came", seen.len());
        let mut other = other_process("echoes", dir.path());
        hear(&mut other, "[at work]");
        let more = count.min(published + 60);
        let records =
            (published..more).map(|n| record("in", &format!("{}", n % 7), format!("{n}")));
        publisher.publish(records.collect()).unwrap();
        published = more;
        // Some records are through, others are not: the kill comes in between.
        let wanted = seen.len() + 20.min(count - seen.len());
        while seen.len() < wanted {
            assert!(Instant::now() < deadline, "{} of {count} came", seen.len());
            seen.extend(reader.read(5, Duration::from_millis(100)).unwrap());
        }
        other.kill().unwrap();
        other.wait().unwrap();
        while !reader.at_end().unwrap() {
            seen.extend(reader.read(100, Duration::ZERO).unwrap());
        }
    }
    let distinct: BTreeSet<_> = seen.iter().map(|record| record.value.clone()).collect();
    assert_eq!((seen.len(), distinct.len()), (count, count));
}

#[test]
fn a_full_log_refuses_publishers_lets_workers_commit_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(EmbeddedOptions {
        max_mib: 8,
        ..options(dir.path())
    })
    .unwrap();
    log.apply_topics(&[spec("in"), spec("out")]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let big = || vec![record("in", "key", vec![7_u8; 500_000])];
    let mut kept = 0;
    let refused = loop {
        match publisher.publish(big()) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 20, "the cap is not kept");
    };
    assert!(
        matches!(refused, LogError::Full { max_mib: 8 }),
        "{refused:?}"
    );
    assert!(kept > 10, "{kept}");
    // Nothing that was acknowledged is gone, and a worker still commits.
    let mut worker = worker(&log).unwrap();
    let bundle = worker.next_bundle().unwrap().unwrap();
    let small = vec![record("out", "key", "done")];
    assert_eq!(worker.commit(&bundle, small).unwrap(), Commit::Done);
    // Its own outputs meet the cap in the end, too; the bundle stays.
    let bundle = worker.next_bundle().unwrap().unwrap();
    let flood = (0..4).map(|_| record("out", "key", vec![7_u8; 500_000]));
    let refused = worker.commit(&bundle, flood.collect()).unwrap_err();
    assert!(matches!(refused, LogError::Full { .. }), "{refused:?}");
    assert_eq!(worker.commit(&bundle, vec![]).unwrap(), Commit::Done);
    // Retention makes room.
    let short = TopicSpec {
        retention_ms: 1,
        ..spec("in")
    };
    assert_eq!(log.apply_topics(&[short]).unwrap(), [Applied::Updated]);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = publisher.publish(big()) {
        assert!(matches!(error, LogError::Full { .. }), "{error:?}");
        assert!(Instant::now() < deadline, "no room came");
    }
}

#[test]
fn deleted_records_leave_no_bytes_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[TopicSpec {
        retention_ms: 1,
        ..spec("in")
    }])
    .unwrap();
    let mark = b"a picture that must not stay";
    let mut publisher = log.publisher().unwrap();
    publisher
        .publish(vec![record("in", "key", mark.repeat(5_000))])
        .unwrap();
    // Read in a process of its own: opening the file here would drop SQLite's locks.
    let found = || {
        let grep = Command::new("grep")
            .args(["-rlaF", "a picture that must not stay"])
            .arg(dir.path())
            .output()
            .unwrap();
        grep.status.success()
    };
    let deadline = Instant::now() + PATIENCE;
    while found() {
        assert!(Instant::now() < deadline, "deleted bytes are still there");
    }
}

#[test]
fn a_damaged_or_foreign_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in")]).unwrap();
    drop(log);
    let file = dir.path().join("log.sqlite");
    let mut handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    handle.seek(SeekFrom::Start(0)).unwrap();
    handle.write_all(b"no database at all").unwrap();
    drop(handle);
    let error = EmbeddedLog::open(options(dir.path())).err().unwrap();
    assert!(
        matches!(&error, LogError::Fatal { what, .. } if what.contains("damaged")),
        "{error:?}"
    );
}

#[test]
fn options_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path());
    let other = EmbeddedOptions {
        max_mib: 99,
        ..options(dir.path())
    };
    let none = EmbeddedOptions {
        follow_poll_ms: 0,
        ..options(dir.path())
    };
    for wrong in [other, none] {
        let error = EmbeddedLog::open(wrong).err().unwrap();
        assert!(matches!(error, LogError::Config { .. }), "{error:?}");
    }
}

/// Two processes that publish as fast as they can: neither starves.
#[test]
fn writers_of_two_processes_share_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.apply_topics(&[spec("in")]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let mut other = other_process("publishes", dir.path());
    hear(&mut other, "[ready]");
    let mut pipe = other.stdin.take().unwrap();
    let lines = "theirs\n".repeat(200);
    let theirs = std::thread::spawn(move || pipe.write_all(lines.as_bytes()).unwrap());
    let mut reader = log.reader("in", Start::Beginning).unwrap();
    let (mut ours, mut seen) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    while seen < 200 {
        assert!(
            Instant::now() < deadline,
            "{seen} of 200 while {ours} were ours"
        );
        publisher
            .publish(vec![record("in", "key", "ours")])
            .unwrap();
        ours += 1;
        let all = reader.read(100, Duration::ZERO).unwrap();
        seen += all
            .iter()
            .filter(|r| r.value.as_deref() == Some(b"theirs"))
            .count();
    }
    theirs.join().unwrap();
    assert!(other.wait().unwrap().success());
    assert!(ours < 200 * 50, "they had 200 turns, we {ours}");
}
