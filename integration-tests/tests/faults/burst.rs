//! More bytes than any worker holds lie in the log, and keep lying there.

use std::time::{Duration, Instant};

use shiren::bench::pictures::{Layer, Recipe};
use shiren::case_reader::VerdictReader;
use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::{run, site};
use shiren_log::{Log, Publisher, Start};
use shiren_schemas::records::{Decision, Lane, Mode, Request, RequestKind};

use crate::row::{Row, form};

const GB: usize = 1_000_000_000;
/// Of a picture; a still may have 7 MiB.
const SIZE: usize = 5_000_000;
/// Pictures of one call of the producer.
const AT_ONCE: usize = 4;
/// Between two looks for verdicts while the log is kept full.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A portrait with so much noise, and so little compressed, that its 3.6 megapixels take as many bytes as 12 of a camera.
fn picture() -> Vec<u8> {
    let recipe = Recipe {
        name: "portrait in noise, 3.6 MP".to_owned(),
        selfie: true,
        size: [1_664, 2_140],
        quality: 100,
        grain: 48,
        orientation: 1,
        layers: vec![Layer {
            file: "obama.jpg".to_owned(),
            from: Some([170, 0, 650, 836]),
            to: [0, 0, 1_664, 2_140],
        }],
    };
    let jpeg = recipe.make(&site::home().join("pictures")).unwrap();
    assert!(jpeg.len() >= SIZE, "{} bytes", jpeg.len());
    jpeg
}

/// What is published, and how much of it still lies there.
struct Burst<'a> {
    publisher: Box<dyn Publisher>,
    reader: VerdictReader,
    picture: &'a [u8],
    published: usize,
    ended: usize,
}

impl<'a> Burst<'a> {
    fn new(log: &dyn Log, picture: &'a [u8]) -> Self {
        Self {
            publisher: log.publisher().unwrap(),
            reader: VerdictReader::open(log, "default", Mode::Live, Start::Beginning).unwrap(),
            picture,
            published: 0,
            ended: 0,
        }
    }

    fn publish(&mut self) {
        let record = |n: usize| {
            let mut request = Request::new(&format!("burst-{n}"), RequestKind::Detect);
            request.probe = Some(requests::inline(self.picture.to_vec(), None));
            requests::record("default", Lane::Interactive, &request)
                .unwrap()
                .0
        };
        let records = (self.published..self.published + AT_ONCE)
            .map(record)
            .collect();
        self.publisher.publish(records).unwrap();
        self.published += AT_ONCE;
    }

    /// Bytes of the pictures whose cases have not ended.
    fn waiting(&mut self, look: Duration) -> usize {
        self.ended += self.reader.next(look).unwrap().len();
        (self.published - self.ended) * self.picture.len()
    }
}

#[test]
fn memory_keeps_within_its_bound_while_the_log_is_full_of_large_pictures() {
    let full = form(GB, 4 * GB);
    let held = form(Duration::from_secs(30), Duration::from_secs(300));
    let mut row = Row::begin_alone("burst of 5-MB pictures");
    let picture = picture();
    let cluster = Cluster::without_workers(&[site::LARGE_FACES]);
    let log = cluster.log.as_ref();
    let worker = cluster.start_worker("front", 0);
    let mut burst = Burst::new(log, &picture);

    let begun = Instant::now();
    while burst.waiting(Duration::ZERO) < full {
        burst.publish();
    }
    let filled = begun.elapsed();
    row.injected(
        burst.published,
        format!(
            "picture of {:.1} MB as fast as the broker took it, until {} GB lay there, after {filled:.0?}",
            picture.len() as f64 / 1e6,
            full / GB
        ),
    );
    let (begun, before) = (Instant::now(), burst.published);
    let mut least = usize::MAX;
    while begun.elapsed() < held {
        let waiting = burst.waiting(LOOK_EVERY);
        least = least.min(waiting);
        if waiting < full {
            burst.publish();
        }
    }
    row.injected(
        burst.published - before,
        format!(
            "picture more, so that never less than {:.2} GB lay there for {held:?}",
            least as f64 / 1e9
        ),
    );
    let (drains, left) = (Instant::now(), burst.published - burst.ended);
    let verdicts = row.await_verdicts(log, burst.published);
    row.recovered(
        format!("the last picture: the lag of {left} cases is worked off"),
        drains.elapsed(),
    );

    row.hold_memory(&worker, &cluster.site);
    for verdict in &verdicts {
        assert_eq!(verdict.canonical.decision, Decision::Done, "{verdict:?}");
    }
    // One process did it all: none was started anew.
    assert_eq!(run::count_all(log), burst.published);
    worker.drain();
    row.end();
}
