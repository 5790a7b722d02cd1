//! The stages that this program has, and how each is built from a site.

use std::sync::Arc;
use std::time::Duration;

use shiren_admit::Admit;
use shiren_authority_verify::AuthorityVerify;
use shiren_contract::asking::AskingStage;
use shiren_contract::keyed::KeyedStage;
use shiren_contract::stage::{Stage, StageDescriptor};
use shiren_decode::Decode;
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_enrol::Enrol;
use shiren_identity_limit::IdentityLimit;
use shiren_liveness::Liveness;
use shiren_match::Match;
use shiren_models::calibration::Calibration;
use shiren_models::liveness::fusion::Fusion;
use shiren_models::liveness::{PassiveLiveness, ViewSize};
use shiren_models::{
    Classifier, DetectorOptions, FaceDetector, FaceEmbedder, FaceMesh, Manifest, ModelError, Role,
};
use shiren_quality::QualityStage;
use shiren_runtime::{AskBounds, BuildError, Clock, IntentBounds, Registry, StateBounds};
use shiren_schemas::records::RequestKind;
use shiren_stills::StillDecoder;

use crate::authority::SiteAuthority;
use crate::face_library::{SiteLibrary, TemplateForm};
use crate::identity_limit::SiteHash;
use crate::site::Site;

/// What the stages are, without building any: enough to check a topology.
#[must_use]
pub fn descriptors() -> Vec<StageDescriptor> {
    vec![
        <Admit as KeyedStage>::DESCRIPTOR,
        Decode::DESCRIPTOR,
        Detect::DESCRIPTOR,
        QualityStage::DESCRIPTOR,
        Liveness::DESCRIPTOR,
        Embed::DESCRIPTOR,
        <Match as AskingStage>::DESCRIPTOR,
        <Enrol as AskingStage>::DESCRIPTOR,
        <IdentityLimit as KeyedStage>::DESCRIPTOR,
        <AuthorityVerify as AskingStage>::DESCRIPTOR,
    ]
}

/// The stages of this program, to be built for `site`: each worker builds its own.
#[must_use]
pub fn registry(site: &Arc<Site>) -> Registry {
    registry_with(site, SiteAuthority::new(site), Clock::default())
}

/// As [`registry`], with another authority behind authority-verify; workers and asks go by `clock`.
#[must_use]
pub fn registry_with(site: &Arc<Site>, authority: SiteAuthority, clock: Clock) -> Registry {
    let library = SiteLibrary::new(site);
    let bounds = ask_bounds(&site.topology.library.asks);
    let hash = SiteHash::new(site);
    Registry::on_clock(clock)
        .with_keyed(state_bounds(site), {
            let site = site.clone();
            move || Ok(build_admit(&site))
        })
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
        .with_asking(library.clone(), bounds, on_asking(site, build_match))
        .with_asking(library, bounds, on_asking(site, build_enrol))
        .with_rekeyed(
            state_bounds(site),
            {
                let hash = hash.clone();
                move |case| hash.key(case)
            },
            move || hash.build(),
        )
        .with_asking_once(
            Arc::new(authority),
            ask_bounds(&site.topology.authority.asks),
            IntentBounds {
                state: state_bounds(site),
                ttl: Duration::from_millis(site.topology.authority.intent_ttl_ms),
            },
            on_asking(site, build_authority_verify),
        )
}

fn state_bounds(site: &Site) -> StateBounds {
    let state = site.topology.state;
    StateBounds {
        partition_max_keys: state.partition_max_keys,
        partition_max_bytes: state.partition_max_bytes,
    }
}

fn ask_bounds(settings: &shiren_topology::Asks) -> AskBounds {
    AskBounds {
        max_wait: Duration::from_millis(settings.ask_max_wait_ms),
        call_max_wait: Duration::from_millis(settings.call_max_wait_ms),
        max_attempts: settings.ask_max_attempts,
        backoff: Duration::from_millis(settings.ask_backoff_ms),
        breaker_max_failures: settings.breaker_max_failures,
        breaker_pause: Duration::from_millis(settings.breaker_pause_ms),
        max_calls: settings.calls_max,
    }
}

fn on_asking<S: AskingStage>(
    site: &Arc<Site>,
    build: impl Fn(&Site) -> Result<S, BuildError> + Send + Sync + 'static,
) -> impl Fn() -> Result<S, BuildError> + Send + Sync + 'static {
    let site = site.clone();
    move || build(&site)
}

fn on<S: Stage>(
    site: &Arc<Site>,
    build: impl Fn(&Site) -> Result<S, BuildError> + Send + Sync + 'static,
) -> impl Fn() -> Result<S, BuildError> + Send + Sync + 'static {
    let site = site.clone();
    move || build(&site)
}

fn build_admit(site: &Site) -> Admit {
    let in_chain = |stage: &&StageDescriptor| {
        let mut chain = site.topology.chain.iter();
        chain.any(|name| name == stage.name)
    };
    // A kind that some stage exists to end, as match or authority-verify, has no answer in a chain without it.
    let answered = |kind: &RequestKind| {
        let ends =
            |stage: &&StageDescriptor| stage.outputs.is_empty() && stage.kinds.contains(kind);
        let mut ends = site.stages.iter().filter(ends).peekable();
        ends.peek().is_none() || ends.any(|stage| in_chain(&stage))
    };
    let behind = site
        .stages
        .iter()
        .filter(|stage| stage.name != <Admit as KeyedStage>::DESCRIPTOR.name)
        .filter(in_chain);
    Admit::new(shiren_admit::Config {
        kinds: behind
            .flat_map(|stage| stage.kinds.iter().copied())
            .filter(answered)
            .collect(),
        policies: site.policies.clone(),
        deadline_max_ms: i64::try_from(site.topology.runtime.deadline_max_ms).unwrap_or(i64::MAX),
        questions: shiren_admit::QuestionBounds {
            libraries_max: site.topology.library.search_libraries_max,
            persons_max: site.topology.library.search_persons_max,
        },
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
    Ok(Match::new(shiren_match::Config {
        policies: site.policies.clone(),
        calibration: calibration(site)?,
        faces_per_person_max: site.topology.library.faces_per_person_max,
    }))
}

fn build_enrol(site: &Site) -> Result<Enrol, BuildError> {
    Ok(Enrol::new(TemplateForm::of(site)?.model))
}

fn build_authority_verify(site: &Site) -> Result<AuthorityVerify, BuildError> {
    Ok(AuthorityVerify::new(shiren_authority_verify::Config {
        policies: site.policies.clone(),
        calibration: calibration(site)?,
    }))
}

/// Metric and tables of the profile's embedder.
fn calibration(site: &Site) -> Result<Calibration, ModelError> {
    let manifest = site.manifest()?;
    let profile = manifest.profile(&site.topology.models.profile)?;
    Calibration::load(&manifest, &profile.embedder)
}
