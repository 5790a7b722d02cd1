//! Requests that come again, on any log: what a producer that does not know whether it got through sends.

use std::collections::BTreeSet;
use std::time::Instant;

use shiren::case_reader;
use shiren_log::Log;
use shiren_schemas::records::{DeadLetter, Request};

use crate::run;

/// The same requests under the same ids with another payload.
#[must_use]
pub fn altered(requests: &[Request]) -> Vec<Request> {
    let altered = |request: &Request| Request {
        capture_time: Some(1),
        ..request.clone()
    };
    requests.iter().map(altered).collect()
}

/// Waits until each altered request is a dead letter: all that came before it in its partition is done then.
///
/// # Panics
/// When they do not come, or another record is dead.
#[must_use]
pub fn await_conflicts(log: &dyn Log, count: usize) -> Vec<DeadLetter> {
    let deadline = Instant::now() + run::MAX_WAIT;
    loop {
        let letters = case_reader::dead_letters(log, "default").expect("dead letters");
        let codes: BTreeSet<&str> = letters.iter().map(|one| one.code.as_str()).collect();
        assert!(
            codes.iter().all(|code| *code == "idempotency_conflict"),
            "{codes:?}"
        );
        if letters.len() >= count {
            assert_eq!(letters.len(), count, "a dead letter was written twice");
            return letters;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {count} dead letters",
            letters.len()
        );
        std::thread::sleep(run::LOOK_EVERY);
    }
}

/// Waits until the last that a changelog says of some key is that it is forgotten.
///
/// # Panics
/// When that does not come.
pub fn await_forgotten(log: &dyn Log, changelog: &str) {
    let partitions = log
        .partitions(changelog)
        .expect("an answer")
        .expect("a changelog");
    let partitions: Vec<i32> = (0..partitions).collect();
    let deadline = Instant::now() + run::MAX_WAIT;
    let mut is_forgotten = false;
    while !is_forgotten {
        assert!(Instant::now() < deadline, "nothing is forgotten");
        std::thread::sleep(run::LOOK_EVERY);
        log.read_partitions(changelog, &partitions, &mut |record| {
            is_forgotten |= record.value.is_none();
        })
        .expect("the changelog");
    }
}
