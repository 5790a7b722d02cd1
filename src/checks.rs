//! What `shiren validate` checks beyond topology.toml itself: the manifest and the calibration
//! tables, and with `--live` weights, key store, log and topics.

use std::sync::Arc;

use shiren_contract::codes;
use shiren_contract::policy;
use shiren_contract::seal::VaultError;
use shiren_contract::stage::StageDescriptor;
use shiren_log::{Log, LogError, TopicSpec};
use shiren_models::calibration::{Basis, Table};
use shiren_models::error::{MODEL_FILE_MISSING, MODEL_HASH_MISMATCH};
use shiren_models::files::{self, FileState};
use shiren_models::liveness::fusion::Fusion;
use shiren_models::manifest::Profile;
use shiren_models::{Manifest, ModelError};
use shiren_topology::{LogSettings, Problem, Severity, line_of};
use shiren_vault::FileVault;

use crate::codes::{
    CHECK_WITHOUT_MODEL, EMBEDDINGS_MIXED, TOPIC_SETTING_DIFFERS, TOPIC_WITHOUT_APPEND_TIME,
};
use crate::site::Site;

const APPLY: &str = "run `shiren topics apply`";

/// Manifest, profile and calibration tables against the topology: `text`, read from `file`.
#[must_use]
pub fn models(site: &Site, text: &str, file: &str) -> Vec<Problem> {
    let at = |path: &str, code: &'static str, what: String, hint: String| Problem {
        code,
        severity: Severity::Error,
        file: file.to_owned(),
        line: line_of(text, path),
        path: path.to_owned(),
        what,
        hint: Some(hint),
    };
    let refused = |path: &str, error: &ModelError| {
        let code = error.code();
        vec![at(path, code.id, error.to_string(), code.advice.to_owned())]
    };
    let manifest = match site.manifest() {
        Ok(manifest) => manifest,
        Err(error) => return refused("models.manifest", &error),
    };
    let profile = match manifest.profile(&site.topology.models.profile) {
        Ok(profile) => profile,
        Err(error) => return refused("models.profile", &error),
    };
    let mut problems = Vec::new();
    for (check, what) in unanswerable(site, &manifest, profile) {
        for (name, scene) in &site.topology.scenes {
            if scene.requires.iter().any(|required| required == check) {
                let path = format!("scene.{name}.requires");
                let hint = CHECK_WITHOUT_MODEL.advice.to_owned();
                problems.push(at(&path, CHECK_WITHOUT_MODEL.id, what.clone(), hint));
            }
        }
    }
    let compares = |stage: &&StageDescriptor| stage.checks.contains(&policy::COMPARISON);
    let mut comparing = site.stages.iter().filter(compares);
    if !comparing.any(|stage| site.topology.chain.iter().any(|name| name == stage.name)) {
        return problems;
    }
    let table = match table(&manifest, &profile.embedder) {
        Ok(table) => table,
        Err(error) => return refused("models.profile", &error),
    };
    if table.model() != profile.embedder {
        let what = format!(
            "templates of {} would be judged by {}, a table of {}",
            profile.embedder,
            table.name(),
            table.model()
        );
        let hint = EMBEDDINGS_MIXED.advice.to_owned();
        return vec![at("models.profile", EMBEDDINGS_MIXED.id, what, hint)];
    }
    for (name, scene) in &site.topology.scenes {
        let path = format!("scene.{name}.target_fmr");
        match table.threshold(scene.target_fmr) {
            Err(error) => problems.extend(refused(&path, &error)),
            Ok(point)
                if point.basis == Basis::Extrapolated && scene.allow_extrapolated.is_none() =>
            {
                let what = format!(
                    "{} saw too few false matches to measure {}: every match would be `review`",
                    table.name(),
                    scene.target_fmr
                );
                let hint = format!(
                    "ask for a rate that is measured, bring a table with more pairs (docs/thresholds.md), or say in \
                     scene.{name}.allow_extrapolated why an extrapolated threshold may accept"
                );
                problems.push(at(&path, codes::THRESHOLD_EXTRAPOLATED.id, what, hint));
            }
            Ok(_) => {}
        }
    }
    problems
}

/// Checks of Shiren's own stages that would never run, and why.
fn unanswerable(
    site: &Site,
    manifest: &Manifest,
    profile: &Profile,
) -> Vec<(&'static str, String)> {
    let runs = |name: &str| site.topology.chain.iter().any(|stage| stage == name);
    let mut checks = Vec::new();
    if runs("quality") && profile.mesh.is_none() {
        let what = "the profile names no mesh, so quality would never be checked";
        checks.push((policy::QUALITY, what.to_owned()));
    }
    let nets = profile.liveness.iter().map(|net| manifest.model(net));
    let nets: Result<Vec<_>, _> = nets.collect();
    let hashes: Vec<&str> = nets
        .iter()
        .flatten()
        .map(|net| net.onnx.sha256.as_str())
        .collect();
    let is_there = |file: &String| {
        Fusion::load(&manifest.folder.join(file)).is_ok_and(|table| table.is_for(&hashes))
    };
    if runs("liveness") && !site.topology.liveness.tables.iter().any(is_there) {
        let what = format!(
            "none of liveness.tables joins the profile's nets ({}), so liveness would never be checked",
            profile.liveness.join(", ")
        );
        checks.push((policy::LIVENESS, what));
    }
    checks
}

fn table(manifest: &Manifest, embedder: &str) -> Result<Table, ModelError> {
    Table::load(&manifest.calibration_path(embedder)?)
}

