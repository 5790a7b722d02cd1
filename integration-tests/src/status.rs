//! Metrics and health of a process, as a scraper sees them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::Value;

use crate::processes::await_that;

/// Between two looks at a state.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Status code and body of a page.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn get(address: &str, path: &str) -> (u16, String) {
    try_get(&Client::new(), address, path).expect("an answer")
}

fn try_get(client: &Client, address: &str, path: &str) -> Option<(u16, String)> {
    let response = client.get(format!("http://{address}{path}")).send().ok()?;
    Some((response.status().as_u16(), response.text().ok()?))
}

/// The states that `/readyz` told, in their order.
pub struct States {
    seen: Arc<Mutex<Vec<String>>>,
    follower: JoinHandle<()>,
}

impl States {
    /// Looks at `/readyz` until nobody answers.
    ///
    /// # Panics
    /// When a state and its status code do not belong together.
    #[must_use]
    pub fn follow(address: &str) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let (kept, address) = (Arc::clone(&seen), address.to_owned());
        let follower = std::thread::spawn(move || {
            let client = Client::new();
            while let Some((code, body)) = try_get(&client, &address, "/readyz") {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                let state = body["state"].as_str().expect("a state").to_owned();
                assert_eq!(code == 200, state == "ready", "{code} {state}");
                let mut seen = kept.lock().expect("not poisoned");
                if seen.last() != Some(&state) {
                    seen.push(state);
                }
                drop(seen);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { seen, follower }
    }

    /// Waits until it is in `state`.
    ///
    /// # Panics
    /// When it does not come to it.
    pub fn await_state(&self, state: &str) {
        await_that(state, || {
            let seen = self.seen.lock().expect("not poisoned");
            seen.last().is_some_and(|last| last == state)
        });
    }

    /// All of them, once the process has ended.
    ///
    /// # Panics
    /// When the follower has.
    #[must_use]
    pub fn end(self) -> Vec<String> {
        self.follower.join().expect("the follower");
        self.seen.lock().expect("not poisoned").clone()
    }
}

/// One reading of `/metrics`, in Prometheus' text format.
pub struct Scrape {
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads it.
    ///
    /// # Panics
    /// When it is not there, or cannot be read.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self::while_there(address).expect("an answer")
    }

    /// As [`Scrape::of`]; `None` once nobody answers.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn while_there(address: &str) -> Option<Self> {
        let (code, text) = try_get(&Client::new(), address, "/metrics")?;
        assert_eq!(code, 200, "{text}");
        let kind = |line: &str| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some((name.to_owned(), kind.to_owned()))
        };
        let samples = text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        Some(Self {
            kinds: text.lines().filter_map(kind).collect(),
            samples: samples.map(sample).collect(),
        })
    }

    /// Metrics and what each is.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, String> {
        self.kinds.clone()
    }

    /// The sum of the series of this name that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &Sample, (label, value): &(&str, &str)| {
            sample
                .labels
                .get(*label)
                .is_some_and(|found| found == value)
        };
        let fits = |s: &&Sample| s.name == name && labels.iter().all(|label| has(s, label));
        self.samples.iter().filter(fits).map(|s| s.value).sum()
    }

    /// The values of a label.
    #[must_use]
    pub fn values_of(&self, name: &str, label: &str) -> Vec<String> {
        let of = self.samples.iter().filter(|s| s.name == name);
        of.filter_map(|s| s.labels.get(label).cloned()).collect()
    }

    /// The labels of each series of a metric, sorted; without the bound of a bucket.
    #[must_use]
    pub fn labels(&self, metric: &str) -> Vec<Vec<String>> {
        let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{metric}{part}"));
        let is_of = |s: &&Sample| s.name == metric || parts.contains(&s.name);
        let labels = |s: &Sample| s.labels.keys().filter(|l| *l != "le").cloned().collect();
        self.samples.iter().filter(is_of).map(labels).collect()
    }
}

/// `name{label="value",other="value"} 1`; our values have neither quotes nor commas.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("the end of the labels");
    let label = |pair: &str| {
        let (label, value) = pair.split_once('=').expect("a label");
        (label.to_owned(), value.trim_matches('"').to_owned())
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    Sample {
        name: name.to_owned(),
        labels: pairs.map(label).collect(),
        value: value.parse().expect("a number"),
    }
}
