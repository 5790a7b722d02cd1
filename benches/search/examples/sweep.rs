//! `cargo run -p shiren-bench-search --example sweep -- FACES PROBES LINKS BUILD_WIDTH COMPARE_ALL_MAX_KIB WIDTH...`

use anyhow::{Context, ensure};
use shiren_bench_search::{SearchBench, Sweep};
use shiren_library::Metric;

fn main() -> anyhow::Result<()> {
    let numbers: Result<Vec<usize>, _> = std::env::args().skip(1).map(|n| n.parse()).collect();
    let numbers = numbers.context("whole numbers are wanted")?;
    ensure!(
        numbers.len() > 5,
        "give FACES PROBES LINKS BUILD_WIDTH COMPARE_ALL_MAX_KIB WIDTH..."
    );
    let sweep = Sweep {
        bench: SearchBench {
            faces: numbers[0],
            dimension: 512,
            metric: Metric::Cosine,
            probes: numbers[1],
            peers: false,
            seed: 1,
        },
        links: numbers[2],
        build_width: numbers[3],
        compare_all_max_kib: numbers[4],
        widths: numbers[5..].to_vec(),
    };
    let dir = tempfile::tempdir().context("a folder for the library")?;
    sweep.run(dir.path(), |line| println!("{line}"))
}