/// Weights, key store, log and topics as they are now.
#[must_use]
pub fn live(site: &Site) -> Vec<Problem> {
    let mut problems = weights(site);
    problems.extend(vault(site));
    match existing_log(site) {
        Ok(log) => problems.extend(topics(log.as_ref(), &site.topics())),
        Err(found) => problems.extend(found),
    }
    problems
}

/// Every file of the profile. What is wrong with the manifest itself, [`models`] says.
fn weights(site: &Site) -> Vec<Problem> {
    let profile = &site.topology.models.profile;
    let checked = site
        .manifest()
        .and_then(|manifest| files::verify(&manifest, &site.home, Some(profile)));
    let mut problems = Vec::new();
    for check in checked.unwrap_or_default() {
        let (code, what) = match check.state {
            FileState::Ok => continue,
            FileState::Missing => (MODEL_FILE_MISSING, "is missing".to_owned()),
            FileState::WrongHash => (
                MODEL_HASH_MISMATCH,
                "is not the file that the manifest names".to_owned(),
            ),
            FileState::Unreadable(why) => (MODEL_FILE_MISSING, why),
        };
        problems.push(found(
            &check.path.display().to_string(),
            &check.name,
            code.id,
            what,
            &format!("run `shiren models fetch --profile {profile}`"),
        ));
    }
    problems
}

/// The key store, without making one: on the embedded log the first worker does.
fn vault(site: &Site) -> Option<Problem> {
    if !site.topology.vault.enabled {
        return None;
    }
    let options = crate::vault::options(site);
    let place = options.dir.display().to_string();
    let is_embedded = matches!(site.topology.log, LogSettings::Embedded(_));
    match FileVault::open(options) {
        Ok(_) => None,
        Err(VaultError::StoreMissing { .. }) if is_embedded => None,
        Err(error) => {
            let code = error.code();
            Some(found(
                &place,
                "vault.dir",
                code.id,
                error.to_string(),
                code.advice,
            ))
        }
    }
}

/// The topics of a log against what they should be. When the log stops answering, that is the last
/// problem.
#[must_use]
pub fn topics(log: &dyn Log, specs: &[TopicSpec]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in specs {
        match log.describe(&spec.name) {
            Ok(state) => problems.extend(topic(log.engine(), spec, state)),
            Err(error) => {
                problems.push(log_problem(log.engine(), &spec.name, &error));
                break;
            }
        }
    }
    problems
}

fn topic(engine: &str, spec: &TopicSpec, state: Option<shiren_log::TopicState>) -> Vec<Problem> {
    let differs = |code, what: String, hint: &str| found(engine, &spec.name, code, what, hint);
    let Some(state) = state else {
        let what = "does not exist".to_owned();
        return vec![differs("topic_unknown", what, APPLY)];
    };
    let is = &state.spec;
    let mut problems = Vec::new();
    if is.partitions != spec.partitions {
        let what = format!(
            "has {} partitions, topics.partitions = {}",
            is.partitions, spec.partitions
        );
        let hint = format!(
            "set topics.partitions = {}: the count of a keyed topic is never changed",
            is.partitions
        );
        problems.push(differs("topic_partitions_differ", what, &hint));
    }
    if !state.has_append_time {
        let what = "keeps the producers' time stamps".to_owned();
        problems.push(differs(TOPIC_WITHOUT_APPEND_TIME.id, what, APPLY));
    }
    let settings = [
        (
            "retention_ms",
            is.retention_ms.to_string(),
            spec.retention_ms.to_string(),
        ),
        (
            "max_record_bytes",
            is.max_record_bytes.to_string(),
            spec.max_record_bytes.to_string(),
        ),
        (
            "compacted",
            is.compacted.to_string(),
            spec.compacted.to_string(),
        ),
    ];
    for (name, is, wanted) in settings {
        if is != wanted {
            let what = format!("{name} is {is}, the topology says {wanted}");
            problems.push(differs(TOPIC_SETTING_DIFFERS.id, what, APPLY));
        }
    }
    problems
}

/// A problem of the log as a whole, or of one of its topics.
pub(crate) fn log_problem(engine: &str, path: &str, error: &LogError) -> Problem {
    let code = error.code();
    let groups = crate::codes::groups();
    let mut all = groups.iter().flat_map(|group| &group.codes);
    let advice = all.find(|known| known.id == code).map_or("", |c| c.advice);
    found(engine, path, code, error.to_string(), advice)
}

/// A problem outside topology.toml: it has a place, and no line.
fn found(place: &str, path: &str, code: &'static str, what: String, hint: &str) -> Problem {
    Problem {
        code,
        severity: Severity::Error,
        file: place.to_owned(),
        line: 0,
        path: path.to_owned(),
        what,
        hint: Some(hint.to_owned()),
    }
}

/// The log, without making one: opening an embedded log that is not there would.
fn existing_log(site: &Site) -> Result<Arc<dyn Log>, Vec<Problem>> {
    if let LogSettings::Embedded(log) = &site.topology.log {
        let dir = site.home.join(&log.dir);
        if !dir.exists() {
            let (path, code) = ("log.embedded.dir", "topic_unknown");
            let what = "there is no embedded log yet".to_owned();
            let place = dir.display().to_string();
            return Err(vec![found(&place, path, code, what, APPLY)]);
        }
    }
    site.open_log().map_err(|error| match error.downcast_ref() {
        Some(known) => vec![log_problem("log", "", known)],
        None => vec![found("log", "", "log_fatal", format!("{error:#}"), "")],
    })
}
