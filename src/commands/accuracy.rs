//! `shiren bench accuracy`: error rates over an operator's pairs, by the stages themselves.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use shiren_contract::still::Pixels;
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_models::accuracy::{ScoredPair, Scores};
use shiren_models::manifest::Metric;
use shiren_models::{Template, score};
use shiren_schemas::records::{PictureRole, ReferenceKind, StillPicture};
use shiren_stills::StillDecoder;

use super::{Place, print_line};
use crate::site::Site;
use crate::stages;

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

/// One line of the list.
struct Pair {
    a: String,
    b: String,
    same: bool,
}

/// Pictures to templates, as the chain makes them.
struct Templates {
    decoder: StillDecoder,
    site: Arc<Site>,
    detect: Detect,
    embed: Embed,
    min_face_px: u32,
    known: HashMap<PathBuf, Result<Template, String>>,
}

pub(crate) fn accuracy(place: &Place, args: &AccuracyArgs) -> anyhow::Result<ExitCode> {
    let mut site = Arc::into_inner(place.site()?).context("the site is in use")?;
    if let Some(profile) = &args.profile {
        site.topology.models.profile.clone_from(profile);
    }
    let profile = site.topology.models.profile.clone();
    let scene = site
        .topology
        .scenes
        .get("default")
        .map_or(100, |scene| scene.min_face_px);
    let min_face_px = args.min_face_px.unwrap_or(scene);
    let site = Arc::new(site);
    let metric = metric(&site)?;
    let pairs = read_pairs(&args.pairs)?;
    let folder = args.pairs.parent().unwrap_or(Path::new("")).to_owned();
    let build = |error: shiren_runtime::BuildError| anyhow::anyhow!("{error}");
    let mut templates = Templates {
        decoder: StillDecoder::new(),
        detect: stages::build_detect(&site).map_err(build)?,
        embed: stages::build_embed(&site).map_err(build)?,
        site,
        min_face_px,
        known: HashMap::new(),
    };
    let bar = ProgressBar::new(pairs.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} pairs, {eta} to go",
    )?);
    let mut scored = Vec::with_capacity(pairs.len());
    let mut lines = Vec::with_capacity(pairs.len());
    let mut failed_pairs = 0_u64;
    for pair in &pairs {
        bar.inc(1);
        let a = templates.of(&folder.join(&pair.a))?;
        let b = templates.of(&folder.join(&pair.b))?;
        let (Ok(a), Ok(b)) = (a, b) else {
            failed_pairs += 1;
            continue;
        };
        let score = f64::from(score::compare(&a, &b, metric)?);
        scored.push(ScoredPair {
            score,
            same: pair.same,
        });
        lines.push((pair, score));
    }
    bar.finish_and_clear();
    if let Some(path) = &args.scores {
        write_scores(path, &lines)?;
    }
    let report = report(&Scores::new(&scored)?, &templates, failed_pairs, &profile);
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}

fn metric(site: &Site) -> anyhow::Result<Metric> {
    let manifest = site.manifest()?;
    let embedder = &manifest.profile(&site.topology.models.profile)?.embedder;
    manifest
        .model(embedder)?
        .output
        .metric
        .with_context(|| format!("{embedder} has no metric"))
}

fn read_pairs(path: &Path) -> anyhow::Result<Vec<Pair>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.trim() == name)
            .with_context(|| {
                format!(
                    "{}: no column {name}; wanted are path_a, path_b, same",
                    path.display()
                )
            })
    };
    let (a, b, same) = (column("path_a")?, column("path_b")?, column("same")?);
    let mut pairs = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let row = row?;
        let field = |column: usize| row.get(column).unwrap_or_default().trim().to_owned();
        let same = match field(same).to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => bail!(
                "{}:{}: same is {other:?}, not 1 or 0",
                path.display(),
                index + 2
            ),
        };
        pairs.push(Pair {
            a: field(a),
            b: field(b),
            same,
        });
    }
    if pairs.is_empty() {
        bail!("{}: no pairs", path.display());
    }
    Ok(pairs)
}

impl Templates {
    /// The subject's template, or the code for which there is none.
    fn of(&mut self, path: &Path) -> anyhow::Result<Result<Template, String>> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let template = self.make(bytes);
        self.known.insert(path.to_owned(), template.clone());
        Ok(template)
    }

    fn make(&mut self, bytes: Vec<u8>) -> Result<Template, String> {
        let header = self
            .decoder
            .header(&bytes, &self.site.still_limits())
            .map_err(|error| error.code.id.to_owned())?;
        let still = StillPicture {
            role: PictureRole::Reference,
            reference_kind: Some(ReferenceKind::OnFile),
            format: header.format,
            width: 0,
            height: 0,
            orientation: i32::from(header.orientation),
            bytes,
        };
        let code = |rejection: shiren_contract::stage::Rejection| rejection.code.id.to_owned();
        let picture = self
            .detect
            .subject_picture(&still, self.min_face_px)
            .map_err(|refusal| code(refusal.rejection))?;
        let template = self.embed.template(&picture).map_err(code)?;
        Ok(Template {
            model: template.model,
            values: template.values,
        })
    }
}

fn write_scores(path: &Path, lines: &[(&Pair, f64)]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    writer.write_record(["path_a", "path_b", "same", "score"])?;
    for (pair, score) in lines {
        let same = if pair.same { "1" } else { "0" };
        writer.write_record([&pair.a, &pair.b, same, &format!("{score:.6}")])?;
    }
    Ok(writer.flush()?)
}

fn report(
    scores: &Scores,
    templates: &Templates,
    failed_pairs: u64,
    profile: &str,
) -> serde_json::Value {
    let mut failures = BTreeMap::new();
    for code in templates
        .known
        .values()
        .filter_map(|template| template.as_ref().err())
    {
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
        "pictures": templates.known.len(),
        "failed_to_detect": failures.values().sum::<u64>(),
        "failures_by_code": failures,
        "pairs_left_out": failed_pairs,
        "min_face_px": templates.min_face_px,
        "interval": "Wilson, 95 %",
    })
}
