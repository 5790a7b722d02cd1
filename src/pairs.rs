//! Pairs of pictures, scored by the chain's own stages: what `bench accuracy` and `calibrate` are made of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use shiren_models::manifest::Metric;
use shiren_models::{Template, score};

use crate::site::Site;
use crate::templates::Templates;

/// One line of the list.
pub(crate) struct Pair {
    pub a: String,
    pub b: String,
    pub same: bool,
    /// Who they show, where the list says so.
    pub people: Option<(String, String)>,
}

/// A list of pairs with their scores.
pub(crate) struct ScoredPairs {
    /// In the list's order, without those that have none.
    pub scored: Vec<(Pair, f64)>,
    /// Pairs with a picture that has no usable subject.
    pub left_out: u64,
    /// For each picture seen, the code for which it has no template.
    pub pictures: HashMap<PathBuf, Option<String>>,
    pub min_face_px: u32,
}

/// Scores each pair of the CSV `list`. `min_face_px`: default, the default scene's.
pub(crate) fn score_list(
    site: Arc<Site>,
    list: &Path,
    min_face_px: Option<u32>,
) -> anyhow::Result<ScoredPairs> {
    let scene = site.topology.scenes.get("default");
    let min_face_px = min_face_px.unwrap_or(scene.map_or(100, |scene| scene.min_face_px));
    let metric = metric(&site)?;
    let pairs = read_pairs(list)?;
    let folder = list.parent().unwrap_or(Path::new("")).to_owned();
    let mut templates = KnownTemplates {
        templates: Templates::open(site, min_face_px)?,
        known: HashMap::new(),
    };
    let bar = ProgressBar::new(pairs.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} pairs, {eta} to go",
    )?);
    let mut scored = Vec::with_capacity(pairs.len());
    let mut left_out = 0;
    for pair in pairs {
        bar.inc(1);
        let a = templates.of(&folder.join(&pair.a))?;
        let b = templates.of(&folder.join(&pair.b))?;
        let (Ok(a), Ok(b)) = (a, b) else {
            left_out += 1;
            continue;
        };
        let score = f64::from(score::compare(&a, &b, metric)?);
        scored.push((pair, score));
    }
    bar.finish_and_clear();
    let pictures = templates.known.into_iter();
    Ok(ScoredPairs {
        scored,
        left_out,
        pictures: pictures
            .map(|(path, template)| (path, template.err()))
            .collect(),
        min_face_px,
    })
}

/// Templates of pictures, each made once.
struct KnownTemplates {
    templates: Templates,
    known: HashMap<PathBuf, Result<Template, String>>,
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
    let people = column("person_a").ok().zip(column("person_b").ok());
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
        let people = people.map(|(a, b)| (field(a), field(b)));
        if let Some((a, b)) = &people
            && ((a == b) != same || a.is_empty() || b.is_empty())
        {
            bail!(
                "{}:{}: same is {}, and the people are {a:?} and {b:?}",
                path.display(),
                index + 2,
                u8::from(same)
            );
        }
        pairs.push(Pair {
            a: field(a),
            b: field(b),
            same,
            people,
        });
    }
    if pairs.is_empty() {
        bail!("{}: no pairs", path.display());
    }
    Ok(pairs)
}

impl KnownTemplates {
    /// The subject's template, or the code for which there is none.
    fn of(&mut self, path: &Path) -> anyhow::Result<Result<Template, String>> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let template = self.templates.template(bytes);
        let template = template
            .map(|template| Template {
                model: template.model,
                values: template.values,
            })
            .map_err(|rejection| rejection.code.id.to_owned());
        self.known.insert(path.to_owned(), template.clone());
        Ok(template)
    }
}
