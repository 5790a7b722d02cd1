//! `shiren bench search`: the embedded face library against exact search, on templates made from numbers.
//!
//! A crate of its own, compiled with all optimisation: brute force is to be beaten at its best.

mod brute_force;
#[cfg(feature = "peers")]
mod peer;
mod sweep;
mod templates;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use shiren_library::{
    EmbeddedLibrary, EmbeddedOptions, FaceHit, FaceLibrary, FaceQuery, FaceWrite, LibraryError,
    Metric, Standing,
};
use uuid::Uuid;

use brute_force::BruteForce;
pub use sweep::Sweep;
use templates::{Made, SCOPES};

/// Writes of one batch, which is flushed once.
const BATCH_WRITES: usize = 500;
/// Longest wait for one call.
const CALL_MAX_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for the index.
const INDEX_MAX_WAIT: Duration = Duration::from_secs(3600);
/// Searches before any is timed.
const WARM_SEARCHES: usize = 20;
const TENANT: &str = "bench";

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct SearchBench {
    /// Templates in all libraries.
    pub faces: usize,
    /// Numbers of a template.
    pub dimension: usize,
    /// How the engine compares them; for templates of norm 1 the order is the same.
    pub metric: Metric,
    /// Probes of enrolled persons, and as many of strangers, for each scope.
    pub probes: usize,
    /// Also the brute force and, where it was built in, the peer.
    pub peers: bool,
    /// What the templates are made from.
    pub seed: u64,
}

/// Times of searches and what they found first.
struct Searched {
    micros: Vec<u64>,
    first: Vec<Option<Uuid>>,
}

impl SearchBench {
    /// Fills a library in `dir`, an empty folder, and searches it. `resident_bytes` tells the process's memory.
    ///
    /// # Errors
    /// The library cannot be opened, written or searched.
    pub fn run(
        &self,
        dir: &Path,
        resident_bytes: impl Fn() -> Option<u64>,
    ) -> anyhow::Result<Value> {
        ensure!(
            self.faces >= 1000 && self.probes >= 10,
            "give 1,000 faces and 10 probes or more: a share of less says nothing"
        );
        let made = Made::new(self.faces, self.dimension, self.seed);
        let resident_before = resident_bytes();
        let options = EmbeddedOptions::new(dir, self.dimension, self.metric);
        let library = EmbeddedLibrary::open(options.clone())?;
        let inserting = self.fill(&library, &made)?;
        let begun = Instant::now();
        library.optimise(Instant::now() + INDEX_MAX_WAIT)?;
        let optimise_s = begun.elapsed().as_secs_f64();
        drop(library);
        let begun = Instant::now();
        let library = EmbeddedLibrary::open(options.clone())?;
        library.warm_up(Instant::now() + CALL_MAX_WAIT)?;
        let reopen_s = begun.elapsed().as_secs_f64();
        let described = library.describe(Instant::now() + CALL_MAX_WAIT)?;
        let resident = resident_bytes();
        let resident = resident
            .zip(resident_before)
            .map(|(after, before)| after.saturating_sub(before));
        let brute_force = self.peers.then(|| BruteForce::new(&made));
        #[cfg(feature = "peers")]
        let peer = self
            .peers
            .then(|| peer::Peer::new(&made))
            .transpose()
            .context("usearch")?;
        let mut scopes = Vec::new();
        for scope in &SCOPES {
            let probes = made.probes(scope, self.probes);
            let libraries = made.libraries(scope);
            let exact = self.search(&library, &libraries, &probes.all, true)?;
            let found = self.search(&library, &libraries, &probes.all, false)?;
            let mut figures = json!({
                "name": scope.name,
                "faces": made.faces_of(scope),
                "p50_ms": percentile(&found.micros, 50),
                "p99_ms": percentile(&found.micros, 99),
                "recall_at_1": share(&found.first[..self.probes], &exact.first[..self.probes]),
                "recall_at_1_strangers": share(&found.first[self.probes..], &exact.first[self.probes..]),
                "enrolled_found_exact": share(&exact.first[..self.probes], &probes.enrolled),
                "exact": { "p50_ms": percentile(&exact.micros, 50), "p99_ms": percentile(&exact.micros, 99) },
            });
            if let Some(brute_force) = &brute_force {
                let by_hand = timed(&probes.all, |probe| Ok(brute_force.first(scope, probe)))?;
                figures["brute_force"] = summary(&by_hand, &exact, self.probes);
            }
            #[cfg(feature = "peers")]
            if let Some(peer) = &peer {
                let by_peer = timed(&probes.all, |probe| peer.first(scope, probe))?;
                figures["usearch"] = summary(&by_peer, &exact, self.probes);
            }
            scopes.push(figures);
        }
        let whole = scopes.first().context("no scope")?.clone();
        Ok(json!({
            "simulated": true,
            "templates": templates::HOW,
            "faces": self.faces,
            "dimension": self.dimension,
            "metric": format!("{:?}", self.metric).to_lowercase(),
            "probes_a_scope": { "enrolled": self.probes, "strangers": self.probes },
            "seed": self.seed,
            "engine": described.engine,
            "indexed": described.indexed,
            "search_width": options.search_width,
            "compare_all_max_kib": options.compare_all_max_kib,
            "recall_at_1": whole["recall_at_1"],
            "p50_ms": whole["p50_ms"],
            "p99_ms": whole["p99_ms"],
            "inserts_per_s": self.faces as f64 / inserting.as_secs_f64(),
            "batch_writes": BATCH_WRITES,
            "optimise_s": optimise_s,
            "reopen_s": reopen_s,
            "rss_mib": resident.map(|bytes| bytes / (1024 * 1024)),
            "scopes": scopes,
        }))
    }

