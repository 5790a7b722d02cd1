//! Models of Shiren: the only crate that runs networks.
//!
//! `manifest.toml` says which files make up a profile and how each is fed; [`Models::open`] checks
//! them and builds the sessions. What surrounds the networks (sizes, decoding, alignment, scores,
//! thresholds, error rates) is pure functions, so that it can be tested without weights.
//!
//! Coordinates are continuous: `(0, 0)` is the outer corner of the first pixel, `(0.5, 0.5)` its
//! centre. Left and right are the image's.

pub mod accuracy;
pub mod align;
pub mod attributes;
mod bare;
mod blockiness;
pub mod calibration;
mod centerface;
pub mod crop;
pub mod detector;
pub mod duplicates;
pub mod embedder;
pub mod error;
pub mod face_mesh;
pub mod face_view;
pub mod files;
pub mod geometry;
pub mod import;
pub mod liveness;
pub mod manifest;
mod models;
pub mod net_size;
pub mod photometry;
pub mod pose;
pub mod presentation_attack;
pub mod recording;
pub mod resample;
pub mod score;
mod session;
pub mod tensor;
pub mod view;

pub use attributes::Classifier;
pub use bare::BareModel;
pub use detector::{Detection, DetectorOptions, FaceDetector, Glance};
pub use embedder::{FaceEmbedder, Template};
pub use error::ModelError;
pub use face_mesh::{FaceMesh, Mesh};
pub use geometry::{BoundingBox, Face, Landmarks};
pub use manifest::{Manifest, Role};
pub use models::{ModelOptions, Models};
pub use photometry::{Photometer, Photometry};
pub use pose::Pose;
pub use recording::Recording;
pub use session::RUN;
