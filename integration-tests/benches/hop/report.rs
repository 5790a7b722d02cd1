//! Ratios round by round, as a table or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shiren::bench::spread::Spread;

use crate::light::{Light, percentile};
use crate::sides::{Backlog, Side};

/// Least records a second of Shiren, over the bare loop's.
const THROUGHPUT_RATIO: f64 = 0.8;
/// Most added latency of Shiren at p50, over the bare loop's.
const ADDED_LATENCY_P50_RATIO: f64 = 1.25;

/// All rounds of one size.
pub(crate) struct Measured {
    bytes: usize,
    shiren: Rounds,
    bare: Rounds,
}

/// One side's, in the order of the rounds.
#[derive(Default)]
struct Rounds {
    backlogs: Vec<Backlog>,
    lights: Vec<Light>,
}

impl Measured {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            shiren: Rounds::default(),
            bare: Rounds::default(),
        }
    }

    fn rounds(&mut self, side: Side) -> &mut Rounds {
        match side {
            Side::Shiren => &mut self.shiren,
            Side::Bare => &mut self.bare,
        }
    }

    pub(crate) fn backlogs(&mut self, side: Side) -> &mut Vec<Backlog> {
        &mut self.rounds(side).backlogs
    }

    pub(crate) fn lights(&mut self, side: Side) -> &mut Vec<Light> {
        &mut self.rounds(side).lights
    }

    fn throughput_ratio(&self) -> Spread {
        let pairs = self.shiren.backlogs.iter().zip(&self.bare.backlogs);
        spread(pairs.map(|(shiren, bare)| shiren.records_per_s / bare.records_per_s))
    }

    fn added_ratio(&self) -> Spread {
        let pairs = self.shiren.lights.iter().zip(&self.bare.lights);
        let p50 = |light: &Light| percentile(&light.added_ms, 50);
        spread(pairs.map(|(shiren, bare)| p50(shiren) / p50(bare)))
    }

    fn direct_p50_ms(&self) -> Spread {
        let lights = self.shiren.lights.iter().chain(&self.bare.lights);
        spread(lights.map(|light| percentile(&light.direct_ms, 50)))
    }

    fn json(&self) -> Value {
        let (shiren, bare) = (&self.shiren, &self.bare);
        json!({
            "bytes": self.bytes,
            "throughput_ratio": self.throughput_ratio(),
            "shiren_records_per_s": shiren.backlog(|run| run.records_per_s),
            "bare_records_per_s": bare.backlog(|run| run.records_per_s),
            "records_per_transaction": self.sides(|rounds| rounds.backlog(|run| run.records_per_transaction)),
            "added_latency_p50_ratio": self.added_ratio(),
            "shiren_added_p50_ms": shiren.light(|run| percentile(&run.added_ms, 50)),
            "bare_added_p50_ms": bare.light(|run| percentile(&run.added_ms, 50)),
            "shiren_p99_ms": shiren.light(|run| percentile(&run.hop_ms, 99)),
            "bare_p99_ms": bare.light(|run| percentile(&run.hop_ms, 99)),
            "direct_p50_ms": self.direct_p50_ms(),
            "client_cpu_ms_per_record": self.sides(|rounds| rounds.backlog(|run| run.client_cpu_ms_per_record)),
            "broker_cpu_ms_per_record": self.sides(|rounds| rounds.backlog(|run| run.broker_cpu_ms_per_record)),
        })
    }

    fn sides(&self, of: impl Fn(&Rounds) -> Spread) -> Value {
        json!({ "shiren": of(&self.shiren), "bare": of(&self.bare) })
    }
}

impl Rounds {
    fn backlog(&self, of: impl Fn(&Backlog) -> f64) -> Spread {
        spread(self.backlogs.iter().map(of))
    }

    fn light(&self, of: impl Fn(&Light) -> f64) -> Spread {
        spread(self.lights.iter().map(of))
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    Spread::of(values).expect("one round or more")
}

/// One object with every figure.
pub(crate) fn json(measured: &[Measured], rounds: u16) -> Value {
    json!({
        "sizes": measured.iter().map(Measured::json).collect::<Vec<_>>(),
        "targets": {
            "throughput_ratio": THROUGHPUT_RATIO,
            "added_latency_p50_ratio": ADDED_LATENCY_P50_RATIO,
        },
        "rounds": rounds,
    })
}

/// The same for a reader: median (range).
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from("Shiren against a bare loop: median (range) of the rounds\n");
    for size in measured {
        let ratio = |name: &str, ratio: Spread, target: String| {
            format!(
                "{:7} bytes  {name:24} {ratio}, target {target}\n",
                size.bytes
            )
        };
        let throughput = format!("at least {THROUGHPUT_RATIO}");
        let latency = format!("at most {ADDED_LATENCY_P50_RATIO}");
        text += &ratio("throughput ratio", size.throughput_ratio(), throughput);
        text += &ratio("added latency p50 ratio", size.added_ratio(), latency);
        for (name, rounds) in [("shiren", &size.shiren), ("bare", &size.bare)] {
            for (what, spread) in [
                ("records/s", rounds.backlog(|run| run.records_per_s)),
                (
                    "records a transaction",
                    rounds.backlog(|run| run.records_per_transaction),
                ),
                (
                    "client CPU ms a record",
                    rounds.backlog(|run| run.client_cpu_ms_per_record),
                ),
                (
                    "broker CPU ms a record",
                    rounds.backlog(|run| run.broker_cpu_ms_per_record),
                ),
                (
                    "added latency p50, ms",
                    rounds.light(|run| percentile(&run.added_ms, 50)),
                ),
                (
                    "hop latency p99, ms",
                    rounds.light(|run| percentile(&run.hop_ms, 99)),
                ),
            ] {
                writeln!(text, "{:7} bytes  {name:6} {what:24} {spread}", size.bytes)
                    .expect("writing to a string");
            }
        }
        writeln!(
            text,
            "{:7} bytes  direct latency p50, ms   {}",
            size.bytes,
            size.direct_p50_ms()
        )
        .expect("writing to a string");
    }
    text
}
