//! A change of policy on Kafka, with admit and the rest in processes of their own.

use shiren_integration_tests::policy::{ask_until, change};
use shiren_integration_tests::site;
use shiren_schemas::records::Decision;

use shiren_integration_tests::cluster::Cluster;

#[test]
fn a_change_takes_effect_in_running_processes() {
    let cluster = Cluster::start(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    let log = cluster.log.as_ref();
    let mut answers = ask_until(log, "before", 1);
    let settings = "requires = [\"comparison\"]\ntarget_fmr = 0.001\nmin_face_px = 2000";
    assert_eq!(change(log, 1, settings).unwrap(), 2);
    answers.extend(ask_until(log, "after", 2));
    for verdict in &answers {
        let expected = match verdict.canonical.policy_version {
            1 => Decision::Accept,
            _ => Decision::Error,
        };
        assert_eq!(verdict.canonical.decision, expected);
    }
    for worker in cluster.workers {
        assert_eq!(worker.drain().rebuilds, 0);
    }
}
