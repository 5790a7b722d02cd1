//! `shiren bench search`: the face library by size, speed and recall.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;

use super::print_line;
use shiren_bench_search::SearchBench;
use shiren_library::Metric;
use shiren_runtime::resident_bytes;

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// Templates in all libraries
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1000..=5_000_000))]
    faces: u32,
    /// Numbers of a template
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(2..=4096))]
    dim: u16,
    /// How templates are compared: `cosine` or `euclidean`
    #[arg(long, default_value = "cosine", value_parser = metric)]
    metric: Metric,
    /// Probes of enrolled persons, and as many of strangers, a scope
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    probes: u32,
    /// Compare with brute force, and with the usearch crate where it was built in (feature `peers`)
    #[arg(long)]
    peers: bool,
    /// What the templates are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the library, empty or missing, which is kept; default: one that is removed
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
}

fn metric(name: &str) -> Result<Metric, String> {
    match name {
        "cosine" => Ok(Metric::Cosine),
        "euclidean" => Ok(Metric::Euclidean),
        _ => Err("cosine or euclidean is wanted".to_owned()),
    }
}

pub(crate) fn search(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let bench = SearchBench {
        faces: args.faces as usize,
        dimension: usize::from(args.dim),
        metric: args.metric,
        probes: args.probes as usize,
        peers: args.peers,
        seed: args.seed,
    };
    let report = match &args.keep {
        Some(folder) => {
            let empty = !folder.exists() || folder.read_dir()?.next().is_none();
            ensure!(empty, "{} is not empty: name another", folder.display());
            bench.run(folder, resident_bytes)?
        }
        None => {
            let folder = tempfile::tempdir().context("a folder for the library")?;
            bench.run(folder.path(), resident_bytes)?
        }
    };
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}
