//! `shiren bench accuracy`: error rates over an operator's pairs, by the stages themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use shiren_models::accuracy::{ScoredPair, Scores};

use super::{Place, print_line};
use crate::pairs::{self, Pair, ScoredPairs};

#[derive(Args)]
pub(crate) struct AccuracyArgs {
    /// CSV with the columns path_a, path_b, same; relative paths start at the CSV's folder
    #[arg(long)]
    pairs: PathBuf,
    /// Weights: open or accurate; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Smallest face of interest, pixels; default: the default scene's
    #[arg(long)]
    min_face_px: Option<u32>,
    /// Write path_a, path_b, same, score of every scored pair to this CSV
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn accuracy(place: &Place, args: &AccuracyArgs) -> anyhow::Result<ExitCode> {
    let site = place.site_with_profile(args.profile.as_deref())?;
    let profile = site.topology.models.profile.clone();
    let pairs = pairs::score_list(site, &args.pairs, args.min_face_px)?;
    if let Some(path) = &args.scores {
        write_scores(path, &pairs.scored)?;
    }
    let scored: Vec<ScoredPair> = pairs
        .scored
        .iter()
        .map(|(pair, score)| ScoredPair {
            score: *score,
            same: pair.same,
        })
        .collect();
    let report = report(&Scores::new(&scored)?, &pairs, &profile);
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_scores(path: &Path, lines: &[(Pair, f64)]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    writer.write_record(["path_a", "path_b", "same", "score"])?;
    for (pair, score) in lines {
        let same = if pair.same { "1" } else { "0" };
        writer.write_record([&pair.a, &pair.b, same, &format!("{score:.6}")])?;
    }
    Ok(writer.flush()?)
}

fn report(scores: &Scores, pairs: &ScoredPairs, profile: &str) -> serde_json::Value {
    let mut failures = BTreeMap::new();
    for code in pairs.pictures.values().flatten() {
        *failures.entry(code.clone()).or_insert(0_u64) += 1;
    }
    let eer = scores.equal_error_rate();
    let at = |rate: f64| scores.fnmr_at_fmr(rate);
    let (hundredth, thousandth) = (at(1e-2), at(1e-3));
    serde_json::json!({
        "profile": profile,
        "eer": eer.map(|e| e.rate),
        "eer_interval": eer.map(|e| [e.low, e.high]),
        "eer_threshold": eer.map(|e| e.threshold),
        "fnmr_at_fmr_1e-2": hundredth.map(|p| p.fnmr.rate),
        "fnmr_at_fmr_1e-2_detail": hundredth,
        "fnmr_at_fmr_1e-3": thousandth.map(|p| p.fnmr.rate),
        "fnmr_at_fmr_1e-3_detail": thousandth,
        "n_genuine": scores.n_genuine(),
        "n_impostor": scores.n_impostor(),
        "pictures": pairs.pictures.len(),
        "failed_to_detect": failures.values().sum::<u64>(),
        "failures_by_code": failures,
        "pairs_left_out": pairs.left_out,
        "min_face_px": pairs.min_face_px,
        "interval": "Wilson, 95 %",
    })
}
