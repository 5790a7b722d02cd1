//! `cargo run -p shiren-simulation -- --seeds 100000`, or `--first 42 --seeds 1` for one that failed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shiren_simulation::{Site, run_all};

/// Runs the chain under faults that seeds choose.
#[derive(Parser)]
struct Arguments {
    /// First seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Models and pictures, as set-up fetched them.
    #[arg(long, env = "SHIREN_HOME", default_value = ".shiren")]
    home: PathBuf,
    /// Which files make up a model.
    #[arg(long, default_value = "models/manifest.toml")]
    manifest: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let site = Site::recorded(&arguments.manifest, &arguments.home)?;
    let (injected, failures) = run_all(&site, arguments.first, arguments.seeds);
    println!("{injected:#?}");
    for (seed, what) in &failures {
        println!("seed {seed}: {what}; again by --first {seed} --seeds 1");
    }
    let failed = !failures.is_empty();
    println!("{} of {} seeds failed", failures.len(), arguments.seeds);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
