//! Requests that come again, on the embedded log.

use shiren_integration_tests::{events, ledger, run, site};
use shiren_log::Start;
use shiren_schemas::records::Mode;

const EVENTS: usize = 12;

#[test]
fn a_request_that_comes_again_is_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
    let log = site.open_log().unwrap();
    let requests = events::requests(&site.home, EVENTS);
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &requests);
    run::publish(log.as_ref(), &requests);
    let (_, first) = run::beside(&site, &log, || run::verdicts(log.as_ref(), EVENTS));
    // Another process: what it knows lies in the log.
    run::publish(log.as_ref(), &requests);
    run::publish(log.as_ref(), &ledger::altered(&requests));
    let (letters, second) = run::beside(&site, &log, || {
        ledger::await_conflicts(log.as_ref(), EVENTS)
    });
    let verdicts = run::verdicts(log.as_ref(), EVENTS);
    assert_eq!(run::canonical(&verdicts), run::undisturbed(EVENTS));
    assert_eq!(first.absorbed + second.absorbed, 2 * EVENTS as u64);
    for letter in letters {
        let named = verdicts
            .iter()
            .filter(|v| letter.detail.contains(&v.canonical.case_id.to_string()));
        assert_eq!(named.count(), 1, "{}", letter.detail);
        // It is no case of its own.
        assert_eq!(letter.case_id, None);
    }
}

/// After its scene's time to live a request is a first one again: a second verdict with the first one's id.
#[test]
fn a_forgotten_request_is_answered_again_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let brief = ("request_ttl_ms = 3600000 ", "request_ttl_ms = 1000 ");
    let often = (
        "partition_max_keys = 50000 ",
        "tick_ms = 20\npartition_max_keys = 50000 ",
    );
    let site = site::embedded(folder.path(), &[site::LARGE_FACES, brief, often]);
    let log = site.open_log().unwrap();
    let requests = events::requests(&site.home, 1);
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &requests);
    let ((), summary) = run::beside(&site, &log, || {
        drop(run::verdicts(log.as_ref(), 1));
        ledger::await_forgotten(log.as_ref(), "shiren.state.admit.interactive");
        run::publish(log.as_ref(), &requests);
        let mut reader = shiren::case_reader::VerdictReader::open(
            log.as_ref(),
            "default",
            Mode::Live,
            Start::Beginning,
        )
        .unwrap();
        let deadline = std::time::Instant::now() + run::MAX_WAIT;
        while reader.duplicates == 0 {
            assert!(std::time::Instant::now() < deadline, "no second verdict");
            drop(reader.next(run::LOOK_EVERY).unwrap());
        }
    });
    assert_eq!((summary.verdicts, summary.absorbed), (2, 0));
}
