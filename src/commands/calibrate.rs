//! `shiren calibrate`: a calibration table of an operator's own pairs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use shiren_models::accuracy::proportion;
use shiren_models::calibration::{Population, Provenance, ReferenceKind, ScoredPair, Table};

use super::{Place, print_line};
use crate::pairs::{self, ScoredPairs};

/// Rates that the report tells about.
const RATES: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

#[derive(Args)]
pub(crate) struct CalibrateArgs {
    /// CSV with the columns path_a, path_b, same, person_a, person_b; relative paths start at the CSV's folder
    #[arg(long)]
    pairs: PathBuf,
    /// Where the reference pictures (path_b) come from: live, on_file, card_print, chip; several: repeat it
    #[arg(long = "reference-kind", required = true)]
    reference_kinds: Vec<ReferenceKind>,
    /// The new table file; name it as the model's `calibration` in the manifest
    #[arg(long)]
    out: PathBuf,
    /// Whose faces these are, by which cameras
    #[arg(long)]
    description: String,
    /// When the pictures were taken or the scores measured
    #[arg(long)]
    measured: String,
    /// What the table does not cover
    #[arg(long)]
    limits: String,
    /// Weights: open or accurate; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Smallest face of interest, pixels; default: the default scene's
    #[arg(long)]
    min_face_px: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn calibrate(place: &Place, args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    if args.out.exists() {
        bail!("{} is there already: name another file", args.out.display());
    }
    let site = place.site_with_profile(args.profile.as_deref())?;
    let profile = site.topology.models.profile.clone();
    let model = site.manifest()?.profile(&profile)?.embedder.clone();
    let pairs = pairs::score_list(site, &args.pairs, args.min_face_px)?;
    let table = table(args, model, &pairs)?;
    std::fs::write(&args.out, table.to_toml())
        .with_context(|| format!("{} cannot be written", args.out.display()))?;
    let report = report(&table, &pairs);
    if args.json {
        print_line(&report.to_string())?;
    } else {
        print_line(&format!(
            "{}: written; name it as `calibration` of {} in the manifest",
            args.out.display(),
            table.model()
        ))?;
        print_line(&serde_json::to_string_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(args: &CalibrateArgs, model: String, pairs: &ScoredPairs) -> anyhow::Result<Table> {
    let list = args.pairs.display();
    let mut people = BTreeSet::new();
    let mut scored = Vec::with_capacity(pairs.scored.len());
    for (pair, score) in &pairs.scored {
        let Some((a, b)) = &pair.people else {
            bail!(
                "{list}: no columns person_a, person_b: without them nobody knows how many people the rates rest on"
            );
        };
        people.extend([a, b]);
        scored.push(ScoredPair {
            score: *score,
            people: [a, b],
        });
    }
    let name = args.out.file_stem().unwrap_or_default().to_string_lossy();
    let used = pairs.pictures.values().filter(|code| code.is_none());
    let provenance = Provenance {
        name: format!("{model}/{name}"),
        model,
        reference_kinds: args.reference_kinds.clone(),
        population: Population {
            description: args.description.clone(),
            people: people.len() as u64,
            pictures: used.count() as u64,
            measured: args.measured.clone(),
            limits: args.limits.clone(),
        },
    };
    Ok(Table::of_pairs(provenance, &scored)?)
}

fn report(table: &Table, pairs: &ScoredPairs) -> Value {
    let sample = table.sample();
    let points = RATES.map(|rate| match table.threshold(rate) {
        Ok(point) => {
            let missed = table.genuine_below(point.threshold);
            json!({
                "target_fmr": rate,
                "threshold": point.threshold,
                "basis": point.basis.as_str(),
                "false_matches": proportion(point.false_matches, sample.impostor_pairs),
                "false_non_matches": proportion(missed, sample.genuine_pairs),
            })
        }
        Err(error) => json!({ "target_fmr": rate, "basis": Value::Null, "why": error.to_string() }),
    });
    json!({
        "table": table.name(),
        "genuine_pairs": sample.genuine_pairs,
        "impostor_pairs": sample.impostor_pairs,
        "impostor_identity_pairs": sample.impostor_identity_pairs,
        "people": table.population().people,
        "pictures": table.population().pictures,
        "pairs_left_out": pairs.left_out,
        "lowest_measured_fmr": table.lowest_measured_fmr().ok(),
        "lowest_extrapolated_fmr": table.lowest_fmr().ok(),
        "points": points,
        "interval": "Wilson, 95 %, as if pairs were independent",
    })
}
