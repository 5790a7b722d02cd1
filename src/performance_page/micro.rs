//! The section on Criterion's benches.

use std::fmt::Write as _;

use anyhow::Context;
use serde::Deserialize;

use super::Section;
use super::figures::Target;
use crate::bench::criterion::{MicroBench, MicroBenches};
use crate::bench::measurement::Measurement;

pub(super) const SECTION: Section = Section {
    name: "micro",
    title: "Micro-benches",
    words,
    targets,
    tables,
};

const WORDS: &str = "```sh
cargo bench --profile dev -p shiren-models --bench pixels
cargo bench --profile dev -p shiren-schemas --bench codec
cargo bench --profile dev -p shiren-log-embedded --bench log
```

Criterion times single calls on one thread: pixels around the networks, records on and off the wire, bundles on the
embedded log. Profile `dev`, because that is what is tested, run and measured everywhere else in this repository, and
what is compiled already. They have no targets: they show where time goes and what a change did to it (`cargo bench`
says so by itself from the second run on).
";

fn words(_: Option<&Measurement>) -> String {
    WORDS.to_owned()
}

fn targets(_: &Measurement) -> Vec<Target> {
    Vec::new()
}

fn tables(measured: &Measurement) -> anyhow::Result<String> {
    let found = MicroBenches::deserialize(&measured.result)
        .context("benches/results/micro.json: not what scripts/bench micro writes; run it again")?;
    let mut levels: Vec<f64> = found.benches.iter().map(|b| b.confidence_level).collect();
    levels.dedup();
    let levels: Vec<String> = levels.iter().map(|l| format!("{} %", l * 100.0)).collect();
    let mut table = format!(
        "Median of the samples, its {} confidence interval, and how many samples of how many calls. `pixels` counts values, `log` \
         records.\n\n\
         | bench | time of a call | rate at the median | samples (calls) |\n| --- | --- | --- | --- |\n",
        levels.join(" and "),
    );
    for bench in &found.benches {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {}: {} | {} | {} | {} ({}) |",
            bench.group,
            bench.name,
            times(bench),
            rate(bench),
            bench.samples,
            bench.calls
        );
    }
    Ok(table)
}

/// Median and interval in the unit that suits the median.
fn times(bench: &MicroBench) -> String {
    let (unit, ns) = match bench.median_ns {
        ns if ns < 1e3 => ("ns", 1.0),
        ns if ns < 1e6 => ("µs", 1e3),
        _ => ("ms", 1e6),
    };
    let [median, low, high] = [bench.median_ns, bench.low_ns, bench.high_ns].map(|t| t / ns);
    format!("{median:.2} {unit} ({low:.2} to {high:.2})")
}

/// Bytes a second; where a call is not counted in bytes, values or records.
fn rate(bench: &MicroBench) -> String {
    let a_second = |count: u64| count as f64 / bench.median_ns * 1e9;
    match (bench.bytes, bench.elements) {
        (Some(bytes), _) => format!("{:.0} MB/s", a_second(bytes) / 1e6),
        (None, Some(count)) if a_second(count) >= 1e6 => {
            format!("{:.0} M/s", a_second(count) / 1e6)
        }
        (None, Some(count)) => format!("{:.0}/s", a_second(count)),
        (None, None) => String::new(),
    }
}
