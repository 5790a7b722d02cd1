//! `shiren bench chain`: CPU of the fused chain against floors measured beside it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use shiren_log::Record;
use shiren_schemas::records::{Request, RequestKind};

use super::{Place, print_line};
use crate::bench::floor::{self, Floor, Work};
use crate::bench::pictures::{Recipe, Recipes};
use crate::bench::spread::{Spread, cpu_ms};
use crate::one_shot::OneShot;
use crate::requests;

/// Side of the detector's input in the frozen floor, pixels.
const REFERENCE_NET_PX: u32 = 640;
/// The embedder of the frozen floor.
const REFERENCE_EMBEDDER: &str = "dlib-resnet29";
/// Stages whose share is measured by leaving them out.
const LEFT_OUT: [&str; 2] = ["quality", "liveness"];
/// Pictures of a case.
const PICTURES: usize = 2;

#[derive(Args)]
pub(crate) struct ChainArgs {
    /// Recipes of the pictures
    #[arg(long, default_value = "benches/chain.toml")]
    list: PathBuf,
    /// Rounds; each takes every picture through the chain and both floors
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(5..))]
    rounds: u16,
    /// Write the pictures into this folder
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A picture of the list with what was measured, CPU milliseconds, one of each a round.
struct Case {
    recipe: Recipe,
    jpeg: Vec<u8>,
    record: Record,
    work: Work,
    /// The chain without [`LEFT_OUT`]: what the floors are floors of.
    chain: Vec<f64>,
    /// The whole chain.
    whole: Vec<f64>,
    floor: Vec<f64>,
    /// The floor with each picture decoded as reduced as the chain decoded it.
    reduced_floor: Vec<f64>,
    reference: Vec<f64>,
}

