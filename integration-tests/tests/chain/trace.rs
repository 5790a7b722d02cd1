//! The W3C trace context travels from the request through every stage's topic to the verdict.

use std::time::{Duration, Instant};

use bytes::Bytes;
use shiren::requests;
use shiren_integration_tests::{events, run, site};
use shiren_log::Start;
use shiren_schemas::records::{Lane, Request, RequestKind};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

#[test]
fn a_verdict_continues_the_trace_of_its_request() {
    let _telemetry = shiren::telemetry::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::ONE_STAGE_A_SEGMENT]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let mut request = Request::new("traced", RequestKind::Compare);
    let picture = || requests::inline(events::picture(&site::home(), "obama.jpg"), None);
    (request.probe, request.reference) = (Some(picture()), Some(picture()));
    let (mut record, _) = requests::record("default", Lane::Interactive, &request).unwrap();
    let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    record.headers = vec![("traceparent".into(), Bytes::from(traceparent))];
    log.publisher().unwrap().publish(vec![record]).unwrap();

    let (headers, _) = run::beside(&site, &log, || {
        let mut reader = log
            .reader("shiren.default.verdicts", Start::Beginning)
            .unwrap();
        let until = Instant::now() + run::MAX_WAIT;
        loop {
            assert!(Instant::now() < until, "no verdict");
            if let Some(verdict) = reader.read(1, Duration::from_millis(100)).unwrap().pop() {
                return verdict.headers;
            }
        }
    });
    let value = |name: &str| {
        let (_, value) = headers.iter().find(|(header, _)| header == name).unwrap();
        String::from_utf8(value.clone().unwrap().to_vec()).unwrap()
    };
    let parts: Vec<String> = value("traceparent").split('-').map(str::to_owned).collect();
    assert_eq!(parts[1], TRACE_ID);
    assert_ne!(parts[2], SPAN_ID, "each stage has a span of its own");
    assert_eq!(value("decision"), "accept");
    assert_eq!(value("tenant"), "default");
}
