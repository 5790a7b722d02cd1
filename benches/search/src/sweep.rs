//! The same faces searched through the index at several widths, and exactly: what the defaults were chosen by.

use std::path::Path;
use std::time::Instant;

use shiren_library::{EmbeddedLibrary, EmbeddedOptions, FaceLibrary};

use super::templates::{Made, SCOPES};
use super::{CALL_MAX_WAIT, INDEX_MAX_WAIT, SearchBench, percentile, share};

/// A sweep over search widths on one number of faces.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What is searched.
    pub bench: SearchBench,
    /// Widths, each of 1 or more.
    pub widths: Vec<usize>,
    /// [`EmbeddedOptions::links`].
    pub links: usize,
    /// [`EmbeddedOptions::build_width`].
    pub build_width: usize,
    /// [`EmbeddedOptions::compare_all_max_kib`] and [`EmbeddedOptions::index_from_kib`]: small, so that there
    /// is an index and it is used; or the defaults, to measure those.
    pub compare_all_max_kib: usize,
}

impl Sweep {
    /// Fills a library in `dir`, an empty folder, and calls `say` with a line for each scope and width.
    ///
    /// # Errors
    /// The library cannot be opened, written or searched.
    pub fn run(&self, dir: &Path, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
        let bench = &self.bench;
        let made = Made::new(bench.faces, bench.dimension, bench.seed);
        let options = EmbeddedOptions {
            compare_all_max_kib: self.compare_all_max_kib,
            index_from_kib: self.compare_all_max_kib,
            links: self.links,
            build_width: self.build_width,
            // One index over all, at the end.
            optimise_after_points: usize::MAX,
            ..EmbeddedOptions::new(dir, bench.dimension, bench.metric)
        };
        let library = EmbeddedLibrary::open(options.clone())?;
        bench.fill(&library, &made)?;
        let begun = Instant::now();
        library.optimise(Instant::now() + INDEX_MAX_WAIT)?;
        let built_s = begun.elapsed().as_secs();
        let indexed = library.describe(Instant::now() + CALL_MAX_WAIT)?.indexed;
        drop(library);
        let head = format!(
            "faces {} links {} build {} indexed {indexed} built_s {built_s}",
            bench.faces, self.links, self.build_width
        );
        let mut exact = vec![];
        for width in &self.widths {
            let library = EmbeddedLibrary::open(EmbeddedOptions {
                search_width: *width,
                ..options.clone()
            })?;
            library.warm_up(Instant::now() + CALL_MAX_WAIT)?;
            for (at, scope) in SCOPES.iter().enumerate() {
                let probes = made.probes(scope, bench.probes).all;
                let libraries = made.libraries(scope);
                if exact.len() == at {
                    let all = bench.search(&library, &libraries, &probes, true)?;
                    let (p50, p99) = (percentile(&all.micros, 50), percentile(&all.micros, 99));
                    say(&format!(
                        "{head} | {} | exact p50 {p50:.2} p99 {p99:.2} ms",
                        scope.name
                    ));
                    exact.push(all);
                }
                let found = bench.search(&library, &libraries, &probes, false)?;
                let recall = |of: std::ops::Range<usize>| {
                    share(&found.first[of.clone()], &exact[at].first[of])
                };
                let (p50, p99) = (percentile(&found.micros, 50), percentile(&found.micros, 99));
                say(&format!(
                    "{head} | {} | width {width} recall {:.4} strangers {:.4} p50 {p50:.2} p99 {p99:.2} ms",
                    scope.name,
                    recall(0..bench.probes),
                    recall(bench.probes..2 * bench.probes),
                ));
            }
        }
        Ok(())
    }
}
