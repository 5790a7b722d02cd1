//! `shiren calibrate`: a calibration table of an operator's own pairs, or of the persons of a library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use shiren_models::accuracy::proportion;
use shiren_models::calibration::{Population, Provenance, ReferenceKind, ScoredPair, Table};

use super::{Place, print_line};
use crate::library_pairs::LibraryFaces;
use crate::library_truth;
use crate::pairs::{self, ScoredPairs};

/// Rates that the report tells about.
const RATES: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

/// Stands in the limits of a table without genuine pairs.
const NO_GENUINE: &str =
    "no two faces of one person were in it: false non-matches are not known at any threshold";

#[derive(Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["pairs", "library"])))]
pub(crate) struct CalibrateArgs {
    /// CSV with the columns path_a, path_b, same, person_a, person_b; relative paths start at the CSV's folder
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// Library, by name or id: every two faces of different persons in it are a pair of strangers. Needs no weights
    #[arg(long)]
    library: Option<String>,
    /// Most pairs of strangers of the library; from more, so many are drawn by --seed
    #[arg(long, default_value_t = 1_000_000, requires = "library",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pairs_max: u64,
    /// What pairs of strangers are drawn by
    #[arg(long, default_value_t = 1, requires = "library")]
    seed: u64,
    /// Tenant of the library; default: the topology's first
    #[arg(long, requires = "library")]
    tenant: Option<String>,
    /// Where the reference pictures (path_b, or those of the library) come from: live, on_file, card_print, chip;
    /// several: repeat it
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
    #[arg(long, conflicts_with = "library")]
    profile: Option<String>,
    /// Smallest face of interest, pixels; default: the default scene's
    #[arg(long, conflicts_with = "library")]
    min_face_px: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn calibrate(place: &Place, args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    if args.out.exists() {
        bail!("{} is there already: name another file", args.out.display());
    }
    let (table, extra) = match (&args.pairs, &args.library) {
        (Some(list), _) => of_pairs(place, args, list)?,
        (None, Some(name)) => of_library(place, args, name)?,
        (None, None) => bail!("name --pairs or --library"),
    };
    std::fs::write(&args.out, table.to_toml())
        .with_context(|| format!("{} cannot be written", args.out.display()))?;
    let report = report(&table, extra);
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

/// A table, and what its report says beside the table.
type Made = (Table, Vec<(&'static str, Value)>);

fn of_pairs(place: &Place, args: &CalibrateArgs, list: &Path) -> anyhow::Result<Made> {
    let site = place.site_with_profile(args.profile.as_deref())?;
    let profile = site.topology.models.profile.clone();
    let model = site.manifest()?.profile(&profile)?.embedder.clone();
    let pairs = pairs::score_list(site, list, args.min_face_px)?;
    let table = table_of_list(args, list, model, &pairs)?;
    Ok((table, vec![("pairs_left_out", json!(pairs.left_out))]))
}

fn table_of_list(
    args: &CalibrateArgs,
    list: &Path,
    model: String,
    pairs: &ScoredPairs,
) -> anyhow::Result<Table> {
    let mut people = BTreeSet::new();
    let mut scored = Vec::with_capacity(pairs.scored.len());
    for (pair, score) in &pairs.scored {
        let Some((a, b)) = &pair.people else {
            bail!(
                "{}: no columns person_a, person_b: without them nobody knows how many people the rates rest on",
                list.display()
            );
        };
        people.extend([a, b]);
        scored.push(ScoredPair {
            score: *score,
            people: [a, b],
        });
    }
    let used = pairs.pictures.values().filter(|code| code.is_none());
    let counts = (people.len(), used.count());
    Ok(Table::of_pairs(
        provenance(args, model, counts, &[]),
        &scored,
    )?)
}

fn of_library(place: &Place, args: &CalibrateArgs, name: &str) -> anyhow::Result<Made> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(args.tenant.as_deref())?;
    let libraries = library_truth::read(log.as_ref(), &tenant)?;
    let (_, library) = library_truth::named(&libraries, name)?;
    let vault = site.vault()?;
    let faces = LibraryFaces::open(name, library, &site.manifest()?, vault.as_ref())?;
    let scores = faces.score(args.pairs_max, args.seed)?;
    let genuine = scores.scored.iter().filter(|p| p.people[0] == p.people[1]);
    let genuine = genuine.count() as u64;
    let impostor = scores.scored.len() as u64 - genuine;
    let all = scores.impostor_pairs_of;
    let mut limits = Vec::new();
    if impostor < all {
        limits.push(format!(
            "{impostor} of {all} pairs of strangers, drawn by seed {}",
            args.seed
        ));
    }
    if genuine == 0 {
        limits.push(NO_GENUINE.to_owned());
    }
    let counts = (faces.persons(), faces.faces());
    let provenance = provenance(args, library.head.model.clone(), counts, &limits);
    let table = Table::of_pairs(provenance, &scores.scored)?;
    let likest: Vec<_> = scores
        .likest
        .iter()
        .map(|(a, b, score)| json!({ "persons": [a, b], "score": score }))
        .collect();
    let extra = vec![
        ("faces_erased", json!(faces.erased)),
        ("impostor_pairs_of", json!(all)),
        ("seed", json!((impostor < all).then_some(args.seed))),
        ("not_known", json!((genuine == 0).then_some(NO_GENUINE))),
        // Who is enrolled under two ids spoils the tail: these are the ones to look at.
        ("likest_strangers", json!(likest)),
    ];
    Ok((table, extra))
}

/// What a table is of: people and pictures as counted; what is known of the sample joins the operator's limits.
fn provenance(
    args: &CalibrateArgs,
    model: String,
    (people, pictures): (usize, usize),
    limits: &[String],
) -> Provenance {
    let name = args.out.file_stem().unwrap_or_default().to_string_lossy();
    let limits = std::iter::once(&args.limits).chain(limits);
    Provenance {
        name: format!("{model}/{name}"),
        model,
        reference_kinds: args.reference_kinds.clone(),
        population: Population {
            description: args.description.clone(),
            people: people as u64,
            pictures: pictures as u64,
            measured: args.measured.clone(),
            limits: limits.map(String::as_str).collect::<Vec<_>>().join("; "),
        },
    }
}

fn report(table: &Table, extra: Vec<(&'static str, Value)>) -> Value {
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
    let mut report = json!({
        "table": table.name(),
        "genuine_pairs": sample.genuine_pairs,
        "impostor_pairs": sample.impostor_pairs,
        "impostor_identity_pairs": sample.impostor_identity_pairs,
        "people": table.population().people,
        "pictures": table.population().pictures,
        "lowest_measured_fmr": table.lowest_measured_fmr().ok(),
        "lowest_extrapolated_fmr": table.lowest_fmr().ok(),
        "points": points,
        "interval": "Wilson, 95 %, as if pairs were independent",
    });
    for (name, value) in extra {
        report[name] = value;
    }
    report
}
