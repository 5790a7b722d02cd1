//! What Criterion left in its folder, as one object.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The result of all benches that Criterion ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MicroBenches {
    /// By group, then by name.
    pub benches: Vec<MicroBench>,
}

/// Time of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MicroBench {
    /// Criterion's group.
    pub group: String,
    /// Name in the group.
    pub name: String,
    /// Median, nanoseconds.
    pub median_ns: f64,
    /// Lower end of the median's confidence interval, nanoseconds.
    pub low_ns: f64,
    /// Upper end.
    pub high_ns: f64,
    /// Of the interval, 0 to 1.
    pub confidence_level: f64,
    /// Samples, each the mean of some calls.
    pub samples: usize,
    /// Calls in all samples.
    pub calls: u64,
    /// Bytes that a call works on.
    pub bytes: Option<u64>,
    /// Values or records that a call works on.
    pub elements: Option<u64>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Identity {
    group_id: String,
    function_id: Option<String>,
    throughput: Option<Throughput>,
}

/// Other kinds are left out.
#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Bytes")]
    bytes: Option<u64>,
    #[serde(rename = "Elements")]
    elements: Option<u64>,
}

#[derive(Deserialize)]
struct Sample {
    /// Calls of each sample.
    iters: Vec<f64>,
}

/// Reads the newest run of each bench under `folder`.
///
/// # Errors
/// A file cannot be read, or there is no bench.
pub fn read(folder: &Path) -> anyhow::Result<MicroBenches> {
    let mut benches = Vec::new();
    for run in runs(folder)? {
        benches.push(bench(&run)?);
    }
    ensure!(
        !benches.is_empty(),
        "{}: no result of Criterion; run scripts/bench micro",
        folder.display()
    );
    benches.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    Ok(MicroBenches { benches })
}

/// Folders `new`, in which Criterion keeps the newest run of a bench.
fn runs(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.ends_with("new") && path.join("estimates.json").is_file() {
            found.push(path);
        } else if path.is_dir() {
            found.extend(runs(&path)?);
        }
    }
    Ok(found)
}

fn bench(run: &Path) -> anyhow::Result<MicroBench> {
    let identity: Identity = json(&run.join("benchmark.json"))?;
    let median = json::<Estimates>(&run.join("estimates.json"))?.median;
    let sample: Sample = json(&run.join("sample.json"))?;
    let throughput = identity.throughput.as_ref();
    Ok(MicroBench {
        group: identity.group_id,
        name: identity.function_id.unwrap_or_default(),
        median_ns: median.point_estimate,
        low_ns: median.confidence_interval.lower_bound,
        high_ns: median.confidence_interval.upper_bound,
        confidence_level: median.confidence_interval.confidence_level,
        samples: sample.iters.len(),
        calls: sample.iters.iter().sum::<f64>() as u64,
        bytes: throughput.and_then(|throughput| throughput.bytes),
        elements: throughput.and_then(|throughput| throughput.elements),
    })
}

fn json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let advice = || {
        let shown = file.display();
        format!("{shown}: not as Criterion 0.8 writes it; run scripts/bench micro again")
    };
    let text = std::fs::read_to_string(file).with_context(advice)?;
    serde_json::from_str(&text).with_context(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_of_a_bench_is_read() {
        let dir = std::env::temp_dir().join(format!("shiren-criterion-{}", std::process::id()));
        let write = |run: &str, median: f64| {
            let folder = dir.join("codec/encode a Verdict").join(run);
            std::fs::create_dir_all(&folder).unwrap();
            let identity = r#"{"group_id":"codec","function_id":"encode a Verdict","value_str":null,"throughput":{"Bytes":300},"full_id":"x"}"#;
            let estimates = format!(
                r#"{{"mean":{{}},"median":{{"confidence_interval":{{"confidence_level":0.95,"lower_bound":9.0,"upper_bound":12.0}},"point_estimate":{median},"standard_error":0.1}}}}"#
            );
            let sample =
                r#"{"sampling_mode":"Linear","iters":[1.0,2.0,3.0],"times":[1.0,2.0,3.0]}"#;
            std::fs::write(folder.join("benchmark.json"), identity).unwrap();
            std::fs::write(folder.join("estimates.json"), estimates).unwrap();
            std::fs::write(folder.join("sample.json"), sample).unwrap();
        };
        std::fs::create_dir_all(&dir).unwrap();
        assert!(read(&dir).unwrap_err().to_string().contains("no result"));
        write("base", 99.0);
        write("new", 10.0);
        let found = read(&dir).unwrap().benches;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].median_ns, found[0].high_ns), (10.0, 12.0));
        assert_eq!((found[0].samples, found[0].calls), (3, 6));
        assert_eq!((found[0].bytes, found[0].elements), (Some(300), None));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