    fn fill(&self, library: &EmbeddedLibrary, made: &Made) -> anyhow::Result<Duration> {
        let creates: Vec<FaceWrite> = (made.all_libraries().into_iter())
            .map(|library| FaceWrite::Create {
                tenant: TENANT.to_owned(),
                library,
                label: "bench".to_owned(),
                model_sha256: "none: templates made from numbers".to_owned(),
                sequence: 0,
            })
            .collect();
        library.write(&creates, Instant::now() + CALL_MAX_WAIT)?;
        let mut spent = Duration::ZERO;
        let indexes: Vec<usize> = (0..self.faces).collect();
        for batch in indexes.chunks(BATCH_WRITES) {
            let writes: Vec<FaceWrite> = batch
                .iter()
                .map(|index| FaceWrite::Enrol {
                    tenant: TENANT.to_owned(),
                    library: made.library(*index),
                    person: format!("person-{index}"),
                    face: made.face(*index),
                    sequence: *index as u64 + 1,
                    template: made.template(*index).to_vec(),
                })
                .collect();
            let begun = Instant::now();
            let stands = library.write(&writes, begun + CALL_MAX_WAIT)?;
            spent += begun.elapsed();
            ensure!(
                stands.iter().all(|standing| *standing == Standing::Written),
                "a face was not written"
            );
        }
        Ok(spent)
    }

    fn search(
        &self,
        library: &EmbeddedLibrary,
        libraries: &[Uuid],
        probes: &[Vec<f32>],
        exact: bool,
    ) -> anyhow::Result<Searched> {
        timed(probes, |probe| {
            let query = FaceQuery {
                tenant: TENANT.to_owned(),
                libraries: libraries.to_vec(),
                template: probe.to_vec(),
                faces_max: 1,
                exact,
            };
            let found: Result<Vec<Vec<FaceHit>>, LibraryError> =
                library.search(&[query], Instant::now() + CALL_MAX_WAIT);
            Ok(found?.first().and_then(|hits| Some(hits.first()?.face)))
        })
    }
}

fn timed(
    probes: &[Vec<f32>],
    mut search: impl FnMut(&[f32]) -> anyhow::Result<Option<Uuid>>,
) -> anyhow::Result<Searched> {
    for probe in probes.iter().take(WARM_SEARCHES) {
        search(probe)?;
    }
    let mut searched = Searched {
        micros: Vec::with_capacity(probes.len()),
        first: Vec::with_capacity(probes.len()),
    };
    for probe in probes {
        let begun = Instant::now();
        searched.first.push(search(probe)?);
        let micros = u64::try_from(begun.elapsed().as_micros());
        searched.micros.push(micros.unwrap_or(u64::MAX));
    }
    Ok(searched)
}

fn summary(found: &Searched, exact: &Searched, enrolled: usize) -> Value {
    json!({
        "p50_ms": percentile(&found.micros, 50),
        "p99_ms": percentile(&found.micros, 99),
        "recall_at_1": share(&found.first[..enrolled], &exact.first[..enrolled]),
        "recall_at_1_strangers": share(&found.first[enrolled..], &exact.first[enrolled..]),
    })
}

/// Share of places where both found the same.
fn share(found: &[Option<Uuid>], wanted: &[Option<Uuid>]) -> f64 {
    let same = found.iter().zip(wanted).filter(|(a, b)| a == b).count();
    same as f64 / wanted.len().max(1) as f64
}

/// Nearest-rank percentile, milliseconds.
fn percentile(micros: &[u64], percent: usize) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let micros: Vec<u64> = (1..=100).rev().map(|ms| ms * 1000).collect();
        assert_eq!(
            (percentile(&micros, 50), percentile(&micros, 99)),
            (50.0, 99.0)
        );
        assert_eq!(percentile(&[7000], 99), 7.0);
    }

    #[test]
    fn a_small_library_is_filled_and_searched() {
        let dir = tempfile::tempdir().unwrap();
        let bench = SearchBench {
            faces: 1000,
            dimension: 32,
            metric: Metric::Euclidean,
            probes: 20,
            peers: true,
            seed: 1,
        };
        let report = bench.run(dir.path(), || None).unwrap();
        for scope in report["scopes"].as_array().unwrap() {
            // Fewer than the index begins with: everything is compared one by one.
            assert_eq!(scope["recall_at_1"], 1.0, "{report}");
            assert_eq!(scope["enrolled_found_exact"], 1.0, "{report}");
            assert_eq!(scope["brute_force"]["recall_at_1"], 1.0, "{report}");
        }
        assert!(report["inserts_per_s"].as_f64().unwrap() > 0.0);
    }
}
