//! A change of policy on a running chain: what both logs must show.

use std::time::Instant;

use shiren::case_reader::VerdictReader;
use shiren::policy::{self, Change};
use shiren::requests;
use shiren_log::{Log, Start};
use shiren_schemas::records::{Mode, Request, RequestKind, Verdict};
use shiren_topology::parse_scene;

use crate::run::{self, MAX_WAIT};
use crate::{events, site};

/// A comparison of one person with himself, of the first picture with the second.
///
/// # Panics
/// When set-up has not fetched the pictures.
#[must_use]
pub fn comparison(id: &str) -> Request {
    let picture = |name| Some(requests::inline(events::picture(&site::home(), name), None));
    Request {
        probe: picture("obama2.jpg"),
        reference: picture("obama.jpg"),
        ..Request::new(id, RequestKind::Compare)
    }
}

/// Changes the default scene to `settings`, seen at `version`; the new version.
///
/// # Panics
/// When the settings are none.
pub fn change(log: &dyn Log, seen: i64, settings: &str) -> anyhow::Result<i64> {
    let settings = parse_scene(settings).expect("settings of a scene");
    let change = Change {
        tenant: "default",
        scene: "default",
        settings: &settings,
        by: "test",
        why: "a test",
        versions_max: 3,
        seen: Some(seen),
    };
    policy::change(log, &change)
}

/// Publishes comparisons, each after the answer to the one before, until one is judged by `version`; all answers.
///
/// # Panics
/// When none is in time.
pub fn ask_until(log: &dyn Log, prefix: &str, version: i64) -> Vec<Verdict> {
    let mut reader = VerdictReader::open(log, "default", Mode::Live, Start::End).expect("a reader");
    let until = Instant::now() + MAX_WAIT;
    let mut answers: Vec<Verdict> = Vec::new();
    while answers
        .last()
        .is_none_or(|a| a.canonical.policy_version != version)
    {
        assert!(Instant::now() < until, "no verdict by version {version}");
        let id = format!("{prefix}-{}", answers.len());
        run::publish(log, &[comparison(&id)]);
        let verdicts = reader.await_count(1, MAX_WAIT).expect("the verdict");
        answers.extend(verdicts);
    }
    answers
}
