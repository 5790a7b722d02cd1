//! The stages that this program has, and how each is built from a site.

use std::sync::Arc;

use shiren_admit::Admit;
use shiren_contract::stage::{Stage, StageDescriptor};
use shiren_decode::Decode;
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_liveness::Liveness;
use shiren_match::Match;
use shiren_models::calibration::Table;
use shiren_models::liveness::fusion::Fusion;
use shiren_models::liveness::{PassiveLiveness, ViewSize};
use shiren_models::{
    Classifier, DetectorOptions, FaceDetector, FaceEmbedder, FaceMesh, Manifest, ModelError, Role,
};
use shiren_quality::QualityStage;
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
        QualityStage::DESCRIPTOR,
        Liveness::DESCRIPTOR,
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
        .with(on(site, build_quality))
        .with(on(site, build_liveness))
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
        views: views(site, &manifest, &profile.liveness)?,
        roll_max_degrees: detect.roll_max_degrees as f32,
        subject_min_margin: detect.subject_min_margin as f32,
    };
    Ok(Detect::new(Box::new(StillDecoder::new()), detector, config))
}

/// What the nets of liveness ask of detect, where the chain has liveness.
fn views(site: &Site, manifest: &Manifest, nets: &[String]) -> Result<Vec<ViewSize>, ModelError> {
    let liveness = Liveness::DESCRIPTOR.name;
    if site.topology.chain.iter().all(|stage| stage != liveness) {
        return Ok(Vec::new());
    }
    shiren_models::liveness::views(manifest, nets)
}

/// The quality stage of a site; what the profile has no model for is not checked.
///
/// # Errors
/// As [`build_detect`].
pub fn build_quality(site: &Site) -> Result<QualityStage, BuildError> {
    let manifest = site.manifest()?;
    let profile = manifest.profile(&site.topology.models.profile)?;
    let threads = site.topology.models.threads;
    let mesh = profile.mesh.as_ref();
    let mesh = mesh.map(|name| FaceMesh::open(&manifest, &site.home, name, threads));
    let models = shiren_quality::AttributeModels {
        sex: classifier(site, &manifest, &profile.sex, Role::Sex)?,
        age: classifier(site, &manifest, &profile.age, Role::Age)?,
        expression: classifier(site, &manifest, &profile.expression, Role::Expression)?,
    };
    let config = quality_config(&site.topology.quality);
    Ok(QualityStage::new(mesh.transpose()?, models, config))
}

fn classifier(
    site: &Site,
    manifest: &Manifest,
    name: &Option<String>,
    role: Role,
) -> Result<Option<Classifier>, ModelError> {
    let threads = site.topology.models.threads;
    name.as_ref()
        .map(|name| Classifier::open(manifest, &site.home, name, role, threads))
        .transpose()
}

/// Limits of the quality stage.
#[must_use]
pub fn quality_config(settings: &shiren_topology::Quality) -> shiren_quality::Config {
    let limits = |of: &shiren_topology::QualityLimits| shiren_quality::Limits {
        max_yaw_degrees: of.max_yaw_degrees,
        max_pitch_degrees: of.max_pitch_degrees,
        max_roll_degrees: of.max_roll_degrees,
        min_brightness: of.min_brightness,
        max_brightness: of.max_brightness,
        min_contrast: of.min_contrast,
        max_dark_share: of.max_dark_share,
        max_bright_share: of.max_bright_share,
        min_inside_share: of.min_inside_share,
    };
    let kind = |of: &shiren_topology::QualityDetail| shiren_quality::KindLimits {
        comparison: shiren_quality::Detail {
            min_inter_eye_px: of.comparison_min_inter_eye_px,
            min_sharpness: of.comparison_min_sharpness,
            max_blockiness: of.comparison_max_blockiness,
        },
        enrolment: shiren_quality::Detail {
            min_inter_eye_px: of.enrolment_min_inter_eye_px,
            min_sharpness: of.enrolment_min_sharpness,
            max_blockiness: of.enrolment_max_blockiness,
        },
    };
    shiren_quality::Config {
        min_presence: settings.min_presence,
        comparison: limits(&settings.comparison),
        enrolment: limits(&settings.enrolment),
        live: kind(&settings.live),
        on_file: kind(&settings.on_file),
        card_print: kind(&settings.card_print),
        chip: kind(&settings.chip),
    }
}

/// The liveness stage of a site.
///
/// # Errors
/// As [`build_detect`]; and a fusion table that cannot be read.
pub fn build_liveness(site: &Site) -> Result<Liveness, BuildError> {
    let manifest = site.manifest()?;
    let nets = &manifest.profile(&site.topology.models.profile)?.liveness;
    let liveness = &site.topology.liveness;
    let tables = liveness
        .tables
        .iter()
        .map(|file| Fusion::load(&manifest.folder.join(file)))
        .collect::<Result<_, _>>()?;
    let threads = site.topology.models.threads;
    let passive = PassiveLiveness::open(&manifest, &site.home, nets, tables, threads)?;
    let config = shiren_liveness::Config {
        policies: site.policies.clone(),
        min_face_px: liveness.min_face_px,
        min_sharpness: liveness.min_sharpness,
    };
    Ok(Liveness::new(passive, config))
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
