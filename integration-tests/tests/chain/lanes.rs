//! Lanes and modes: each has topics of its own, and what is judged on the side is never where a live verdict is read.

use std::collections::BTreeSet;

use shiren::case_reader::VerdictReader;
use shiren::requests;
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, Start};
use shiren_schemas::records::Verdict;
use shiren_schemas::records::{Lane, Mode, Request, RequestKind};

const LANES: (&str, &str) = (
    "lanes = [\"interactive\"] ",
    "lanes = [\"interactive\", \"bulk\"] ",
);

/// Request ids of all verdicts of a mode.
fn verdicts(log: &dyn Log, mode: Mode, count: usize) -> BTreeSet<String> {
    let mut reader = VerdictReader::open(log, "default", mode, Start::Beginning).unwrap();
    let verdicts = reader.await_count(count, run::MAX_WAIT).unwrap();
    assert_eq!((verdicts.len(), reader.duplicates), (count, 0), "{mode}");
    let of = |verdict: Verdict| verdict.observed.request_id;
    verdicts.into_iter().map(of).collect()
}

#[test]
fn a_verdict_is_in_the_topic_of_its_mode_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES, LANES]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let mut records = Vec::new();
    let mut expected = Vec::new();
    for &mode in Mode::ALL {
        let mut of_mode = BTreeSet::new();
        for lane in [Lane::Interactive, Lane::Bulk] {
            let mut request = Request::new(&format!("{mode}-{lane}"), RequestKind::Detect);
            request.mode = mode;
            let picture = events::picture(&site.home, "obama.jpg");
            request.probe = Some(requests::inline(picture, None));
            records.push(requests::record("default", lane, &request).unwrap().0);
            of_mode.insert(request.request_id);
        }
        expected.push((mode, of_mode));
    }
    log.publisher().unwrap().publish(records).unwrap();
    run::beside(&site, &log, || {
        for (mode, of_mode) in &expected {
            assert_eq!(&verdicts(log.as_ref(), *mode, 2), of_mode, "{mode}");
        }
    });
    // All six have ended: none came to another topic later.
    for (mode, of_mode) in &expected {
        assert_eq!(&verdicts(log.as_ref(), *mode, 2), of_mode, "{mode}");
    }
}

#[test]
fn a_command_that_is_not_live_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let mut creation = requests::creation("shadowy", "staff");
    creation.mode = Mode::Shadow;
    let record = requests::command("default", creation).unwrap().0;
    log.publisher().unwrap().publish(vec![record]).unwrap();
    let mut reader =
        VerdictReader::open(log.as_ref(), "default", Mode::Shadow, Start::Beginning).unwrap();
    let (verdicts, _) = run::beside(&site, &log, || {
        reader.await_count(1, run::MAX_WAIT).unwrap()
    });
    assert_eq!(verdicts[0].canonical.reason_codes, ["mode_unsupported"]);
    let mut changes = 0;
    let each = &mut |_| changes += 1;
    let partitions: Vec<i32> = (0..log.partitions("shiren.library").unwrap().unwrap()).collect();
    log.read_partitions("shiren.library", &partitions, each)
        .unwrap();
    assert_eq!(changes, 0);
}
