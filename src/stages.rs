//! The stages that this program has, and how each is built from a site.

use std::sync::Arc;

use shiren_admit::Admit;
use shiren_contract::stage::{Stage, StageDescriptor};
use shiren_decode::Decode;
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_match::Match;
use shiren_models::calibration::Table;
use shiren_models::{DetectorOptions, FaceDetector, FaceEmbedder};
use shiren_runtime::{BuildError, Registry};
use shiren_stills::StillDecoder;

use crate::site::Site;

/// What the stages are, without building any: enough to check a topology.
#[must_use]
pub fn descriptors() -> Vec<StageDescriptor> {
    vec![
        Admit::DESCRIPTOR,
        Decode::DESCRIPTOR,
        Detect::DESCRIPTOR,
        Embed::DESCRIPTOR,
        Match::DESCRIPTOR,
    ]
}

/// The stages of this program, to be built for `site`: each worker builds its own.
#[must_use]
pub fn registry(site: &Arc<Site>) -> Registry {
    Registry::new()
        .with(on(site, |site| Ok(build_admit(site))))
        .with(on(site, |site| {
            Ok(Decode::new(
                Box::new(StillDecoder::new()),
                site.still_limits(),
            ))
        }))
        .with(on(site, build_detect))
        .with(on(site, build_embed))
        .with(on(site, build_match))
}

fn on<S: Stage>(
    site: &Arc<Site>,
    build: impl Fn(&Site) -> Result<S, BuildError> + Send + Sync + 'static,
) -> impl Fn() -> Result<S, BuildError> + Send + Sync + 'static {
    let site = site.clone();
    move || build(&site)
}

fn build_admit(site: &Site) -> Admit {
    let chain = &site.topology.chain;
    let behind = site.stages.iter().filter(|stage| {
        stage.name != Admit::DESCRIPTOR.name && chain.iter().any(|name| name == stage.name)
    });
    Admit::new(shiren_admit::Config {
        kinds: behind
            .flat_map(|stage| stage.kinds.iter().copied())
            .collect(),
        policies: site.policies.clone(),
        deadline_max_ms: i64::try_from(site.topology.runtime.deadline_max_ms).unwrap_or(i64::MAX),
    })
}

/// The detect stage of a site.
///
/// # Errors
/// A file of the model is missing, another one, or of another shape than the manifest says.
pub fn build_detect(site: &Site) -> Result<Detect, BuildError> {
    let manifest = site.manifest()?;
    let profile = manifest.profile(&site.topology.models.profile)?;
    let detect = &site.topology.detect;
    let options = DetectorOptions {
        max_net_side_px: detect.net_max_side_px,
        threads: site.topology.models.threads,
        ..DetectorOptions::default()
    };
    let detector = FaceDetector::open(&manifest, &site.home, &profile.detector, options)?;
    let config = shiren_detect::Config {
        limits: site.still_limits(),
        policies: site.policies.clone(),
        max_faces: detect.max_faces,
        crop_max_side_px: detect.crop_max_side_px,
        crop_max_bytes: detect.crop_max_bytes,
        crop_context: detect.crop_context as f32,
        roll_max_degrees: detect.roll_max_degrees as f32,
        subject_min_margin: detect.subject_min_margin as f32,
    };
    Ok(Detect::new(Box::new(StillDecoder::new()), detector, config))
}

/// The embed stage of a site.
///
/// # Errors
/// As [`build_detect`].
pub fn build_embed(site: &Site) -> Result<Embed, BuildError> {
    let manifest = site.manifest()?;
    let profile = manifest.profile(&site.topology.models.profile)?;
    let threads = site.topology.models.threads;
    Ok(Embed::new(FaceEmbedder::open(
        &manifest,
        &site.home,
        &profile.embedder,
        threads,
    )?))
}

fn build_match(site: &Site) -> Result<Match, BuildError> {
    let manifest = site.manifest()?;
    let profile = manifest.profile(&site.topology.models.profile)?;
    let entry = manifest.model(&profile.embedder)?;
    let metric = entry
        .output
        .metric
        .ok_or_else(|| format!("{}: no metric", profile.embedder))?;
    let folder = site
        .manifest_path()
        .parent()
        .map(std::path::Path::to_owned)
        .unwrap_or_default();
    let tables = entry
        .calibration
        .iter()
        .map(|file| Table::load(&folder.join(file)));
    Ok(Match::new(shiren_match::Config {
        policies: site.policies.clone(),
        model: profile.embedder.clone(),
        metric,
        tables: tables.collect::<Result<_, _>>()?,
    }))
}
