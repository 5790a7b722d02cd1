//! Latency at a light load, record by record, of both sides at once.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use shiren_log::{Log, Publisher, Reader, Start};

use crate::records::{Records, number};

/// Pause between two records of a light load, which go to the sides in turn: 20 a second each.
const PACE: Duration = Duration::from_millis(25);
/// Longest wait for a record to arrive.
const ARRIVAL_MAX_WAIT: Duration = Duration::from_secs(60);
/// Longest single wait of a reader.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most records of one read.
const READ_MAX_RECORDS: usize = 100;

/// Latencies of one run, milliseconds, sorted.
pub(crate) struct Light {
    /// From before the sending until the input's reader had it.
    pub(crate) direct_ms: Vec<f64>,
    /// From then until the output's reader had it, record by record.
    pub(crate) added_ms: Vec<f64>,
    /// Both together.
    pub(crate) hop_ms: Vec<f64>,
}

impl std::fmt::Display for Light {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "added p50 {:.2} ms, hop p50 {:.2} p99 {:.2} ms, direct p50 {:.2} ms",
            percentile(&self.added_ms, 50),
            percentile(&self.hop_ms, 50),
            percentile(&self.hop_ms, 99),
            percentile(&self.direct_ms, 50)
        )
    }
}

/// The smallest value that `percent` of all do not exceed.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// A topic's reader and when each record came.
struct Follower {
    reader: Box<dyn Reader>,
    came: HashMap<u64, Instant>,
}

impl Follower {
    fn open(log: &dyn Log, topic: &str) -> Self {
        Self {
            reader: log.reader(topic, Start::End).expect("a reader"),
            came: HashMap::new(),
        }
    }

    /// Reads until all of these have come.
    fn follow(&mut self, numbers: &Range<u64>) {
        let deadline = Instant::now() + ARRIVAL_MAX_WAIT;
        let mut missing: Vec<u64> = numbers.clone().collect();
        while !missing.is_empty() {
            let records = self
                .reader
                .read(READ_MAX_RECORDS, LOOK_EVERY)
                .expect("read");
            let now = Instant::now();
            for record in records {
                let number = number(record.key.as_deref().expect("a key"));
                assert!(
                    self.came.insert(number, now).is_none(),
                    "{number} came twice"
                );
            }
            missing.retain(|number| !self.came.contains_key(number));
            assert!(now < deadline, "{} records did not come", missing.len());
        }
    }
}

/// One side under load: a hop runs from `input` to `output`.
struct Lane {
    records: Records,
    /// Of the input and of the output.
    followers: [Follower; 2],
    /// Each record's number, and when it was sent.
    sent: Vec<(u64, Instant)>,
}

impl Lane {
    fn open(log: &dyn Log, [input, output]: [&str; 2], value_bytes: usize) -> Self {
        Self {
            records: Records::new(input, value_bytes),
            followers: [input, output].map(|topic| Follower::open(log, topic)),
            sent: Vec::new(),
        }
    }

    fn latencies(&self) -> Light {
        let [mut direct_ms, mut added_ms, mut hop_ms] = [const { Vec::new() }; 3];
        let [direct, hop] = &self.followers;
        for (number, sent) in &self.sent {
            let (direct, hop) = (direct.came[number], hop.came[number]);
            direct_ms.push(ms(*sent, direct));
            added_ms.push(ms(direct, hop));
            hop_ms.push(ms(*sent, hop));
        }
        for latencies in [&mut direct_ms, &mut added_ms, &mut hop_ms] {
            latencies.sort_by(f64::total_cmp);
        }
        Light {
            direct_ms,
            added_ms,
            hop_ms,
        }
    }
}

/// Signed: the output's reader may be the faster one to wake.
fn ms(from: Instant, to: Instant) -> f64 {
    let forth = to.saturating_duration_since(from).as_secs_f64();
    (forth - from.saturating_duration_since(to).as_secs_f64()) * 1e3
}

/// Sends `count` records through each hop, numbered from `first` on, and one ahead that is not
/// counted: when it has come, the hop has its partitions.
pub(crate) fn run(
    log: &dyn Log,
    hops: [[&str; 2]; 2],
    value_bytes: usize,
    first: u64,
    count: u64,
) -> [Light; 2] {
    let mut publisher = log.publisher().expect("a publisher");
    let mut lanes = hops.map(|topics| Lane::open(log, topics, value_bytes));
    for lane in &mut lanes {
        let ahead = lane.records.record(first);
        publisher.publish(vec![ahead]).expect("published");
        for follower in &mut lane.followers {
            follower.follow(&(first..first + 1));
        }
    }
    let numbers = first + 1..first + 1 + count;
    std::thread::scope(|scope| {
        let mut sides = Vec::new();
        for lane in &mut lanes {
            for follower in &mut lane.followers {
                let numbers = numbers.clone();
                scope.spawn(move || follower.follow(&numbers));
            }
            sides.push((&lane.records, &mut lane.sent));
        }
        pace(publisher.as_mut(), &mut sides, numbers);
    });
    lanes.map(|lane| lane.latencies())
}

/// Sends at an even pace, to the sides in turn.
fn pace(
    publisher: &mut dyn Publisher,
    sides: &mut [(&Records, &mut Vec<(u64, Instant)>)],
    numbers: Range<u64>,
) {
    let mut due = Instant::now();
    for number in numbers {
        for (records, sent) in sides.iter_mut() {
            let record = records.record(number);
            due += PACE;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.push((number, Instant::now()));
            publisher.publish(vec![record]).expect("published");
        }
    }
}
