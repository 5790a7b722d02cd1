//! One hop on real Kafka, against a bare consume-transform-produce loop in the same process and run.
//!
//! `cargo bench --profile dev -p shiren-integration-tests --bench hop -- --json`. The profile `dev`
//! is the one that tests and the demo are built with, so nothing is compiled a second time; both
//! sides are built alike.
//!
//! What each side does with a record:
//! - *both*: read it from a topic of a group's own, read_committed; decode the `AdmittedCase` in it;
//!   give it the record id that derives from its parent's and an entry in its trail; encode it; put
//!   it on a topic of the same partition count. Outputs and offsets of a bundle are one transaction.
//!   Bundle bounds are those of the shipped topology.toml, client settings those of
//!   `shiren-log-kafka`, and both wait for delivery reports by its recipe.
//! - *Shiren* ([`relay`]): `Runtime` with a stage that hands its input on, so all that the runtime
//!   adds is in it: the polling thread and its queues, deadlines, panics caught, spans, trace
//!   headers, limits of records, the check that the bundle is still this worker's.
//! - *bare* ([`bare`]): one thread and librdkafka. It ends the process at the first error.
//!
//! Throughput and CPU are taken of one side at a time, on a backlog that was published before,
//! with no reader of the outputs: from the first record behind [`WARM_UP_RECORDS`] to the last. The
//! sides take turns, in an order that changes each round.
//!
//! Latency is taken at a light load, of both hops running beside each other: records go to them in
//! turn, so what disturbs one disturbs the other. It counts from before a record is sent until a
//! read_committed reader of the output has it. A second reader, of the input, gives the *direct*
//! latency of the same record; the *added* latency is what the output's reader comes later.
//!
//! A first, shorter round is not counted: it warms the broker up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod bare;
mod light;
mod meter;
mod records;
mod relay;
mod report;
mod sides;

use clap::Parser;

use crate::report::Measured;
use crate::sides::{Bench, Side};

/// Sizes of a record's value, bytes, and how many make a backlog.
const SIZES: [Size; 2] = [
    Size {
        bytes: 1_024,
        backlog_records: 20_000,
    },
    Size {
        bytes: 102_400,
        backlog_records: 2_000,
    },
];
/// Records of a backlog before the measurement begins: the group's assignment, the first fetches.
const WARM_UP_RECORDS: u64 = 320;
/// Records of a light load for each side.
const LIGHT_RECORDS: u64 = 200;

#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    backlog_records: u64,
}

/// The hop bench: Shiren against a bare loop.
#[derive(Parser)]
struct Args {
    /// Counted rounds; each takes every size through both sides
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only records of this size; by default all of them
    #[arg(long)]
    bytes: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --all-targets` starts benches too; minutes of measuring are no test.
        eprintln!("hop: run it by `cargo bench`, or with --bench");
        return;
    }
    let bench = Bench::start();
    let wanted = |size: &Size| args.bytes.is_none_or(|bytes| bytes == size.bytes);
    let sizes: Vec<Size> = SIZES.into_iter().filter(wanted).collect();
    assert!(
        !sizes.is_empty(),
        "--bytes is one of {:?}",
        SIZES.map(|s| s.bytes)
    );
    let measured = sizes.iter().map(|size| Measured::new(size.bytes));
    let mut measured: Vec<Measured> = measured.collect();
    for round in 0..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        let turns = if round % 2 == 0 {
            [Side::Shiren, Side::Bare]
        } else {
            [Side::Bare, Side::Shiren]
        };
        let is_warm_up = round == 0;
        for (size, measured) in sizes.iter().zip(&mut measured) {
            let part = if is_warm_up { 4 } else { 1 };
            for side in turns {
                let run = bench.backlog(side, size.bytes, size.backlog_records / part);
                eprintln!("  {:6} bytes, {side:6}: {run}", size.bytes);
                if !is_warm_up {
                    measured.backlogs(side).push(run);
                }
            }
            let lights = bench.light(size.bytes, LIGHT_RECORDS / part);
            for (side, run) in [Side::Shiren, Side::Bare].into_iter().zip(lights) {
                eprintln!("  {:6} bytes, {side:6}: {run}", size.bytes);
                if !is_warm_up {
                    measured.lights(side).push(run);
                }
            }
        }
    }
    if args.json {
        println!("{}", report::json(&measured, args.rounds));
    } else {
        print!("{}", report::table(&measured));
    }
}
