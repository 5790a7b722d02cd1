use serde_json::{Value, json};

use super::*;
use crate::bench::measurement::Machine;

fn measured(command: &str, result: Value) -> Option<Measurement> {
    Some(Measurement {
        command: command.into(),
        date: "2026-01-31T12:34:56Z".into(),
        commit: "abc1234-dirty".into(),
        profile: "dev".into(),
        machine: Machine {
            cpu: "Some CPU".into(),
            cores: 2,
            memory_mib: 7_936,
            kernel: "6.1.0".into(),
        },
        load_average_before: [0.25, 1.0, 3.5],
        result,
    })
}

fn spread(median: f64) -> Value {
    json!({ "median": median, "min": median - 0.1, "max": median + 0.1, "n": 9 })
}

fn chain(overhead: f64, reference: f64) -> Value {
    json!({
        "overhead_ratio": spread(overhead),
        "overhead_ratio_reduced_decode": spread(1.4),
        "reference_ratio": spread(reference),
        "reference_ratio_selfies": spread(0.5),
        "quality_and_liveness_ratio_selfies": spread(1.12),
        "cpu_ms_per_case": spread(86.0),
        "targets": { "overhead_ratio": 1.15, "overhead_ratio_reduced_decode": 1.15, "reference_ratio": 0.8, "reference_ratio_selfies": 0.6, "quality_and_liveness_ratio_selfies": 1.15 },
        "rounds": 9,
        "pictures": [{
            "name": "selfie, 1 MP",
            "overhead_ratio": spread(1.28),
            "overhead_ratio_reduced_decode": spread(1.4),
            "reference_ratio": spread(0.56),
            "quality_and_liveness_ratio": spread(1.1),
            "cpu_ms_per_case": spread(60.0),
        }],
    })
}

fn hop(throughput: f64) -> Value {
    json!({
        "sizes": [{
            "bytes": 1024,
            "throughput_ratio": spread(throughput),
            "shiren_records_per_s": spread(900.0),
            "added_latency_p50_ratio": spread(1.1),
            "shiren_added_p50_ms": 9.25,
            "client_cpu_ms_per_record": { "shiren": 0.5, "bare": 0.25 },
        }],
        "targets": { "throughput_ratio": 0.8, "added_latency_p50_ratio": 1.25 },
        "rounds": 7,
    })
}

fn memory(peak: f64) -> Value {
    json!({ "max_resident_mib": 1024, "peak_resident_mib": peak, "cases": 2000, "rate_factor": 2.0 })
}

fn micro() -> Value {
    let bench = |group: &str, name: &str, ns: f64, bytes: Option<u64>, elements: Option<u64>| {
        json!({
            "group": group, "name": name, "median_ns": ns, "low_ns": ns - 1.0, "high_ns": ns + 1.0,
            "confidence_level": 0.95, "samples": 100, "calls": 5050, "bytes": bytes, "elements": elements,
        })
    };
    json!({ "benches": [
        bench("codec", "encode a Verdict", 2_000.0, Some(400), None),
        bench("log", "publish", 2e6, None, Some(16)),
    ] })
}

fn search(recall: f64, p50_ms: f64) -> Value {
    json!({
        "faces": 50_000, "dimension": 512, "recall_at_1": recall,
        "scopes": [{
            "name": "all libraries", "faces": 50_000, "p50_ms": p50_ms, "p99_ms": 3.0, "recall_at_1": recall,
            "exact": { "p50_ms": 4.0, "p99_ms": 6.0 },
            "brute_force": { "p50_ms": 9.0, "p99_ms": 10.0, "recall_at_1": 1.0 },
        }],
    })
}

fn all() -> [Option<Measurement>; 5] {
    [
        measured("shiren bench chain --json", chain(1.28, 0.66)),
        measured("hop", hop(0.91)),
        measured("memory", memory(900.4)),
        measured("search", search(0.9995, 1.25)),
        measured("micro", micro()),
    ]
}

fn lines<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    page.lines()
        .filter(|line| line.starts_with(start))
        .collect()
}

