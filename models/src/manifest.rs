//! `manifest.toml`: which files make up a model, where they come from and how they are fed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

// The fuzz target takes this module without its crate: there the places are not found by themselves.
#[path = "manifest/check.rs"]
mod check;
#[path = "manifest/roles.rs"]
mod roles;

use crate::error::ModelError;
use crate::files;
use crate::recording::Recording;

pub use roles::{Profile, Role};

/// The newest manifest version that is read.
pub const VERSION: u32 = 1;
/// Longest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The whole file, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub version: u32,
    /// The shared library that runs the networks.
    pub onnxruntime: OnnxRuntime,
    /// Profiles by name.
    pub profile: BTreeMap<String, Profile>,
    /// Models by name.
    pub model: BTreeMap<String, ModelEntry>,
    /// Folder of the manifest; calibration paths are relative to it. Empty for a parsed text.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Where outputs of networks are kept, or taken from; `None`: networks run.
    #[serde(skip)]
    pub recording: Option<Recording>,
}

/// ONNX Runtime's shared library, taken from a Python wheel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxRuntime {
    /// Package on PyPI.
    pub package: String,
    /// Version of the package and of the library.
    pub version: String,
    /// Build for x86-64.
    pub x86_64: Option<RuntimeBuild>,
    /// Build for 64-bit ARM.
    pub aarch64: Option<RuntimeBuild>,
}

/// One processor's build of ONNX Runtime.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeBuild {
    /// File name of the wheel.
    pub wheel: String,
    /// sha256 of the wheel, hexadecimal.
    pub sha256: String,
    /// Path of the library in the wheel.
    pub file: String,
    /// sha256 of the library, hexadecimal.
    pub file_sha256: String,
}

/// One model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Pre- and post-processing.
    pub architecture: Architecture,
    /// Licence of the weights.
    pub licence: String,
    /// Where the licence is stated.
    pub licence_source: String,
    /// What is known of the training data.
    pub training_data: String,
    /// Where the weights come from.
    pub source: Source,
    /// Script that makes the ONNX file, or `none`.
    pub conversion: String,
    /// The ONNX file.
    pub onnx: OnnxFile,
    /// How the network is fed.
    pub input: Input,
    /// What the network gives.
    pub output: Output,
    /// Calibration table, relative to the manifest's folder; embedders only.
    pub calibration: Option<String>,
    /// Side of the square that it looks at, in sides of the face's box; liveness only.
    pub context: Option<f32>,
}

/// What surrounds a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// CenterFace: heat map, scale, offset and landmarks at stride 4.
    Centerface,
    /// dlib's ResNet-29: 150-px chip by dlib's template.
    DlibResnet29,
    /// MobileFaceNet with 192 dimensions: 112-px chip by the ArcFace template.
    #[serde(rename = "mobilefacenet-192")]
    Mobilefacenet192,
    /// Any embedder that takes a chip by the ArcFace template (112 px, or scaled from it).
    #[serde(rename = "arcface-112")]
    Arcface112,
    /// MediaPipe's face mesh: 468 points and a face flag, of a 192-px square turned level.
    #[serde(rename = "face-mesh-468")]
    FaceMesh468,
    /// dlib's sex classifier: female, male; 32-px chip.
    #[serde(rename = "sex-32")]
    Sex32,
    /// dlib's age predictor: 81 classes of age; 64-px chip.
    #[serde(rename = "age-64")]
    Age64,
    /// Seven expressions, of a grey 64-px square.
    #[serde(rename = "expression-64")]
    Expression64,
    /// Human's liveness net: a 32-px square, planes last; not live, live.
    #[serde(rename = "liveness-32")]
    Liveness32,
    /// MiniFASNet: an 80-px square; class 1 of three is live.
    #[serde(rename = "minifasnet-80")]
    Minifasnet80,
}

/// Where weights come from: a file inside a registry package, or a file of the operator's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `pypi` or `npm`; `file` for what an operator brought (`shiren models import`).
    pub registry: String,
    /// Package's name.
    pub package: String,
    /// Package's version.
    pub version: String,
    /// Path inside the package.
    pub file: String,
    /// sha256 of that file, hexadecimal.
    pub sha256: String,
    /// A second file that the conversion needs, for formats that keep the weights apart.
    pub beside: Option<SourceFile>,
    /// sha256 of the package's archive, hexadecimal.
    pub archive_sha256: Option<String>,
}

/// A file inside a package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Path inside the package.
    pub file: String,
    /// sha256, hexadecimal.
    pub sha256: String,
}

