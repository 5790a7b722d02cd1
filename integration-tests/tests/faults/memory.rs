//! A worker that finds more work than it can do keeps within `runtime.max_resident_mib`, or stops between two bundles.

use std::time::Instant;

use shiren::bench::pictures::Recipes;
use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_schemas::records::{Picture, PictureContent, Request, RequestKind};

use crate::row::{Row, form};

const MIB: u64 = 1024 * 1024;
/// Below what any worker with its models holds once it has looked at a large picture.
const TOO_LITTLE: (&str, &str) = ("max_resident_mib = 2048 ", "max_resident_mib = 256 ");

/// Requests of both kinds with 12-megapixel pictures.
fn large(count: usize) -> Vec<Request> {
    let recipes = Recipes::load(&site::root().join("benches/chain.toml")).unwrap();
    let largest = recipes.picture.iter().max_by_key(|recipe| recipe.size);
    let jpeg = largest
        .unwrap()
        .make(&site::home().join("pictures"))
        .unwrap();
    let picture = || Some(requests::inline(jpeg.clone(), None));
    let request = |number: usize| {
        let kind = [RequestKind::Detect, RequestKind::Compare][number % 2];
        let mut request = Request::new(&format!("large-{number}"), kind);
        request.probe = picture();
        if kind == RequestKind::Compare {
            request.reference = picture();
        }
        request
    };
    (0..count).map(request).collect()
}

/// All of it lies there when the worker starts: more than any rate would bring.
#[test]
fn a_backlog_of_large_pictures_is_worked_off_within_the_bound() {
    let cases = form(40, 800);
    let mut row = Row::begin("backlog of large pictures");
    let cluster = Cluster::without_workers(&[]);
    let mut bytes = 0;
    for part in large(cases).chunks(4) {
        let pictures = part.iter().flat_map(|r| [&r.probe, &r.reference]).flatten();
        bytes += pictures.map(size_bytes).sum::<usize>();
        run::publish(cluster.log.as_ref(), part);
    }
    let begun = Instant::now();
    let worker = cluster.start_worker("front", 0);
    let verdicts = row.await_verdicts(cluster.log.as_ref(), cases);
    row.injected(
        cases,
        format!(
            "case of 12-megapixel pictures, {} MiB, before the worker started",
            bytes as u64 / MIB
        ),
    );
    row.recovered(
        "the worker's start: the backlog is worked off",
        begun.elapsed(),
    );
    row.hold_memory(&worker, &cluster.site);
    let layouts = verdicts.iter().map(|v| v.observed.layout.as_str());
    assert!(layouts.clone().all(|layout| layout == "front"));
    worker.drain();
    row.end();
}

fn size_bytes(picture: &Picture) -> usize {
    match &picture.content {
        PictureContent::Inline(inline) => inline.bytes.len(),
        _ => 0,
    }
}

/// Nothing is lost or doubled by it.
#[test]
fn a_worker_over_its_bound_stops_after_a_commit() {
    const CASES: usize = 24;
    let mut row = Row::begin("memory over its budget");
    let cluster = Cluster::without_workers(&[site::SMALL_BUNDLES]);
    let small = cluster.topology().with_file_name("small.toml");
    let text = std::fs::read_to_string(cluster.topology()).unwrap();
    assert!(text.contains(TOO_LITTLE.0));
    std::fs::write(&small, text.replace(TOO_LITTLE.0, TOO_LITTLE.1)).unwrap();
    for part in large(CASES).chunks(4) {
        run::publish(cluster.log.as_ref(), part);
    }
    let mut command = processes::on_kafka(&small, &cluster.bootstrap());
    command.args(["run", "--segment", "front"]);
    let messages = Worker::launch(command, "front").ready().await_failure();
    assert!(
        messages.contains("memory_over_budget")
            && messages.contains("runtime.max_resident_mib is 256"),
        "{messages}"
    );
    let answered = run::count_now(cluster.log.as_ref());
    assert!(
        (1..CASES).contains(&answered),
        "{answered} verdicts when it stopped"
    );
    row.injected(
        1,
        "a worker held more than its budget and stopped, memory_over_budget",
    );
    let worker = cluster.start_worker("front", 0);
    row.await_verdicts(cluster.log.as_ref(), CASES);
    assert_eq!(
        usize::try_from(worker.drain().records).unwrap(),
        CASES - answered
    );
    row.end();
}
