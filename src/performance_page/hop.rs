//! The section on the bench `hop` of the integration tests.

use std::fmt::Write as _;

use serde_json::Value;

use super::Section;
use super::figures::{Bound, Target, has, shown};
use crate::bench::measurement::Measurement;

pub(super) const SECTION: Section = Section {
    name: "hop",
    title: "The hop",
    words,
    targets,
    tables,
};

const WORDS: &str = "```sh
cargo bench --profile dev -p shiren-integration-tests --bench hop      # -- --json for one object
```

What a topic between two stages costs on a real Kafka of one broker: records of one size through a Shiren worker that
changes nothing, and through a bare loop on the same client library that reads and writes the same records with the same
transactions, bounds and rests. A backlog is published before throughput and CPU are measured, one side at a time, in
turn; latency is measured at 20 records a second to each side, both running.

| field | |
| --- | --- |
| `throughput_ratio` | records a second, Shiren / bare loop |
| `added_latency_p50_ratio` | what the hop adds to the median latency of a record, Shiren / bare loop |
| `shiren_added_p50_ms`, `bare_added_p50_ms` | that addition: of each record, read behind the hop less read before it |
| `direct_p50_ms` | latency without a hop |
| `shiren_p99_ms`, `bare_p99_ms` | 99th percentile of the latency through the hop |
| `client_cpu_ms_per_record`, `broker_cpu_ms_per_record` | CPU time of the process with the loop, and of the broker |
";

/// Fields of a size, with the decimals that they are shown with.
const FIELDS: [(&str, usize); 14] = [
    ("throughput_ratio", 2),
    ("shiren_records_per_s", 0),
    ("bare_records_per_s", 0),
    ("added_latency_p50_ratio", 2),
    ("shiren_added_p50_ms", 2),
    ("bare_added_p50_ms", 2),
    ("direct_p50_ms", 2),
    ("shiren_p99_ms", 1),
    ("bare_p99_ms", 1),
    ("client_cpu_ms_per_record/shiren", 3),
    ("client_cpu_ms_per_record/bare", 3),
    ("broker_cpu_ms_per_record/shiren", 3),
    ("broker_cpu_ms_per_record/bare", 3),
    ("broker_cpu_ms_per_record", 3),
];

fn words(_: Option<&Measurement>) -> String {
    WORDS.to_owned()
}

/// The sizes of records, each with its place in the result.
fn sizes(result: &Value) -> Vec<(String, String)> {
    let sizes = result.get("sizes").and_then(Value::as_array);
    let sizes = sizes.into_iter().flatten().enumerate();
    sizes
        .map(|(index, size)| {
            let bytes = size.get("bytes").and_then(Value::as_u64);
            let words = match bytes {
                None => "size not said".to_owned(),
                Some(bytes) if bytes > 0 && bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
                Some(bytes) => format!("{bytes} bytes"),
            };
            (words, format!("/sizes/{index}"))
        })
        .collect()
}

fn targets(measured: &Measurement) -> Vec<Target> {
    let result = &measured.result;
    let bounds = [
        ("throughput_ratio", Bound::AtLeast),
        ("added_latency_p50_ratio", Bound::AtMost),
    ];
    let mut targets = Vec::new();
    for (words, place) in sizes(result) {
        for (name, bound) in bounds {
            let limit = format!("/targets/{name}");
            let target = Target::of(result, &format!("{place}/{name}"), bound, &limit, 3);
            targets.push(target.named(&format!("records of {words}")));
        }
    }
    targets
}

fn tables(measured: &Measurement) -> anyhow::Result<String> {
    let result = &measured.result;
    let sizes = sizes(result);
    let mut table = String::from("| |");
    for (words, _) in &sizes {
        // Writing to a String cannot fail.
        let _ = write!(table, " records of {words} |");
    }
    let _ = writeln!(table, "\n| --- |{}", " --- |".repeat(sizes.len()));
    for (field, decimals) in FIELDS {
        let there = |(_, place): &(String, String)| has(result, &format!("{place}/{field}"));
        if !sizes.iter().any(there) {
            continue;
        }
        let (name, side) = field.split_once('/').unwrap_or((field, ""));
        let _ = write!(table, "| {} |", format!("`{name}` {side}").trim_end());
        for (_, place) in &sizes {
            let _ = write!(
                table,
                " {} |",
                shown(result, &format!("{place}/{field}"), decimals)
            );
        }
        table.push('\n');
    }
    Ok(table)
}
