//! The site's register of persons: where it is, by which key it is opened, and how it compares faces.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use shiren_authority::{
    AuthorityError, Import, ImportReport, LocalRegister, Metric, ModelId, PortraitRefused,
    Progress, RegisterOptions, Template,
};
use shiren_contract::codes;
use shiren_contract::stage::Rejection;
use shiren_idcard::Date;
use shiren_models::manifest;
use shiren_runtime::now_us;
use shiren_schemas::Sha256;

use crate::site::Site;
use crate::templates::Templates;
use crate::vault;

/// Holds the register's key as 64 hexadecimal digits; wins over `register.kek_file`.
pub const KEK_VARIABLE: &str = "SHIREN_REGISTER_KEK";

/// Options of the site's register. It compares as the tables of the profile's embedder were made: a score by another
/// metric would be judged by a threshold that is none of its own.
///
/// # Errors
/// The manifest cannot be read, or has no metric for the embedder.
pub fn options(site: &Site) -> anyhow::Result<RegisterOptions> {
    let settings = &site.topology.register;
    let kek = vault::kek(KEK_VARIABLE, site.home.join(&settings.kek_file));
    let manifest = site.manifest()?;
    let name = &manifest.profile(&site.topology.models.profile)?.embedder;
    let metric = manifest.model(name)?.output.metric;
    Ok(RegisterOptions {
        metric: match metric.with_context(|| format!("{name}: no metric"))? {
            manifest::Metric::Cosine => Metric::Cosine,
            manifest::Metric::Euclidean => Metric::OneMinusEuclidean,
        },
        register_max_persons: settings.max_persons,
        register_max_bytes: settings.max_bytes,
        register_portrait_max_bytes: settings.portrait_max_bytes,
        register_import_max_rows: settings.import_max_rows,
        register_import_max_bytes: settings.import_max_bytes,
        ..RegisterOptions::new(site.home.join(&settings.file), kek)
    })
}

/// The embedder of the site's profile.
///
/// # Errors
/// The manifest cannot be read, or its hash of the embedder is none.
pub fn model(site: &Site) -> anyhow::Result<ModelId> {
    let manifest = site.manifest()?;
    let name = &manifest.profile(&site.topology.models.profile)?.embedder;
    model_id(name, &manifest.model(name)?.onnx.sha256)
        .with_context(|| format!("{name}: its sha256 in the manifest is none"))
}

/// Takes persons over from a table, whose portraits lie in `portraits`.
///
/// # Errors
/// The table cannot be read, or the register cannot be written.
pub fn import(
    site: &Arc<Site>,
    register: &LocalRegister,
    table: &Path,
    portraits: &Path,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<ImportReport> {
    let path = table.display().to_string();
    let mut rows = File::open(table).with_context(|| path.clone())?;
    let min_face_px = site.topology.scenes.get("default");
    let min_face_px = min_face_px.map_or(40, |scene| scene.min_face_px);
    let model = model(site)?;
    // Models are opened only for a table that has portraits, and once, also where they cannot be.
    let mut templates: Option<Result<Templates, String>> = None;
    let mut embed = |bytes: &[u8]| -> Result<Template, PortraitRefused> {
        let opened = templates.get_or_insert_with(|| {
            Templates::open(Arc::clone(site), min_face_px).map_err(|error| error.to_string())
        });
        let templates = opened.as_mut().map_err(|error| refused_by_fault(error))?;
        let refused = |rejection: Rejection| PortraitRefused {
            code: rejection.code,
            what: rejection.detail,
        };
        let template = templates.template(bytes.to_vec()).map_err(refused)?;
        Template::new(model.clone(), template.values).map_err(|error| refused_by_fault(&error))
    };
    let report = register.import(Import {
        rows: &mut rows,
        portraits,
        model: &model,
        embed: &mut embed,
        progress,
        today: today()?,
    });
    report.map_err(|error| anyhow::anyhow!("{path}: [{}] {error}", error.code()))
}

fn refused_by_fault(what: &dyn std::fmt::Display) -> PortraitRefused {
    PortraitRefused {
        code: codes::MODEL_FAILED,
        what: what.to_string(),
    }
}

/// The day that it is where the numbers come from.
///
/// # Errors
/// The clock is set before 1970.
pub fn today() -> anyhow::Result<Date> {
    Date::in_china(now_us()).context("the clock is set before 1970")
}

/// With its code, as an operator reads it.
pub(crate) fn coded(error: AuthorityError) -> anyhow::Error {
    anyhow::anyhow!("[{}] {error}", error.code())
}

/// A model by name and hash, 64 hexadecimal digits.
pub(crate) fn model_id(name: &str, digits: &str) -> Option<ModelId> {
    let mut sha256 = [0_u8; 32];
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != sha256.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in sha256.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(ModelId {
        name: name.to_owned(),
        sha256: Sha256(sha256),
    })
}