/// The file that is loaded, in `models/` of the cache folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxFile {
    /// File name.
    pub file: String,
    /// sha256, hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// How a network is fed: one float tensor, batch 1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the tensor.
    pub name: String,
    /// Order of the axes.
    pub layout: Layout,
    /// Order of the planes.
    pub colour: Colour,
    /// Width and height in pixels; `[0, 0]` = any multiples of 32.
    pub size: [u32; 2],
    /// Per plane, subtracted from a byte.
    pub mean: [f32; 3],
    /// Factor after the mean is subtracted.
    pub scale: f32,
}

/// Order of a tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, plane, row, column.
    Nchw,
    /// Batch, row, column, plane.
    Nhwc,
}

/// Order of the planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
    /// One plane: the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B. Its mean is the first one.
    Grey,
}

impl Colour {
    /// Planes of the tensor.
    #[must_use]
    pub fn planes(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// What a network gives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Names of the tensors, in the order that the decoding expects.
    pub names: Vec<String>,
    /// How they are read.
    pub decoding: Decoding,
    /// Numbers in a template; embedders only.
    pub embedding_size: Option<usize>,
    /// How templates are compared; embedders only.
    pub metric: Option<Metric>,
}

/// How outputs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    /// Heat map, scale, offset, landmarks, each at a quarter of the input's size.
    #[serde(rename = "centerface-stride4")]
    CenterfaceStride4,
    /// One vector.
    Embedding,
    /// The mesh, x, y and z of each point in pixels of the input; and the face flag, a logit.
    FaceMesh,
    /// A probability for each class; they sum to 1.
    Classes,
}

/// How two templates become a comparison score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// 1 - Euclidean distance.
    Euclidean,
    /// Cosine of the angle.
    Cosine,
}

impl Manifest {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] with the file and, for a syntax error, the line.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let fail = |what: String| ModelError::Manifest {
            place: path.display().to_string(),
            what,
        };
        let text = files::read_text(path, MAX_MANIFEST_BYTES).map_err(&fail)?;
        let mut manifest = Self::parse(&text).map_err(|error| match error {
            ModelError::Manifest { place, what } => fail(format!("{place}: {what}")),
            other => other,
        })?;
        manifest.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(manifest)
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] with the key at fault.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let manifest: Self = toml::from_str(text).map_err(|error| ModelError::Manifest {
            place: "text".into(),
            what: error.to_string(),
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] naming the profiles that there are.
    pub fn profile(&self, name: &str) -> Result<&Profile, ModelError> {
        self.profile.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profile.keys().map(String::as_str).collect();
            invalid(
                "profile",
                format!("there is no `{name}`; there are: {}", known.join(", ")),
            )
        })
    }

    /// The model of this name.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] naming the models that there are.
    pub fn model(&self, name: &str) -> Result<&ModelEntry, ModelError> {
        self.model.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.model.keys().map(String::as_str).collect();
            invalid(
                "model",
                format!("there is no `{name}`; there are: {}", known.join(", ")),
            )
        })
    }

    /// The model of this name, which must fill `role`.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] when there is none, [`ModelError::WrongShape`] when it does something else.
    pub fn model_for(&self, name: &str, role: Role) -> Result<&ModelEntry, ModelError> {
        let entry = self.model(name)?;
        if entry.architecture.role() == role {
            return Ok(entry);
        }
        Err(ModelError::WrongShape {
            model: name.into(),
            what: format!(
                "is made for the role {}, not {}",
                entry.architecture.role().key(),
                role.key()
            ),
        })
    }

    /// File of the model's calibration table.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] when the model is unknown, [`ModelError::Calibration`] when it has
    /// no table.
    pub fn calibration_path(&self, model: &str) -> Result<PathBuf, ModelError> {
        let entry = self.model(model)?;
        let file = entry
            .calibration
            .as_ref()
            .ok_or_else(|| ModelError::Calibration {
                table: model.into(),
                what: "the manifest names no table for this model; bring one (docs/thresholds.md)"
                    .into(),
            })?;
        Ok(self.folder.join(file))
    }

    /// The library's build for this machine, with its file name.
    pub(crate) fn runtime(&self) -> Result<(&RuntimeBuild, String), ModelError> {
        let build = match std::env::consts::ARCH {
            "x86_64" => self.onnxruntime.x86_64.as_ref(),
            "aarch64" => self.onnxruntime.aarch64.as_ref(),
            _ => None,
        };
        let build = build.ok_or_else(|| {
            invalid(
                "onnxruntime",
                format!("names no library for {} processors", std::env::consts::ARCH),
            )
        })?;
        Ok((
            build,
            format!("libonnxruntime.so.{}", self.onnxruntime.version),
        ))
    }
}

fn invalid(place: &str, what: String) -> ModelError {
    ModelError::Manifest {
        place: place.into(),
        what,
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
