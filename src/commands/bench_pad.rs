//! `shiren bench pad`: presentation attack detection over an operator's pictures, by the stages themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::json;
use shiren_models::accuracy::proportion;
use shiren_models::liveness::fusion::Answer;
use shiren_models::presentation_attack::{self as rates, Presentation};
use shiren_schemas::records::CheckState;

use super::{Place, print_line};
use crate::presentations::{self, Jitter, Judge, Judged};

/// Condition of bona fide pictures that attacks are compared with, where the list has it.
const CLEAN: &str = "clean";
/// Largest `--jitter`.
const MAX_JITTER: f64 = 0.5;

#[derive(Args)]
pub(crate) struct PadArgs {
    /// CSV with the columns path, label (bona_fide or attack), species; relative paths start at the CSV's folder
    #[arg(long)]
    samples: PathBuf,
    /// Judge each picture again with its box moved and scaled by up to this share of its side
    #[arg(long)]
    jitter: Option<f64>,
    /// Weights; default: the topology's profile
    #[arg(long)]
    profile: Option<String>,
    /// Write what each net and cue saw, and the score, of every picture to this CSV
    #[arg(long)]
    values: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One line of the list.
struct Sample {
    path: String,
    attack: bool,
    species: String,
}

pub(crate) fn pad(place: &Place, args: &PadArgs) -> anyhow::Result<ExitCode> {
    let jitter = args.jitter.unwrap_or(0.0);
    ensure!(
        (0.0..=MAX_JITTER).contains(&jitter),
        "--jitter is a share of the box's side, 0 to {MAX_JITTER}"
    );
    let site = place.site_with_profile(args.profile.as_deref())?;
    let samples = read(&args.samples)?;
    let folder = args.samples.parent().unwrap_or(Path::new(""));
    let mut judge = Judge::new(&site)?;
    let bar = presentations::progress(samples.len())?;
    let (mut all, mut not_judged) = (Vec::new(), BTreeMap::new());
    for (index, sample) in samples.iter().enumerate() {
        bar.inc(1);
        let path = folder.join(&sample.path);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let moved = (jitter > 0.0).then(|| Jitter::nth(index as u64, jitter as f32));
        match judge.judge(bytes, moved) {
            Ok((plain, again)) => all.push((sample, plain, again)),
            Err(code) => *not_judged.entry(code).or_insert(0_u64) += 1,
        }
    }
    bar.finish_and_clear();
    ensure!(
        !all.is_empty(),
        "no picture could be judged: {not_judged:?}"
    );
    if let Some(path) = &args.values {
        write_values(path, &all)?;
    }
    let mut report = report(&all, &not_judged);
    report["profile"] = json!(site.topology.models.profile);
    report["table"] = json!(judge.table());
    if jitter > 0.0 {
        report["jitter"] = kept(&all, jitter);
    }
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Vec<Sample>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        let found = headers.iter().position(|header| header.trim() == name);
        found.with_context(|| {
            format!(
                "{}: no column {name}; wanted are path, label, species",
                path.display()
            )
        })
    };
    let (file, label, species) = (column("path")?, column("label")?, column("species")?);
    let mut samples = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let row = row?;
        let field = |column: usize| row.get(column).unwrap_or_default().trim().to_owned();
        let attack = match field(label).as_str() {
            "bona_fide" => false,
            "attack" => true,
            other => bail!(
                "{}:{}: label is {other:?}, not bona_fide or attack",
                path.display(),
                index + 2
            ),
        };
        samples.push(Sample {
            path: field(file),
            attack,
            species: field(species),
        });
    }
    ensure!(!samples.is_empty(), "{}: no pictures", path.display());
    Ok(samples)
}

type Line<'a> = (&'a Sample, Judged, Option<Judged>);

