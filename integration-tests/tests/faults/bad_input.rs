//! Nothing but bad input.

use std::time::Instant;

use bytes::Bytes;
use shiren::case_reader;
use shiren::requests;
use shiren_integration_tests::alerts::Alerts;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{Worker, await_that};
use shiren_integration_tests::status::Scrape;
use shiren_integration_tests::{events, run, site};
use shiren_log::NewRecord;
use shiren_schemas::records::Lane;

use crate::row::{Row, form};

/// Sound events behind the bad ones.
const EVENTS: usize = 20;
/// The metric, and the alert that stands on it.
const DEAD_LETTERS: &str = "shiren_dead_letters_total";
const ALERT: &str = "ShirenDeadLetters";

#[test]
fn a_stage_that_gets_nothing_but_bad_input_stops_at_its_limit() {
    let bad: usize = form(150, 1_500);
    let expected = run::undisturbed(EVENTS);
    let mut row = Row::begin("100 % bad input");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, site::SMALL_BUNDLES]);
    let log = cluster.log.as_ref();
    let limit = cluster.site.topology.runtime.dead_letters_max_consecutive as usize;
    let requests = events::requests(&site::home(), EVENTS);
    let unreadable = |n: usize| NewRecord {
        value: Some(Bytes::from(format!("no record at all, number {n}"))),
        ..requests::record("default", Lane::Interactive, &requests[n % EVENTS])
            .unwrap()
            .0
    };
    log.publisher()
        .unwrap()
        .publish((0..bad).map(unreadable).collect())
        .unwrap();
    row.injected(bad, "a record that cannot be read");
    let mut stops = 0;
    let alerts = Alerts::of_deploy();
    let mut told: f64 = 0.0;
    let mut fired = 0;
    loop {
        let dead = case_reader::dead_letters(log, "default").unwrap().len();
        if bad - dead <= limit {
            break;
        }
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_TELEMETRY_LISTEN", "127.0.0.1:0");
        // Looked at before it is ready: it may stop a moment later.
        let mut worker = Worker::launch(command, "front");
        let scrapes = scrapes(&mut worker);
        told = told.max(
            scrapes
                .last()
                .map_or(0.0, |(_, last)| last.sum(DEAD_LETTERS, &[])),
        );
        fired += usize::from(alerts.holds(ALERT, &scrapes));
        let said = worker.await_failure();
        assert!(said.contains("dead_letters_over_limit"), "{said}");
        let more = case_reader::dead_letters(log, "default").unwrap().len() - dead;
        assert!(more > limit, "{more} dead letters");
        stops += 1;
    }
    row.note(format!(
        "the worker stopped {stops} times with dead_letters_over_limit ({limit} in a row); \
        {DEAD_LETTERS} was seen at {told} before, and {ALERT} of deploy/prometheus/rules.yml held {fired} times"
    ));
    assert!(
        stops > 0 && told > 0.0 && fired == stops,
        "{stops} {told} {fired}"
    );
    run::publish(log, &requests);
    let worker = cluster.start_worker("front", 0);
    row.compare(log, &expected);
    worker.drain();
    assert_eq!(
        case_reader::dead_letters(log, "default").unwrap().len(),
        bad
    );
    row.end();
}

/// What the worker told until its process ended, each time with when.
fn scrapes(worker: &mut Worker) -> Vec<(Instant, Scrape)> {
    let address = worker.telemetry();
    let mut scrapes = Vec::new();
    await_that("the worker stops", || {
        scrapes.extend(Scrape::while_there(&address).map(|scrape| (Instant::now(), scrape)));
        worker.ended().is_some()
    });
    scrapes
}
