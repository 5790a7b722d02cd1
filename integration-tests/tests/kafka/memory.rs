//! A worker that finds more work than it can do keeps within `runtime.max_resident_mib`, or stops between two bundles.

use shiren::bench::pictures::Recipes;
use shiren::requests;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_runtime::peak_resident_bytes;
use shiren_schemas::records::{Request, RequestKind};

use crate::Cluster;

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
        let mut request = requests::request(&format!("large-{number}"), kind);
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
    const CASES: usize = 40;
    let cluster = Cluster::without_workers(&[]);
    for part in large(CASES).chunks(4) {
        run::publish(cluster.log.as_ref(), part);
    }
    let worker = cluster.start_worker("front", 0);
    let verdicts = run::verdicts(cluster.log.as_ref(), CASES);
    let peak_mib = peak_resident_bytes(worker.pid()).unwrap() / MIB;
    let max_mib = cluster.site.topology.runtime.max_resident_mib;
    println!("peak {peak_mib} MiB, the bound is {max_mib}");
    assert!(
        peak_mib <= max_mib,
        "{peak_mib} MiB, the bound is {max_mib}"
    );
    let layouts = verdicts.iter().map(|v| v.observed.layout.as_str());
    assert!(layouts.clone().all(|layout| layout == "front"));
    worker.drain();
}

/// Nothing is lost or doubled by it.
#[test]
fn a_worker_over_its_bound_stops_after_a_commit() {
    const CASES: usize = 24;
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
    let worker = cluster.start_worker("front", 0);
    let _ = run::verdicts(cluster.log.as_ref(), CASES);
    assert_eq!(
        usize::try_from(worker.drain().records).unwrap(),
        CASES - answered
    );
}
