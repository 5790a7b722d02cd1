//! A camera whose clock is wrong: its cases are judged as any other, and say so.

use shiren::requests;
use shiren_integration_tests::{events, run, site};
use shiren_schemas::records::{Mode, Request, RequestKind};

const HOUR_US: i64 = 3_600_000_000;

fn captured(id: &str, capture_time: Option<i64>) -> Request {
    let mut request = requests::request(id, RequestKind::Detect);
    let picture = events::picture(&site::home(), "obama.jpg");
    request.probe = Some(requests::inline(picture, None));
    request.capture_time = capture_time;
    request
}

#[test]
fn a_capture_time_that_is_far_off_is_flagged_and_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let now_us = shiren_runtime::now_us();
    let mut later = captured("backfill", Some(now_us - 24 * HOUR_US));
    later.mode = Mode::Backfill;
    let all = [
        captured("unknown", None),
        captured("right", Some(now_us)),
        captured("behind", Some(now_us - 3 * HOUR_US)),
        captured("ahead", Some(now_us + 10 * HOUR_US)),
        later,
    ];
    run::publish(log.as_ref(), &all);
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 4));
    for verdict in verdicts {
        let flagged = verdict.canonical.reason_codes == ["clock_skew"];
        let id = verdict.observed.request_id.as_str();
        assert_eq!(flagged, ["behind", "ahead"].contains(&id), "{verdict:?}");
        assert_eq!(verdict.canonical.decision.as_str(), "done", "{id}");
    }
}
