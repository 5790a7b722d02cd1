//! The face library is down, slow, or not the one it should be.

use std::time::{Duration, Instant};

use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::libraries::{self, Client};
use shiren_integration_tests::processes::{Worker, await_that};
use shiren_integration_tests::proxy::Proxy;
use shiren_integration_tests::{events, run, site};
use shiren_library::stand_in::StandIn;
use shiren_library::{Metric, ServerLibrary, ServerOptions};
use shiren_schemas::Id;
use shiren_schemas::records::{Decision, Request, Verdict};

use crate::row::{self, LATE_MAX, Row, form};

/// What makes templates in one process, those who ask the library in two more.
const APART: (&str, &str) = (
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\"]\n\
     [segment.match]\nstages = [\"match\"]\n[segment.enrol]\nstages = [\"enrol\"]\n[segment.authority-verify]\nstages = [\"authority-verify\"]\nworkers = 1 ",
);
/// Deadline of the searches.
const DEADLINE: Duration = Duration::from_secs(3);
/// Searches, and enrolments, of each fault.
const ASKING: usize = 6;
/// Cases without a library, of each fault.
const OTHERS: usize = 10;

fn searches(name: &str, library: Id) -> Vec<Request> {
    let picture = events::picture(&site::home(), "obama2.jpg");
    let search = |n| Request {
        deadline_ms: Some(i32::try_from(DEADLINE.as_millis()).unwrap()),
        ..requests::search(
            &format!("{name}-search-{n}"),
            vec![library],
            5,
            picture.clone(),
        )
    };
    (0..ASKING).map(search).collect()
}

fn enrolments(name: &str, library: Id) -> Vec<Request> {
    let picture = events::picture(&site::home(), "rihanna.jpg");
    let enrolment = |n| Request {
        probe: Some(requests::inline(picture.clone(), None)),
        ..requests::enrolment(
            &format!("{name}-enrol-{n}"),
            library,
            &format!("{name}-{n}"),
            &libraries::consent(),
        )
    };
    (0..ASKING).map(enrolment).collect()
}

/// No yes and no "nobody" without the library, and nothing long after its deadline.
fn hold_deadlines(row: &mut Row, name: &str, ends: &[Verdict]) {
    for end in ends {
        let decision = end.canonical.decision;
        assert!(
            matches!(decision, Decision::Error | Decision::Review),
            "{end:?}"
        );
    }
    let longest = row::longest_wait(ends);
    assert!(longest <= DEADLINE + LATE_MAX, "{name}: {longest:?}");
    let codes: std::collections::BTreeSet<_> = ends
        .iter()
        .flat_map(|end| &end.canonical.reason_codes)
        .collect();
    row.note(format!(
        "{name}: {} searches with a deadline of {DEADLINE:?} ended within {longest:.1?}, none accepted: {codes:?}",
        ends.len()
    ));
}