pub(crate) fn chain(place: &Place, args: &ChainArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let manifest = site.manifest()?;
    let detector = manifest
        .profile(&site.topology.models.profile)?
        .detector
        .clone();
    let embedder = manifest
        .profile(&site.topology.models.profile)?
        .embedder
        .clone();
    let names = [&detector, &embedder, REFERENCE_EMBEDDER];
    let mut floor = Floor::open(&manifest, &site.home, &names, site.topology.models.threads)?;
    let mut whole = OneShot::open(&site)?;
    let mut short = std::sync::Arc::into_inner(place.site()?).context("the site is in use")?;
    let left_out = |stage: &String| LEFT_OUT.contains(&stage.as_str());
    short.topology.chain.retain(|stage| !left_out(stage));
    let mut chain = OneShot::open(&std::sync::Arc::new(short))?;
    let side = manifest.model(REFERENCE_EMBEDDER)?.input.size[0];
    let reference = [
        (detector.as_str(), REFERENCE_NET_PX),
        (REFERENCE_EMBEDDER, side),
    ];
    let mut cases = Vec::new();
    for recipe in Recipes::load(&args.list)?.picture {
        let case = Case::make(recipe, &site.home.join("pictures"), &mut chain)?;
        if let Some(folder) = &args.keep {
            std::fs::create_dir_all(folder)?;
            let name = case.recipe.name.replace([' ', ','], "-");
            std::fs::write(folder.join(format!("{name}.jpg")), &case.jpeg)?;
        }
        cases.push(case);
    }
    ensure!(!cases.is_empty(), "{}: no picture", args.list.display());
    let bar = ProgressBar::new(args.rounds.into()).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} rounds, {eta} to go",
    )?);
    for _ in 0..args.rounds {
        for case in &mut cases {
            case.round(&mut whole, &mut chain, &mut floor, &reference)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = report(&cases, args.rounds)?;
    if args.json {
        print_line(&report.to_string())?;
    } else {
        table(&cases, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Case {
    /// Makes the picture, and sees what the chain does with it; that warms everything up too.
    fn make(recipe: Recipe, folder: &Path, chain: &mut OneShot) -> anyhow::Result<Self> {
        let jpeg = recipe.make(folder)?;
        let mut request = Request::new("bench", RequestKind::Compare);
        request.probe = Some(requests::inline(jpeg.clone(), None));
        request.reference = Some(requests::inline(jpeg.clone(), None));
        let answer = chain.ask(&request)?;
        ensure!(
            answer.evidence.comparison.is_some(),
            "{}: no comparison, {:?}",
            recipe.name,
            answer.verdict.canonical.reason_codes
        );
        let record = chain.record(&request)?;
        let (done, work) = floor::watch(|| chain.process(&record));
        done?;
        Ok(Self {
            recipe,
            jpeg,
            record,
            work,
            chain: Vec::new(),
            whole: Vec::new(),
            floor: Vec::new(),
            reduced_floor: Vec::new(),
            reference: Vec::new(),
        })
    }

    fn round(
        &mut self,
        whole: &mut OneShot,
        chain: &mut OneShot,
        floor: &mut Floor,
        reference: &[(&str, u32)],
    ) -> anyhow::Result<()> {
        let before = cpu_ms();
        whole.process(&self.record)?;
        let start = cpu_ms();
        self.whole.push(start - before);
        chain.process(&self.record)?;
        let after_chain = cpu_ms();
        for (model, width, height) in &self.work.runs {
            floor.run(model, *width, *height)?;
        }
        let after_runs = cpu_ms();
        // One decode a picture, as large as the chain's largest.
        let width = self.work.decodes.iter().map(|(width, _)| *width).max();
        for _ in 0..PICTURES {
            floor.decode(&self.jpeg, width)?;
        }
        let after_reduced = cpu_ms();
        for _ in 0..PICTURES {
            floor.decode(&self.jpeg, None)?;
        }
        let after_whole = cpu_ms();
        for _ in 0..PICTURES {
            for (model, side) in reference {
                floor.run(model, *side, *side)?;
            }
        }
        let (runs, whole) = (after_runs - after_chain, after_whole - after_reduced);
        self.chain.push(after_chain - start);
        self.floor.push(runs + whole);
        self.reduced_floor.push(after_reduced - after_chain);
        self.reference.push(cpu_ms() - after_reduced);
        Ok(())
    }
}

/// What the whole chain costs over the one without [`LEFT_OUT`], round by round.
fn added<'a>(cases: impl Iterator<Item = &'a Case> + Clone, rounds: u16) -> anyhow::Result<Spread> {
    let of_round = |round: usize| {
        let whole: f64 = cases.clone().map(|case| case.whole[round]).sum();
        whole / cases.clone().map(|case| case.chain[round]).sum::<f64>()
    };
    Spread::of((0..rounds.into()).map(of_round)).context("no rounds")
}

/// Ratios of the cases together, round by round.
fn ratios<'a>(
    cases: impl Iterator<Item = &'a Case> + Clone,
    rounds: u16,
    under: impl Fn(&Case) -> &Vec<f64>,
) -> anyhow::Result<Spread> {
    let of_round = |round: usize| {
        let chain: f64 = cases.clone().map(|case| case.chain[round]).sum();
        chain / cases.clone().map(|case| under(case)[round]).sum::<f64>()
    };
    Spread::of((0..rounds.into()).map(of_round)).context("no rounds")
}

fn report(cases: &[Case], rounds: u16) -> anyhow::Result<Value> {
    let all = || cases.iter();
    let selfies = || cases.iter().filter(|case| case.recipe.selfie);
    let per_case = (0..usize::from(rounds))
        .map(|round| all().map(|case| case.whole[round]).sum::<f64>() / cases.len() as f64);
    let mut pictures = Vec::new();
    for case in cases {
        let one = || std::iter::once(case);
        pictures.push(json!({
            "name": case.recipe.name,
            "selfie": case.recipe.selfie,
            "width": case.recipe.size[0],
            "height": case.recipe.size[1],
            "bytes": case.jpeg.len(),
            "overhead_ratio": ratios(one(), rounds, |case| &case.floor)?,
            "overhead_ratio_reduced_decode": ratios(one(), rounds, |case| &case.reduced_floor)?,
            "reference_ratio": ratios(one(), rounds, |case| &case.reference)?,
            "quality_and_liveness_ratio": added(one(), rounds)?,
            "cpu_ms_per_case": Spread::of(case.whole.iter().copied()),
            "floor_cpu_ms": Spread::of(case.floor.iter().copied()),
            "reference_cpu_ms": Spread::of(case.reference.iter().copied()),
            "model_runs": case.work.runs,
            "decodes": case.work.decodes,
        }));
    }
    Ok(json!({
        "overhead_ratio": ratios(all(), rounds, |case| &case.floor)?,
        "overhead_ratio_reduced_decode": ratios(all(), rounds, |case| &case.reduced_floor)?,
        "reference_ratio": ratios(all(), rounds, |case| &case.reference)?,
        "reference_ratio_selfies": if selfies().next().is_some() {
            Some(ratios(selfies(), rounds, |case| &case.reference)?)
        } else {
            None
        },
        "quality_and_liveness_ratio": added(all(), rounds)?,
        "quality_and_liveness_ratio_selfies": if selfies().next().is_some() {
            Some(added(selfies(), rounds)?)
        } else {
            None
        },
        "cpu_ms_per_case": Spread::of(per_case),
        "targets": { "overhead_ratio": 1.15, "overhead_ratio_reduced_decode": 1.15, "reference_ratio": 0.8, "reference_ratio_selfies": 0.6, "quality_and_liveness_ratio_selfies": 1.15 },
        "rounds": rounds,
        "pictures": pictures,
    }))
}

fn table(cases: &[Case], report: &Value) -> anyhow::Result<()> {
    print_line("CPU of the chain over its floors, and CPU ms a case: median (range)")?;
    for case in cases {
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).context("no rounds");
        let ratio = |under: &[f64]| {
            Spread::of(case.chain.iter().zip(under).map(|(a, b)| a / b)).context("no rounds")
        };
        print_line(&format!(
            "{:22} overhead {}  reference {}  {} ms",
            case.recipe.name,
            ratio(&case.floor)?,
            ratio(&case.reference)?,
            spread(&case.whole)?,
        ))?;
    }
    for name in [
        "overhead_ratio",
        "overhead_ratio_reduced_decode",
        "reference_ratio",
        "reference_ratio_selfies",
        "quality_and_liveness_ratio",
        "quality_and_liveness_ratio_selfies",
        "cpu_ms_per_case",
    ] {
        print_line(&format!("{name:34} {}", report[name]["median"]))?;
    }
    Ok(())
}
