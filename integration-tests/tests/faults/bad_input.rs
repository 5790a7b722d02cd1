//! Nothing but bad input.

use bytes::Bytes;
use shiren::case_reader;
use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{Worker, await_that};
use shiren_integration_tests::status::Scrape;
use shiren_integration_tests::{events, run, site};
use shiren_log::NewRecord;
use shiren_schemas::records::Lane;

use crate::row::{Row, form};

/// Sound events behind the bad ones.
const EVENTS: usize = 20;

#[test]
fn a_stage_that_gets_nothing_but_bad_input_stops_at_its_limit() {
    let bad: usize = form(150, 5_000);
    let expected = run::undisturbed(EVENTS);
    let mut row = Row::begin("100 % bad input");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES]);
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
    let mut alerted: f64 = 0.0;
    loop {
        let dead = case_reader::dead_letters(log, "default").unwrap().len();
        if bad - dead <= limit {
            break;
        }
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_TELEMETRY_LISTEN", "127.0.0.1:0");
        let mut worker = Worker::launch(command, "front").ready();
        alerted = alerted.max(dead_letters_told(&mut worker));
        let said = worker.await_failure();
        assert!(said.contains("dead_letters_over_limit"), "{said}");
        let more = case_reader::dead_letters(log, "default").unwrap().len() - dead;
        assert!(more > limit, "{more} dead letters");
        stops += 1;
    }
    row.note(format!(
        "the worker stopped {stops} times with dead_letters_over_limit ({limit} in a row); \
        shiren_dead_letters_total was seen at {alerted} before"
    ));
    assert!(stops > 0 && alerted > 0.0, "{stops} {alerted}");
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

/// The most that the metric of dead letters showed until the process ended.
fn dead_letters_told(worker: &mut Worker) -> f64 {
    let said = worker.messages();
    let address = said
        .lines()
        .find_map(|l| l.strip_prefix("metrics and health: http://"));
    let address = address.unwrap().to_owned();
    let mut told = 0.0;
    await_that("the worker stops", || {
        if let Some(scrape) = Scrape::while_there(&address) {
            told = scrape.sum("shiren_dead_letters_total", &[]).max(told);
        }
        worker.ended().is_some()
    });
    told
}
