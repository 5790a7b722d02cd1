//! The stages as a site builds them, with networks whose outputs were recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use shiren_admit::{Admit, QuestionBounds};
use shiren_authority_verify::AuthorityVerify;
use shiren_contract::policies::Policies;
use shiren_contract::policy::Scene;
use shiren_contract::still::StillLimits;
use shiren_decode::Decode;
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_enrol::Enrol;
use shiren_liveness::Liveness;
use shiren_log::{NewRecord, Record};
use shiren_match::Match;
use shiren_models::calibration::Calibration;
use shiren_models::liveness::PassiveLiveness;
use shiren_models::liveness::fusion::Fusion;
use shiren_models::{DetectorOptions, FaceDetector, FaceEmbedder, FaceMesh, Manifest, Recording};
use shiren_quality::{AttributeModels, Detail, KindLimits, Limits, QualityStage};
use shiren_runtime::{AskBounds, Clock, IntentBounds, Registry, StateBounds};
use shiren_schemas::Wire;
use shiren_schemas::records::{CanonicalVerdict, ModelRef, Request, RequestKind, Verdict};
use shiren_stills::StillDecoder;

use crate::plan::Mutation;
use crate::ports::World;
use crate::workload::{Pictures, TENANT};

/// All stages, in their order.
pub(crate) const CHAIN: [&str; 9] = [
    "admit",
    "decode",
    "detect",
    "quality",
    "liveness",
    "embed",
    "match",
    "enrol",
    "authority-verify",
];

const LIMITS: StillLimits = StillLimits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 20,
    max_side_px: 2_000,
    min_side_px: 32,
    decode_max_ms: 10_000,
};

const INTENTS: IntentBounds = IntentBounds {
    state: LEDGER,
    ttl: Duration::from_secs(3_600),
};

const ASKS: AskBounds = AskBounds {
    max_wait: Duration::from_millis(2_000),
    call_max_wait: Duration::from_millis(1_000),
    max_attempts: 3,
    backoff: Duration::from_millis(50),
    breaker_max_failures: 4,
    breaker_pause: Duration::from_millis(300),
    max_calls: 4,
};

const LEDGER: StateBounds = StateBounds {
    partition_max_keys: 1_000,
    partition_max_bytes: 1 << 20,
};

/// What all runs share.
pub struct Site {
    manifest: Manifest,
    home: std::path::PathBuf,
    calibration: Calibration,
    tables: Vec<Fusion>,
    pub(crate) policies: Policies,
    pub(crate) pictures: Pictures,
    /// Canonical hashes of a run without faults, by case.
    pub(crate) reference: crate::simulation::Ends,
}

impl Site {
    /// Runs the whole workload once without faults, with the networks of `manifest` from `home`, and keeps what they
    /// gave: later runs load none.
    ///
    /// # Errors
    /// A model or picture is missing (`scripts/setup --tests` fetches them), or that run ended otherwise than it must.
    pub fn recorded(manifest: &Path, home: &Path) -> Result<Self> {
        let mut manifest = Manifest::load(manifest)?;
        let recording = Recording::new();
        manifest.recording = Some(recording.clone());
        let embedder = manifest.profile("open")?.embedder.clone();
        let scene = Scene {
            requires: vec!["comparison".to_owned()],
            target_fmr: 0.001,
            target_fpir: Some(0.01),
            min_margin: 0.0,
            allow_extrapolated: Some("simulation".to_owned()),
            allow_advisory: Some("simulation".to_owned()),
            expires_after_ms: 60_000,
            request_ttl_ms: 86_400_000,
            deadline_ms: None,
            min_face_px: 40,
        };
        let scenes = [
            ("default".to_owned(), scene.clone()),
            ("other".to_owned(), scene),
        ];
        let cues = manifest.folder.join("calibration/liveness-cues.toml");
        let mut site = Self {
            calibration: Calibration::load(&manifest, &embedder)?,
            tables: vec![Fusion::load(&cues)?],
            manifest,
            home: home.to_owned(),
            policies: Policies::seeded(&[TENANT.to_owned()], &scenes.into()),
            pictures: Pictures::load(home)?,
            reference: crate::simulation::Ends::default(),
        };
        let run =
            crate::simulation::run(&site, 0, None, false).context("the run without faults")?;
        if let Some(violation) = run.violation {
            anyhow::bail!("the run without faults: {violation}");
        }
        site.reference = run.ends;
        site.manifest.recording = Some(recording.playing());
        Ok(site)
    }

    pub(crate) fn world(
        &self,
        plan: &crate::plan::Plan,
        time: &crate::time::SimulatedTime,
        mutation: Option<Mutation>,
        once: bool,
    ) -> World {
        World::new(
            plan.clone(),
            time.clone(),
            self.calibration.metric,
            mutation,
            once,
        )
    }
}

