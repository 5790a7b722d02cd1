//! A record that harms the process, and a supervisor that starts it again each time.

use std::process::Command;
use std::time::Instant;

use shiren::case_reader;
use shiren_log::Log;
use shiren_schemas::records::{DeadLetter, Decision, Verdict};

use crate::processes::Worker;
use crate::run;

/// Deaths after which a supervisor of a test gives up.
const DEATHS_MAX: usize = 12;

/// Starts the process anew each time it dies, until there are `count` verdicts; how it died each time.
///
/// # Panics
/// When the verdicts do not come.
pub fn supervise(
    log: &dyn Log,
    count: usize,
    command: impl Fn() -> Command,
    segment: &str,
) -> Vec<String> {
    let mut deaths = Vec::new();
    let deadline = Instant::now() + run::MAX_WAIT;
    let mut worker = Worker::launch(command(), segment);
    while run::count_all(log) < count {
        assert!(Instant::now() < deadline, "deaths so far: {deaths:?}");
        if let Some(status) = worker.ended() {
            deaths.push(format!("{status}"));
            assert!(
                deaths.len() < DEATHS_MAX,
                "{deaths:?}: {}",
                worker.messages()
            );
            worker = Worker::launch(command(), segment);
        }
    }
    worker.drain();
    deaths
}

/// Of `count` events this one alone came to an error with this code, and to the one dead letter there is; all others came to what
/// an undisturbed run gives them. Gives the letter.
///
/// # Panics
/// When it is otherwise.
pub fn assert_alone(log: &dyn Log, count: usize, event: &str, code: &str) -> DeadLetter {
    let verdicts = run::verdicts(log, count);
    let is_event = |verdict: &&Verdict| verdict.observed.request_id == event;
    let end = verdicts.iter().find(is_event).expect("its verdict");
    assert_eq!(end.canonical.decision, Decision::Error);
    assert_eq!(end.canonical.reason_codes, [code]);
    let mut came = run::canonical(&verdicts);
    let mut wanted = run::undisturbed(count);
    came.remove(event);
    wanted.remove(event);
    assert_eq!(came, wanted);
    let mut letters = case_reader::dead_letters(log, "default").expect("dead letters");
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = letters.remove(0);
    assert_eq!(letter.code, code);
    assert_eq!(letter.case_id, Some(end.canonical.case_id));
    letter
}
