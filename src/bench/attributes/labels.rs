//! The registry's pictures with their labels, and the parameters of what is made of them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A picture of integration-tests/pictures.toml.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    /// File name under the cache folder's `pictures`.
    pub name: String,
    /// Name of the one person; empty when unknown.
    pub identity: String,
    /// `portrait`, `group` or `other`.
    pub kind: String,
    /// Faces that a reader would point at.
    pub faces: usize,
}

/// What a portrait shows: integration-tests/attributes.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// File name.
    pub name: String,
    /// `female` or `male`.
    pub sex: Option<String>,
    /// `yes` or `no`.
    pub smiling: Option<String>,
    /// `yes` or `no`.
    pub mouth_open: Option<String>,
    /// `yes` or `no`.
    pub glasses: Option<String>,
    /// Least and largest age that the person can have had, years.
    pub age: Option<[f64; 2]>,
}

/// How non-faces are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonFaces {
    /// Side of a square, pixels.
    pub tile_px: u32,
    /// Distance of neighbouring squares, pixels.
    pub step_px: usize,
    /// Size of what is left out around a face, in its box.
    pub face_margin: f32,
    /// Most squares of one picture.
    pub most_per_picture: usize,
    /// Textures of each sort.
    pub textures_each: u32,
}

/// How portraits are turned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// Clockwise, degrees.
    pub rotations_degrees: Vec<f64>,
    /// Largest error that counts as right, degrees.
    pub tolerance_degrees: f64,
    /// Longest side before, pixels.
    pub longest_side_px: u32,
}

/// How heads are blurred.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// Width of the face before, pixels.
    pub face_px: f32,
    /// Standard deviations of the blur, pixels.
    pub blur_px: Vec<f32>,
}

/// How probes are degraded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degradations {
    /// Width of the face before, pixels.
    pub face_px: f32,
    /// Standard deviations of the blur, pixels.
    pub blur_px: Vec<f32>,
    /// Widths of the face after, pixels.
    pub small_face_px: Vec<f32>,
    /// Factors on light.
    pub dark_gain: Vec<f32>,
    /// JPEG qualities, 1 to 100.
    pub jpeg_quality: Vec<i32>,
    /// Shares that are discarded.
    pub shares: Vec<f64>,
}

/// All parameters: benches/attributes.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Non-faces.
    pub non_faces: NonFaces,
    /// Rotations and mirror images.
    pub geometry: Geometry,
    /// Blur for the ROC curve.
    pub sharpness: Sharpness,
    /// Degradations for the error-versus-discard curve.
    pub discard: Degradations,
    /// Others, which nobody looked at while quality was worked on.
    pub discard_held_out: Degradations,
}

#[derive(Deserialize)]
struct Pictures {
    picture: Vec<Listed>,
}

#[derive(Deserialize)]
struct Labels {
    picture: Vec<Labelled>,
}

/// The three lists, and where the pictures lie.
pub struct Lists {
    /// Every registry picture.
    pub pictures: Vec<Listed>,
    /// Labels of the portraits.
    pub labels: Vec<Labelled>,
    /// Parameters.
    pub parameters: Parameters,
    /// Folder of the pictures.
    pub folder: PathBuf,
}

impl Lists {
    /// Reads them from the repository at `root`.
    ///
    /// # Errors
    /// A list cannot be read or is no such list.
    pub fn load(root: &Path, home: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            pictures: read::<Pictures>(&root.join("integration-tests/pictures.toml"))?.picture,
            labels: read::<Labels>(&root.join("integration-tests/attributes.toml"))?.picture,
            parameters: read(&root.join("benches/attributes.toml"))?,
            folder: home.join("pictures"),
        })
    }

    /// Portraits of one person each.
    pub fn portraits(&self) -> impl Iterator<Item = &Listed> {
        self.pictures
            .iter()
            .filter(|picture| picture.kind == "portrait")
    }

    /// A picture's file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.folder.join(name);
        std::fs::read(&path)
            .with_context(|| format!("{}: run scripts/setup --tests", path.display()))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}