/// The stages, each built anew for every worker.
pub(crate) fn registry(site: &Site, clock: Clock, world: &World) -> Registry {
    let policies = site.policies.clone();
    let admit = shiren_admit::Config {
        kinds: RequestKind::ALL.iter().copied().collect(),
        policies: policies.clone(),
        questions: QuestionBounds {
            libraries_max: 4,
            persons_max: 10,
        },
        deadline_max_ms: 60_000,
    };
    let matching = shiren_match::Config {
        policies: policies.clone(),
        calibration: site.calibration.clone(),
        faces_per_person_max: 5,
    };
    let verifying = shiren_authority_verify::Config {
        policies,
        calibration: site.calibration.clone(),
    };
    let port = Arc::new(world.clone());
    let model = ModelRef {
        name: site.calibration.model.clone(),
        sha256: site
            .manifest
            .model
            .get(&site.calibration.model)
            .map(|m| m.onnx.sha256.clone())
            .unwrap_or_default(),
    };
    let registry = faces(site, Registry::on_clock(clock))
        .with_keyed(LEDGER, move || Ok(Admit::new(admit.clone())))
        .with(|| Ok(Decode::new(Box::new(StillDecoder::new()), LIMITS)))
        .with_asking(port.clone(), ASKS, move || Ok(Enrol::new(model.clone())))
        .with_asking_once(port.clone(), ASKS, INTENTS, move || {
            Ok(AuthorityVerify::new(verifying.clone()))
        });
    registry.with_asking(port, ASKS, move || Ok(Match::new(matching.clone())))
}

/// The stages with networks.
fn faces(site: &Site, registry: Registry) -> Registry {
    let open = |site: &Site| (site.manifest.clone(), site.home.clone());
    let (manifest, home) = open(site);
    let policies = site.policies.clone();
    let registry = registry.with(move || {
        let options = DetectorOptions {
            max_net_side_px: 320,
            ..DetectorOptions::default()
        };
        let profile = manifest.profile("open")?;
        let detector = FaceDetector::open(&manifest, &home, &profile.detector, options)?;
        let config = shiren_detect::Config {
            limits: LIMITS,
            policies: policies.clone(),
            max_faces: 8,
            crop_max_side_px: 160,
            crop_max_bytes: 1 << 20,
            crop_context: 2.0,
            views: Vec::new(),
            roll_max_degrees: 45.0,
            subject_min_margin: 1.5,
        };
        Ok(Detect::new(Box::new(StillDecoder::new()), detector, config))
    });
    let (manifest, home) = open(site);
    let registry = registry.with(move || {
        let mesh = manifest.profile("open")?.mesh.clone();
        let mesh = mesh.map(|name| FaceMesh::open(&manifest, &home, &name, 1));
        let none = AttributeModels {
            sex: None,
            age: None,
            expression: None,
        };
        Ok(QualityStage::new(
            mesh.transpose()?,
            none,
            lenient_quality(),
        ))
    });
    let (manifest, home) = open(site);
    let (policies, tables) = (site.policies.clone(), site.tables.clone());
    let registry = registry.with(move || {
        let passive = PassiveLiveness::open(&manifest, &home, &[], tables.clone(), 1)?;
        let config = shiren_liveness::Config {
            policies: policies.clone(),
            min_face_px: 40,
            min_sharpness: 0.0,
        };
        Ok(Liveness::new(passive, config))
    });
    let (manifest, home) = open(site);
    registry.with(move || {
        let embedder = &manifest.profile("open")?.embedder;
        Ok(Embed::new(FaceEmbedder::open(
            &manifest, &home, embedder, 1,
        )?))
    })
}

/// Small pictures must pass: what is simulated is what comes behind.
fn lenient_quality() -> shiren_quality::Config {
    let limits = Limits {
        max_yaw_degrees: 90.0,
        max_pitch_degrees: 90.0,
        max_roll_degrees: 90.0,
        min_brightness: 0.0,
        max_brightness: 255.0,
        min_contrast: 0.0,
        max_dark_share: 1.0,
        max_bright_share: 1.0,
        min_inside_share: 0.0,
    };
    let detail = Detail {
        min_inter_eye_px: 0.0,
        min_sharpness: 0.0,
        max_blockiness: f64::MAX,
    };
    let kind = KindLimits {
        comparison: detail,
        enrolment: detail,
    };
    shiren_quality::Config {
        min_presence: 0.0,
        comparison: limits,
        enrolment: limits,
        live: kind,
        on_file: kind,
        card_print: kind,
        chip: kind,
    }
}

/// A mutation: a request that is read again asks for another scene.
pub(crate) fn mark(records: &mut [Record], again: &[bool]) {
    for (record, again) in records.iter_mut().zip(again) {
        let request = record
            .value
            .as_ref()
            .and_then(|value| Request::decode(value).ok());
        if let Some(mut request) = request.filter(|_| *again) {
            "other".clone_into(&mut request.scene);
            if let Ok(value) = request.encode() {
                record.value = Some(Bytes::from(value));
            }
        }
    }
}

/// A mutation of each verdict among the outputs.
pub(crate) fn mutate_verdicts(outputs: &mut [NewRecord], mutate: impl Fn(&mut CanonicalVerdict)) {
    let topic = crate::simulation::verdicts().to_string();
    for record in outputs.iter_mut().filter(|record| *record.topic == *topic) {
        let verdict = record.value.as_deref().map(Verdict::decode);
        if let Some(Ok(mut verdict)) = verdict {
            mutate(&mut verdict.canonical);
            record.value = verdict.encode().ok().map(Bytes::from);
        }
    }
}
