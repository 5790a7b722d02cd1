//! Passive liveness (ISO/IEC 30107: presentation attack detection) on one still: nets of the manifest and classical
//! cues, joined by a fitted table.

pub mod cues;
pub mod fusion;
mod net;
pub mod spectrum;

use std::path::Path;

use shiren_contract::raster::Rgb8;

use crate::error::ModelError;
use crate::geometry::BoundingBox;
use crate::manifest::Manifest;
use fusion::{Fusion, PERIODIC_PATTERN, SECOND_EDGE, STRAIGHT_EDGE};
use spectrum::Transform;

pub use net::{LivenessNet, ViewSize};

/// The views that these nets of the manifest need beside a crop.
///
/// # Errors
/// A net that the manifest does not have.
pub fn views(manifest: &Manifest, nets: &[String]) -> Result<Vec<ViewSize>, ModelError> {
    let mut views = Vec::new();
    for name in nets {
        views.extend(net::view(manifest.model(name)?));
    }
    Ok(views)
}

/// A face as liveness looks at it.
pub struct Presented<'a> {
    /// The subject's crop.
    pub crop: &'a Rgb8,
    /// Its box, in pixels of the crop.
    pub face: BoundingBox,
    /// The view of a size, where there is one.
    pub view: &'a dyn Fn(ViewSize) -> Option<Rgb8>,
}

/// What one net or cue saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Name of the net in the manifest, or of the cue.
    pub name: String,
    /// sha256 of the net's file, hexadecimal; empty for a cue.
    pub sha256: String,
    /// Natural logarithm of the odds that the face is live; or the cue. Finite.
    pub value: f64,
}

/// Nets, cues and the table that joins them; a worker has its own.
pub struct PassiveLiveness {
    nets: Vec<LivenessNet>,
    fusion: Option<Fusion>,
    transform: Transform,
}

impl PassiveLiveness {
    /// Loads the nets named from `home`, the cache folder, with `threads` (at least 1) for one run, and takes the one
    /// of `tables` that joins exactly them. Without such a table everything is measured and nothing is scored.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model that is no liveness net or has other shapes than the manifest
    /// says, a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        names: &[String],
        tables: Vec<Fusion>,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let open = |name: &String| LivenessNet::open(manifest, home, name, threads);
        let nets = names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<&str> = nets.iter().map(LivenessNet::sha256).collect();
        let fusion = tables.into_iter().find(|table| table.is_for(&hashes));
        Ok(Self {
            fusion,
            nets,
            transform: Transform::default(),
        })
    }

    /// The table; `None` where none is for these nets.
    #[must_use]
    pub fn fusion(&self) -> Option<&Fusion> {
        self.fusion.as_ref()
    }

    /// The nets.
    #[must_use]
    pub fn nets(&self) -> &[LivenessNet] {
        &self.nets
    }

    /// What each net and each cue sees; cues that the crop is too small for are left out.
    ///
    /// # Errors
    /// A net cannot be run, or a view that it needs is not there.
    pub fn measure(&mut self, presented: &Presented<'_>) -> Result<Vec<Measured>, ModelError> {
        let mut measured = Vec::with_capacity(self.nets.len() + fusion::CLASSICAL.len());
        for net in &mut self.nets {
            let value = net.log_odds(presented)?;
            measured.push(Measured {
                name: net.model().to_owned(),
                sha256: net.sha256().to_owned(),
                value,
            });
        }
        let pattern = cues::periodic_pattern(presented.crop, &presented.face, &self.transform);
        let edges = cues::straight_edges(presented.crop, &presented.face);
        let cues = [
            (PERIODIC_PATTERN, pattern),
            (STRAIGHT_EDGE, edges.map(|sides| sides[0])),
            (SECOND_EDGE, edges.map(|sides| sides[1])),
        ];
        measured.extend(cues.into_iter().filter_map(|(name, value)| {
            Some(Measured {
                name: name.to_owned(),
                sha256: String::new(),
                value: value?,
            })
        }));
        Ok(measured)
    }
}

/// The table's score of what was measured; `None` where something that it joins was not.
#[must_use]
pub fn score(fusion: &Fusion, measured: &[Measured]) -> Option<f64> {
    fusion.score(|key| {
        let is_it = |m: &&Measured| m.sha256 == key || (m.sha256.is_empty() && m.name == key);
        measured.iter().find(is_it).map(|found| found.value)
    })
}
