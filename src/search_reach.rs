//! How large a library each scene's target FPIR supports, by the site's model and its calibration table.

use shiren_models::calibration::{Calibration, FacesSupported};
use shiren_schemas::records::ReferenceKind;

use crate::site::Site;

/// One scene that searches.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchReach {
    /// Scene.
    pub scene: String,
    /// Its target, 0 to 1.
    pub target_fpir: f64,
    /// Name of the table, and the faces; or why nothing can be said.
    pub supported: Result<(String, FacesSupported), String>,
}

/// Of each scene of topology.toml with a `target_fpir`. Enrolled faces are on file, so it is that kind's table.
#[must_use]
pub fn of_scenes(site: &Site) -> Vec<SearchReach> {
    let scenes = site.topology.scenes.iter();
    let mut searching = scenes
        .filter_map(|(name, scene)| Some((name, scene.target_fpir?)))
        .peekable();
    if searching.peek().is_none() {
        return Vec::new();
    }
    let calibration = calibration(site);
    searching
        .map(|(name, target_fpir)| SearchReach {
            scene: name.clone(),
            target_fpir,
            supported: calibration
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|calibration| supported(calibration, target_fpir)),
        })
        .collect()
}

/// What searches at the site are judged by.
fn calibration(site: &Site) -> Result<Calibration, String> {
    let manifest = site.manifest().map_err(|error| error.to_string())?;
    let profile = manifest.profile(&site.topology.models.profile);
    let embedder = &profile.map_err(|error| error.to_string())?.embedder;
    Calibration::load(&manifest, embedder).map_err(|error| error.to_string())
}

fn supported(
    calibration: &Calibration,
    target_fpir: f64,
) -> Result<(String, FacesSupported), String> {
    let table = calibration.table(ReferenceKind::OnFile);
    let table = table.map_err(|rejection| format!("{}: {}", rejection.code, rejection.detail))?;
    let faces = table.faces_supported(target_fpir);
    let faces = faces.map_err(|error| error.to_string())?;
    Ok((table.name().to_owned(), faces))
}

impl SearchReach {
    /// As one object.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let known = self.supported.as_ref().ok();
        serde_json::json!({
            "scene": self.scene,
            "target_fpir": self.target_fpir,
            "table": known.map(|(table, _)| table),
            "faces_measured_max": known.map(|(_, faces)| faces.measured),
            "faces_extrapolated_max": known.map(|(_, faces)| faces.extrapolated),
            "why": self.supported.as_ref().err(),
        })
    }
}

impl std::fmt::Display for SearchReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scene {}: target_fpir {} ", self.scene, self.target_fpir)?;
        match &self.supported {
            Ok((table, faces)) if faces.extrapolated == 0 => {
                write!(f, "is supported at no number of faces by {table}")
            }
            Ok((table, faces)) => write!(
                f,
                "is measured up to {} faces, extrapolated up to {} ({table}); beyond, a search ends in error",
                faces.measured, faces.extrapolated
            ),
            Err(why) => write!(f, "is supported at no number of faces: {why}"),
        }
    }
}
