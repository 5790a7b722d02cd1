//! `shiren bench identification`: open-set identification over pictures of known persons, by the stages themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use shiren_models::Template;
use shiren_models::accuracy::{FnmrAtFmr, Proportion};
use shiren_models::calibration::{Calibration, Table, fpir_of_fmr};
use shiren_schemas::records::ReferenceKind;

use super::{Place, print_line};
use crate::bench::identification::distractors::Distractors;
use crate::bench::identification::{AtSize, AtTarget, People};
use crate::dice::Dice;
use crate::presentations::progress;
use crate::templates::Templates;

/// Every two pictures are compared and kept: beyond this the scores take too much memory.
const PICTURES_MAX: usize = 5_000;
/// Sizes at which the false positives are measured against those that are predicted.
const SIZES: [u64; 3] = [10, 100, 1_000];
/// Rates of non-mated searches that misses are told at.
const RATES: [f64; 2] = [0.1, 0.01];
/// Shares of pairs of different persons, at whose scores distractors are compared with them.
const SHARES: [f64; 2] = [0.1, 0.02];
/// Distractors a probe for that comparison.
const DISTRACTORS_EACH: u64 = 1_000;

#[derive(Args)]
pub(crate) struct IdentificationArgs {
    /// CSV with the columns person, picture; relative paths start at the CSV's folder
    #[arg(long)]
    persons: PathBuf,
    /// Weights: open or accurate; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Scene of topology.toml whose target and smallest face hold
    #[arg(long, default_value = "default")]
    scene: String,
    /// Another target than the scene's, above 0 and below 1
    #[arg(long)]
    target_fpir: Option<f64>,
    /// Smallest face of interest, pixels; default: the scene's
    #[arg(long)]
    min_face_px: Option<u32>,
    /// Galleries of each size for each probe
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    galleries: u64,
    /// What galleries and simulated distractors are drawn by
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn identification(place: &Place, args: &IdentificationArgs) -> anyhow::Result<ExitCode> {
    let site = place.site_with_profile(args.profile.as_deref())?;
    let scene = site.topology.scenes.get(&args.scene);
    let scene = scene.with_context(|| format!("no scene {} in topology.toml", args.scene))?;
    let target = args.target_fpir.or(scene.target_fpir);
    let target = target.with_context(|| {
        let scene = &args.scene;
        format!("scene {scene} has no target_fpir, so it does not search; or give --target-fpir")
    })?;
    if !(target > 0.0 && target < 1.0) {
        bail!("--target-fpir is above 0 and below 1, not {target}");
    }
    let min_face_px = args.min_face_px.unwrap_or(scene.min_face_px);
    let profile = site.topology.models.profile.clone();
    let manifest = site.manifest()?;
    let calibration = Calibration::load(&manifest, &manifest.profile(&profile)?.embedder)?;
    let table = calibration.table(ReferenceKind::OnFile);
    let table = table.map_err(|error| anyhow::anyhow!("{}: {}", error.code, error.detail))?;
    let rows = read_rows(&args.persons)?;
    let set = templates(Templates::open(site.clone(), min_face_px)?, rows)?;
    let people = People::new(calibration.metric, set.faces)?;
    let mut report = json!({
        "profile": profile,
        "table": table.name(),
        "min_face_px": min_face_px,
        "persons": set.persons,
        "pictures": set.pictures,
        "pictures_refused": set.refused.values().sum::<u64>(),
        "refused_by_code": set.refused,
        "interval": "Wilson, 95 %, as if searches and pairs were independent",
    });
    let bench = Bench {
        people,
        table,
        target,
        args,
    };
    bench.report(&mut report)?;
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(serde::Deserialize)]
struct Row {
    person: String,
    picture: PathBuf,
}

fn read_rows(list: &Path) -> anyhow::Result<Vec<Row>> {
    let shown = list.display();
    let beside = list.parent().unwrap_or(Path::new(""));
    let mut reader = csv::Reader::from_path(list).with_context(|| shown.to_string())?;
    let rows = reader.deserialize().map(|row| {
        let Row { person, picture } = row?;
        let picture = beside.join(picture);
        Ok(Row { person, picture })
    });
    let rows: Vec<Row> = rows
        .collect::<Result<_, csv::Error>>()
        .with_context(|| format!("{shown}: wanted are the columns person, picture"))?;
    if rows.len() > PICTURES_MAX {
        bail!(
            "{shown}: {} pictures, {PICTURES_MAX} are the most",
            rows.len()
        );
    }
    Ok(rows)
}

/// What became of the list.
struct Set {
    persons: usize,
    pictures: usize,
    /// Pictures without a template, by code.
    refused: BTreeMap<String, u64>,
    faces: Vec<(usize, Template)>,
}

fn templates(mut templates: Templates, rows: Vec<Row>) -> anyhow::Result<Set> {
    let mut persons = BTreeMap::new();
    let mut set = Set {
        persons: 0,
        pictures: rows.len(),
        refused: BTreeMap::new(),
        faces: Vec::new(),
    };
    let bar = progress(rows.len())?;
    for Row { person, picture } in rows {
        bar.inc(1);
        let bytes = std::fs::read(&picture).with_context(|| picture.display().to_string())?;
        match templates.template(bytes) {
            Ok(template) => {
                let next = persons.len();
                let person = *persons.entry(person).or_insert(next);
                let (model, values) = (template.model, template.values);
                set.faces.push((person, Template { model, values }));
            }
            Err(refusal) => *set.refused.entry(refusal.code.id.to_owned()).or_insert(0) += 1,
        }
    }
    bar.finish_and_clear();
    set.persons = persons.len();
    if set.persons < 2 {
        bail!(
            "{} person(s) with a template: two are the least",
            set.persons
        );
    }
    Ok(set)
}

struct Bench<'a> {
    people: People,
    table: &'a Table,
    target: f64,
    args: &'a IdentificationArgs,
}

