//! A profile's models together.

use std::path::Path;

use crate::detector::{DetectorOptions, FaceDetector};
use crate::embedder::FaceEmbedder;
use crate::error::ModelError;
use crate::manifest::Manifest;

/// How a profile's models run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelOptions {
    /// Of the detector; its threads are the embedder's too.
    pub detector: DetectorOptions,
}

impl ModelOptions {
    /// The defaults, with `threads` (at least 1) for one run.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        Self {
            detector: DetectorOptions {
                threads,
                ..DetectorOptions::default()
            },
        }
    }
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self::with_threads(1)
    }
}

/// A profile's models, ready; a worker has its own, for a session runs one picture at a time.
pub struct Models {
    /// Finds faces.
    pub detector: FaceDetector,
    /// Makes templates.
    pub embedder: FaceEmbedder,
}

impl Models {
    /// Checks every file of the profile under `home`, the cache folder, and builds its sessions.
    ///
    /// # Errors
    /// The first file that is missing or has another hash, model with other shapes than the manifest
    /// says, or unknown profile: never another model instead.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        profile: &str,
        options: ModelOptions,
    ) -> Result<Self, ModelError> {
        let profile = manifest.profile(profile)?;
        Ok(Self {
            detector: FaceDetector::open(manifest, home, &profile.detector, options.detector)?,
            embedder: FaceEmbedder::open(
                manifest,
                home,
                &profile.embedder,
                options.detector.threads,
            )?,
        })
    }
}
