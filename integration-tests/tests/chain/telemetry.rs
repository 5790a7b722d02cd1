//! What an operator sees of a process: metrics, health, and that no collector holds it up.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shiren::site::Site;
use shiren::telemetry::{Status, StatusServer};
use shiren_contract::invariants;
use shiren_integration_tests::processes::{self, Worker, await_that};
use shiren_integration_tests::status::{Scrape, States, get};
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, NewRecord};
use shiren_runtime::{Kind, METRICS};
use tempfile::TempDir;

/// A site on an embedded log, whose chain runs in a process of its own.
struct Watched {
    site: Arc<Site>,
    log: Arc<dyn Log>,
    folder: TempDir,
}

impl Watched {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        Self { site, log, folder }
    }

    fn topology(&self) -> PathBuf {
        self.folder.path().join("topology.toml")
    }

    /// `shiren run`, started and perhaps not ready yet, and its listener's address.
    fn launch(&self, environment: &[(&str, &str)]) -> (Worker, String) {
        let mut command = processes::on_embedded(&self.topology());
        command
            .arg("run")
            .env("SHIREN_TELEMETRY_LISTEN", "127.0.0.1:0");
        command.envs(environment.iter().copied());
        let worker = Worker::launch(command, "front");
        let head = "metrics and health: http://";
        worker.await_message(head);
        let mut address = String::new();
        await_that("the whole address", || {
            let messages = worker.messages();
            let mut lines = messages.split_inclusive('\n');
            let line = lines.find_map(|line| line.strip_prefix(head)?.strip_suffix('\n'));
            line.is_some_and(|found| {
                found.clone_into(&mut address);
                true
            })
        });
        (worker, address)
    }
}

/// Something that is no request.
fn unreadable() -> NewRecord {
    NewRecord {
        topic: "shiren.default.requests.interactive".into(),
        partition: None,
        key: Bytes::from("default/unreadable"),
        value: Some(Bytes::from("no request")),
        headers: Vec::new(),
    }
}

/// Verdicts of the log by kind and decision, as the metric has them.
fn by_kind_and_decision(log: &dyn Log, count: usize) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for verdict in run::verdicts(log, count) {
        let canonical = verdict.canonical;
        let of = (canonical.kind.to_string(), canonical.decision.to_string());
        *counts.entry(of).or_default() += 1;
    }
    counts
}

#[test]
fn a_process_shows_what_it_did_and_where_it_is() {
    const COUNT: usize = 20;
    let watched = Watched::new();
    let log = watched.log.as_ref();
    let (worker, address) = watched.launch(&[]);
    let states = States::follow(&address);
    let worker = worker.ready();
    assert_eq!(get(&address, "/healthz").0, 200);
    states.await_state("ready");

    run::publish(log, &events::requests(&site::home(), COUNT));
    log.publisher()
        .unwrap()
        .publish(vec![unreadable()])
        .unwrap();
    let verdicts = by_kind_and_decision(log, COUNT);
    // Counted once it is committed, which a reader may see a moment before.
    let records = (COUNT + 1) as u64;
    await_that("all records are counted", || {
        Scrape::of(&address).sum("shiren_records_total", &[]) == records as f64
    });
    let lag = || Scrape::of(&address).sum("shiren_consumer_lag_records", &[]);
    await_that("the lag has drained", || lag() == 0.0);

    let scrape = Scrape::of(&address);
    for ((kind, decision), count) in &verdicts {
        let of = [("kind", kind.as_str()), ("decision", decision.as_str())];
        let counted = scrape.sum("shiren_verdicts_total", &of);
        assert_eq!(counted, *count as f64, "{kind} {decision}");
    }
    let sum = |name: &str, of: &[(&str, &str)]| scrape.sum(name, of);
    assert_eq!(sum("shiren_verdicts_total", &[]), COUNT as f64);
    assert_eq!(sum("shiren_case_duration_seconds_count", &[]), COUNT as f64);
    assert_eq!(sum("shiren_dead_letters_total", &[]), 1.0);
    assert_eq!(sum("shiren_duplicate_verdicts_total", &[]), 0.0);
    let admit = [("stage", "admit")];
    assert_eq!(sum("shiren_stage_records_total", &admit), records as f64);
    let commits = sum("shiren_commits_total", &[("outcome", "done")]);
    assert_eq!(sum("shiren_bundle_records_sum", &[]), records as f64);
    assert_eq!(sum("shiren_bundle_records_count", &[]), commits);
    assert!(sum("shiren_resident_memory_bytes", &[]) > 0.0);
    assert_eq!(sum("shiren_worker_phase", &[("phase", "ready")]), 1.0);
    assert_eq!(sum("shiren_invariant_violations_total", &[]), 0.0);
    let mut shown = scrape.values_of("shiren_invariant_violations_total", "invariant");
    let mut defined: Vec<&str> = invariants::ALL.iter().map(|one| one.name).collect();
    shown.sort();
    defined.sort_unstable();
    assert_eq!(shown, defined);
    all_that_is_defined_is_shown_and_nothing_else(&scrape);

    // Ended in the middle of its work, so that it has something to finish.
    run::publish(log, &events::requests(&site::home(), run::EVENTS)[COUNT..]);
    run::await_some(log, COUNT + 1);
    worker.drain();
    // Restoring may be over between two looks; behind "ready" it does not come back.
    let mut seen = states.end();
    seen.retain(|state| state != "restoring");
    assert_eq!(seen, ["starting", "ready", "draining"]);
}