impl Bench<'_> {
    fn report(&self, report: &mut Value) -> anyhow::Result<()> {
        let scores = self.people.as_scores();
        let scores = scores.context("a score is no number")?;
        report["mated_searches"] = json!(scores.n_genuine());
        report["non_mated_searches"] = json!(scores.n_impostor());
        report["lowest_mate_score"] =
            json!(self.people.mated().filter_map(|s| s.mate).reduce(f64::min));
        report["highest_non_mated_score"] = json!(
            self.people
                .non_mated()
                .filter_map(|s| s.other)
                .reduce(f64::max)
        );
        report["not_at_rank_1"] = json!(self.people.not_at_rank_1());
        report["threshold_of_fnir_at_fpir"] = json!("of these non-mated searches themselves");
        let misses = RATES.map(|rate| {
            misses(
                rate,
                scores.fnmr_at_fmr(rate),
                scores.n_genuine(),
                scores.n_impostor(),
            )
        });
        report["fnir_at_fpir"] = json!(misses);
        report["at_target"] = self.at_target();
        self.sizes(report)
    }

    fn at_target(&self) -> Value {
        match self.people.at_target(self.table, self.target) {
            Ok(AtTarget { points, fpir, fnir }) => {
                let points: Vec<_> = points
                    .iter()
                    .map(|(faces, point)| {
                        json!({
                            "faces": faces, "fmr": point.target_fmr,
                            "threshold": point.threshold, "basis": point.basis.as_str(),
                        })
                    })
                    .collect();
                json!({ "target_fpir": self.target, "points": points, "fpir": fpir, "fnir": fnir })
            }
            Err(error) => json!({ "target_fpir": self.target, "why": error.to_string() }),
        }
    }

    /// Distractors against pairs of pictures, then galleries of the sizes.
    fn sizes(&self, report: &mut Value) -> anyhow::Result<()> {
        let Some(distractors) = self.people.distractors() else {
            let least = Distractors::PEOPLE_MIN + 1;
            report["sizes"] =
                json!({ "why": format!("simulated distractors need {least} persons") });
            return Ok(());
        };
        let shrinkage = distractors.iter().map(|d| d.shrinkage);
        let mean = shrinkage.sum::<f64>() / distractors.len() as f64;
        let mut dice = Dice::of(self.args.seed);
        let known = SHARES.map(|share| self.people.impostor_score_of(share));
        let thresholds: Vec<f64> = known.into_iter().flatten().collect();
        let each = DISTRACTORS_EACH;
        let reach = self
            .people
            .distractors_from(&distractors, &thresholds, each, &mut dice)?;
        let beside: Vec<_> = thresholds
            .iter()
            .zip(reach)
            .map(|(threshold, simulated)| {
                let real = self.people.impostor_pairs_from(*threshold);
                json!({ "threshold": threshold, "fmr_real": real, "fmr_simulated": simulated })
            })
            .collect();
        report["distractors"] = json!({
            "simulated": "drawn from a normal distribution of one template a person (Ledoit-Wolf covariance), \
                          fitted without the probe's own person",
            "seed": self.args.seed,
            "shrinkage_mean": mean,
            "beside_real_pairs": beside,
        });
        let judged = (self.table, self.target);
        let sizes = SIZES.map(|faces| {
            let galleries = self.args.galleries;
            let at = self
                .people
                .at_size(faces, galleries, judged, &distractors, &mut dice);
            at.map_or_else(
                |error| json!({ "faces": faces, "why": error.to_string() }),
                |at| size(&at),
            )
        });
        report["galleries_per_probe"] = json!(self.args.galleries);
        report["sizes"] = json!(sizes);
        Ok(())
    }
}

/// Misses at a rate of the non-mated searches; by the rule of `bench accuracy`, where these are enough for it.
fn misses(fpir: f64, at: Option<FnmrAtFmr>, mated: u64, non_mated: u64) -> Value {
    match at {
        Some(at) => json!({
            "target_fpir": fpir, "threshold": at.threshold, "fpir": at.fmr, "fnir": at.fnmr,
            "measured": at.measured,
        }),
        None => json!({
            "target_fpir": fpir,
            "why": format!(
                "not supported: {mated} mated and {non_mated} non-mated searches; at least one mated search and 10 \
                 expected false positives are needed, and 30 seen for `measured`"
            ),
        }),
    }
}

fn size(at: &AtSize) -> Value {
    let predicted = |rate: Option<Proportion>| {
        rate.map(|rate| {
            let [fpir, low, high] =
                [rate.rate, rate.low, rate.high].map(|fmr| fpir_of_fmr(fmr, at.faces));
            json!({ "rate": fpir, "low": low, "high": high })
        })
    };
    json!({
        "faces": at.faces,
        "real_faces_mean": at.real_faces_mean,
        "simulated_faces_mean": at.faces as f64 - at.real_faces_mean,
        "fmr": at.point.target_fmr,
        "threshold": at.point.threshold,
        "basis": at.point.basis.as_str(),
        "fmr_real": at.real,
        "fmr_simulated": at.simulated,
        "predicted_fpir_real": predicted(at.real),
        "predicted_fpir_simulated": predicted(at.simulated),
        "predicted_fpir": at.predicted,
        "fpir": at.measured,
        "fnir": at.fnir,
    })
}
