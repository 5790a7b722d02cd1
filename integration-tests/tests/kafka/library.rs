//! Libraries on real Kafka.

use shiren::requests;
use shiren_integration_tests::libraries::{self, Client};
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_schemas::records::Decision;

use crate::Cluster;

/// The embedded engine instead of the stand-in.
const EMBEDDED: (&str, &str) = (
    "engine = \"server\"\nurl =",
    "engine = \"embedded\"\n# url =",
);

#[test]
fn one_process_a_stage_keeps_libraries_on_a_stand_in_for_a_qdrant_server() {
    let cluster = Cluster::start(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    libraries::live(&cluster.log);
    for worker in cluster.workers {
        worker.drain();
    }
}

#[test]
fn all_in_one_keeps_libraries_in_the_embedded_engine() {
    let cluster = Cluster::start(&[site::LARGE_FACES, EMBEDDED]);
    libraries::live(&cluster.log);
    for worker in cluster.workers {
        worker.drain();
    }
}

/// The writer dies between the engine's write and the commit; its successor comes to the same.
#[test]
fn killed_between_engine_and_commit_a_command_comes_to_the_same() {
    let cluster = Cluster::without_workers(&[site::LARGE_FACES]);
    let launch = |point: &str| {
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_KILL_POINT", point);
        Worker::launch(command, point)
    };
    let worker = cluster.start_worker("front", 0);
    let mut client = Client::new(&cluster.log, "killed");
    let staff = client.create("staff");
    worker.drain();
    for point in ["asked@1", "offsets_sent@1"] {
        let enrolment = client.enrolment(staff, "obama", "obama.jpg");
        let case = client.publish(vec![enrolment]);
        launch(point).await_kill();
        let worker = cluster.start_worker("front", 0);
        let enrolled = client.ends(&case).remove(0).canonical;
        assert_eq!(enrolled.decision, Decision::Done);
        assert!(
            !enrolled.reason_codes.contains(&"superseded".to_owned()),
            "{point}"
        );
        assert_eq!(
            client.who(&[staff], "obama2.jpg").as_deref(),
            Some("obama"),
            "{point}"
        );
        worker.drain();
        let id = client.next_id();
        let case = client.publish(vec![requests::unenrolment(&id, staff, "obama", None)]);
        launch(point).await_kill();
        let worker = cluster.start_worker("front", 0);
        let erased = client.ends(&case).remove(0).canonical;
        assert!(
            !erased.reason_codes.contains(&"nothing_enrolled".to_owned()),
            "{point}"
        );
        assert_eq!(client.who(&[staff], "obama2.jpg"), None, "{point}");
        worker.drain();
    }
    run::no_verdict_twice(cluster.log.as_ref());
}

/// The writer sleeps with an enrolment in its hands; its successor enrols and then unenrols the person; the writer wakes
/// and writes: the person stays unenrolled.
#[test]
fn a_writer_that_wakes_does_not_bring_back_who_was_unenrolled() {
    let cluster = Cluster::without_workers(&[
        site::LARGE_FACES,
        ("session_timeout_ms = 10000 ", "session_timeout_ms = 6000 "),
        ("drain_max_ms = 8000 ", "drain_max_ms = 5000 "),
    ]);
    let first = cluster.start_worker("front", 0);
    let mut client = Client::new(&cluster.log, "sleeper");
    let staff = client.create("staff");
    first.drain();
    let enrolment = client.enrolment(staff, "obama", "obama.jpg");
    let case = client.publish(vec![enrolment]);
    // Read, and not yet written to the engine.
    let mut sleeper = cluster.command("front", 1);
    sleeper.env("SHIREN_HALT_POINT", "polled@1");
    let sleeper = Worker::launch(sleeper, "front 1");
    sleeper.await_halt();
    let successor = cluster.start_worker("front", 2);
    assert_eq!(client.ends(&case)[0].canonical.decision, Decision::Done);
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    let erased = client.unenrol(staff, "obama");
    assert_eq!(erased.decision, Decision::Done);
    assert_eq!(client.who(&[staff], "obama2.jpg"), None);
    let before = cluster.library.requests();
    processes::signal(sleeper.pid(), "CONT");
    // It computes what it had read, and asks the engine to write it; that it is drained says that the write has ended.
    processes::await_that("the sleeper asks the engine", || {
        cluster.library.requests() > before
    });
    sleeper.drain();
    assert_eq!(client.who(&[staff], "obama2.jpg"), None);
    successor.drain();
    run::no_verdict_twice(cluster.log.as_ref());
}