fn write_values(path: &Path, all: &[Line<'_>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    let names: Vec<String> = all[0].1.measured.iter().map(Judged::column).collect();
    let mut header = vec!["path", "label", "species", "moved", "score"];
    header.extend(names.iter().map(String::as_str));
    writer.write_record(&header)?;
    for (sample, plain, again) in all {
        let label = if sample.attack { "attack" } else { "bona_fide" };
        for (moved, judged) in [("0", Some(plain)), ("1", again.as_ref())] {
            let Some(judged) = judged else { continue };
            let score = judged
                .score
                .map_or(String::new(), |score| format!("{score:.6}"));
            let mut row = vec![sample.path.clone(), label.into(), sample.species.clone()];
            row.extend([moved.to_owned(), score]);
            for name in &names {
                let found = judged.measured.iter().find(|m| Judged::column(m) == *name);
                row.push(found.map_or(String::new(), |m| format!("{:.6}", m.value)));
            }
            writer.write_record(&row)?;
        }
    }
    Ok(writer.flush()?)
}

fn presentation(sample: &Sample, judged: &Judged) -> Presentation {
    Presentation {
        attack: sample.attack,
        species: sample.species.clone(),
        score: judged.score,
        answer: match judged.state {
            CheckState::Passed => Answer::BonaFide,
            CheckState::Failed => Answer::Attack,
            CheckState::Abstained | CheckState::NotChecked => Answer::Uncertain,
        },
    }
}

fn report(all: &[Line<'_>], not_judged: &BTreeMap<String, u64>) -> serde_json::Value {
    let mut every: Vec<Presentation> = all
        .iter()
        .map(|(s, plain, _)| presentation(s, plain))
        .collect();
    let has_clean = every.iter().any(|p| !p.attack && p.species == CLEAN);
    if !has_clean {
        for one in every.iter_mut().filter(|one| !one.attack) {
            CLEAN.clone_into(&mut one.species);
        }
    }
    let by_species = rates::by_species(&every, CLEAN);
    let is_attack = |name: &str| every.iter().any(|p| p.attack && p.species == name);
    let (attacks, bona_fide): (BTreeMap<_, _>, BTreeMap<_, _>) =
        by_species.iter().partition(|(name, _)| is_attack(name));
    let apcer = |name: &str| by_species[name].bona_fide.map_or(0.0, |p| p.rate);
    let worst = attacks.keys().max_by(|a, b| apcer(a).total_cmp(&apcer(b)));
    let clean = |attack: bool| {
        let wanted = every.iter().filter(move |p| p.attack == attack);
        rates::scores(wanted.filter(|p| p.attack || p.species == CLEAN))
    };
    let at_apcer = [0.05, 0.1].map(|target| rates::bpcer_at_apcer(&every, CLEAN, target));
    let all_bona_fide = rates::answers(every.iter().filter(|p| !p.attack));
    json!({
        "samples": every.len(),
        "not_judged": not_judged,
        "attacks": attacks.iter().map(|(name, a)| ((*name).clone(), json!({
            "apcer": a.bona_fide, "apnrr": a.abstained, "rejected": a.attack, "auc": a.auc,
        }))).collect::<serde_json::Map<_, _>>(),
        "bona_fide": bona_fide.iter().map(|(name, a)| ((*name).clone(), json!({
            "bpcer": a.attack, "bpnrr": a.abstained, "accepted": a.bona_fide,
        }))).collect::<serde_json::Map<_, _>>(),
        "apcer_worst": worst.map(|name| json!({"species": name, "apcer": by_species[*name].bona_fide})),
        "bpcer_all": all_bona_fide.attack,
        "bpnrr_all": all_bona_fide.abstained,
        "auc": rates::auc(&clean(false), &clean(true)),
        "bpcer_at_apcer": at_apcer,
        "interval": "Wilson, 95 %; AUC: Hanley and McNeil, 95 %",
    })
}

/// Answers that stayed as they were when the box moved, and where the others went.
fn kept(all: &[Line<'_>], jitter: f64) -> serde_json::Value {
    let pairs = || {
        all.iter()
            .filter_map(|(s, plain, again)| Some((s.attack, plain, again.as_ref()?)))
    };
    let share = |attack: Option<bool>| {
        let of = pairs().filter(|(a, _, _)| attack.is_none_or(|wanted| wanted == *a));
        let moved = of
            .clone()
            .filter(|(_, plain, again)| plain.state == again.state);
        proportion(moved.count() as u64, of.count() as u64)
    };
    let mut changes = BTreeMap::new();
    let mut opposite = 0;
    for (_, plain, again) in pairs().filter(|(_, plain, again)| plain.state != again.state) {
        let change = format!("{} to {}", plain.state.as_str(), again.state.as_str());
        *changes.entry(change).or_insert(0_u64) += 1;
        let sides = [plain.state, again.state];
        opposite +=
            u64::from(sides.contains(&CheckState::Passed) && sides.contains(&CheckState::Failed));
    }
    json!({
        "share": jitter,
        "kept": share(None),
        "kept_bona_fide": share(Some(false)),
        "kept_attacks": share(Some(true)),
        "passed_and_failed_swapped": proportion(opposite, pairs().count() as u64),
        "changes": changes,
    })
}
