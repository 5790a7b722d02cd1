//! One trace from the producer's record to the verdict, over two processes, at a real collector.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use shiren::requests;
use shiren_integration_tests::collector::{Collector, SeenSpan};
use shiren_integration_tests::processes::{Worker, await_that};
use shiren_integration_tests::{events, site};
use shiren_log::Start;
use shiren_schemas::ids;
use shiren_schemas::records::Lane;

use shiren_integration_tests::cluster::Cluster;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// What makes pictures into templates in one segment, what decides in others; a search needs two of them.
const APART: (&str, &str) = (
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\"]\n\
     [segment.match]\nstages = [\"match\"]\n[segment.enrol]\nstages = [\"enrol\"]\n[segment.authority-verify]\nstages = [\"authority-verify\"]\nworkers = 1 ",
);

#[test]
fn one_trace_from_the_producer_to_the_verdict() {
    let collector = Collector::start();
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, APART]);
    let workers = ["front", "match"].map(|segment| {
        let mut command = cluster.command(segment, 0);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "100");
        Worker::launch(command, segment).ready()
    });
    // Nobody made that library; the question is asked all the same.
    let library = ids::case("a library", "that nobody made");
    let picture = events::picture(&site::home(), "obama.jpg");
    let request = requests::search("traced", vec![library], 5, picture);
    let (mut record, _) = requests::record("default", Lane::Interactive, &request).unwrap();
    let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    record.headers = vec![("traceparent".into(), Bytes::from(traceparent))];
    let mut publisher = cluster.log.publisher().unwrap();
    publisher.publish(vec![record]).unwrap();

    let verdicts = "shiren.default.verdicts";
    let mut reader = cluster.log.reader(verdicts, Start::Beginning).unwrap();
    let mut verdict = None;
    await_that("the verdict", || {
        verdict = reader.read(1, Duration::from_millis(100)).unwrap().pop();
        verdict.is_some()
    });
    let headers = verdict.unwrap().headers;
    let (_, traceparent) = headers.iter().find(|(n, _)| n == "traceparent").unwrap();
    let traceparent = String::from_utf8(traceparent.clone().unwrap().to_vec()).unwrap();
    let last = traceparent.split('-').nth(2).unwrap();
    assert_eq!(traceparent.split('-').nth(1), Some(TRACE_ID));

    // Those of the other process too: each sends its own.
    let (front, back) = (
        ["admit", "decode", "detect", "embed"],
        ["match", "ask match"],
    );
    let expected: Vec<&str> = front.into_iter().chain(back).collect();
    await_that("the spans of both processes", || {
        let spans = collector.spans(TRACE_ID);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        expected.iter().all(|name| names.contains(name))
    });
    let spans = collector.spans(TRACE_ID);
    one_tree(&spans, last);
    for worker in workers {
        worker.drain();
    }
}

/// Every span hangs below the producer's, and the verdict names one of them.
fn one_tree(spans: &[SeenSpan], last: &str) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "a span arrived twice: {spans:?}");
    for span in spans {
        let parent = span.parent.as_str();
        assert!(parent == SPAN_ID || ids.contains(parent), "{span:?}");
    }
    assert!(ids.contains(last), "{last} of {spans:?}");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(named("admit").parent, SPAN_ID);
    assert_eq!(named("ask match").parent, named("match").id);
}