#[test]
fn a_library_that_is_down_or_slow_stops_nothing_but_what_needs_it() {
    let down = form(Duration::from_secs(20), Duration::from_secs(180));
    let expected = run::undisturbed(OTHERS);
    let mut row = Row::begin_alone("face library down, slow");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, APART]);
    let proxy = Proxy::start();
    proxy.lead_to(
        cluster
            .library
            .url()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap(),
    );
    let workers = ["front", "match", "enrol"].map(|segment| {
        let mut command = cluster.command(segment, 0);
        command.env(
            "SHIREN_LIBRARY_URL",
            format!("http://127.0.0.1:{}", proxy.port()),
        );
        Worker::launch(command, segment).ready()
    });
    let mut client = Client::new(&cluster.log, "calm");
    let staff = client.create("staff");
    client.enrol(staff, "obama", "obama.jpg");
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));

    proxy.refuse(true);
    let since = Instant::now();
    let enrolled = client.publish(enrolments("down", staff));
    let searched = client.publish(searches("down", staff));
    run::publish(
        cluster.log.as_ref(),
        &events::requests(&site::home(), OTHERS),
    );
    hold_deadlines(&mut row, "down", &client.ends(&searched));
    await_others(&cluster, &expected);
    await_that("the time is over", || since.elapsed() >= down);
    row.injected(
        proxy.refused(),
        format!("connection to the library refused, for {down:?}"),
    );
    proxy.refuse(false);
    let back = Instant::now();
    all_done(&client.ends(&enrolled));
    row.recovered(
        "the library's return: all enrolments are done",
        back.elapsed(),
    );
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));

    proxy.slow(DEADLINE);
    let enrolled = client.publish(enrolments("slow", staff));
    let searched = client.publish(searches("slow", staff));
    hold_deadlines(&mut row, "slow", &client.ends(&searched));
    row.injected(
        ASKING,
        format!("search while every answer of the library came {DEADLINE:?} late"),
    );
    proxy.slow(Duration::ZERO);
    let back = Instant::now();
    all_done(&client.ends(&enrolled));
    row.recovered(
        "the library is fast again: all enrolments are done",
        back.elapsed(),
    );
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    // Made, enrolled, three times asked who it is.
    row.await_verdicts(cluster.log.as_ref(), 5 + 4 * ASKING + OTHERS);
    for worker in workers {
        worker.drain();
    }
    row.end();
}

fn all_done(ends: &[Verdict]) {
    for end in ends {
        assert_eq!(end.canonical.decision, Decision::Done, "{end:?}");
    }
}

/// Cases that need no library end as ever while it is down.
fn await_others(cluster: &Cluster, expected: &std::collections::BTreeMap<String, String>) {
    let live = shiren_schemas::records::Mode::Live;
    let start = shiren_log::Start::Beginning;
    let mut reader =
        shiren::case_reader::VerdictReader::open(cluster.log.as_ref(), "default", live, start)
            .unwrap();
    let mut came = Vec::new();
    await_that("cases that need no library end", || {
        let verdicts = reader.next(run::LOOK_EVERY).unwrap();
        came.extend(
            verdicts
                .into_iter()
                .filter(|v| v.observed.request_id.starts_with("event-")),
        );
        came.len() >= expected.len()
    });
    assert_eq!(&run::canonical(&came), expected);
}

/// Somebody has put templates of another length where the library should be.
#[test]
fn a_library_of_another_dimension_answers_nobody() {
    const DIMENSION: usize = 2_048;
    let mut row = Row::begin("face library of a wrong dimension");
    let stand_in = StandIn::start();
    let options = ServerOptions {
        collection: "shiren".to_owned(),
        ..ServerOptions::new(stand_in.url(), DIMENSION, Metric::Cosine)
    };
    drop(ServerLibrary::open(options, Instant::now() + DEADLINE).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = site::library_at(&stand_in.url());
    let site = site::embedded(folder.path(), &[site::LARGE_FACES, (from, to.as_str())]);
    let log = site.open_log().unwrap();
    let (ends, _) = run::beside(&site, &log, || {
        let mut client = Client::new(&log, "wrong");
        // Its models are loaded then: the searches have deadlines.
        run::publish(log.as_ref(), &events::requests(&site.home, OTHERS));
        let _ = run::verdicts(log.as_ref(), OTHERS);
        let library = shiren_schemas::ids::case("a library", "that nobody made");
        let searched = client.publish(searches("wrong", library));
        row.injected(
            ASKING,
            format!("search of a library whose templates have {DIMENSION} numbers"),
        );
        let ends = client.ends(&searched);
        row.await_verdicts(log.as_ref(), ASKING + OTHERS);
        ends
    });
    hold_deadlines(&mut row, "wrong dimension", &ends);
    for end in &ends {
        let codes = &end.canonical.reason_codes;
        assert!(
            codes.contains(&"library_dimension_mismatch".to_owned()),
            "{codes:?}"
        );
    }
    row.end();
}
