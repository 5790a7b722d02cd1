//! SIGTERM under load.

use std::time::{Duration, Instant};

use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::{events, run, site};

use crate::row::{self, Row};

/// Longest time from SIGTERM to the end of the process.
const DRAINED_MAX: Duration = Duration::from_secs(20);

/// All in one; SIGTERM in the middle of the run: what is at hand is committed, the next process goes on from there, and
/// no record is processed twice.
#[test]
fn a_drained_process_leaves_the_rest_to_the_next() {
    let count = row::events();
    let expected = run::undisturbed(count);
    let mut row = Row::begin("SIGTERM under load");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, site::SMALL_BUNDLES]);
    let log = cluster.log.as_ref();
    run::publish(log, &events::requests(&site::home(), count));
    let mut committed = Vec::new();
    for number in 0..3 {
        let worker = cluster.start_worker("front", 0);
        run::await_some(log, 5 + count / 4 * number);
        let told = Instant::now();
        let drained = worker.drain();
        row.injected(
            1,
            format!("SIGTERM after {} records of that process", drained.records),
        );
        row.recovered("SIGTERM: the process has ended", told.elapsed());
        assert!(told.elapsed() <= DRAINED_MAX);
        assert!(drained.records > 0 && drained.rebuilds == 0, "{drained:?}");
        committed.push(drained.records);
    }
    let last = cluster.start_worker("front", 0);
    row.compare(log, &expected);
    let last = last.drain();
    assert!(last.records > 0 && last.rebuilds == 0, "{last:?}");
    assert_eq!(committed.iter().sum::<u64>() + last.records, count as u64);
    row.end();
}