#[test]
fn targets_are_met_or_missed_by_the_figures() {
    let page = page(&all()).unwrap();
    assert_eq!(
        lines(&page, "| [chain]"),
        [
            "| [chain](#the-chain) | `overhead_ratio` | at most 1.15 | 1.280 | **missed** |",
            "| [chain](#the-chain) | `overhead_ratio_reduced_decode` | at most 1.15 | 1.400 | **missed** |",
            "| [chain](#the-chain) | `reference_ratio`, all pictures | below 0.8 | 0.660 | met |",
            "| [chain](#the-chain) | `reference_ratio_selfies`, selfies | below 0.6 | 0.500 | met |",
            "| [chain](#the-chain) | `quality_and_liveness_ratio_selfies`, selfies | at most 1.15 | 1.120 | met |",
        ]
    );
    assert_eq!(
        lines(&page, "| [hop]")[0],
        "| [hop](#the-hop) | `throughput_ratio`, records of 1 KiB | at least 0.8 | 0.910 | met |"
    );
    assert_eq!(
        lines(&page, "| [memory]"),
        ["| [memory](#memory) | `peak_resident_mib` | at most 1024 | 900 | met |"]
    );
    assert_eq!(
        lines(&page, "| [search]"),
        [
            "| [search](#search) | `recall_at_1` | at least 0.999 | 0.9995 | met |",
            "| [search](#search) | `p50_ms`, all libraries; brute force | at most 9 | 1.25 | met |",
        ]
    );
    assert_eq!(
        lines(&page, "| all libraries"),
        [
            "| all libraries | 50000 | the library | 1.25 | 3.00 | 0.9995 | – |",
            "| all libraries | 50000 | the library, exact | 4.00 | 6.00 | – | – |",
            "| all libraries | 50000 | brute force | 9.00 | 10.00 | 1.0000 | – |",
        ]
    );
}

#[test]
fn other_figures_turn_the_words_round() {
    let mut other = all();
    other[0] = measured("chain", chain(1.15, 0.8));
    other[1] = measured("hop", hop(0.79));
    other[2] = measured("memory", memory(1024.5));
    other[3] = measured("search", search(0.9989, 9.1));
    let page = page(&other).unwrap();
    let chain = lines(&page, "| [chain]");
    assert!(
        chain[0].ends_with("| met |"),
        "at most takes the limit: {chain:?}"
    );
    assert!(
        chain[1].ends_with("| **missed** |"),
        "below does not: {chain:?}"
    );
    assert!(lines(&page, "| [hop]")[0].ends_with("| **missed** |"));
    assert!(lines(&page, "| [memory]")[0].ends_with("| **missed** |"));
    let search = lines(&page, "| [search]");
    assert!(
        search.iter().all(|line| line.ends_with("| **missed** |")),
        "{search:?}"
    );
}

#[test]
fn figures_stand_with_range_size_of_sample_and_conditions() {
    let page = page(&all()).unwrap();
    for wanted in [
        "Measured 2026-01-31 12:34:56 UTC by `shiren bench chain --json` at commit `abc1234` with changes that were not \
         committed, profile `dev`, 9 rounds, on Some CPU with 2 cores and 7.8 GiB of memory, Linux 6.1.0. Load average \
         just before: 0.2, 1.0 and 3.5 over 1, 5 and 15 minutes",
        "| selfie, 1 MP | 1.28 (1.18 to 1.38) | 1.40 (1.30 to 1.50) | 0.56 (0.46 to 0.66) | 1.10 (1.00 to 1.20) | 60 (60 to 60) |",
        "| `shiren_added_p50_ms` | 9.25 |",
        "| `client_cpu_ms_per_record` bare | 0.250 |",
        "| `peak_resident_mib` | most that was resident, MiB | 900 |",
        "| codec: encode a Verdict | 2.00 µs (2.00 to 2.00) | 200 MB/s | 100 (5050) |",
        "| log: publish | 2.00 ms (2.00 to 2.00) | 8000/s | 100 (5050) |",
    ] {
        assert!(page.contains(wanted), "{wanted}\nis not in\n{page}");
    }
}

#[test]
fn a_bench_without_a_file_is_not_measured_yet() {
    let folder = std::env::temp_dir().join(format!("shiren-page-{}", std::process::id()));
    let page = markdown(&folder).unwrap();
    for section in SECTIONS {
        let name = section.name;
        assert_eq!(lines(&page, &format!("| [{name}]")).len(), 1, "{page}");
        assert!(page.contains(&format!(
            "Here: not measured yet. Run `scripts/bench {name}`."
        )));
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("hop.json"), "{").unwrap();
    let error = format!("{:#}", markdown(&folder).unwrap_err());
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(error.contains("hop.json"), "{error}");
}

#[test]
fn fields_that_are_unknown_or_missing_break_nothing() {
    let mut odd = all();
    for measured in odd.iter_mut().flatten() {
        measured.result["invented"] = json!({ "of": ["later"] });
    }
    odd[1] = measured(
        "hop",
        json!({ "sizes": [{ "bytes": 100_000, "invented": null }] }),
    );
    odd[2] = measured("memory", json!({ "peak_resident_mib": null }));
    let page = page(&odd).unwrap();
    assert!(!page.contains("invented"), "{page}");
    assert_eq!(
        lines(&page, "| [hop]")[0],
        "| [hop](#the-hop) | `throughput_ratio`, records of 100000 bytes | at least – | not measured yet |  |"
    );
}