fn all_that_is_defined_is_shown_and_nothing_else(scrape: &Scrape) {
    let mut defined = BTreeMap::new();
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        defined.insert(metric.name.to_owned(), kind.to_owned());
    }
    let mut shown = scrape.kinds();
    shown.retain(|name, _| name.starts_with("shiren_"));
    assert_eq!(shown, defined);
    for metric in METRICS {
        let mut labels: Vec<String> = metric.labels.iter().map(|&l| l.to_owned()).collect();
        labels.sort();
        let all = scrape.labels(metric.name);
        assert!(!all.is_empty(), "{} has no series", metric.name);
        for shown in all {
            assert_eq!(shown, labels, "{}", metric.name);
        }
    }
}

/// A listener of its own, with small bounds.
fn listener(folder: &TempDir) -> StatusServer {
    let site = site::embedded(folder.path(), &[]);
    let mut settings = site.topology.telemetry.clone();
    settings.listen = Some("127.0.0.1:0".to_owned());
    settings.connections_max = 2;
    settings.connection_max_ms = 300;
    let status = Status::new(&site.topology).unwrap();
    status.serve(&settings).unwrap().unwrap()
}

fn send(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(run::MAX_WAIT)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// All that comes until the other end hangs up.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_listener_answers_what_it_serves_and_hangs_up_on_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let server = listener(&folder);
    let address = server.address().to_string();
    assert_eq!(get(&address, "/metrics").0, 200);
    assert_eq!(get(&address, "/healthz").0, 200, "no loop hangs");
    let (code, body) = get(&address, "/readyz");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &body["state"]), (503, &"starting".into()));
    assert_eq!(get(&address, "/other").0, 404);

    let post = rest(send(&address, "POST /metrics HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let long = format!(
        "GET /metrics HTTP/1.1\r\nhost: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    let long = rest(send(&address, &long));
    assert!(!long.starts_with("HTTP/1.1 200"), "{long}");
    // Whoever never ends the head gets nothing, however long it waits.
    let slow = rest(send(&address, "GET /metrics HTTP/1.1\r\n"));
    assert!(!slow.contains("shiren_"), "{slow}");
}

#[test]
fn one_connection_too_many_is_closed_and_the_next_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = listener(&folder);
    let address = server.address().to_string();
    let held: Vec<TcpStream> = (0..2).map(|_| send(&address, "GET /")).collect();
    let third = rest(send(&address, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert_eq!(third, "", "closed unread");
    // The others are hung up on after their time, and make place.
    for stream in held {
        rest(stream);
    }
    assert_eq!(get(&address, "/metrics").0, 200);
}

/// Runs some cases beside a collector at `endpoint`, and gives what became of the spans.
fn beside_collector(endpoint: &str) -> Scrape {
    const COUNT: usize = 20;
    let watched = Watched::new();
    let (worker, address) = watched.launch(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let worker = worker.ready();
    let log = watched.log.as_ref();
    let requests = events::requests(&site::home(), COUNT);
    run::publish(log, &requests);
    let verdicts = run::verdicts(log, COUNT);
    assert_eq!(run::canonical(&verdicts), run::undisturbed(COUNT));
    let failed = [("outcome", "failed")];
    await_that("spans are counted as lost", || {
        Scrape::of(&address).sum("shiren_spans_total", &failed) > 0.0
    });
    let scrape = Scrape::of(&address);
    let drain_max = Duration::from_millis(watched.site.topology.runtime.drain_max_ms);
    let from = Instant::now();
    assert_eq!(worker.drain().verdicts, COUNT as u64);
    assert!(from.elapsed() < drain_max, "{:?}", from.elapsed());
    scrape
}

#[test]
fn a_collector_that_is_down_is_not_noticed() {
    // A port that was free a moment ago, and where nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let scrape = beside_collector(&endpoint);
    let exported = [("outcome", "exported")];
    assert_eq!(scrape.sum("shiren_spans_total", &exported), 0.0);
}

#[test]
fn a_collector_that_accepts_and_never_answers_is_not_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (held, holding) = std::sync::mpsc::channel();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if held.send(stream).is_err() {
                return;
            }
        }
    });
    let scrape = beside_collector(&endpoint);
    let exported = [("outcome", "exported")];
    assert_eq!(scrape.sum("shiren_spans_total", &exported), 0.0);
    assert!(holding.try_iter().count() > 0, "it was asked");
}
